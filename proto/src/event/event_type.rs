//! [`EventType`]: the types of event.

use serde::{Deserialize, Deserializer, Serialize};

#[cfg(doc)]
use super::EventKind;
use crate::form::text;

/// The type of an event, for those who want only some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum EventType {
    /// [`EventKind::SessionStored`].
    SessionStored,
    /// [`EventKind::SessionCleared`].
    SessionCleared,
    /// [`EventKind::KeyPairCreated`].
    KeyPairCreated,
    /// [`EventKind::KeyPairDeleted`].
    KeyPairDeleted,
    /// [`EventKind::ActiveSessionChanged`].
    ActiveSessionChanged,
    /// [`EventKind::SessionExpiring`].
    SessionExpiring,
    /// [`EventKind::VaultLocked`].
    VaultLocked,
    /// [`EventKind::VaultUnlocked`].
    VaultUnlocked,
    /// [`EventKind::VaultRekeyed`].
    VaultRekeyed,
    /// [`EventKind::GrantCreated`].
    GrantCreated,
    /// [`EventKind::GrantEnded`].
    GrantEnded,
    /// [`EventKind::GrantRefused`].
    GrantRefused,
}

impl EventType {
    /// Every type of protocol 1.
    pub const ALL: &[Self] = &[
        Self::SessionStored,
        Self::SessionCleared,
        Self::KeyPairCreated,
        Self::KeyPairDeleted,
        Self::ActiveSessionChanged,
        Self::SessionExpiring,
        Self::VaultLocked,
        Self::VaultUnlocked,
        Self::VaultRekeyed,
        Self::GrantCreated,
        Self::GrantEnded,
        Self::GrantRefused,
    ];

    /// Whether it is about grants, which are the owner's to know of.
    #[must_use]
    pub fn is_about_grants(self) -> bool {
        matches!(self, Self::GrantCreated | Self::GrantEnded | Self::GrantRefused)
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionStored => "sessionStored",
            Self::SessionCleared => "sessionCleared",
            Self::KeyPairCreated => "keyPairCreated",
            Self::KeyPairDeleted => "keyPairDeleted",
            Self::ActiveSessionChanged => "activeSessionChanged",
            Self::SessionExpiring => "sessionExpiring",
            Self::VaultLocked => "vaultLocked",
            Self::VaultUnlocked => "vaultUnlocked",
            Self::VaultRekeyed => "vaultRekeyed",
            Self::GrantCreated => "grantCreated",
            Self::GrantEnded => "grantEnded",
            Self::GrantRefused => "grantRefused",
        }
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORM: &str = "\"sessionStored\", \"sessionCleared\", \"keyPairCreated\", \"keyPairDeleted\", \
                            \"activeSessionChanged\", \"sessionExpiring\", \"vaultLocked\", \"vaultUnlocked\", \
                            \"vaultRekeyed\", \"grantCreated\", \"grantEnded\" or \"grantRefused\"";
        text(deserializer, FORM, |name| Self::ALL.iter().find(|event_type| event_type.as_str() == name).copied())
    }
}
