//! Says what is wrong with a call's parameters, in static words: never the input, never serde's
//! text, which quotes it.
//!
//! Good parameters do not come here. Bad ones are read a second time, with an error type that keeps
//! which field failed and what form it has to have, and nothing else.

mod error;
mod json;

use serde_json::value::RawValue;

use self::error::{ParamError, Problem};
use self::json::Json;
use super::Call;
use crate::{Code, Fault};

/// The fault for parameters that do not make a `C`.
pub(super) fn why_invalid<C: Call>(params: &str) -> Fault {
    let method = C::METHOD;
    let Ok(raw) = serde_json::from_str::<&RawValue>(params) else { return unreadable(method) };
    let Err(error) = C::deserialize(Json::from(raw)) else { return unreadable(method) };
    let field = error.field();
    let message = match &error.problem {
        Problem::Missing(missing) => {
            // As null it says what form it has to have.
            let form = match C::deserialize(Json { beside: Some(missing), ..Json::from(raw) }) {
                Err(ParamError { problem: Problem::Form(form), .. }) => format!(": {form}"),
                _ => String::new(),
            };
            format!("{method} needs `{}`{form}", field.as_deref().unwrap_or(missing))
        }
        Problem::Duplicate(twice) => format!("`{}` of {method} is given twice", field.as_deref().unwrap_or(twice)),
        Problem::Form(form) => match &field {
            Some(field)
                if error.is_null && !field.contains('.') && !form.contains("null") && !is_required::<C>(raw, field) =>
            {
                format!("`{field}` of {method} must be {form} (leave it out rather than null)")
            }
            Some(field) => format!("`{field}` of {method} must be {form}"),
            None => format!("the params of {method} must be {form}"),
        },
        Problem::Unknown([]) => format!("{method} takes no params"),
        Problem::Unknown(fields) => {
            let place = field.as_ref().map(|field| format!("`{field}` of ")).unwrap_or_default();
            format!("{place}{method} was given a param that it does not know; it takes {}", fields.join(", "))
        }
        Problem::Unreadable => return unreadable(method),
    };
    Fault::new(Code::InvalidParams, message).on_params(method, field.as_deref())
}

/// Whether a call cannot do without a field that was given.
fn is_required<C: Call>(params: &RawValue, field: &str) -> bool {
    let without = C::deserialize(Json { without: Some(field), ..Json::from(params) });
    matches!(without, Err(ParamError { problem: Problem::Missing(missing), .. }) if missing == field)
}

fn unreadable(method: &'static str) -> Fault {
    Fault::new(Code::InvalidParams, format!("the params of {method} cannot be read")).on_params(method, None)
}

#[cfg(test)]
mod tests {
    use crate::{Code, Request};

    /// The field and the message of the fault for these parameters.
    fn fault(method: &str, params: &str) -> (Option<String>, String) {
        let raw = serde_json::value::RawValue::from_string(params.to_owned()).unwrap();
        let fault = Request::parse(method, Some(&raw)).unwrap_err();
        assert_eq!(fault.data.code, Code::InvalidParams);
        assert_eq!(fault.data.method.as_deref(), Some(method));
        (fault.data.field, fault.message)
    }

