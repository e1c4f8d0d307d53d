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

/// The largest `exp`: the end of the year 9999, in seconds since the epoch.
const MAX_EXPIRY: u64 = 253_402_300_799;

/// How long a session of Turnkey's lives where nobody says otherwise, in seconds.
const DEFAULT_LIFE: u64 = 900;

/// A session about to be stored: its token was read and found good, its expiry not yet looked at.
///
/// The token's signature is not verified, as in Turnkey's SDK: the vault keeps what the login
/// returned, and the API judges it.
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) session_key: SessionKey,
    /// Complete but for [`Session::expiration_seconds`], which depends on the moment of storing.
    session: Session,
    /// When it was issued, in seconds since the epoch, if the token says so.
    issued_at: Option<u64>,
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
            Ok((session, issued_at)) => Ok(Self { session_key, session, issued_at }),
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
        let Self { session_key, session, .. } = self;
        let left = Timestamp::from_secs(session.expiry).since(now);
        if left.is_zero() {
            let fault = Fault::new(Code::SessionExpired, self.is_expired(now));
            return Err(fault.on_session(session_key).expired_at(session.expiry));
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Ok(Session { expiration_seconds: seconds.to_string(), ..session.clone() })
    }
}

impl Login {
    /// Why it is refused at `now`. A clock that is wrong makes a new token look expired, and a new login would not help.
    fn is_expired(&self, now: Timestamp) -> String {
        let expiry = self.session.expiry;
        let life = self.issued_at.map_or(DEFAULT_LIFE, |issued_at| expiry.saturating_sub(issued_at));
        let (then, ago) = (Timestamp::from_secs(expiry), now.since(Timestamp::from_secs(expiry)).as_secs());
        let what_to_do = if ago < life {
            "if you have just logged in, the clock of this machine is wrong: set it. Else log in again"
        } else {
            "log in again"
        };
        format!("the session token expired at {then}, and it is {now} by the clock of this machine: {what_to_do}")
    }
}

/// The claims that matter, each as the JSON it is, so that a wrong one can be named.
#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    exp: Option<&'a RawValue>,
    #[serde(borrow)]
    iat: Option<&'a RawValue>,
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
fn read_token(token: Secret) -> Result<(Session, Option<u64>), String> {
    let text = token.expose();
    if text.len() > MAX_TOKEN_BYTES {
        return Err(format!("the session token is over {MAX_TOKEN_BYTES} bytes"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "the session token has a character that no JWT has: a space, a quote, a byte order mark?".to_owned()
        );
    }
    let payload = payload_of(text)?;
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| NOT_AN_OBJECT)?;

    // It only helps to explain.
    let issued_at = claims.iat.and_then(|iat| whole_seconds(iat.get()));
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
    Ok((session, issued_at))
}

const NOT_AN_OBJECT: &str = "the payload of the session token is not a JSON object";

/// The payload of a JWT (RFC 7519, in the compact form of RFC 7515): a header, a payload and a signature.
fn payload_of(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let not_a_jwt = |why: &str| format!("the session token is not a JWT: {why}");
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(not_a_jwt("it does not have three parts with dots between them"));
    };
    let decode = |part: &str| ANY_BASE64.decode(part.trim_end_matches('=').as_bytes()).map(Zeroizing::new).ok();
    let header = decode(header).ok_or_else(|| not_a_jwt("its header is not base64url"))?;
    if !is_object(&header) {
        return Err(not_a_jwt("its header is not a JSON object"));
    }
    if decode(signature).is_none_or(|signature| signature.is_empty()) {
        return Err(not_a_jwt("it does not end in a signature in base64url"));
    }
    let payload = decode(payload).ok_or("the payload of the session token is not base64url")?;
    if is_object(&payload) { Ok(payload) } else { Err(NOT_AN_OBJECT.to_owned()) }
}

/// Whether it is an object of JSON; an array would be read as fields by position.
fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{') && serde_json::from_slice::<&RawValue>(json).is_ok()
}

fn expiry(exp: Option<&RawValue>) -> Result<u64, String> {
    let exp = exp.ok_or("the session token lacks the claim `exp`")?;
    let wrong = |what: &str| format!("the claim `exp` of the session token is {what}");
    match whole_seconds(exp.get()) {
        Some(seconds @ 1..=MAX_EXPIRY) => Ok(seconds),
        Some(0) | None => Err(wrong("not a Unix time in whole seconds")),
        Some(time) if time <= MAX_EXPIRY.saturating_mul(1000) => Err(wrong("in milliseconds: it has to be in seconds")),
        Some(time) if time <= MAX_EXPIRY.saturating_mul(1_000_000) => {
            Err(wrong("in microseconds: it has to be in seconds"))
        }
        Some(_) => Err(wrong("after the year 9999")),
    }
}

