//! Values that must not be seen: tokens and private keys ([`Secret`]), request bodies ([`Payload`]).

use std::fmt;

use data_encoding::BASE64;
use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::form::text;

/// A string that is a secret: a session token, a private key in hex.
///
/// It has no `Display`, its `Debug` prints a redaction, and its memory is overwritten when it is
/// dropped. The only way to the text is [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Secret(#[cfg_attr(feature = "schema", schemars(with = "String"))] Zeroizing<String>);

impl Secret {
    /// Takes the text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Every use of this is a place to review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The bytes that a caller wants signed: a request body, any bytes at all.
///
/// On the wire they are base64 (RFC 4648 section 4: standard alphabet, padded), because a JSON
/// string cannot carry every payload. They are treated like a [`Secret`].
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Payload(
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("contentEncoding" = "base64")))] Zeroizing<Vec<u8>>,
);

impl Payload {
    /// Takes the bytes to sign.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes, redacted)", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64.encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).ok().map(Self::new);
        text(deserializer, "bytes in base64 (standard alphabet, padded)", bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_a_secret_nor_a_payload() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(redacted)");
        assert_eq!(format!("{:?}", Payload::new("hunter2")), "Payload(7 bytes, redacted)");
    }

    #[test]
    fn a_payload_is_padded_standard_base64() {
        let payload: Payload = serde_json::from_str(r#""AP/+/w==""#).unwrap();
        assert_eq!(payload.expose(), [0x00, 0xff, 0xfe, 0xff]);
        assert_eq!(serde_json::to_string(&payload).unwrap(), r#""AP/+/w==""#);
        for wrong in ["\"AP/+/w\"", "\"AP_-_w==\"", "\"A\"", "\"AP/+/w==\\n\"", "7"] {
            assert!(serde_json::from_str::<Payload>(wrong).is_err(), "{wrong}");
        }
    }
}
