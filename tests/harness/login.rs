//! Session tokens in Turnkey's format, and the fixtures with real ones.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

/// A token that names a key pair and expires at `expiry` (seconds since the epoch). Its signature is
/// made up: the vault does not look at it.
#[must_use]
pub fn token(public_key: &str, expiry: u64) -> String {
    token_of(&json!({
        "exp": expiry,
        "public_key": public_key,
        "session_type": "SESSION_TYPE_READ_WRITE",
        "user_id": "6912b819-f4df-40f4-a192-20ee43090974",
        "organization_id": "c75ecb07-c84a-4dd5-932c-539dfafc6864",
    }))
}

/// As [`token`], and it begins as no token of another name does.
#[must_use]
pub fn named_token(name: &str, public_key: &str, expiry: u64) -> String {
    let header = BASE64URL_NOPAD.encode(json!({ "kid": name }).to_string().as_bytes());
    let token = token(public_key, expiry);
    format!("{header}{}", token.trim_start_matches(|c| c != '.'))
}

/// A token with these claims.
#[must_use]
pub fn token_of(claims: &Value) -> String {
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"ES256","typ":"JWT"}"#);
    let payload = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    format!("{header}.{payload}.{}", BASE64URL_NOPAD.encode(&[7; 64]))
}

/// Bytes as the protocol carries them.
#[must_use]
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes.as_ref())
}

/// The fixtures: tokens in real formats, one of them genuine, and the key pair behind most of them.
#[must_use]
pub fn fixtures() -> Value {
    serde_json::from_str(include_str!("../fixtures/turnkey-sessions.json")).expect("the fixtures are JSON")
}

/// A fixture's token by its name.
#[must_use]
pub fn fixture(name: &str) -> String {
    let fixtures = fixtures();
    let tokens = fixtures["tokens"].as_array().expect("tokens");
    let found = tokens.iter().find(|token| token["name"] == name).expect("a fixture of that name");
    found["token"].as_str().expect("a token").to_owned()
}

/// The key pair that most fixtures name, as `createApiKeyPair` takes it.
#[must_use]
pub fn fixture_key_pair() -> Value {
    fixtures()["apiKeyPair"].clone()
}
