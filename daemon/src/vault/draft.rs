//! [`Draft`]: a copy of the vault while mutations are applied to it, and what they changed.

use std::sync::Arc;

use keyfob_proto::{By, ClearReason, EventKind, PublicKey, Session, SessionKey};

use super::{KeyPair, Vault};
use crate::clock::Timestamp;

/// The most sessions that one step announces one by one. A step that touches more says
/// [`EventKind::Resync`] instead: a subscriber would miss some anyway, and has to read again.
pub const MAX_ANNOUNCED: usize = 500;

/// What a mutation means for the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// A session is there now, in place of another of that name.
    PutSession(SessionKey, Arc<Session>),
    /// A session is gone.
    RemoveSession(SessionKey),
    /// The active pointer.
    SetActive(Option<SessionKey>),
    /// A key pair that no session names is there now.
    PutUnused(Arc<KeyPair>),
    /// A key pair is no longer unused: deleted, or in use now.
    RemoveUnused(PublicKey),
    /// A key pair that a session names is there now.
    PutInUse(Arc<KeyPair>),
    /// A key pair that a session named is deleted.
    RemoveInUse(PublicKey),
    /// All sessions, all key pairs in use and the active pointer are gone.
    ClearAll,
}

/// An event that has no sequence number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What happened.
    pub kind: EventKind,
    /// Who asked for it.
    pub by: Option<By>,
}

/// A copy of the vault that becomes the next one once its changes are durable, and is dropped if
/// they cannot be made so: rolling back costs nothing.
///
/// Its own methods keep the invariants of [`Vault`] and record what they did. They decide nothing.
#[derive(Debug)]
pub struct Draft {
    vault: Vault,
    now: Timestamp,
    by: Option<By>,
    changes: Vec<Change>,
    announcements: Vec<Announcement>,
}

impl Draft {
    /// A draft on top of `vault`, for mutations at the instant `now`.
    #[must_use]
    pub fn new(vault: Vault, now: Timestamp) -> Self {
        Self { vault, now, by: None, changes: Vec::new(), announcements: Vec::new() }
    }

    /// Says on whose behalf the following mutations are.
    pub fn set_by(&mut self, by: Option<By>) {
        self.by = by;
    }

    /// The vault as it is with the mutations so far.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The instant of the mutations.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What the mutations so far mean for the store, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The vault after the mutations, and what subscribers are told.
    #[must_use]
    pub fn finish(self) -> (Vault, Vec<Announcement>) {
        (self.vault, self.announcements)
    }

    pub(super) fn announce(&mut self, kind: EventKind) {
        self.announcements.push(Announcement { kind, by: self.by });
    }

    pub(super) fn set_active(&mut self, key: Option<SessionKey>) {
        if self.vault.active == key {
            return;
        }
        self.changes.push(Change::SetActive(key.clone()));
        self.announce(EventKind::ActiveSessionChanged { session_key: key.clone() });
        self.vault.active = key;
    }

    /// Stores a session in place of another of that name, if there is one, and deletes the other's
    /// key pair unless it is still named. Answers whether there was one.
    pub(super) fn put_session(&mut self, key: &SessionKey, session: &Arc<Session>) -> bool {
        let replaced = self.vault.remove_session(key);
        self.vault.insert_session(key.clone(), Arc::clone(session));
        self.changes.push(Change::PutSession(key.clone(), Arc::clone(session)));
        if let Some(pair) = self.remove_unused(session.public_key) {
            self.put_key_pair(pair);
        }
        if let Some(old) = &replaced {
            self.announce(EventKind::SessionCleared { session_key: key.clone(), reason: ClearReason::Replaced });
            self.release(old.public_key);
        }
        self.announce(EventKind::SessionStored {
            session_key: key.clone(),
            public_key: session.public_key,
            expiry: session.expiry,
        });
        if session.expiry <= self.vault.warned_until {
            self.announce(EventKind::SessionExpiring { session_key: key.clone(), expiry: session.expiry });
        }
        replaced.is_some()
    }

    /// Removes a session that is there, its key pair unless it is still named, and the active
    /// pointer if it names it. Answers the deleted key pair, and whether the pointer went.
    pub(super) fn remove_session(&mut self, key: &SessionKey, reason: ClearReason) -> (Option<PublicKey>, bool) {
        let removed = self.vault.remove_session(key);
        self.changes.push(Change::RemoveSession(key.clone()));
        self.announce(EventKind::SessionCleared { session_key: key.clone(), reason });
        let deleted = removed.and_then(|session| self.release(session.public_key));
        let was_active = self.vault.active.as_ref() == Some(key);
        if was_active {
            self.set_active(None);
        }
        (deleted, was_active)
    }

    /// Removes all sessions, the key pairs they name and the active pointer. The cost does not
    /// depend on how many there are.
    pub(super) fn clear_all(&mut self) {
        self.changes.push(Change::ClearAll);
        if self.vault.sessions.size() > MAX_ANNOUNCED {
            self.announce(EventKind::Resync);
        } else {
            for session_key in self.vault.sessions.clone().keys() {
                let session_key = session_key.clone();
                self.announce(EventKind::SessionCleared { session_key, reason: ClearReason::AllCleared });
            }
            if self.vault.active.is_some() {
                self.announce(EventKind::ActiveSessionChanged { session_key: None });
            }
        }
        let Vault { unused, unused_by_age, warned_until, .. } = std::mem::take(&mut self.vault);
        self.vault = Vault { unused, unused_by_age, warned_until, ..Vault::default() };
    }

    pub(super) fn set_warned_until(&mut self, expiry: u64) {
        self.vault.warned_until = expiry;
    }

    /// Takes in a key pair that the vault does not have: in use if a session names it.
    pub(super) fn put_key_pair(&mut self, pair: Arc<KeyPair>) {
        let key = *pair.public_key();
        if self.vault.is_named(&key) {
            self.changes.push(Change::PutInUse(Arc::clone(&pair)));
            self.vault.in_use.insert_mut(key, pair);
        } else {
            self.changes.push(Change::PutUnused(Arc::clone(&pair)));
            self.vault.insert_unused(pair);
        }
    }

    /// Removes an unused key pair, if it is one.
    pub(super) fn remove_unused(&mut self, key: PublicKey) -> Option<Arc<KeyPair>> {
        let removed = self.vault.remove_unused(&key)?;
        self.changes.push(Change::RemoveUnused(key));
        Some(removed)
    }

    /// Deletes a key pair that a session named until now, unless another still does.
    fn release(&mut self, key: PublicKey) -> Option<PublicKey> {
        if self.vault.is_named(&key) || !self.vault.in_use.remove_mut(&key) {
            return None;
        }
        self.changes.push(Change::RemoveInUse(key));
        Some(key)
    }
}
