//! Session tokens as people pipe them: with quotes around them, or in the whole answer of a login.

use serde_json::Value;
use zeroize::Zeroizing;

/// A session token, and what was done to find it, for a person to know.
pub(super) struct Found {
    pub(super) token: Zeroizing<String>,
    pub(super) how: Option<&'static str>,
}

/// Finds the token in what was piped. What it is else is up to the vault.
///
/// # Errors
///
/// When it is JSON without a session in it.
pub(super) fn find(text: &str) -> Result<Found, &'static str> {
    let bare = text.trim_start_matches('\u{feff}').trim();
    let found = |token: &str, how| Found { token: Zeroizing::new(token.trim().to_owned()), how };
    if bare.starts_with(['{', '[']) {
        let json: Value = serde_json::from_str(bare).map_err(|_| "that begins as JSON does, and is none")?;
        let token = session(&json).ok_or("that JSON has no field `session` with a session token")?;
        return Ok(found(token, Some("took the field `session` out of the JSON")));
    }
    let (token, was_quoted) = unquoted(bare);
    Ok(found(token, was_quoted.then_some("took the quotes off")))
}

/// The first field of that name, at whatever depth: the API wraps it in the result of an activity.
fn session(json: &Value) -> Option<&str> {
    match json {
        Value::Object(fields) => {
            fields.get("session").and_then(Value::as_str).or_else(|| fields.values().find_map(session))
        }
        Value::Array(values) => values.iter().find_map(session),
        _ => None,
    }
}

/// Text without the quotes around it, and whether there were any.
pub(super) fn unquoted(text: &str) -> (&str, bool) {
    let pairs = [('"', '"'), ('\'', '\''), ('\u{201c}', '\u{201d}'), ('`', '`')];
    let inner = pairs.iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close));
    inner.map_or((text, false), |inner| (inner, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_what_people_pipe() {
        for (text, is_told) in [
            ("a.b.c", false),
            (" a.b.c\r\n", false),
            ("\u{feff}a.b.c\n", false),
            ("\"a.b.c\"\n", true),
            ("'a.b.c'", true),
            ("\u{201c}a.b.c\u{201d}", true),
            (r#"{"session":"a.b.c"}"#, true),
            ("{\n  \"session\": \"a.b.c\"\n}\n", true),
            (r#"{"activity":{"id":"x","result":{"stampLoginResult":{"session":"a.b.c"}}}}"#, true),
            (r#"[{"session":null},{"session":"a.b.c"}]"#, true),
        ] {
            let found = find(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!((found.token.as_str(), found.how.is_some()), ("a.b.c", is_told), "{text}");
        }
        for text in ["{}", "[]", r#"{"session":7}"#, "{", r#"{"token":"a.b.c"}"#] {
            assert!(find(text).is_err(), "{text}");
        }
        for text in ["Bearer a.b.c", "session=a.b.c", "a.b.c d.e.f"] {
            assert_eq!(
                find(text).unwrap_or_else(|error| panic!("{error}")).token.as_str(),
                text,
                "the vault refuses it"
            );
        }
    }
}
