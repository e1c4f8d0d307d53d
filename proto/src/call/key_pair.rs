//! Calls on API key pairs. No call returns a private key.

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::call::{present, present_object};
use crate::{Label, PublicKey, Secret, SessionKey};

/// Creates a key pair inside the vault, or takes one in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateApiKeyPair {
    /// A key pair that exists elsewhere; absent: a fresh one is created.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "ExternalKeyPair"))]
    pub external_key_pair: Option<ExternalKeyPair>,
    /// Whether it is kept: it stays until it is deleted by name, though no session names it, and whatever becomes of the
    /// sessions that do. One that is kept already stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// What people call it; absent: one that the vault has keeps its label.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Label"))]
    pub label: Option<Label>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct ApiKeyPairCreated {
    /// Its name.
    pub public_key: PublicKey,
    /// Whether the vault did not have it before.
    pub created: bool,
    /// Whether it is kept.
    pub kept: bool,
    /// What people call it; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
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
#[cfg_attr(not(feature = "server"), non_exhaustive)]
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
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct ApiKeyPairEntry {
    /// Its name.
    pub public_key: PublicKey,
    /// When it came into the vault, in seconds since the Unix epoch.
    pub created_at: u64,
    /// The sessions that name it, the soonest to expire first, at most 100 of them. Empty: no session names it.
    pub session_keys: Vec<SessionKey>,
    /// How many sessions name it, listed or not.
    pub session_count: u64,
    /// Whether it is kept: it stays until it is deleted by name.
    pub kept: bool,
    /// What people call it; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

impl ApiKeyPairEntry {
    /// The most sessions listed for one key pair.
    pub const MAX_LISTED_SESSIONS: usize = 100;
}

/// Deletes a key pair that no session names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeleteApiKeyPair {
    /// The key pair.
    pub public_key: PublicKey,
    /// Whether it is no fault that there is no such key pair.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_exists: bool,
}

impl DeleteApiKeyPair {
    /// Deletes this key pair, which has to be there.
    #[must_use]
    pub fn new(public_key: PublicKey) -> Self {
        Self { public_key, if_exists: false }
    }
}

/// The key pair that [`DeleteApiKeyPair`] deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct ApiKeyPairDeleted {
    /// Whether there was one. False only with [`DeleteApiKeyPair::if_exists`].
    pub deleted: bool,
    /// Its name.
    pub public_key: PublicKey,
}

/// Deletes the unused key pairs that are old enough and are not kept.
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
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct UnusedKeyPairsCleared {
    /// The key pairs that are gone, at most 1000 of them.
    pub deleted_public_keys: Vec<PublicKey>,
    /// Whether there are more to delete: call again.
    pub more: bool,
}