    #[test]
    fn the_fault_names_the_field() {
        let cases = [
            ("storeSession", "{}", Some("sessionToken"), "needs `sessionToken`: a string"),
            ("deleteApiKeyPair", "{}", Some("publicKey"), "66 hex characters"),
            ("storeSession", r#"{"sessionToken":7}"#, Some("sessionToken"), "must be a string"),
            ("storeSession", r#"{"sessionToken":"a","sessionToken":"b"}"#, Some("sessionToken"), "twice"),
            ("clearSession", r#"{"sessionKey":null}"#, Some("sessionKey"), "UTF-8 (leave it out rather than null)"),
            ("clearSession", r#"{"sessionKey":7}"#, Some("sessionKey"), "must be a string of 1 to 512 bytes of UTF-8"),
            (
                "subscribe",
                r#"{"types":[{"sessionStored":null}]}"#,
                Some("types"),
                "an array whose elements are \"sessionStored\"",
            ),
            ("sign", r#"{"payload":"","format":{"der":null}}"#, Some("format"), "\"der\" or \"raw\""),
            ("rekey", r#"{"keySource":{"keyFile":null}}"#, Some("keySource"), "\"keyFile\", "),
            ("clearSession", r#"{"ifExists":null}"#, Some("ifExists"), "true or false"),
            ("storeSession", r#"{"sessionToken":"a","ifPublicKey":""}"#, Some("ifPublicKey"), "or null"),
            ("clearSession", r#"{"sessionKey":""}"#, Some("sessionKey"), "1 to 512 bytes"),
            ("clearSession", r#"{"sessionKey":"\ud800"}"#, Some("sessionKey"), "UTF-8"),
            ("clearSession", r#"{"session":"a"}"#, None, "it takes sessionKey"),
            ("status", r#"{"force":true}"#, None, "takes no params"),
            ("deleteApiKeyPair", r#"{"publicKey":"03AB"}"#, Some("publicKey"), "66 hex"),
            ("subscribe", r#"{"types":"a"}"#, Some("types"), "an array"),
            ("subscribe", r#"{"types":["a"]}"#, Some("types"), "\"sessionStored\""),
            ("subscribe", r#"{"sessionKeys":[""]}"#, Some("sessionKeys"), "an array whose elements are a string"),
            ("stamp", r#"{"payload":"","signer":{}}"#, Some("signer"), "either sessionKey or publicKey"),
            ("stamp", r#"{"payload":"","signer":"active"}"#, Some("signer"), "an object"),
            (
                "stamp",
                r#"{"payload":"","signer":{"sessionKey":"a","publicKey":"b"}}"#,
                Some("signer.publicKey"),
                "66 hex",
            ),
            ("stamp", r#"{"payload":"","signer":{"sessionKey":7}}"#, Some("signer.sessionKey"), "1 to 512 bytes"),
            ("stamp", r#"{"payload":"","signer":{"other":7}}"#, Some("signer"), "it takes sessionKey, publicKey"),
            ("rekey", r#"{"keySource":"disk"}"#, Some("keySource"), "\"keyFile\", \"passphrase\""),
            ("setLockAfter", r#"{"lockAfterSeconds":0}"#, Some("lockAfterSeconds"), "from 1 to"),
            ("sign", r#"{"payload":"?"}"#, Some("payload"), "base64"),
            ("sign", r#"{"payload":"","format":"pem"}"#, Some("format"), "\"der\" or \"raw\""),
            ("getAllSessions", r#"{"limit":0}"#, Some("limit"), "1 to 1000"),
            ("getAllSessions", r#"{"limit":1.5}"#, Some("limit"), "1 to 1000"),
            ("getAllSessions", r#"{"limit":1001}"#, Some("limit"), "1 to 1000"),
            (
                "createApiKeyPair",
                r#"{"externalKeyPair":{"publicKey":"x"}}"#,
                Some("externalKeyPair.publicKey"),
                "66 hex",
            ),
            ("createApiKeyPair", r#"{"label":""}"#, Some("label"), "1 to 128 bytes"),
            ("createApiKeyPair", r#"{"externalKeyPair":["02","ab"]}"#, Some("externalKeyPair"), "an object"),
            ("clearUnusedKeyPairs", r#"{"minAgeSeconds":-1}"#, Some("minAgeSeconds"), "a whole number"),
        ];
        for (method, params, field, part) in cases {
            let (named, message) = fault(method, params);
            assert_eq!(named.as_deref(), field, "{method} {params}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn null_is_advised_against_only_where_leaving_out_will_do() {
        for (method, params) in [
            ("setActiveSession", r#"{"sessionKey":null}"#),
            ("storeSession", r#"{"sessionToken":null}"#),
            ("storeSession", r#"{"sessionToken":"x","ifPublicKey":""}"#),
            ("createApiKeyPair", r#"{"externalKeyPair":{"publicKey":null}}"#),
            ("clearSession", r#"{"sessionKey":7}"#),
        ] {
            assert!(!fault(method, params).1.contains("leave it out"), "{method} {params}");
        }
    }

    #[test]
    fn params_that_are_no_object_are_refused() {
        for params in ["[]", "null", "7", "\"x\""] {
            assert!(fault("clearSession", params).1.contains("must be an object"), "{params}");
        }
    }

    #[test]
    fn the_fault_never_repeats_the_input() {
        for params in
            [r#"{"s3cret":1}"#, r#"{"sessionToken":{"s3cret":"s3cret"}}"#, r#"{"sessionToken":"s3cret","x":1}"#]
        {
            let (_, message) = fault("storeSession", params);
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
