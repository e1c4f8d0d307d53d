//! The call that stores a session, and its conditions.

use serde::{Deserialize, Deserializer, Serialize};

use crate::call::present;
use crate::form::wrong;
use crate::{PublicKey, Secret, Session, SessionKey};

/// Stores a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreSession {
    /// The session token (JWT), at most 6 KiB. Its signature is not verified.
    pub session_token: Secret,
    /// The session's name; absent: [`DEFAULT_SESSION_KEY`](crate::DEFAULT_SESSION_KEY).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
    /// What has to be there under this name: otherwise somebody else has stored or cleared it, and nothing is stored.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Expected"))]
    pub if_public_key: Option<Expected>,
    /// Whether it becomes the active session; absent: true. One that is the active one stays so.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub activate: bool,
    /// Whether it is stored though the vault does not have the key pair that it names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_key_pair: bool,
    /// Whether a kept key pair that it names is kept no longer, and goes with the session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt_key_pair: bool,
}

impl StoreSession {
    /// A session under its default name, as the protocol has it where nothing else is said.
    #[must_use]
    pub fn new(session_token: Secret) -> Self {
        Self {
            session_token,
            session_key: None,
            if_public_key: None,
            activate: true,
            without_key_pair: false,
            adopt_key_pair: false,
        }
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// What has to be there under a name for something to be stored there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No session; null on the wire.
    Nothing,
    /// A session that names this key pair.
    KeyPair(PublicKey),
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Expected {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expected".into()
    }

    fn json_schema(types: &mut schemars::SchemaGenerator) -> schemars::Schema {
        types.subschema_for::<Option<PublicKey>>()
    }
}

impl Serialize for Expected {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::KeyPair(key) => key.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = Option::<PublicKey>::deserialize(deserializer);
        let key =
            key.map_err(|_| wrong("the public key that it names, 66 hex characters that begin with 02 or 03; or null, if there may be none"));
        key.map(|key| key.map_or(Self::Nothing, Self::KeyPair))
    }
}

/// What [`StoreSession`] stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionStored {
    /// The session's name.
    pub session_key: SessionKey,
    /// The session.
    pub session: Session,
    /// The key pair of the session whose place it took; null where there was none of that name.
    pub replaced_public_key: Option<PublicKey>,
    /// Whether the vault has the key pair that the session names. Without it nothing can be signed for the session.
    pub has_key_pair: bool,
    /// Whether it is the active session.
    pub active: bool,
}
