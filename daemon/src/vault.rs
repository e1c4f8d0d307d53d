//! [`Vault`]: every session and key pair, and what may happen to them. No I/O, no clock, no tasks.
//!
//! A vault is a plain value made of persistent maps, so copying it costs the same whatever it
//! holds. The reads are methods that take the time as a parameter. The writes are [`Mutation`]s,
//! applied to a [`Draft`]; whoever wants to know what clearing means reads one of them.
//!
//! # Invariants
//!
//! Checked when a vault is read from the store, kept by [`Draft`]:
//!
//! - the active pointer names a session that is there, or none;
//! - a key pair is *in use* exactly when a session names it, else *unused*;
//! - what is secret of a session or key pair is sealed, in the scope of its kind ([`Scopes`]);
//! - the indexes (sessions by expiry and by key pair, unused key pairs by age) list exactly what
//!   there is.

mod draft;
mod expiry;
mod key_pair;
mod mutation;
mod read;
mod session;
mod token;

use std::sync::Arc;
use std::thread;

use keyfob_proto::{PublicKey, SessionKey};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

pub use self::draft::{Announcement, Change, Draft, Finished, MAX_ANNOUNCED};
pub use self::expiry::WARNING_SECONDS;
pub use self::key_pair::{KeyPair, NewKeyPair};
pub use self::mutation::Mutation;
pub use self::read::Signer;
pub use self::session::StoredSession;
pub use self::token::{Login, MAX_CLAIM_BYTES, MAX_TOKEN_BYTES};

use crate::seal::{Scope, Sealed};

/// Every session and key pair. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault {
    scopes: Scopes,
    sessions: RedBlackTreeMapSync<SessionKey, Arc<StoredSession>>,
    active: Option<SessionKey>,
    /// The key pairs that a session names. Apart from the unused ones, so that clear-all drops them
    /// in one step.
    in_use: RedBlackTreeMapSync<PublicKey, Arc<KeyPair>>,
    unused: RedBlackTreeMapSync<PublicKey, Arc<KeyPair>>,
    /// The unused key pairs, the oldest first.
    unused_by_age: RedBlackTreeSetSync<(u64, PublicKey)>,
    /// The sessions in the order of their expiry.
    by_expiry: RedBlackTreeSetSync<ByExpiry>,
    /// The sessions of each key pair in the order of their expiry.
    by_key_pair: RedBlackTreeSetSync<ByKeyPair>,
    /// Sessions that expire up to here, in seconds since the epoch, have had their warning.
    warned_until: u64,
}

/// What the parts of a vault are sealed in.
#[derive(Clone, Debug)]
pub struct Scopes {
    /// The scope of the unused key pairs.
    pub unused: Arc<Scope>,
    /// The scope of the sessions and of the key pairs that they name.
    pub in_use: Arc<Scope>,
}

impl Scopes {
    /// The scopes of a locked vault.
    #[must_use]
    pub fn locked() -> Self {
        Self { unused: Scope::locked(), in_use: Scope::locked() }
    }

    /// The unlocked scopes of a vault that has no store.
    #[must_use]
    pub fn without_store() -> Self {
        Self { unused: Scope::without_store(), in_use: Scope::without_store() }
    }
}

/// A session's place in the order of expiry. Without a session it is the bound before all sessions
/// of that second.
type ByExpiry = (u64, Option<SessionKey>);

/// A session's place among those that name the same key pair. Without a session it is a bound, as
/// in [`ByExpiry`].
type ByKeyPair = (PublicKey, u64, Option<SessionKey>);

/// What a store holds, in no particular order.
#[derive(Debug)]
pub struct Stored {
    /// What it is sealed in.
    pub scopes: Scopes,
    /// Every session.
    pub sessions: Vec<(SessionKey, Arc<StoredSession>)>,
    /// The active pointer.
    pub active: Option<SessionKey>,
    /// The key pairs that were stored as in use.
    pub in_use: Vec<Arc<KeyPair>>,
    /// The key pairs that were stored as unused.
    pub unused: Vec<Arc<KeyPair>>,
}

