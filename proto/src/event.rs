//! [`Event`]: what the daemon pushes to a subscriber after a change is on disk.

use serde::{Deserialize, Serialize};

use crate::{KeySource, PublicKey, SessionKey};

/// One change of the vault, as every subscriber sees it: after it is durable, in commit order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
        reason: ClearReason,
    },
    /// Another session is active now, or none.
    ActiveSessionChanged {
        /// The active session, or null.
        session_key: Option<SessionKey>,
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
    /// Events up to this sequence number were not delivered, because the subscriber was too slow or
    /// a single change would have made too many: read the vault again.
    Resync,
    /// An event of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Why a session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ClearReason {
    /// `clearSession` named it, or it was the active one.
    Cleared,
    /// `clearAllSessions`.
    AllCleared,
    /// Its `expiry` passed.
    Expired,
    /// `storeSession` put another session in its place.
    Replaced,
    /// A reason of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Who asked: the kernel's credentials of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct By {
    /// The process; absent where the kernel does not tell (macOS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The user.
    pub uid: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_newer_daemon_is_read_as_unknown() {
        let json = r#"{"sequence":7,"type":"tooHot","after":60,"by":{"uid":1000,"gid":3}}"#;
        let event: Event = serde_json::from_str(json).unwrap();
        let by = Some(By { pid: None, uid: 1000 });
        assert_eq!(event, Event { sequence: 7, kind: EventKind::Unknown, by });
    }
}
