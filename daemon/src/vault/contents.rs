//! [`Vault`] itself: the maps, and the steps that keep them and their indexes together.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use keyfob_proto::{PublicKey, SessionKey};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::attempts::Attempts;
use super::change::Name;
use super::expired::{Expired, ExpiredName};
use super::key_pair::KeyPair;
use super::session::StoredSession;
use crate::seal::{Scope, Sealed, Slot, VaultKeys};

/// Every session and key pair. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    pub(super) sessions: RedBlackTreeMapSync<SessionKey, Arc<StoredSession>>,
    pub(super) active: Option<SessionKey>,
    /// The key pairs that a session names, but for kept ones. Apart from the others, so that clear-all drops them in one
    /// step.
    pub(super) in_use: RedBlackTreeMapSync<PublicKey, Arc<KeyPair>>,
    /// The key pairs that no session names, and those that are kept, whether or not one does.
    pub(super) unused: RedBlackTreeMapSync<PublicKey, Arc<KeyPair>>,
    /// The unused key pairs that may be swept, the oldest first: all but the kept ones.
    pub(super) unused_by_age: RedBlackTreeSetSync<(u64, PublicKey)>,
    /// The sessions in the order of their expiry.
    pub(super) by_expiry: RedBlackTreeSetSync<ByExpiry>,
    /// The sessions of each key pair in the order of their expiry.
    pub(super) by_key_pair: RedBlackTreeSetSync<ByKeyPair>,
    /// Sessions that expire up to here, in seconds since the epoch, have had their warning.
    pub(super) warned_until: u64,
    /// Sessions that have expired and are destroyed.
    pub(super) expired: Expired,
    /// After how long without use the vault locks itself, in seconds.
    pub(super) lock_after: Option<NonZeroU64>,
    /// The wrong passphrases so far.
    pub(super) attempts: Attempts,
}

/// A session's place in the order of expiry. Without a session it is the bound before all sessions
/// of that second.
pub(super) type ByExpiry = (u64, Option<SessionKey>);

