//! [`Stored`]: what a store holds, and the vault that it is.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread;

use keyfob_proto::SessionKey;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::attempts::Attempts;
use super::contents::Vault;
use super::expired::ExpiredName;
use super::key_pair::KeyPair;
use super::session::StoredSession;

/// What a store holds, in no particular order.
#[derive(Debug, Default)]
pub struct Stored {
    /// Every session.
    pub sessions: Vec<(SessionKey, Arc<StoredSession>)>,
    /// The active pointer.
    pub active: Option<SessionKey>,
    /// The key pairs that were stored as in use.
    pub in_use: Vec<Arc<KeyPair>>,
    /// The key pairs that were stored as unused, or as kept.
    pub unused: Vec<Arc<KeyPair>>,
    /// The sessions that have expired and are remembered.
    pub expired: Vec<(SessionKey, ExpiredName)>,
    /// After how long without use the vault locks itself, in seconds.
    pub lock_after: Option<NonZeroU64>,
    /// The wrong passphrases so far.
    pub attempts: Attempts,
}

/// What was stored contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// The active pointer names a session that is not there.
    #[error("the active pointer names a session that is not there")]
    DanglingPointer,
    /// A key pair is stored as in use and no session names it, or the other way round, or as both.
    #[error("a key pair is stored as in use and no session names it, or the other way round, or as both")]
    KeyPairUse,
}

impl Vault {
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
        let Stored { sessions, active, in_use, unused, expired, lock_after, attempts } = stored;
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
                ..Self::default()
            }
        });
        for pair in unused {
            vault.insert_unused(pair);
        }
        if active.as_ref().is_some_and(|key| !vault.sessions.contains_key(key)) {
            return Err(Inconsistent::DanglingPointer);
        }
        vault.active = active;
        vault.lock_after = lock_after;
        vault.attempts = attempts;
        for (key, name) in expired.into_iter().filter(|(key, _)| !vault.sessions.contains_key(key)).collect::<Vec<_>>()
        {
            vault.expired.insert(key, name);
        }
        let in_use_unnamed = vault.in_use.keys().any(|key| !vault.is_named(key));
        let swept_named = vault.unused_by_age.iter().any(|(_, key)| vault.is_named(key));
        let is_both = vault.in_use.keys().any(|key| vault.unused.contains_key(key));
        if in_use_unnamed || swept_named || is_both { Err(Inconsistent::KeyPairUse) } else { Ok(vault) }
    }
}
