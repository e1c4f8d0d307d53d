//! Calls on sessions and on the active pointer.

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::call::present;
use crate::{PublicKey, Session, SessionKey};

/// Clears a session; by default the active one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearSession {
    /// The session; absent: the active one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
    /// The key pair that the session has to name: otherwise somebody has replaced it, and it stays.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "PublicKey"))]
    pub if_public_key: Option<PublicKey>,
    /// Whether it is no fault that there is no such session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_exists: bool,
}

impl From<SessionKey> for ClearSession {
    /// Of this session.
    fn from(key: SessionKey) -> Self {
        Self { session_key: Some(key), ..Self::default() }
    }
}

/// What [`ClearSession`] removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionCleared {
    /// Whether there was one. False only with [`ClearSession::if_exists`].
    pub cleared: bool,
    /// The session that is gone, or that there was none of; null where none was named and none was active.
    pub session_key: Option<SessionKey>,
    /// The key pair that went with it; null when another session still names it, when it is kept, or when the vault
    /// never had it.
    pub deleted_public_key: Option<PublicKey>,
    /// Whether it was the active session. If so, none is active now.
    pub was_active: bool,
}

/// Clears every session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearAllSessions {
    /// Whether it is no fault that there is no session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_exists: bool,
}

/// What [`ClearAllSessions`] removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct AllSessionsCleared {
    /// How many sessions there were.
    pub cleared_sessions: u64,
    /// How many key pairs went with them: those that they named, but for kept ones.
    pub deleted_key_pairs: u64,
}

/// Reads a session; by default the active one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetSession {
    /// The session; absent: the active one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
}

impl From<SessionKey> for GetSession {
    /// Of this session.
    fn from(key: SessionKey) -> Self {
        Self { session_key: Some(key) }
    }
}

/// What [`GetSession`] found: both null when there is no such session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionFound {
    /// The session's name, or null.
    pub session_key: Option<SessionKey>,
    /// The session, or null.
    pub session: Option<Session>,
    /// Whether the vault has the key pair that the session names.
    pub has_key_pair: bool,
}

/// Reads what is known of a session without its token; by default of the active one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DescribeSession {
    /// The session; absent: the active one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
}

impl From<SessionKey> for DescribeSession {
    /// Of this session.
    fn from(key: SessionKey) -> Self {
        Self { session_key: Some(key) }
    }
}

/// What [`DescribeSession`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionDescribed {
    /// What is known of it; null when there is no such session.
    pub session: Option<SessionSummary>,
}

/// Reads a page of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetAllSessions {
    /// The `next` of the page before; absent: from the beginning.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub after: Option<SessionKey>,
    /// The most entries of the page, 1 to 1000; absent: 1000.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Limit"))]
    pub limit: Option<Limit>,
}

/// A page of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionPage {
    /// The sessions in the order of their names (as bytes of UTF-8). There may be fewer than asked
    /// for: a page also ends where its line would become too long.
    pub sessions: Vec<SessionEntry>,
    /// The active session, or null.
    pub active_session_key: Option<SessionKey>,
    /// The `after` of the next page; null when this is the last.
    pub next: Option<SessionKey>,
}

/// A session with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionEntry {
    /// The session's name.
    pub session_key: SessionKey,
    /// The session.
    pub session: Session,
    /// Whether the vault has the key pair that the session names.
    pub has_key_pair: bool,
}

/// Reads a page of what is known of the sessions without their tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListSessions {
    /// The `next` of the page before; absent: from the beginning.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub after: Option<SessionKey>,
    /// The most entries of the page, 1 to 1000; absent: 1000.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Limit"))]
    pub limit: Option<Limit>,
}

/// A page of what is known of the sessions without their tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionList {
    /// The sessions in the order of their names (as bytes of UTF-8).
    pub sessions: Vec<SessionSummary>,
    /// The active session, or null.
    pub active_session_key: Option<SessionKey>,
    /// The `after` of the next page; null when this is the last.
    pub next: Option<SessionKey>,
}

/// What is known of a session without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct SessionSummary {
    /// The session's name.
    pub session_key: SessionKey,
    /// The key pair that signs for it.
    pub public_key: PublicKey,
    /// When it expires, in seconds since the Unix epoch.
    pub expiry: u64,
    /// Whether it is the active session.
    pub active: bool,
    /// Whether the vault has the key pair that the session names.
    pub has_key_pair: bool,
}

/// Reads the name of the active session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetActiveSessionKey {}

/// The active session's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct ActiveSessionKey {
    /// The name, or null when no session is active.
    pub session_key: Option<SessionKey>,
}

/// Makes a session the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetActiveSession {
    /// The session.
    pub session_key: SessionKey,
}

impl SetActiveSession {
    /// Makes this session the active one.
    #[must_use]
    pub fn new(session_key: SessionKey) -> Self {
        Self { session_key }
    }
}

/// The session that [`SetActiveSession`] made the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct ActiveSessionSet {
    /// The session.
    pub session_key: SessionKey,
}
