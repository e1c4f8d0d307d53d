//! [`Draft`]: a copy of the vault while mutations are applied to it, and what they changed.

use std::sync::Arc;

use keyfob_proto::{By, ClearReason, EventKind, Fault, PublicKey, Session, SessionKey};

use super::{KeyPair, NewKeyPair, Scopes, StoredSession, Vault};
use crate::clock::Timestamp;
use crate::seal::{Sealed, Supply};

/// The most sessions that one step announces one by one. A step that touches more says
/// [`EventKind::Resync`] instead: a subscriber would miss some anyway, and has to read again.
pub const MAX_ANNOUNCED: usize = 500;

/// What a mutation means for the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// A session is there now, in place of another of that name.
    PutSession(SessionKey, Arc<StoredSession>),
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
    supply: Supply,
    changes: Vec<Change>,
    erased: Vec<u32>,
    released: Vec<Arc<KeyPair>>,
    announcements: Vec<Announcement>,
}

/// What is left of a draft when its changes are durable.
#[derive(Debug)]
pub struct Finished {
    /// The vault after the mutations.
    pub vault: Vault,
    /// What subscribers are told.
    pub announcements: Vec<Announcement>,
    /// What was not used of the supply.
    pub supply: Supply,
    /// The key pairs that are gone one by one. Somebody may still hold an older vault.
    pub released: Vec<Arc<KeyPair>>,
}

impl Draft {
    /// The most slots that a mutation takes: a session's and that of its key pair.
    pub const SLOTS: usize = 2;

    /// A draft on top of `vault`, for mutations at the instant `now`, with what they need to seal records:
    /// [`Draft::SLOTS`] each.
    #[must_use]
    pub fn new(vault: Vault, now: Timestamp, supply: Supply) -> Self {
        let (changes, erased, released, announcements) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { vault, now, by: None, supply, changes, erased, released, announcements }
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

    /// What the mutations so far mean for the store, in order; the slots of the records that they removed or replaced, but
    /// for those of a clear-all, whose keys are to be destroyed; and where the slots go afterwards.
    pub fn to_commit(&mut self) -> (&[Change], &[u32], &mut Supply) {
        (&self.changes, &self.erased, &mut self.supply)
    }

    /// The end of it, when its changes are durable or there are none.
    #[must_use]
    pub fn finish(self) -> Finished {
        let Self { vault, announcements, supply, released, .. } = self;
        Finished { vault, announcements, supply, released }
    }

    fn erase(&mut self, sealed: &Sealed) {
        self.erased.push(sealed.slot());
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
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`; `INTERNAL_ERROR` when its key pair cannot be opened. Nothing was changed.
    pub(super) fn put_session(&mut self, key: &SessionKey, session: &Session) -> Result<bool, Fault> {
        let in_use = Arc::clone(&self.vault.scopes.in_use);
        // Before a slot is taken: what a locked vault refuses leaves nothing behind.
        in_use.check()?;
        let public_key = session.public_key;
        let resealed = self.vault.unused.get(&public_key).map(|unused| unused.reseal(&in_use, &mut self.supply));
        let pair = resealed.transpose().map_err(|fault| fault.on_key_pair(public_key))?;
        let stored = Arc::new(StoredSession::seal(key, session, &in_use, self.supply.slot()?)?);
        let replaced = self.vault.remove_session(key);
        self.vault.insert_session(key.clone(), Arc::clone(&stored));
        self.changes.push(Change::PutSession(key.clone(), stored));
        if let Some(pair) = pair {
            self.remove_unused(public_key);
            self.insert_key_pair(pair);
        }
        if let Some(old) = &replaced {
            self.erase(old.sealed());
            self.announce(EventKind::SessionCleared { session_key: key.clone(), reason: ClearReason::Replaced });
            self.release(*old.public_key());
        }
        self.announce(EventKind::SessionStored { session_key: key.clone(), public_key, expiry: session.expiry });
        if session.expiry <= self.vault.warned_until {
            self.announce(EventKind::SessionExpiring { session_key: key.clone(), expiry: session.expiry });
        }
        Ok(replaced.is_some())
    }

    /// Removes a session that is there, its key pair unless it is still named, and the active
    /// pointer if it names it. Answers the deleted key pair, and whether the pointer went.
    pub(super) fn remove_session(&mut self, key: &SessionKey, reason: ClearReason) -> (Option<PublicKey>, bool) {
        let removed = self.vault.remove_session(key);
        self.changes.push(Change::RemoveSession(key.clone()));
        self.announce(EventKind::SessionCleared { session_key: key.clone(), reason });
        let deleted = removed.and_then(|session| {
            self.erase(session.sealed());
            self.release(*session.public_key())
        });
        let was_active = self.vault.active.as_ref() == Some(key);
        if was_active {
            self.set_active(None);
        }
        (deleted, was_active)
    }

    /// Removes all sessions, the key pairs they name and the active pointer. The cost does not
    /// depend on how many there are.
    pub(super) fn clear_all(&mut self) {
        let Some(next) = self.supply.next.take() else { return self.clear_each() };
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
        let scopes = Scopes { in_use: next, ..self.vault.scopes.clone() };
        let old = std::mem::replace(&mut self.vault, Vault::empty(scopes));
        let Vault { unused, unused_by_age, warned_until, .. } = old;
        self.vault = Vault { unused, unused_by_age, warned_until, ..self.vault.clone() };
    }

    /// A second clear-all in the same draft: what there is now came in between, so it is little, and the generation
    /// that it belongs to has only just begun.
    fn clear_each(&mut self) {
        for key in self.vault.sessions.clone().keys() {
            self.remove_session(key, ClearReason::AllCleared);
        }
    }

    pub(super) fn set_warned_until(&mut self, expiry: u64) {
        self.vault.warned_until = expiry;
    }

    /// Takes in a key pair that the vault does not have: in use if a session names it.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`. Nothing was changed.
    pub(super) fn put_key_pair(&mut self, pair: &NewKeyPair) -> Result<(), Fault> {
        let Scopes { unused, in_use } = &self.vault.scopes;
        let scope = if self.vault.is_named(pair.public_key()) { in_use } else { unused };
        scope.check()?;
        let pair = pair.seal(scope, self.supply.slot()?)?;
        self.insert_key_pair(pair);
        Ok(())
    }

    /// Adds a key pair that is sealed in the scope of its use.
    fn insert_key_pair(&mut self, pair: KeyPair) {
        let (key, pair) = (*pair.public_key(), Arc::new(pair));
        if self.vault.is_named(&key) {
            self.changes.push(Change::PutInUse(Arc::clone(&pair)));
            self.vault.in_use.insert_mut(key, pair);
        } else {
            self.changes.push(Change::PutUnused(Arc::clone(&pair)));
            self.vault.insert_unused(pair);
        }
    }

    /// Removes an unused key pair, if it is one.
    pub(super) fn remove_unused(&mut self, key: PublicKey) {
        if let Some(removed) = self.vault.remove_unused(&key) {
            self.erase(removed.sealed());
            self.released.push(removed);
            self.changes.push(Change::RemoveUnused(key));
        }
    }

    /// Deletes a key pair that a session named until now, unless another still does.
    fn release(&mut self, key: PublicKey) -> Option<PublicKey> {
        if self.vault.is_named(&key) {
            return None;
        }
        let pair = self.vault.in_use.get(&key).cloned()?;
        self.vault.in_use.remove_mut(&key);
        self.erase(pair.sealed());
        self.released.push(pair);
        self.changes.push(Change::RemoveInUse(key));
        Some(key)
    }
}