/// A session's place among those that name the same key pair. Without a session it is a bound, as
/// in [`ByExpiry`].
pub(super) type ByKeyPair = (PublicKey, u64, Option<SessionKey>);

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A session.
    Session(&'a StoredSession),
    /// A key pair.
    KeyPair(&'a KeyPair),
    /// The active session's name.
    Active(&'a SessionKey),
    /// A session that has expired.
    Expired(ExpiredName),
    /// After how long without use the vault locks itself, in seconds.
    LockAfter(NonZeroU64),
    /// The wrong passphrases so far.
    Attempts(Attempts),
}

impl Vault {
    /// What a name stands for, if it is there.
    #[must_use]
    pub fn record(&self, name: &Name) -> Option<Record<'_>> {
        match name {
            Name::Session(key) => self.sessions.get(key).map(|session| Record::Session(session)),
            Name::InUse(key) => self.in_use.get(key).map(|pair| Record::KeyPair(pair)),
            Name::Unused(key) => self.unused.get(key).map(|pair| Record::KeyPair(pair)),
            Name::Active => self.active.as_ref().map(Record::Active),
            Name::Expired(key) => self.expired.get(key).map(Record::Expired),
            Name::LockAfter => self.lock_after.map(Record::LockAfter),
            Name::Attempts => (self.attempts != Attempts::default()).then_some(Record::Attempts(self.attempts)),
        }
    }

    /// After how long without use the vault is to be locked.
    #[must_use]
    pub fn lock_after(&self) -> Option<Duration> {
        self.lock_after.map(|seconds| Duration::from_secs(seconds.get()))
    }

    /// The wrong passphrases so far.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// The number of the slot of what a name stands for.
    #[must_use]
    pub fn slot_of(&self, name: &Name) -> Option<u32> {
        match self.record(name)? {
            Record::Session(session) => Some(session.sealed().slot()),
            Record::KeyPair(pair) => Some(pair.sealed().slot()),
            Record::Active(_) | Record::Expired(_) | Record::LockAfter(_) | Record::Attempts(_) => None,
        }
    }

    /// Up to `count` names after one, in an order of their own; from the first on where none is given.
    #[must_use]
    pub fn names_after(&self, after: Option<&Name>, count: usize) -> Vec<Name> {
        use std::ops::Bound::{Excluded, Unbounded};
        let (mut session, mut in_use, mut unused, mut expired) = (Unbounded, Unbounded, Unbounded, None);
        // The order is: sessions, key pairs in use, unused ones, expired ones, the pointer, the lock's time, the attempts.
        let done = match after {
            None => 0,
            Some(Name::Session(key)) => {
                session = Excluded(key);
                0
            }
            Some(Name::InUse(key)) => {
                in_use = Excluded(key);
                1
            }
            Some(Name::Unused(key)) => {
                unused = Excluded(key);
                2
            }
            Some(Name::Expired(key)) => {
                expired = Some(key);
                3
            }
            Some(Name::Active) => 4,
            Some(Name::LockAfter) => 5,
            Some(Name::Attempts) => 6,
        };
        let sessions = self.sessions.range::<SessionKey, _>((session, Unbounded)).map(|(key, _)| key);
        let sessions = sessions.filter(|_| done == 0).cloned().map(Name::Session);
        let in_use = self.in_use.range::<PublicKey, _>((in_use, Unbounded)).map(|(key, _)| *key);
        let in_use = in_use.filter(|_| done <= 1).map(Name::InUse);
        let unused = self.unused.range::<PublicKey, _>((unused, Unbounded)).map(|(key, _)| *key);
        let unused = unused.filter(|_| done <= 2).map(Name::Unused);
        let expired = self.expired.after(expired).filter(|_| done <= 3).cloned().map(Name::Expired);
        let active = self.active.iter().filter(|_| done <= 3).map(|_| Name::Active);
        let lock_after = self.lock_after.iter().filter(|_| done <= 4).map(|_| Name::LockAfter);
        let attempts = self.record(&Name::Attempts).filter(|_| done <= 5).map(|_| Name::Attempts);
        let settings = active.chain(lock_after).chain(attempts);
        sessions.chain(in_use).chain(unused).chain(expired).chain(settings).take(count).collect()
    }

    /// The numbers of the slots of all records.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        self.sealed().map(|(sealed, _)| sealed.slot())
    }

    /// What is sealed of every session and key pair, and in which scope.
    pub fn sealed(&self) -> impl Iterator<Item = (&Sealed, Scope)> {
        let sessions = self.sessions.values().map(|session| (session.sealed(), Scope::InUse));
        let in_use = self.in_use.values().map(|pair| (pair.sealed(), Scope::InUse));
        sessions.chain(in_use).chain(self.unused.values().map(|pair| (pair.sealed(), Scope::Unused)))
    }

    /// Whether one of the first records opens with these keys; `None` where there is none whose slot is whole. Call it
    /// in [`on_wiped_stack`](crate::seal::on_wiped_stack).
    #[must_use]
    pub fn opens_with(&self, keys: &VaultKeys) -> Option<bool> {
        const TRIED: usize = 16;
        let sessions = self.sessions.iter().map(|(key, session)| session.check(key, keys));
        let in_use = self.in_use.values().map(|pair| pair.check(keys, Scope::InUse));
        let unused = self.unused.values().map(|pair| pair.check(keys, Scope::Unused));
        let mut tried = sessions.chain(in_use).chain(unused).flatten().take(TRIED).peekable();
        tried.peek()?;
        Some(tried.any(|opens| opens))
    }

    /// The same vault, its slots filled anew for other keys. `put` gets the number of each, and what it holds then unless
    /// it is damaged. Call it in
    /// [`on_wiped_stack`](crate::seal::on_wiped_stack).
    #[must_use]
    pub fn rewrapped(&self, from: &VaultKeys, to: &VaultKeys, mut put: impl FnMut(u32, Option<Slot>)) -> Self {
        let mut wrap = |sealed: &Sealed, scope| {
            let (sealed, slot) = sealed.rewrapped(from, to, scope);
            put(sealed.slot(), slot);
            sealed
        };
        let sessions = self.sessions.iter();
        let sessions = sessions
            .map(|(key, session)| (key.clone(), Arc::new(session.with_sealed(wrap(session.sealed(), Scope::InUse)))));
        let sessions = sessions.collect();
        let mut pairs = |pairs: &RedBlackTreeMapSync<PublicKey, Arc<KeyPair>>, scope| {
            let pairs = pairs.iter();
            pairs.map(|(key, pair)| (*key, Arc::new(pair.with_sealed(wrap(pair.sealed(), scope))))).collect()
        };
        let (in_use, unused) = (pairs(&self.in_use, Scope::InUse), pairs(&self.unused, Scope::Unused));
        Self { sessions, in_use, unused, ..self.clone() }
    }

    /// Whether there is neither a session nor a key pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count() == 0
    }

    /// How many sessions and key pairs there are.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.sessions.size() + self.in_use.size() + self.unused.size()
    }

    /// Drops up to `count` sessions, and their key pairs, of a vault that nobody looks at any more. Answers
    /// whether there are sessions left.
    pub fn shed(&mut self, count: usize) -> bool {
        let keys: Vec<SessionKey> = self.sessions.keys().take(count).cloned().collect();
        for key in keys {
            if let Some(session) = self.remove_session(&key) {
                self.in_use.remove_mut(session.public_key());
            }
        }
        !self.sessions.is_empty()
    }

    /// Adds a session to the map and the indexes.
    pub(super) fn insert_session(&mut self, key: SessionKey, session: Arc<StoredSession>) {
        self.by_expiry.insert_mut((session.expiry(), Some(key.clone())));
        self.by_key_pair.insert_mut((*session.public_key(), session.expiry(), Some(key.clone())));
        self.sessions.insert_mut(key, session);
    }

    /// Takes a session out of the map and the indexes.
    pub(super) fn remove_session(&mut self, key: &SessionKey) -> Option<Arc<StoredSession>> {
        let session = self.sessions.get(key).cloned()?;
        self.sessions.remove_mut(key);
        self.by_expiry.remove_mut(&(session.expiry(), Some(key.clone())));
        self.by_key_pair.remove_mut(&(*session.public_key(), session.expiry(), Some(key.clone())));
        Some(session)
    }

    /// Takes all sessions, the key pairs that they name and the pointer out. The cost does not depend on how many there
    /// are.
    pub(super) fn remove_sessions(&mut self) -> Self {
        let rest = Self {
            unused: self.unused.clone(),
            unused_by_age: self.unused_by_age.clone(),
            warned_until: self.warned_until,
            lock_after: self.lock_after,
            attempts: self.attempts,
            ..Self::default()
        };
        std::mem::replace(self, rest)
    }

    /// Adds a key pair that no session names, or that is kept, to the map and the index.
    pub(super) fn insert_unused(&mut self, pair: Arc<KeyPair>) {
        if !pair.facts().kept {
            self.unused_by_age.insert_mut((pair.facts().created_at, *pair.public_key()));
        }
        self.unused.insert_mut(*pair.public_key(), pair);
    }

    /// Takes a key pair that no session names, or that is kept, out of the map and the index.
    pub(super) fn remove_unused(&mut self, key: &PublicKey) -> Option<Arc<KeyPair>> {
        let pair = self.unused.get(key).cloned()?;
        self.unused.remove_mut(key);
        self.unused_by_age.remove_mut(&(pair.facts().created_at, *key));
        Some(pair)
    }

    /// The key pairs that are unused or kept here, and go with sessions in another vault.
    pub fn unused_of(&self, other: &Self) -> impl Iterator<Item = PublicKey> {
        self.unused.keys().filter(|key| other.in_use.contains_key(*key)).copied()
    }

    /// The sessions that name a key pair, expired or not.
    pub(super) fn sessions_of(&self, key: &PublicKey) -> Vec<SessionKey> {
        let sessions = self.by_key_pair.range((*key, 0, None)..(*key, u64::MAX, None));
        sessions.filter_map(|(_, _, session)| session.clone()).collect()
    }

    /// Whether a session names a key pair, expired or not.
    pub(super) fn is_named(&self, key: &PublicKey) -> bool {
        self.by_key_pair.range((*key, 0, None)..(*key, u64::MAX, None)).next().is_some()
    }
}
