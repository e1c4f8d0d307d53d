//! What a draft does to key pairs.

use std::sync::Arc;

use keyfob_proto::{EventKind, Fault, PublicKey, RemovalReason};

use super::super::change::{Change, Name};
use super::super::facts::KeyPairFacts;
use super::super::key_pair::{KeyPair, NewKeyPair};
use super::Draft;
use crate::limits::MAX_ANNOUNCED;
use crate::seal::{Locked, Scope};

impl Draft<'_> {
    /// Takes in a key pair with these facts, in place of the same one with others if the vault has it: in use if a
    /// session names it and it is not kept.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`. Nothing was changed.
    pub(in crate::vault) fn put_key_pair(&mut self, pair: &NewKeyPair, facts: KeyPairFacts) -> Result<(), Fault> {
        let keys = self.keys.ok_or(Locked)?;
        let slot = self.take_slot()?;
        let key = facts.public_key;
        self.expire_sessions_of(&key);
        let before = self.vault.in_use.get(&key).or_else(|| self.vault.unused.get(&key)).cloned();
        let scope = if self.goes_with_sessions(&facts) { Scope::InUse } else { Scope::Unused };
        let pair = pair.seal(facts, keys, scope, slot);
        self.announce_key_pair(pair.facts());
        if let Some(unused) = self.vault.remove_unused(&key) {
            self.changes.push(Change::Moved(key, unused.sealed().slot()));
        } else if let Some(in_use) = before {
            self.vault.in_use.remove_mut(&key);
            self.changes.push(Change::Removed(Name::InUse(key), in_use.sealed().slot()));
        }
        self.insert_key_pair(pair);
        Ok(())
    }

    /// Removes a key pair that no session names, or that is kept, if it is there.
    pub(in crate::vault) fn remove_unused(&mut self, key: PublicKey, reason: RemovalReason) {
        if let Some(removed) = self.vault.remove_unused(&key) {
            self.changes.push(Change::Removed(Name::Unused(key), removed.sealed().slot()));
            self.announce(EventKind::KeyPairDeleted { public_key: key, reason });
        }
    }

    /// Removes these unused key pairs.
    pub(in crate::vault) fn sweep(&mut self, keys: &[PublicKey]) {
        let told = self.announcements.len();
        for key in keys {
            self.remove_unused(*key, RemovalReason::Pruned);
        }
        if keys.len() > MAX_ANNOUNCED {
            self.announcements.truncate(told);
            self.announce(EventKind::Resync);
        }
    }

    /// Whether a key pair is one of those that go with the sessions that name them.
    fn goes_with_sessions(&self, facts: &KeyPairFacts) -> bool {
        !facts.kept && self.vault.is_named(&facts.public_key)
    }

    /// Adds a key pair that is sealed in the scope of its use.
    pub(super) fn insert_key_pair(&mut self, pair: KeyPair) {
        let (key, pair) = (*pair.public_key(), Arc::new(pair));
        if self.goes_with_sessions(pair.facts()) {
            self.changes.push(Change::PutInUse(Arc::clone(&pair)));
            self.vault.in_use.insert_mut(key, pair);
        } else {
            self.changes.push(Change::PutUnused(Arc::clone(&pair)));
            self.vault.insert_unused(pair);
        }
    }

    /// Deletes a key pair that a session named until now, unless another still does.
    pub(super) fn release(&mut self, key: PublicKey, reason: RemovalReason) -> Option<PublicKey> {
        if self.vault.is_named(&key) {
            return None;
        }
        let slot = self.vault.in_use.get(&key)?.sealed().slot();
        self.vault.in_use.remove_mut(&key);
        self.changes.push(Change::Removed(Name::InUse(key), slot));
        self.announce(EventKind::KeyPairDeleted { public_key: key, reason });
        Some(key)
    }

    /// Removes the sessions that name a key pair, if all of them have expired; and the pair with them, if it goes with
    /// them. It is then not among those of which reads tell.
    pub(in crate::vault) fn expire_sessions_of(&mut self, key: &PublicKey) {
        if self.vault.naming(key, self.now).next().is_none() {
            for session in self.vault.sessions_of(key) {
                self.expire(session);
            }
        }
    }

    /// Says that a key pair is there, and what is known of it now.
    pub(super) fn announce_key_pair(&mut self, facts: &KeyPairFacts) {
        let KeyPairFacts { public_key, kept, label, .. } = facts.clone();
        self.announce(EventKind::KeyPairCreated { public_key, kept, label });
    }
}
