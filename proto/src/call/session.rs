//! Calls on sessions and on the active pointer.

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::call::present;
use crate::{PublicKey, Secret, Session, SessionKey};

/// Clears a session; by default the active one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearSession {
    /// The session; absent: the active one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
}

/// What [`ClearSession`] removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionCleared {
    /// The session that is gone.
    pub session_key: SessionKey,
    /// The key pair that went with it; null when another session still names it or the vault never
    /// had it.
    pub deleted_public_key: Option<PublicKey>,
    /// Whether it was the active session. If so, none is active now.
    pub was_active: bool,
}

/// Clears every session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClearAllSessions {}

/// What [`ClearAllSessions`] removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AllSessionsCleared {
    /// How many sessions there were.
    pub cleared_sessions: u64,
    /// How many key pairs they named that the vault had.
    pub deleted_key_pairs: u64,
}

/// Stores a session and makes it the active one.
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
}

/// What [`StoreSession`] stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionStored {
    /// The session's name.
    pub session_key: SessionKey,
    /// The session.
    pub session: Session,
    /// Whether it took the place of another of that name.
    pub replaced: bool,
    /// Whether the vault has the key pair that the session names. Without it nothing can be signed for the session.
    pub has_key_pair: bool,
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

/// What [`GetSession`] found: both null when there is no such session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionFound {
    /// The session's name, or null.
    pub session_key: Option<SessionKey>,
    /// The session, or null.
    pub session: Option<Session>,
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
pub struct SessionEntry {
    /// The session's name.
    pub session_key: SessionKey,
    /// The session.
    pub session: Session,
}

/// Reads a page of the sessions' names.
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

/// A page of the sessions' names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionNames {
    /// The sessions in the order of their names (as bytes of UTF-8).
    pub sessions: Vec<SessionName>,
    /// The active session, or null.
    pub active_session_key: Option<SessionKey>,
    /// The `after` of the next page; null when this is the last.
    pub next: Option<SessionKey>,
}

/// What is known of a session without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionName {
    /// The session's name.
    pub session_key: SessionKey,
    /// The key pair that signs for it.
    pub public_key: PublicKey,
    /// When it expires, in seconds since the Unix epoch.
    pub expiry: u64,
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

/// The session that [`SetActiveSession`] made the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActiveSessionSet {
    /// The session.
    pub session_key: SessionKey,
}