/// What was stored contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// The active pointer names a session that is not there.
    #[error("the active pointer names a session that is not there")]
    DanglingPointer,
    /// A key pair is stored as in use and no session names it, or the other way round.
    #[error("a key pair is stored as in use and no session names it, or the other way round")]
    KeyPairUse,
}

impl Stored {
    /// An empty vault.
    #[must_use]
    pub fn nothing(scopes: Scopes) -> Self {
        Self { scopes, sessions: Vec::new(), active: None, in_use: Vec::new(), unused: Vec::new() }
    }
}

impl Vault {
    /// A vault with nothing in it.
    #[must_use]
    pub fn empty(scopes: Scopes) -> Self {
        Self {
            scopes,
            sessions: RedBlackTreeMapSync::new_sync(),
            active: None,
            in_use: RedBlackTreeMapSync::new_sync(),
            unused: RedBlackTreeMapSync::new_sync(),
            unused_by_age: RedBlackTreeSetSync::new_sync(),
            by_expiry: RedBlackTreeSetSync::new_sync(),
            by_key_pair: RedBlackTreeSetSync::new_sync(),
            warned_until: 0,
        }
    }

    /// The vault that was stored.
    ///
    /// # Errors
    ///
    /// [`Inconsistent`] when the parts contradict each other.
    ///
    /// # Panics
    ///
    /// Never: building an index panics nowhere.
    pub fn restore(stored: Stored) -> Result<Self, Inconsistent> {
        let Stored { scopes, sessions, active, in_use, unused } = stored;
        // Each index of a large vault takes a while to build, and none needs the others.
        let mut vault = thread::scope(|scope| {
            let by_expiry = scope.spawn(|| {
                let places = sessions.iter().map(|(key, session)| (session.expiry(), Some(key.clone())));
                places.collect::<RedBlackTreeSetSync<_>>()
            });
            let by_key_pair = scope.spawn(|| {
                let place = |(key, session): &(SessionKey, Arc<StoredSession>)| {
                    (*session.public_key(), session.expiry(), Some(key.clone()))
                };
                sessions.iter().map(place).collect::<RedBlackTreeSetSync<_>>()
            });
            let in_use = scope.spawn(|| {
                let pairs = in_use.into_iter().map(|pair| (*pair.public_key(), pair));
                pairs.collect::<RedBlackTreeMapSync<_, _>>()
            });
            let sessions = sessions.iter().cloned().collect();
            let built = "nothing in it panics";
            Self {
                sessions,
                by_expiry: by_expiry.join().expect(built),
                by_key_pair: by_key_pair.join().expect(built),
                in_use: in_use.join().expect(built),
                ..Self::empty(scopes)
            }
        });
        for pair in unused {
            vault.insert_unused(pair);
        }
        if active.as_ref().is_some_and(|key| !vault.sessions.contains_key(key)) {
            return Err(Inconsistent::DanglingPointer);
        }
        vault.active = active;
        let in_use_unnamed = vault.in_use.keys().any(|key| !vault.is_named(key));
        let unused_named = vault.unused.keys().any(|key| vault.is_named(key));
        if in_use_unnamed || unused_named { Err(Inconsistent::KeyPairUse) } else { Ok(vault) }
    }

    /// The changes that make an empty vault this one.
    pub(crate) fn as_changes(&self) -> impl Iterator<Item = Change> {
        let sessions = self.sessions.iter().map(|(key, session)| Change::PutSession(key.clone(), Arc::clone(session)));
        let in_use = self.in_use.values().map(|pair| Change::PutInUse(Arc::clone(pair)));
        let unused = self.unused.values().map(|pair| Change::PutUnused(Arc::clone(pair)));
        let active = self.active.iter().map(|key| Change::SetActive(Some(key.clone())));
        sessions.chain(in_use).chain(unused).chain(active)
    }

