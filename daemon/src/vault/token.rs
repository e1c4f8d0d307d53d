//! [`Login`]: a session token, read.

use std::sync::LazyLock;

use data_encoding::{BASE64, Encoding, Specification};
use keyfob_proto::{Code, Fault, PublicKey, Secret, Session, SessionKey, StoreSession};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::key_pair::is_on_curve;
use crate::clock::Timestamp;
use crate::limits::{MAX_CLAIM_BYTES, MAX_TOKEN_BYTES};

/// The largest `exp`: the largest whole number that every JSON reader keeps exact, 2^53 - 1.
const MAX_EXPIRY: u64 = (1 << 53) - 1;

/// A session about to be stored: its token was read and found good, its expiry not yet looked at.
///
/// The token's signature is not verified, as in Turnkey's SDK: the vault keeps what the login
/// returned, and the API judges it.
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) session_key: SessionKey,
    /// Complete but for [`Session::expiration_seconds`], which depends on the moment of storing.
    session: Session,
}

impl Login {
    /// Reads the token of a call.
    ///
    /// # Errors
    ///
    /// `INVALID_TOKEN` when the token cannot be read or lacks a claim.
    pub fn read(call: StoreSession) -> Result<Self, Fault> {
        let session_key = call.session_key.unwrap_or_default();
        match read_token(call.session_token) {
            Ok(session) => Ok(Self { session_key, session }),
            Err(message) => Err(Fault::new(Code::InvalidToken, message).on_session(&session_key)),
        }
    }

    /// The same login under another name.
    #[cfg(test)]
    pub(crate) fn rename(&mut self, session_key: SessionKey) {
        self.session_key = session_key;
    }

    /// The session as it is stored at `now`.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED` when the token's `exp` has passed.
    pub(super) fn session_at(&self, now: Timestamp) -> Result<Session, Fault> {
        let Self { session_key, session } = self;
        let left = Timestamp::from_secs(session.expiry).since(now);
        if left.is_zero() {
            let message = format!("the session token expired at {} (Unix time); log in again", session.expiry);
            return Err(Fault::new(Code::SessionExpired, message).on_session(session_key));
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Ok(Session { expiration_seconds: seconds.to_string(), ..session.clone() })
    }
}

/// The claims that matter, each as the JSON it is, so that a wrong one can be named.
#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    exp: Option<&'a RawValue>,
    #[serde(borrow)]
    public_key: Option<&'a RawValue>,
    #[serde(borrow)]
    session_type: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    organization_id: Option<&'a RawValue>,
    #[serde(borrow)]
    session_profile_id: Option<&'a RawValue>,
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
}

