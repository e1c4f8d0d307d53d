//! Calls on the vault's keys: whether they are in memory, and where the wrapping key comes from.

use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Secret;
use crate::call::present;
use crate::form::text;

/// Locks the vault: its keys leave the daemon's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lock {}

/// The vault is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct VaultLocked {
    /// Whether it was locked before.
    pub was_locked: bool,
}

/// Unlocks the vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unlock {
    /// The passphrase, when that is where the wrapping key comes from, see [`LockStatus::key_source`]; at most 1 KiB.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret"))]
    pub passphrase: Option<Secret>,
}

/// The vault is unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct VaultUnlocked {
    /// Whether it was locked before.
    pub was_locked: bool,
}

/// Gives the vault a new root key, and says where its wrapping key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rekey {
    /// Where the wrapping key comes from afterwards.
    #[serde(deserialize_with = "known_source")]
    pub key_source: KeySource,
    /// The new passphrase, with [`KeySource::Passphrase`] and only then; at least 8 characters and at most 1 KiB.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret"))]
    pub passphrase: Option<Secret>,
    /// The passphrase that the vault has now, where it has one, and only then. A vault that is locked and empty needs
    /// none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Secret"))]
    pub current_passphrase: Option<Secret>,
}

impl Rekey {
    /// The shortest new passphrase, in characters.
    pub const MIN_PASSPHRASE_CHARS: usize = 8;

    /// A wrapping key from this source, and no passphrase on either side.
    #[must_use]
    pub fn new(key_source: KeySource) -> Self {
        Self { key_source, passphrase: None, current_passphrase: None }
    }
}

/// Reads a source that this release knows.
fn known_source<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeySource, D::Error> {
    text(deserializer, r#""keyFile", "passphrase", "keyring" or "credential""#, |source| match source {
        "keyFile" => Some(KeySource::KeyFile),
        "passphrase" => Some(KeySource::Passphrase),
        "keyring" => Some(KeySource::Keyring),
        "credential" => Some(KeySource::Credential),
        _ => None,
    })
}

/// The vault has a new root key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct VaultRekeyed {
    /// Where the wrapping key comes from now.
    pub key_source: KeySource,
    /// How many sessions and key pairs are sealed under the new root key.
    pub records: u64,
}

/// Where the wrapping key comes from, under which the vault's root key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum KeySource {
    /// A file in the data directory that only the vault's user can read. The vault unlocks itself.
    KeyFile,
    /// A passphrase, by way of Argon2id. The vault is locked until somebody gives it.
    Passphrase,
    /// The platform's keyring. The vault unlocks itself while that is open.
    Keyring,
    /// A credential that systemd passes to the daemon. The vault unlocks itself.
    Credential,
    /// A source of a newer daemon.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// Says after how long without use the vault locks itself. The vault keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetLockAfter {
    /// The time in seconds, at least 1; absent: never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "std::num::NonZeroU64"))]
    pub lock_after_seconds: Option<NonZeroU64>,
}

/// What the vault keeps of a [`SetLockAfter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct LockAfterSet {
    /// The time in seconds, or null: never.
    pub lock_after_seconds: Option<NonZeroU64>,
}

/// The state of the vault's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct LockStatus {
    /// Whether the vault is locked: it tells names and clears, and neither signs nor shows a token.
    pub locked: bool,
    /// Where the wrapping key comes from; absent behind a grant's socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_source: Option<KeySource>,
    /// After how many seconds without use the vault locks itself; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_after_seconds: Option<u64>,
    /// Whether that was said to the daemon when it was started, in place of what is set in the vault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lock_after_overridden: bool,
    /// How far a [`Rekey`] that is under way has come; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekeying: Option<Rekeying>,
}

/// How far a [`Rekey`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Rekeying {
    /// Records whose slots are filled anew.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// What the system lets the daemon do to keep its memory to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct MemoryStatus {
    /// Whether other processes of the user, and core dumps, may show it.
    pub dumpable: bool,
    /// Whether some of it may be written to swap space.
    pub swappable: bool,
}