/// A whole number that is not negative, however JSON writes it.
fn whole_seconds(json: &str) -> Option<u64> {
    // Every whole number up to here is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(seconds) = json.parse() {
        return Some(seconds);
    }
    let number: f64 = serde_json::from_str(json).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at")]
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
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
        let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload.as_bytes()));
        read_token(Secret::new(token)).map(|(session, _)| session)
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
    }

    #[test]
    fn the_expiry_is_in_whole_seconds_however_it_is_written() {
        for exp in ["4102444800", "4102444800.0", "4.1024448e9", "41024448E2", "4102444800.000"] {
            assert_eq!(read(&payload(exp)).unwrap().expiry, 4_102_444_800, "{exp}");
        }
        for exp in ["1", "1e10", "253402300799"] {
            assert!(read(&payload(exp)).is_ok(), "{exp}");
        }
        for (exp, what) in [
            ("0", "whole seconds"),
            ("-0", "whole seconds"),
            ("-1", "whole seconds"),
            ("1.5", "whole seconds"),
            ("4102444800.5", "whole seconds"),
            ("\"4102444800\"", "whole seconds"),
            ("true", "whole seconds"),
            ("[]", "whole seconds"),
            ("1e20", "whole seconds"),
            ("253402300800", "milliseconds"),
            ("1795565679000", "milliseconds"),
            ("1.795565679e12", "milliseconds"),
            ("1795565679000000", "microseconds"),
            ("18446744073709551615", "after the year 9999"),
            ("null", "lacks"),
        ] {
            let message = read(&payload(exp)).unwrap_err();
            assert!(message.contains("`exp`") && message.contains(what), "{exp}: {message}");
        }
    }

    #[test]
    fn a_new_token_that_looks_expired_is_blamed_on_the_clock() {
        let refused = |claims: &str, now: u64| {
            let payload = payload("1800000900").replace("\"session_type\"", &format!("{claims}\"session_type\""));
            let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload.as_bytes()));
            let (session, issued_at) = read_token(Secret::new(token)).unwrap();
            let login = Login { session_key: SessionKey::default(), session, issued_at };
            login.session_at(Timestamp::from_secs(now)).unwrap_err().message
        };
        let issued = "\"iat\":1800000000,";
        let message = refused(issued, 1_800_001_200);
        assert!(message.contains("the clock of this machine is wrong") && message.contains("2027-01-15 08:20:00 UTC"));
        assert!(!refused(issued, 1_800_001_800).contains("wrong"));
        assert!(refused("", 1_800_001_799).contains("wrong"));
        assert!(refused("\"iat\":\"x\",", 1_800_001_799).contains("wrong"), "an `iat` that is none does not matter");
        assert!(refused("\"iat\":1799990000,", 1_800_005_000).contains("wrong"), "one that lives long");
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
        let long = format!("e30.{}.s3cret", "A".repeat(MAX_TOKEN_BYTES));
        for (token, part) in [
            ("s3cret", "three parts"),
            ("e30.s3cret", "three parts"),
            ("e30.e30.c2ln.s3cret", "three parts"),
            ("s3cret..c2ln", "header"),
            (".e30.c2ln", "header"),
            ("!!!.e30.s3cret", "header is not base64url"),
            ("bnVsbA.e30.s3cret", "header is not a JSON object"),
            ("e30.s3cret%.c2ln", "not base64url"),
            ("e30.AAAA.s3cret", "not a JSON object"),
            ("e30..c2ln", "not a JSON object"),
            ("e30.bnVsbA.s3cret", "not a JSON object"),
            ("e30.W10.s3cret", "not a JSON object"),
            ("e30.e30.", "signature"),
            ("e30.e30.s3cret%%", "signature"),
            ("e30.e30.c2ln,", "signature"),
            ("\"e30.e30.s3cret\"", "header"),
            ("{\"session\":\"e30.e30.s3cret\"}", "header"),
            ("session=e30.e30.s3cret", "header"),
            ("e30.e30.s3cret\n", "no JWT has"),
            (" e30.e30.s3cret", "no JWT has"),
            ("\u{feff}e30.e30.s3cret", "no JWT has"),
            (&*long, "over 6144 bytes"),
        ] {
            let message = read_token(Secret::new(token)).unwrap_err();
            assert!(message.contains(part) && !message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn a_token_of_6_kib_passes() {
        let token = format!("e30.{}.", BASE64URL_NOPAD.encode(payload("4102444800").as_bytes()));
        let filled = format!("{token}{}", "s".repeat((MAX_TOKEN_BYTES - token.len()) / 4 * 4));
        let filled = filled.replacen("e30.", &format!("e30{}.", "=".repeat(MAX_TOKEN_BYTES - filled.len())), 1);
        assert!(read_token(Secret::new(filled.clone())).is_ok());
        assert!(read_token(Secret::new(filled + "s")).is_err());
    }

    #[test]
    fn the_seconds_left_are_rounded_up() {
        let login = |exp: &str| {
            let session = read(&payload(exp)).unwrap();
            Login { session_key: SessionKey::default(), session, issued_at: None }
        };
        let (clock, hand) = crate::clock::Clock::manual(Timestamp::from_secs(1000));
        assert_eq!(login("1900").session_at(clock.now()).unwrap().expiration_seconds, "900");
        hand.advance(std::time::Duration::from_millis(1));
        assert_eq!(login("1900").session_at(clock.now()).unwrap().expiration_seconds, "900");
        let fault = login("1000").session_at(clock.now()).unwrap_err();
        assert_eq!(fault.data.code, Code::SessionExpired);
        assert_eq!(login("1001").session_at(clock.now()).unwrap().expiration_seconds, "1");
    }
}
