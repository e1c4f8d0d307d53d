//! Calls on grants. A grant gives a part of the vault for a while, through a socket of its own. Only the vault's own user,
//! and root, may make these calls.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::call::present;
use crate::{GrantName, Permissions, SessionKey};

/// Gives a part of the vault for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateGrant {
    /// What may be done.
    pub may: Permissions,
    /// With which sessions, 1 to 100; absent: with all, those to come included.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SessionKey>", length(min = 1, max = 100)))]
    pub session_keys: Option<Vec<SessionKey>>,
    /// What it is called; absent: the daemon finds a name.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "GrantName"))]
    pub name: Option<GrantName>,
    /// The path of its socket, absolute, in a directory that is there; absent: beside the vault's own.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "PathBuf"))]
    pub socket: Option<PathBuf>,
    /// The number of the user who may use it, besides the vault's own user and root; absent: nobody.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "u32"))]
    pub uid: Option<u32>,
    /// After how many seconds it ends, at most 30 days; absent: after a day.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "NonZeroU64", range(min = 1, max = 2_592_000)))]
    pub seconds: Option<NonZeroU64>,
    /// After how many uses it ends; absent: it does not. A use is a granted call that succeeded and was more than to list
    /// names.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "NonZeroU64"))]
    pub uses: Option<NonZeroU64>,
    /// How many calls a second it answers; absent: as many as any other user's.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "NonZeroU32"))]
    pub calls_per_second: Option<NonZeroU32>,
    /// Whether it ends with the connection that it was made on: for the time that a program runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_disconnect: bool,
}

impl CreateGrant {
    /// How long a grant lasts that says nothing else, in seconds: a day.
    pub const DEFAULT_SECONDS: u64 = 24 * 3600;

    /// The longest that a grant may last, in seconds: 30 days.
    pub const MAX_SECONDS: u64 = 30 * 24 * 3600;

    /// The most sessions that a grant may name.
    pub const MAX_SESSIONS: usize = 100;

    /// A grant of these permissions on all sessions.
    #[must_use]
    pub fn new(may: Permissions) -> Self {
        Self {
            may,
            session_keys: None,
            name: None,
            socket: None,
            uid: None,
            seconds: None,
            uses: None,
            calls_per_second: None,
            until_disconnect: false,
        }
    }
}

/// The grant is made, and its socket accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct GrantCreated {
    /// What it is called.
    pub name: GrantName,
    /// The path of its socket.
    pub socket: PathBuf,
    /// When it ends at the latest, in seconds since the Unix epoch.
    pub expires_at: u64,
}

/// Reads the grants, in the order of their names. There are never more than 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListGrants {}

/// The grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct GrantList {
    /// In the order of their names.
    pub grants: Vec<GrantEntry>,
}

/// A grant in a [`GrantList`], with what became of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct GrantEntry {
    /// What it gives.
    pub grant: GrantTerms,
    /// The path of its socket.
    pub socket: PathBuf,
    /// When it was made, in seconds since the Unix epoch.
    pub created_at: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// How often it was used.
    pub used: u64,
    /// How many calls were refused.
    pub refused: u64,
    /// When it was last used, in seconds since the Unix epoch, and by whom; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use: Option<GrantUse>,
}

/// What a grant gives, as its users may know it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct GrantTerms {
    /// What it is called.
    pub name: GrantName,
    /// What may be done.
    pub may: Permissions,
    /// With which sessions; absent: with all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_keys: Option<Vec<SessionKey>>,
    /// The user who may use it, besides the vault's own user and root; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// When it ends at the latest, in seconds since the Unix epoch.
    pub expires_at: u64,
    /// How many uses are left; absent: as many as you like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u64>,
    /// How many calls a second it answers.
    pub calls_per_second: u32,
    /// Whether it ends with the connection that it was made on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_disconnect: bool,
}

/// The last use of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct GrantUse {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// What was called.
    pub method: String,
    /// The process; absent where the kernel does not tell (macOS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The user.
    pub uid: u32,
    /// The program's file, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

/// Ends a grant at once: its socket goes, and so do the connections to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevokeGrant {
    /// What it is called.
    pub name: GrantName,
    /// Whether it is no fault where there is no such grant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_exists: bool,
}

impl RevokeGrant {
    /// Ends this grant, which has to be there.
    #[must_use]
    pub fn new(name: GrantName) -> Self {
        Self { name, if_exists: false }
    }
}

/// The grant is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct GrantRevoked {
    /// Whether there was one; false only with `ifExists`.
    pub revoked: bool,
    /// What it was called.
    pub name: GrantName,
}

/// Ends all grants at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevokeAllGrants {}

/// There is no grant any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct AllGrantsRevoked {
    /// The names of those that there were.
    pub names: Vec<GrantName>,
}
