//! The names of sessions that have expired, so that whoever asks for one learns that it did, and when.

use std::collections::BTreeSet;

use keyfob_proto::SessionKey;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

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

    /// What is kept of these names.
    pub(super) fn only(&self, names: &BTreeSet<SessionKey>) -> Self {
        let mut only = Self::default();
        for key in names {
            if let Some(name) = self.get(key) {
                only.insert(key.clone(), ExpiredName { was_active: false, ..name });
            }
        }
        only
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

    /// The session that was the active one when it expired, unless another is.
    pub(super) fn active(&self) -> Option<&SessionKey> {
        self.active.as_ref()
    }

    /// Another session is the active one, or that one was cleared. Answers the name that is said something else of now.
    pub(super) fn forget_active(&mut self) -> Option<SessionKey> {
        self.active.take()
    }
}
