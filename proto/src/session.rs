//! [`Session`] and the [`SessionKey`] that names it.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::form::text;
use crate::{PublicKey, Secret};

/// The session key that Turnkey's SDK uses when the app names none.
pub const DEFAULT_SESSION_KEY: &str = "@turnkey/session/v3";

/// The longest session key, in bytes of UTF-8.
pub const MAX_SESSION_KEY_BYTES: usize = 512;

/// The name of a session: any non-empty UTF-8 string of at most [`MAX_SESSION_KEY_BYTES`].
///
/// Names are data: no string is special, whatever it means elsewhere. A clone is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionKey(#[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 512)))] Arc<str>);

/// The string is empty or longer than [`MAX_SESSION_KEY_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session key is 1 to {MAX_SESSION_KEY_BYTES} bytes of UTF-8")]
pub struct SessionKeyError;

impl SessionKey {
    /// The name as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SessionKey {
    /// [`DEFAULT_SESSION_KEY`].
    fn default() -> Self {
        Self(DEFAULT_SESSION_KEY.into())
    }
}

impl FromStr for SessionKey {
    type Err = SessionKeyError;

    fn from_str(name: &str) -> Result<Self, SessionKeyError> {
        match name.len() {
            1..=MAX_SESSION_KEY_BYTES => Ok(Self(name.into())),
            _ => Err(SessionKeyError),
        }
    }
}

impl Borrow<str> for SessionKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({:?})", &*self.0)
    }
}

impl Serialize for SessionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a string of 1 to 512 bytes of UTF-8", |name| name.parse().ok())
    }
}

/// What a login returned: a session token and the fields that the vault read from it.
///
/// The shape is that of the `Session` of Turnkey's SDK (`@turnkey/sdk-types`), so that an app can
/// pass it on. Optional fields are absent when the token does not have them, never null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Session {
    /// The claim `session_type`, such as `SESSION_TYPE_READ_WRITE`.
    pub session_type: String,
    /// The claim `user_id`.
    pub user_id: String,
    /// The claim `organization_id`.
    pub organization_id: String,
    /// The claim `exp`: whole seconds since the Unix epoch. From this instant on the session is
    /// never served and its key pair never signs.
    pub expiry: u64,
    /// How long the session had to live when it was stored: whole seconds, rounded up, as a decimal
    /// string (the SDK's type).
    pub expiration_seconds: String,
    /// The claim `public_key`: the API key pair that signs for this session.
    pub public_key: PublicKey,
    /// The session token (JWT) as it was stored.
    pub token: Secret,
    /// The claim `session_profile_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_profile_id: Option<String>,
    /// The claim `scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_of_512_bytes_is_the_longest() {
        assert!("x".repeat(512).parse::<SessionKey>().is_ok());
        assert_eq!("x".repeat(513).parse::<SessionKey>(), Err(SessionKeyError));
        assert_eq!("é".repeat(257).parse::<SessionKey>(), Err(SessionKeyError), "bytes, not characters");
        assert_eq!("".parse::<SessionKey>(), Err(SessionKeyError));
    }

    #[test]
    fn names_are_data() {
        for name in ["__proto__", "@turnkey/all-session-keys", "a/../b", "\0", " "] {
            assert_eq!(name.parse::<SessionKey>().unwrap().as_str(), name);
        }
    }
}
