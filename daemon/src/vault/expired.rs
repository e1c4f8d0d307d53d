//! The names of sessions that have expired, so that whoever asks for one learns that it did, and when.

use keyfob_proto::{Code, Fault, SessionKey};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::contents::Vault;
use crate::clock::Timestamp;
use crate::limits::MAX_EXPIRED_NAMES;

/// The last [`MAX_EXPIRED_NAMES`] sessions that have expired and are destroyed: their names, which are not secret, and
/// when that was.
#[derive(Clone, Debug, Default)]
pub(super) struct Expired {
    names: RedBlackTreeMapSync<SessionKey, u64>,
    by_expiry: RedBlackTreeSetSync<(u64, SessionKey)>,
    /// The session that was the active one when it expired, until another is.
    active: Option<SessionKey>,
}

/// What is kept of a session that has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredName {
    /// When it expired, in seconds since the epoch.
    pub expiry: u64,
    /// Whether it was the active one, and none was made active since.
    pub was_active: bool,
}

impl Expired {
    /// What is kept of a name.
    pub(super) fn get(&self, key: &SessionKey) -> Option<ExpiredName> {
        let expiry = *self.names.get(key)?;
        Some(ExpiredName { expiry, was_active: self.active.as_ref() == Some(key) })
    }

    /// The names after one, in their order.
    pub(super) fn after(&self, key: Option<&SessionKey>) -> impl Iterator<Item = &SessionKey> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.names.range::<SessionKey, _>((key.map_or(Unbounded, Excluded), Unbounded)).map(|(key, _)| key)
    }

    /// Takes a name in. Answers the one that it pushes out, if there are too many.
    pub(super) fn insert(&mut self, key: SessionKey, name: ExpiredName) -> Option<SessionKey> {
        self.remove(&key);
        self.by_expiry.insert_mut((name.expiry, key.clone()));
        self.names.insert_mut(key.clone(), name.expiry);
        if name.was_active {
            self.active = Some(key);
        }
        let oldest = self.by_expiry.first().filter(|_| self.names.size() > MAX_EXPIRED_NAMES)?.1.clone();
        self.remove(&oldest);
        Some(oldest)
    }

    /// Forgets a name. Answers whether it was there.
    pub(super) fn remove(&mut self, key: &SessionKey) -> bool {
        let Some(expiry) = self.names.get(key).copied() else { return false };
        self.names.remove_mut(key);
        self.by_expiry.remove_mut(&(expiry, key.clone()));
        if self.active.as_ref() == Some(key) {
            self.active = None;
        }
        true
    }

    /// Another session is the active one, or that one was cleared. Answers the name that is said something else of now.
    pub(super) fn forget_active(&mut self) -> Option<SessionKey> {
        self.active.take()
    }
}

impl Vault {
    /// When a session expired, whether or not it is destroyed yet.
    fn expired_at(&self, key: &SessionKey, now: Timestamp) -> Option<u64> {
        let undestroyed = self.sessions.get(key).map(|session| session.expiry()).filter(|expiry| *expiry <= now.secs());
        undestroyed.or_else(|| self.expired.get(key).map(|name| name.expiry))
    }

    /// The fault of a call that names a session which is not there: it has expired, or never was.
    #[must_use]
    pub fn no_session(&self, key: &SessionKey, now: Timestamp) -> Fault {
        match self.expired_at(key, now) {
            Some(expiry) => has_expired("the session", key, expiry, now),
            None => no_such_session(key),
        }
    }

    /// The session that was active until it expired, and when it did.
    pub(super) fn expired_active(&self, now: Timestamp) -> Option<(&SessionKey, u64)> {
        let undestroyed = self.active.as_ref().filter(|key| self.session(key, now).is_none());
        let key = undestroyed.or_else(|| self.expired.active.as_ref().filter(|_| self.active.is_none()))?;
        Some((key, self.expired_at(key, now)?))
    }

    /// The fault of a call that needs an active session where none is: it has expired, or there was none.
    #[must_use]
    pub fn none_active(&self, now: Timestamp) -> Fault {
        match self.expired_active(now) {
            Some((key, expiry)) => has_expired("the active session", key, expiry, now),
            None => no_active_session(),
        }
    }
}

fn has_expired(what: &str, key: &SessionKey, expiry: u64, now: Timestamp) -> Fault {
    let (then, ago) = (Timestamp::from_secs(expiry), now.since(Timestamp::from_secs(expiry)).as_secs());
    let message = format!("{what} {:?} expired at {then}, {ago} s ago: log in again", key.as_str());
    Fault::new(Code::SessionExpired, message).on_session(key).expired_at(expiry)
}

/// The fault of a call that names a session which never was.
pub(super) fn no_such_session(key: &SessionKey) -> Fault {
    let message = format!("no session {:?}; `keyfob list` shows those there are", key.as_str());
    Fault::new(Code::NotFound, message).on_session(key)
}

/// The fault of a call that needs an active session where none is.
pub(super) fn no_active_session() -> Fault {
    Fault::new(Code::NoSessionFound, "no session is active: name one, or make one active with `keyfob use KEY`")
}
