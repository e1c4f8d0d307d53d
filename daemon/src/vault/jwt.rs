//! A JWT (RFC 7519, in the compact form of RFC 7515) as far as the vault looks at it.

use std::sync::LazyLock;

use data_encoding::{BASE64, Encoding, Specification};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub(super) const NOT_AN_OBJECT: &str = "the payload of the session token is not a JSON object";

/// The payload of a token, which has to have a header and a signature too, or what is wrong with it. Nothing of it is
/// repeated.
pub(super) fn payload_of(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
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
    let is_base64url = signature.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_base64url || decode(signature).is_none_or(|signature| signature.is_empty()) {
        return Err(not_a_jwt("it does not end in a signature in base64url"));
    }
    let payload = decode(payload).ok_or("the payload of the session token is not base64url")?;
    if is_object(&payload) { Ok(payload) } else { Err(NOT_AN_OBJECT.to_owned()) }
}

/// Whether it is an object of JSON; an array would be read as fields by position.
fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{') && serde_json::from_slice::<&RawValue>(json).is_ok()
}

/// A whole number that is not negative, however JSON writes it.
pub(super) fn whole_number(json: &str) -> Option<u64> {
    // Every whole number up to here is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = json.parse() {
        return Some(number);
    }
    let number: f64 = serde_json::from_str(json).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at")]
    (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
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
