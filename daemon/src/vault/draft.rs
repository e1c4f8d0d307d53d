//! [`Draft`]: a copy of the vault while mutations are applied to it, and what they changed.

mod key_pairs;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use keyfob_proto::{By, Code, EventKind, Fault, PublicKey, RemovalReason, Session, SessionKey};

use super::attempts::Attempts;
use super::change::{Announcement, Change, Name, Removal};
use super::contents::Vault;
use super::expired::ExpiredName;
use super::session::StoredSession;
use crate::clock::Timestamp;
use crate::limits::MAX_ANNOUNCED;
use crate::seal::{Locked, Slot, VaultKeys};

/// A copy of the vault that becomes the next one once its changes are durable, and is dropped if they cannot be made
/// so: rolling back costs nothing.
///
/// Its own methods keep the invariants of [`Vault`] and record what they did. They decide nothing.
#[derive(Debug)]
pub struct Draft<'a> {
    vault: Vault,
    now: Timestamp,
    by: Option<By>,
    keys: Option<&'a VaultKeys>,
    /// Slots that were made in memory and are durable.
    stock: &'a mut VecDeque<Slot>,
    changes: Vec<Change>,
    announcements: Vec<Announcement>,
}

/// What mutations made of a vault.
#[derive(Debug)]
pub struct Drafted {
    /// The vault after them.
    pub vault: Vault,
    /// What changed, in order.
    pub changes: Vec<Change>,
    /// What subscribers are told.
    pub announcements: Vec<Announcement>,
}

impl<'a> Draft<'a> {
    /// The most slots that a mutation takes: a session's and that of its key pair.
    pub const SLOTS: usize = 2;