/// Reads a token, or says what is wrong with it without repeating any of it.
fn read_token(token: Secret) -> Result<Session, String> {
    let text = token.expose();
    if text.len() > MAX_TOKEN_BYTES {
        return Err(format!("the session token is over {MAX_TOKEN_BYTES} bytes"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the session token has a character that no JWT has (a space, a line feed?)".to_owned());
    }
    let payload = match text.split('.').nth(1) {
        Some(payload) if !payload.is_empty() => payload.trim_end_matches('='),
        _ => return Err("the session token is not a JWT: it has no payload between two dots".to_owned()),
    };
    let payload = ANY_BASE64.decode(payload.as_bytes()).map(Zeroizing::new);
    let payload = payload.map_err(|_| "the payload of the session token is not base64url")?;
    let not_an_object = "the payload of the session token is not a JSON object";
    // An array would be read as the claims by position.
    if payload.trim_ascii_start().first() != Some(&b'{') {
        return Err(not_an_object.to_owned());
    }
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| not_an_object)?;

    let public_key: PublicKey = required(claims.public_key, "public_key")?
        .parse()
        .ok()
        .filter(is_on_curve)
        .ok_or("the claim `public_key` of the session token is not a compressed P-256 public key in hex")?;
    let session = Session {
        expiry: expiry(claims.exp)?,
        public_key,
        session_type: required(claims.session_type, "session_type")?,
        user_id: required(claims.user_id, "user_id")?,
        organization_id: required(claims.organization_id, "organization_id")?,
        session_profile_id: optional(claims.session_profile_id, "session_profile_id")?,
        scope: optional(claims.scope, "scope")?,
        expiration_seconds: String::new(),
        token,
    };
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let claims = session.session_type.len()
        + session.user_id.len()
        + session.organization_id.len()
        + optional(&session.session_profile_id)
        + optional(&session.scope);
    if claims > MAX_CLAIM_BYTES {
        return Err(format!("the claims of the session token are over {MAX_CLAIM_BYTES} bytes together"));
    }
    Ok(session)
}

fn expiry(exp: Option<&RawValue>) -> Result<u64, String> {
    let exp = exp.ok_or("the session token lacks the claim `exp`")?;
    match exp.get().parse() {
        Ok(seconds @ 1..=MAX_EXPIRY) => Ok(seconds),
        _ => Err("the claim `exp` of the session token is not a Unix time in whole seconds".to_owned()),
    }
}

fn required(claim: Option<&RawValue>, name: &str) -> Result<String, String> {
    optional(claim, name)?.ok_or_else(|| format!("the session token lacks the claim `{name}`"))
}

/// A claim that is null or empty counts as absent.
fn optional(claim: Option<&RawValue>, name: &str) -> Result<Option<String>, String> {
    let Some(claim) = claim else { return Ok(None) };
    match serde_json::from_str::<Option<String>>(claim.get()) {
        Ok(text) => Ok(text.filter(|text| !text.is_empty())),
        Err(_) => Err(format!("the claim `{name}` of the session token is not a string")),
    }
}

/// base64 and base64url at once, without padding. Issuers differ, and the two alphabets do not
/// contradict each other.
static ANY_BASE64: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str(&BASE64.specification().symbols);
    specification.translate.from.push_str("-_");
    specification.translate.to.push_str("+/");
    specification.check_trailing_bits = false;
    specification.encoding().expect("the alphabet is that of base64")
});

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    const KEY: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";

    fn payload(exp: &str) -> String {
        format!(r#"{{"exp":{exp},"public_key":"{KEY}","session_type":"T","user_id":"u","organization_id":"o"}}"#)
    }

    fn read(payload: &str) -> Result<Session, String> {
        read_token(Secret::new(format!("h.{}.s", BASE64URL_NOPAD.encode(payload.as_bytes()))))
    }

    #[test]
    fn each_missing_or_wrong_claim_is_named() {
        let good = payload("4102444800");
        assert!(read(&good).is_ok());
        for claim in ["exp", "public_key", "session_type", "user_id", "organization_id"] {
            let message = read(&good.replace(&format!("\"{claim}\""), "\"x\"")).unwrap_err();
            assert!(message.contains(&format!("lacks the claim `{claim}`")), "{message}");
        }
        for (claim, value) in [("session_type", "\"T\""), ("user_id", "\"u\""), ("organization_id", "\"o\"")] {
            for (wrong, part) in
                [("\"\"", "lacks"), ("null", "lacks"), ("7", "not a string"), ("\"\\ud800\"", "not a string")]
            {
                let payload = good.replace(&format!("\"{claim}\":{value}"), &format!("\"{claim}\":{wrong}"));
                let message = read(&payload).unwrap_err();
                assert!(message.contains(part) && message.contains(claim), "{message}");
            }
        }
        for exp in ["0", "-1", "1.5", "\"4102444800\"", "1e10", "9007199254740992", "null"] {
            assert!(read(&payload(exp)).unwrap_err().contains("`exp`"), "{exp}");
        }
    }

    #[test]
    fn the_public_key_must_be_on_the_curve() {
        let off_curve = format!("02{}07", "0".repeat(62));
        let message = read(&payload("4102444800").replace(KEY, &off_curve)).unwrap_err();
        assert!(message.contains("`public_key`"), "{message}");
    }

    #[test]
    fn optional_claims_are_absent_when_null_or_empty() {
        let with = |more: &str| read(&payload("4102444800").replace('}', more)).unwrap();
        assert_eq!(with(r#","scope":null,"session_profile_id":""}"#).scope, None);
        assert_eq!(with(r#","scope":"café"}"#).scope.as_deref(), Some("café"));
        assert!(read(&payload("4102444800").replace('}', r#","scope":7}"#)).unwrap_err().contains("`scope`"));
    }

    #[test]
    fn tokens_that_are_no_jwt_are_refused_and_not_repeated() {
        let long = format!("h.{}.s3cret", "A".repeat(MAX_TOKEN_BYTES));
        for (token, part) in [
            ("s3cret", "no payload"),
            ("s3cret..s", "no payload"),
            ("s3cret.%%%%.s", "not base64url"),
            ("s3cret.AAAA.s", "not a JSON object"),
            ("s3cret.bnVsbA.s", "not a JSON object"),
            ("s3cret.e30.s\n", "no JWT has"),
            (&*long, "over 6144 bytes"),
        ] {
            let message = read_token(Secret::new(token)).unwrap_err();
            assert!(message.contains(part) && !message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn a_token_of_6_kib_passes() {
        let token = format!("h.{}.", BASE64URL_NOPAD.encode(payload("4102444800").as_bytes()));
        let filled = format!("{token}{}", "s".repeat(MAX_TOKEN_BYTES - token.len()));
        assert!(read_token(Secret::new(filled.clone())).is_ok());
        assert!(read_token(Secret::new(filled + "s")).is_err());
    }

    #[test]
    fn the_seconds_left_are_rounded_up() {
        let login = |exp: &str| Login { session_key: SessionKey::default(), session: read(&payload(exp)).unwrap() };
        let (clock, hand) = crate::clock::Clock::manual(Timestamp::from_secs(1000));
        assert_eq!(login("1900").session_at(clock.now()).unwrap().expiration_seconds, "900");
        hand.advance(std::time::Duration::from_millis(1));
        assert_eq!(login("1900").session_at(clock.now()).unwrap().expiration_seconds, "900");
        let fault = login("1000").session_at(clock.now()).unwrap_err();
        assert_eq!(fault.data.code, Code::SessionExpired);
        assert_eq!(login("1001").session_at(clock.now()).unwrap().expiration_seconds, "1");
    }
}
