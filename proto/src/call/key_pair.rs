//! Calls on API key pairs. No call returns a private key.

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::call::{present, present_object};
use crate::{PublicKey, Secret, SessionKey};

/// Creates a key pair inside the vault, or takes one in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateApiKeyPair {
    /// A key pair that exists elsewhere; absent: a fresh one is created.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "ExternalKeyPair"))]
    pub external_key_pair: Option<ExternalKeyPair>,
}

/// A key pair that was created outside the vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExternalKeyPair {
    /// The compressed public key.
    pub public_key: PublicKey,
    /// The private scalar: 64 hex characters (32 bytes, big-endian).
    pub private_key: Secret,
}

/// The key pair that the vault has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyPairCreated {
    /// Its name.
    pub public_key: PublicKey,
}

/// Reads a page of key pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListApiKeyPairs {
    /// The `next` of the page before; absent: from the beginning.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "PublicKey"))]
    pub after: Option<PublicKey>,
    /// The most entries of the page, 1 to 1000; absent: 1000.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Limit"))]
    pub limit: Option<Limit>,
}

/// A page of key pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyPairPage {
    /// The key pairs in the order of their names. There may be fewer than asked for: a page also
    /// ends where its line would become too long.
    pub key_pairs: Vec<ApiKeyPairEntry>,
    /// The `after` of the next page; null when this is the last.
    pub next: Option<PublicKey>,
}

/// A key pair and the sessions that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyPairEntry {
    /// Its name.
    pub public_key: PublicKey,
    /// When it came into the vault, in seconds since the Unix epoch.
    pub created_at: u64,
    /// The sessions that name it, the soonest to expire first, at most
    /// [`MAX_LISTED_SESSIONS`](Self::MAX_LISTED_SESSIONS) of them. Empty: the key pair is unused.
    pub session_keys: Vec<SessionKey>,
    /// How many sessions name it, listed or not.
    pub session_count: u64,
}

impl ApiKeyPairEntry {
    /// The most sessions listed for one key pair.
    pub const MAX_LISTED_SESSIONS: usize = 100;
}

/// Deletes an unused key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeleteApiKeyPair {
    /// The key pair.
    pub public_key: PublicKey,
}

/// The key pair that [`DeleteApiKeyPair`] deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyPairDeleted {
    /// Its name.
    pub public_key: PublicKey,
}

/// Deletes the unused key pairs that are old enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearUnusedKeyPairs {
    /// The age from which on they are deleted, in seconds; absent: 900, so that those of logins in
    /// flight stay.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub min_age_seconds: Option<u64>,
}

impl ClearUnusedKeyPairs {
    /// The age below which an unused key pair is pending, in seconds.
    pub const PENDING_SECONDS: u64 = 900;
    /// The most key pairs that one call deletes.
    pub const MAX_DELETED: usize = 1000;
}

/// What [`ClearUnusedKeyPairs`] deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnusedKeyPairsCleared {
    /// The key pairs that are gone, at most [`ClearUnusedKeyPairs::MAX_DELETED`] of them.
    pub deleted_public_keys: Vec<PublicKey>,
    /// Whether there are more to delete: call again.
    pub more: bool,
}