    /// A draft on top of `vault`, for mutations at the instant `now`, with what they need to seal records: the keys of
    /// an unlocked vault, and [`Draft::SLOTS`] slots each.
    #[must_use]
    pub fn new(vault: Vault, now: Timestamp, keys: Option<&'a VaultKeys>, stock: &'a mut VecDeque<Slot>) -> Self {
        Self { vault, now, by: None, keys, stock, changes: Vec::new(), announcements: Vec::new() }
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

    /// What the mutations so far changed, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The end of it.
    #[must_use]
    pub fn finish(self) -> Drafted {
        let Self { vault, changes, announcements, .. } = self;
        Drafted { vault, changes, announcements }
    }

    /// Removes what was removed in another vault too, as far as it is here.
    pub fn repeat(&mut self, removal: &Removal) {
        match removal {
            Removal::Session(key) if self.vault.sessions.contains_key(key) => {
                self.remove_session(key, RemovalReason::Cleared);
            }
            Removal::KeyPair(key) => {
                for session in self.vault.sessions_of(key) {
                    self.remove_session(&session, RemovalReason::Cleared);
                }
                self.remove_unused(*key, RemovalReason::Deleted);
            }
            Removal::All => self.clear_all(),
            Removal::Session(_) => {}
        }
    }

    pub(super) fn announce(&mut self, kind: EventKind) {
        self.announcements.push(Announcement { kind, by: self.by });
    }

    pub(super) fn set_active(&mut self, key: Option<SessionKey>) {
        if self.vault.active == key {
            return;
        }
        self.changes.push(Change::SetActive(key.clone()));
        let previous_session_key = self.vault.active.clone();
        self.announce(EventKind::ActiveSessionChanged { session_key: key.clone(), previous_session_key });
        if let Some(expired) = self.vault.expired.forget_active() {
            self.changes.push(Change::Noted(expired));
        }
        self.vault.active = key;
    }

    pub(super) fn set_lock_after(&mut self, seconds: Option<NonZeroU64>) {
        if self.vault.lock_after != seconds {
            self.vault.lock_after = seconds;
            self.changes.push(Change::SetLockAfter);
        }
    }

    pub(super) fn set_attempts(&mut self, attempts: Attempts) {
        if self.vault.attempts != attempts {
            self.vault.attempts = attempts;
            self.changes.push(Change::SetAttempts);
        }
    }

    /// Removes a session that has expired, and remembers its name.
    pub(super) fn expire(&mut self, key: SessionKey) {
        let Some(expiry) = self.vault.sessions.get(&key).map(|session| session.expiry()) else { return };
        let (_, was_active) = self.remove_session(&key, RemovalReason::Expired);
        let pushed_out = self.vault.expired.insert(key.clone(), ExpiredName { expiry, was_active });
        self.changes.extend(pushed_out.into_iter().chain([key]).map(Change::Noted));
    }

    /// Stores a session in place of another of that name, if there is one, and deletes the other's
    /// key pair unless it is still named. A kept key pair that it names stays one, unless it `adopts` it.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`; `INTERNAL_ERROR` when its key pair cannot be opened. Nothing was changed.
    pub(super) fn put_session(&mut self, key: &SessionKey, session: &Session, adopts: bool) -> Result<(), Fault> {
        let keys = self.keys.ok_or(Locked)?;
        let public_key = session.public_key;
        let unused = self.vault.unused.get(&public_key).filter(|pair| adopts || !pair.facts().kept).cloned();
        let pair = match unused {
            Some(unused) => {
                let slot = self.take_slot()?;
                let pair = unused.taken_into_use(keys, slot);
                Some((unused, pair.map_err(|fault| fault.on_key_pair(public_key))?))
            }
            None => None,
        };
        let stored = Arc::new(StoredSession::seal(key, session, keys, self.take_slot()?));
        // What has expired is not there any more: the session of this name, and a key pair that only such sessions name.
        if self.vault.session(key, self.now).is_none() {
            self.expire(key.clone());
        }
        self.expire_sessions_of(&public_key);
        let replaced = self.vault.remove_session(key);
        if let Some(old) = &replaced {
            self.changes.push(Change::Removed(Name::Session(key.clone()), old.sealed().slot()));
        }
        if self.vault.expired.remove(key) {
            self.changes.push(Change::Noted(key.clone()));
        }
        self.vault.insert_session(key.clone(), Arc::clone(&stored));
        self.changes.push(Change::PutSession(key.clone(), stored));
        if let Some((unused, pair)) = pair {
            self.vault.remove_unused(&public_key);
            self.changes.push(Change::Moved(public_key, unused.sealed().slot()));
            if unused.facts().kept {
                self.announce_key_pair(pair.facts());
            }
            self.insert_key_pair(pair);
        }
        if let Some(old) = &replaced {
            self.announce(EventKind::SessionCleared { session_key: key.clone(), reason: RemovalReason::Replaced });
            self.release(*old.public_key(), RemovalReason::Replaced);
        }
        self.announce(EventKind::SessionStored { session_key: key.clone(), public_key, expiry: session.expiry });
        if session.expiry <= self.vault.warned_until {
            self.announce(EventKind::SessionExpiring { session_key: key.clone(), expiry: session.expiry });
        }
        Ok(())
    }

    /// Removes a session that is there, its key pair unless it is still named, and the active
    /// pointer if it names it. Answers the deleted key pair, and whether the pointer went.
    pub(super) fn remove_session(&mut self, key: &SessionKey, reason: RemovalReason) -> (Option<PublicKey>, bool) {
        let Some(session) = self.vault.remove_session(key) else { return (None, false) };
        self.changes.push(Change::Removed(Name::Session(key.clone()), session.sealed().slot()));
        self.announce(EventKind::SessionCleared { session_key: key.clone(), reason });
        let deleted = self.release(*session.public_key(), reason);
        let was_active = self.vault.active.as_ref() == Some(key);
        if was_active {
            self.set_active(None);
        }
        (deleted, was_active)
    }

    /// Removes all sessions, the key pairs they name and the active pointer. The cost does not
    /// depend on how many there are.
    pub(super) fn clear_all(&mut self) {
        let before = self.vault.remove_sessions();
        self.changes.push(Change::ClearedAll);
        if before.sessions.size() + before.in_use.size() > MAX_ANNOUNCED {
            self.announce(EventKind::Resync);
            return;
        }
        let reason = RemovalReason::AllCleared;
        for session_key in before.sessions.keys().cloned() {
            self.announce(EventKind::SessionCleared { session_key, reason });
        }
        for public_key in before.in_use.keys().copied() {
            self.announce(EventKind::KeyPairDeleted { public_key, reason });
        }
        if before.active.is_some() {
            let previous_session_key = before.active;
            self.announce(EventKind::ActiveSessionChanged { session_key: None, previous_session_key });
        }
    }

    pub(super) fn set_warned_until(&mut self, expiry: u64) {
        self.vault.warned_until = expiry;
    }

    /// A slot to seal with. One that is not used for it after all is never used: its bytes may have sealed something.
    pub(super) fn take_slot(&mut self) -> Result<Slot, Fault> {
        let none = || Fault::new(Code::InternalError, "there is no slot at hand to seal with");
        self.stock.pop_front().ok_or_else(none)
    }
}
