//! What a start makes of the two halves: a record lives while its slot has the id that it was sealed with.
//!
//! What was removed and the database was not told of is gone, and so is what belongs to it. What it has to be told is
//! owed to it from then on.

use std::collections::HashSet;
use std::sync::Arc;

use keyfob_proto::PublicKey;

use super::keys::Slots;
use super::records::Entry;
use super::records::record::SealedPart;
use crate::seal::{Sealed, StoredSlot};
use crate::vault::{KeyPair, Name, Stored, StoredSession};

/// What is found while the records are read.
pub(super) struct Recovered<'a> {
    slots: &'a Slots,
    stored: Stored,
    /// Names that stand for nothing that lives.
    owed: HashSet<Name>,
    /// Key pairs that were in use and were removed.
    lost: HashSet<PublicKey>,
}

impl<'a> Recovered<'a> {
    /// Nothing yet.
    pub(super) fn new(slots: &'a Slots) -> Self {
        Self { slots, stored: Stored::default(), owed: HashSet::new(), lost: HashSet::new() }
    }

    /// Takes a record in.
    ///
    /// # Errors
    ///
    /// What contradicts the other half.
    pub(super) fn take(&mut self, entry: Entry<'_>) -> Result<(), &'static str> {
        match entry {
            Entry::Active(key) => self.stored.active = Some(key),
            Entry::Expired(key, name) => self.stored.expired.push((key, name)),
            Entry::LockAfter(seconds) => self.stored.lock_after = Some(seconds),
            Entry::Attempts(attempts) => self.stored.attempts = attempts,
            Entry::Session(key, public_key, record) => match living(self.slots, record.sealed)? {
                Some(sealed) => {
                    let session = StoredSession::restore(public_key, record.expiry, sealed);
                    self.stored.sessions.push((key, Arc::new(session)));
                }
                None => drop(self.owed.insert(Name::Session(key))),
            },
            Entry::InUse(key, record) => {
                if let Some(sealed) = living(self.slots, record.sealed)? {
                    self.stored.in_use.push(KeyPair::restore(record.facts(key), sealed).into());
                } else {
                    self.owed.insert(Name::InUse(key));
                    self.lost.insert(key);
                }
            }
            Entry::Unused(key, record) => match living(self.slots, record.sealed)? {
                Some(sealed) => self.stored.unused.push(KeyPair::restore(record.facts(key), sealed).into()),
                None => drop(self.owed.insert(Name::Unused(key))),
            },
        }
        Ok(())
    }

    /// What lives, and the names that the database has to be told of.
    pub(super) fn finish(self) -> (Stored, HashSet<Name>) {
        let Self { mut stored, mut owed, lost, .. } = self;
        // A clear that was cut short took the key pair, or the session, and not yet the other. A session that was
        // stored without its key pair has none to lose.
        if !owed.is_empty() {
            let is_lost = |session: &StoredSession| lost.contains(session.public_key());
            let gone = stored.sessions.iter().filter(|(_, session)| is_lost(session));
            owed.extend(gone.map(|(key, _)| Name::Session(key.clone())));
            stored.sessions.retain(|(_, session)| !is_lost(session));
            let named: HashSet<_> = stored.sessions.iter().map(|(_, session)| *session.public_key()).collect();
            let gone = stored.in_use.iter().filter(|pair| !named.contains(pair.public_key()));
            owed.extend(gone.map(|pair| Name::InUse(*pair.public_key())));
            stored.in_use.retain(|pair| named.contains(pair.public_key()));
        }
        if let Some(active) = &stored.active
            && !stored.sessions.iter().any(|(key, _)| key == active)
        {
            stored.active = None;
            owed.insert(Name::Active);
        }
        (stored, owed)
    }
}

/// What is sealed of a record, if it lives.
///
/// # Errors
///
/// When the file of slots is shorter than it was.
pub(super) fn living(slots: &Slots, part: SealedPart<'_>) -> Result<Option<Sealed>, &'static str> {
    match slots.get(part.slot).ok_or("the file `keys` was cut off: the slot of a record is missing")? {
        StoredSlot::Whole(slot) if slot.id() == part.id => Ok(Some(part.with(Some(slot)))),
        StoredSlot::Whole(_) => Ok(None),
        // Nobody knows whether it was removed. It is a fault when it is used.
        StoredSlot::Damaged => Ok(Some(part.with(None))),
    }
}
