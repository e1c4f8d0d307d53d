//! [`Event`]: what the daemon pushes to a subscriber after a change is on disk.

mod event_type;

use serde::{Deserialize, Serialize};

pub use self::event_type::EventType;
use crate::{Code, GrantName, GrantTerms, KeySource, Label, PublicKey, SessionKey};

/// One change of the vault, as every subscriber sees it: after it is durable, in commit order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Event {
    /// Counts the daemon's events from 1, without gaps, anew each time the daemon starts.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Who asked for it; absent when nobody did (expiry).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

impl Event {
    /// Says that events up to this sequence number were missed. A client makes one where it cannot know.
    #[must_use]
    pub fn resync(sequence: u64) -> Self {
        Self { sequence, kind: EventKind::Resync, by: None }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum EventKind {
    /// A session was stored, in place of another if there was one of that name.
    SessionStored {
        /// The session.
        session_key: SessionKey,
        /// Its key pair.
        public_key: PublicKey,
        /// When it expires, in seconds since the Unix epoch.
        expiry: u64,
    },
    /// A session is gone.
    SessionCleared {
        /// The session.
        session_key: SessionKey,
        /// Why it is gone.
        reason: RemovalReason,
    },
    /// A key pair came into the vault; or it was there, and is kept from now on, or no longer, or has another label.
    KeyPairCreated {
        /// The key pair.
        public_key: PublicKey,
        /// Whether it is kept.
        kept: bool,
        /// What people call it; absent: nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<Label>,
    },
    /// A key pair is gone.
    KeyPairDeleted {
        /// The key pair.
        public_key: PublicKey,
        /// Why it is gone.
        reason: RemovalReason,
    },
    /// Another session is active now, or none.
    ActiveSessionChanged {
        /// The active session, or null.
        session_key: Option<SessionKey>,
        /// The one that was active before, or null.
        previous_session_key: Option<SessionKey>,
    },
    /// A session expires in 60 seconds or less.
    SessionExpiring {
        /// The session.
        session_key: SessionKey,
        /// When it expires, in seconds since the Unix epoch.
        expiry: u64,
    },
    /// The vault was locked.
    VaultLocked,
    /// The vault was unlocked.
    VaultUnlocked,
    /// The vault has another root key.
    VaultRekeyed {
        /// Where its wrapping key comes from now.
        key_source: KeySource,
    },
    /// A part of the vault was given to somebody.
    GrantCreated {
        /// What was given.
        grant: GrantTerms,
    },
    /// A grant has ended: its socket and the connections to it are gone.
    GrantEnded {
        /// The grant.
        name: GrantName,
        /// Why it has ended.
        reason: GrantEnd,
    },
    /// Calls through a grant were refused, because it does not give that much. Told at most once a second.
    GrantRefused {
        /// The grant.
        name: GrantName,
        /// The method of the last of them.
        method: String,
        /// Its fault.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        code: Code,
        /// How many there were since the last of these events.
        count: u64,
    },
    /// Events up to this sequence number were not delivered, because the subscriber was too slow or
    /// a single change would have made too many: read the vault again.
    Resync,
    /// An event of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

impl EventKind {
    /// Its type. None for those that every subscriber gets.
    #[must_use]
    pub fn event_type(&self) -> Option<EventType> {
        Some(match self {
            Self::SessionStored { .. } => EventType::SessionStored,
            Self::SessionCleared { .. } => EventType::SessionCleared,
            Self::KeyPairCreated { .. } => EventType::KeyPairCreated,
            Self::KeyPairDeleted { .. } => EventType::KeyPairDeleted,
            Self::ActiveSessionChanged { .. } => EventType::ActiveSessionChanged,
            Self::SessionExpiring { .. } => EventType::SessionExpiring,
            Self::VaultLocked => EventType::VaultLocked,
            Self::VaultUnlocked => EventType::VaultUnlocked,
            Self::VaultRekeyed { .. } => EventType::VaultRekeyed,
            Self::GrantCreated { .. } => EventType::GrantCreated,
            Self::GrantEnded { .. } => EventType::GrantEnded,
            Self::GrantRefused { .. } => EventType::GrantRefused,
            Self::Resync | Self::Unknown => return None,
        })
    }

    /// Whether it concerns one of these sessions, or the vault as a whole. What happens to a key pair or a
    /// grant does neither.
    #[must_use]
    pub fn concerns(&self, keys: &[SessionKey]) -> bool {
        match self {
            Self::SessionStored { session_key, .. }
            | Self::SessionCleared { session_key, .. }
            | Self::SessionExpiring { session_key, .. } => keys.contains(session_key),
            Self::ActiveSessionChanged { session_key, previous_session_key } => {
                session_key.iter().chain(previous_session_key).any(|key| keys.contains(key))
            }
            Self::KeyPairCreated { .. }
            | Self::KeyPairDeleted { .. }
            | Self::GrantCreated { .. }
            | Self::GrantEnded { .. }
            | Self::GrantRefused { .. } => false,
            Self::VaultLocked | Self::VaultUnlocked | Self::VaultRekeyed { .. } | Self::Resync | Self::Unknown => true,
        }
    }
}

/// Why a session or a key pair is gone. A key pair goes for the reasons of the session that it goes with, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum RemovalReason {
    /// `clearSession` named it, or it was the active one.
    Cleared,
    /// `clearAllSessions`.
    AllCleared,
    /// Its `expiry` passed.
    Expired,
    /// `storeSession` put another session in its place.
    Replaced,
    /// `deleteApiKeyPair` named the key pair.
    Deleted,
    /// `clearUnusedKeyPairs`: no session named the key pair, and it was old enough.
    Pruned,
    /// A reason of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Why a grant has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum GrantEnd {
    /// Its time is over.
    Expired,
    /// `revokeGrant` or `revokeAllGrants`.
    Revoked,
    /// It was used as often as it may be.
    UsedUp,
    /// The connection that it was made on is closed, and it was made for that long.
    Disconnected,
    /// The last of its sessions is gone, and it may store none.
    SessionsGone,
    /// A reason of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Who asked: the kernel's credentials of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct By {
    /// The process; absent where the kernel does not tell (macOS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The user.
    pub uid: u32,
    /// The grant that they asked through; absent: the vault's own socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_called_what_its_events_say() {
        for event_type in EventType::ALL {
            assert_eq!(serde_json::to_value(event_type).unwrap(), event_type.as_str());
            assert_eq!(serde_json::from_value::<EventType>(event_type.as_str().into()).unwrap(), *event_type);
            let form = serde_json::from_str::<EventType>("\"x\"").unwrap_err().to_string();
            assert!(form.contains(&format!("\"{}\"", event_type.as_str())), "{form}");
        }
    }

    #[test]
    fn an_event_of_a_newer_daemon_is_read_as_unknown() {
        let json = r#"{"sequence":7,"type":"tooHot","after":60,"by":{"uid":1000,"gid":3}}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        let by = Some(By { pid: None, uid: 1000, grant: None });
        assert_eq!(event, Event { sequence: 7, kind: EventKind::Unknown, by });
    }
}