    /// What is sealed of every session and key pair, and whether it is an unused key pair's.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = (&Sealed, bool)> {
        let sessions = self.sessions.values().map(|session| (session.sealed(), false));
        let in_use = self.in_use.values().map(|pair| (pair.sealed(), false));
        sessions.chain(in_use).chain(self.unused.values().map(|pair| (pair.sealed(), true)))
    }

    /// Whether there is neither a session nor a key pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count() == 0
    }

    /// How many sessions and key pairs there are.
    pub(crate) fn record_count(&self) -> usize {
        self.sessions.size() + self.in_use.size() + self.unused.size()
    }

    /// Takes away what only this vault opens its records with, now that another is in its place. Whoever still reads it
    /// has to read again. Answers whether there was any.
    pub(crate) fn retire(&self, successor: &Scopes) -> bool {
        let Scopes { unused, in_use } = &self.scopes;
        let mut retired = false;
        for (old, new) in [(unused, &successor.unused), (in_use, &successor.in_use)] {
            if !Arc::ptr_eq(old, new) {
                old.lock();
                retired = true;
            }
        }
        retired
    }

    /// What its parts are sealed in.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Lets go of every key that a signature left in memory, after the vault was locked or retired.
    pub fn forget_signing_keys(&self) {
        self.in_use.values().chain(self.unused.values()).for_each(|pair| pair.forget());
    }

    /// This vault, as it was read from the store again, goes on where another is: who had their warning has had
    /// it.
    pub fn continues(&mut self, other: &Self) {
        self.warned_until = other.warned_until;
    }

    /// Adds a session to the map and the indexes.
    fn insert_session(&mut self, key: SessionKey, session: Arc<StoredSession>) {
        self.by_expiry.insert_mut((session.expiry(), Some(key.clone())));
        self.by_key_pair.insert_mut((*session.public_key(), session.expiry(), Some(key.clone())));
        self.sessions.insert_mut(key, session);
    }

    /// Takes a session out of the map and the indexes.
    fn remove_session(&mut self, key: &SessionKey) -> Option<Arc<StoredSession>> {
        let session = self.sessions.get(key).cloned()?;
        self.sessions.remove_mut(key);
        self.by_expiry.remove_mut(&(session.expiry(), Some(key.clone())));
        self.by_key_pair.remove_mut(&(*session.public_key(), session.expiry(), Some(key.clone())));
        Some(session)
    }

    /// Drops up to `count` sessions, and their key pairs, of a vault that nobody looks at any more. Answers
    /// whether there are sessions left.
    pub(crate) fn shed(&mut self, count: usize) -> bool {
        let keys: Vec<SessionKey> = self.sessions.keys().take(count).cloned().collect();
        for key in keys {
            if let Some(session) = self.remove_session(&key) {
                self.in_use.remove_mut(session.public_key());
            }
        }
        !self.sessions.is_empty()
    }

    /// Adds an unused key pair to the map and the index.
    fn insert_unused(&mut self, pair: Arc<KeyPair>) {
        self.unused_by_age.insert_mut((pair.created_at(), *pair.public_key()));
        self.unused.insert_mut(*pair.public_key(), pair);
    }

    /// Takes an unused key pair out of the map and the index.
    fn remove_unused(&mut self, key: &PublicKey) -> Option<Arc<KeyPair>> {
        let pair = self.unused.get(key).cloned()?;
        self.unused.remove_mut(key);
        self.unused_by_age.remove_mut(&(pair.created_at(), *key));
        Some(pair)
    }

    /// Whether a session names a key pair, expired or not.
    fn is_named(&self, key: &PublicKey) -> bool {
        self.by_key_pair.range((*key, 0, None)..(*key, u64::MAX, None)).next().is_some()
    }
}

#[cfg(test)]
mod tests;
