//! Calls on the daemon itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::SessionKey;
use crate::call::{GrantTerms, LockStatus, MemoryStatus, present};
use crate::event::{EventKind, EventType};

/// Asks for events on this connection, in place of those that it was asked for before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Subscribe {
    /// The types of event that are wanted; absent: all. [`Resync`](crate::EventKind::Resync) comes in any case.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<EventType>"))]
    pub types: Option<Vec<EventType>>,
    /// The sessions whose events are wanted, at most 100; absent: all. It leaves out what
    /// happens to other sessions, and to key pairs; what happens to the vault as a whole concerns everybody.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SessionKey>", length(max = 100)))]
    pub session_keys: Option<Vec<SessionKey>>,
}

impl Subscribe {
    /// The most sessions that a subscription may name.
    pub const MAX_SESSIONS: usize = 100;

    /// The same but for what happens to grants.
    #[must_use]
    pub fn without_grants(self) -> Self {
        let types = self.types.unwrap_or_else(|| EventType::ALL.to_vec());
        let types = types.into_iter().filter(|wanted| !wanted.is_about_grants());
        Self { types: Some(types.collect()), ..self }
    }

    /// Whether an event is wanted.
    #[must_use]
    pub fn wants(&self, event: &EventKind) -> bool {
        let Some(event_type) = event.event_type() else { return true };
        self.types.as_ref().is_none_or(|types| types.contains(&event_type))
            && self.session_keys.as_ref().is_none_or(|keys| event.concerns(keys))
    }
}

/// From now on [`Event`](crate::Event)s come on this connection, in between replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Subscribed {
    /// The sequence number of the last event before the subscription; the next one is the first to
    /// come.
    pub sequence: u64,
}

/// Reads the state of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {}

/// The state of the daemon. Behind a grant's socket what would tell of the rest of the vault is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct DaemonStatus {
    /// The protocol that it speaks, see [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub protocol_version: u32,
    /// Its release.
    pub daemon_version: String,
    /// The grant that the connection is behind; absent: the socket is the vault's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantTerms>,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How long it has been running, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<StartedBy>,
    /// Whether it can store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What the vault is kept on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageStatus>,
    /// Whether the vault is locked, and where its wrapping key comes from.
    pub lock: LockStatus,
    /// How far its memory is out of reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStatus>,
    /// The active session, or null.
    pub active_session_key: Option<SessionKey>,
    /// How many there are of what.
    pub counts: Counts,
    /// What it accepts.
    pub limits: Limits,
    /// Where it keeps things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Paths>,
}

/// Who started a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum StartedBy {
    /// systemd, by a unit.
    Systemd,
    /// launchd, by a property list.
    Launchd,
    /// A client that found none, with `--background`.
    Client,
    /// A person or a script that ran `keyfobd`.
    Command,
    /// Something that a newer daemon knows.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Whether the daemon can store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Health {
    /// All is well.
    Ok,
    /// The file system has too little room to store anything. Reads, signatures and clearing go on, and storing does as
    /// soon as there is room.
    StorageFull,
    /// A write or a flush failed. Reads, signatures and clearing go on; nothing is stored until the daemon is restarted
    /// on a healthy disk.
    StorageFailed,
    /// A state of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// What the vault is kept on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct StorageStatus {
    /// The kind of the file system, such as `xfs`.
    pub file_system: String,
    /// Whether what is overwritten there is gone at once, because the same blocks are used again. False on a file system
    /// that writes elsewhere: there the old bytes stay until the blocks are used for something else. Absent where that
    /// is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrites_in_place: Option<bool>,
    /// The room that is left there, in bytes; absent where the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Why nothing can be stored, for people; absent: all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// How many there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Counts {
    /// Sessions in the vault.
    pub sessions: u64,
    /// Key pairs that a session names, but for kept ones.
    pub key_pairs_in_use: u64,
    /// Key pairs that no session names and that are not kept.
    pub key_pairs_unused: u64,
    /// Key pairs that are kept, whether or not a session names them.
    pub key_pairs_kept: u64,
    /// Connections open now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Mutations that took effect since the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutations: Option<u64>,
    /// Flushes to the disk that made them durable. Mutations that wait together share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flushes: Option<u64>,
    /// What the vault takes on the disk, in bytes, what was cleared and is not yet tidied up included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_bytes: Option<u64>,
}

/// What the daemon accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Limits {
    /// The longest line, in bytes.
    pub line_bytes: u64,
    /// The longest session key, in bytes.
    pub session_key_bytes: u64,
    /// The longest session token, in bytes.
    pub session_token_bytes: u64,
    /// The most connections at once.
    pub connections: u64,
    /// The longest time a line may take from its first byte to its last, in seconds.
    pub line_seconds: u64,
}

/// Where the daemon keeps things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Paths {
    /// The socket.
    pub socket: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
}

/// Stops the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shutdown {
    /// Start the program that is installed now in place of this one, on the same socket. Connections that are made
    /// meanwhile wait for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
}

/// The daemon is draining: it accepts no new connection and exits when the open ones are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct ShutdownBegun {}
