//! [`Store`]: the order of its two halves, and nothing else. It decides nothing.
//!
//! ```text
//! store/format     the format of all this: 1
//! store/records.N/ sled: what each session and key pair is called, and what it says, sealed
//! store/keys       what lives: one slot a record, overwritten in place; the generation; which N; the wrapped root key
//! store/reserve    room that a start may give up when the disk is full
//! store/stopped    how a daemon that was stopped left the database
//! key-0123abcd     beside the store: the key file, where that is where the wrapping key comes from
//! ```
//!
//! **A record lives** exactly when its generation is the current one and the slot that it names still has the id that it
//! was sealed with. So erasing is not what follows a removal: it is the removal, and the only thing to wait for.
//!
//! # Invariants
//!
//! - What was put is durable in the database when [`Store::put`] returns, and its slots were durable before.
//! - What was removed cannot be opened with anything in the store when [`Store::put`], [`Store::remove`] or
//!   [`Store::clear_all`] returns, and costs no room on the disk. The database is told of it later ([`Store::tell`]).
//! - What the database is owed is a set of names. It is told what the vault holds under each at that moment.
//! - A batch that failed may come back at the next start, so nothing is put after it. Removing goes on.
//! - Each half notes how far the other was when it was written. Halves of different copies are refused.
//! - No record is so large that sled puts it into one of the files that it never syncs.
//! - A store of another format is refused before sled touches it. One that cannot be read, or contradicts itself, is
//!   refused too, and is afterwards as it was before.

mod error;
mod file_system;
mod format;
mod keys;
mod open;
mod proof;
mod records;
mod recover;
mod rekey;
mod reserve;
mod switch;
mod unlock;
mod untouched;

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use self::error::io_error;
use self::keys::{Header, Keys};
use self::proof::Proof;
use self::records::{Batch, Counts, Database};
use crate::limits::{NAMES_PER_BATCH, ROOM_TO_PUT};
use crate::seal::Slot;
use crate::vault::{Change, Name, Vault};

pub use self::error::StoreError;
pub use self::file_system::FileSystem;
pub use self::keys::Origin;
pub use self::records::record;
pub use self::records::{Rewrite, Rewritten, Superseded};
pub use self::rekey::{RekeyError, RekeyProgress};
pub use self::reserve::Reserve;
pub use self::unlock::UnlockError;

/// The vault on disk. There is one owner, and it does not share.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    data_dir: PathBuf,
    keys: Keys,
    header: Header,
    proof: Proof,
    records: Database,
    /// The last commit that is durable.
    commits: u64,
    /// Names that the database says something else of than the vault.
    owed: HashSet<Name>,
    /// Whether sled has failed: nothing is written to the database any more.
    is_broken: bool,
}

/// Why something was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Nothing was tried, for want of room or because the disk failed before.
    #[error(transparent)]
    NotTried(StoreError),
    /// The disk failed. Whether it is there is decided at the next start, and nothing can be put any more.
    #[error(transparent)]
    Undecided(StoreError),
}

impl Store {
    /// Slots to seal with.
    pub fn stock(&mut self) -> &mut VecDeque<Slot> {
        self.keys.stock()
    }

    /// Sees to it that there are slots for so many records. Blocks on the disk now and then.
    ///
    /// # Errors
    ///
    /// When the disk failed, or is full.
    pub fn refill(&mut self, records: usize) -> Result<(), StoreError> {
        self.keys.refill(records).map_err(|error| if error.is_full() { self.named(error) } else { self.fails(error) })
    }

    /// Makes changes durable, all or none, and erases what they removed. `after` is the vault after them. Blocks on the
    /// disk.
    ///
    /// # Errors
    ///
    /// [`PutError`].
    pub fn put(&mut self, changes: &[Change], after: &Vault) -> Result<(), PutError> {
        self.check_room().map_err(PutError::NotTried)?;
        // What the database is owed goes into its next batch: a crash must not leave half of it.
        let names: HashSet<Name> = changes.iter().filter_map(Change::name).chain(self.owed.drain()).collect();
        self.commit(names.iter(), after).map_err(PutError::Undecided)?;
        let removed: Vec<u32> = changes.iter().filter_map(removed_slot).collect();
        let moved = changes.iter().filter_map(moved_slot);
        let has_removed = !removed.is_empty();
        let slots = removed.into_iter().chain(moved).collect();
        // What was moved lives elsewhere, and its old slot can wait for whichever sync comes next.
        let erased = self.keys.overwrite(slots).and_then(|()| if has_removed { self.keys.sync() } else { Ok(()) });
        erased.map_err(|error| PutError::Undecided(self.fails(error)))
    }

    /// Removes what these changes removed: overwrites these slots. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed. Whether it is gone is decided at the next start, or when it is removed again.
    pub fn remove(&mut self, changes: &[Change], slots: Vec<u32>) -> Result<(), StoreError> {
        self.owed.extend(changes.iter().filter_map(Change::name));
        self.keys.overwrite(slots).and_then(|()| self.keys.sync()).map_err(|error| self.fails(error))
    }

    /// Ends the generation: all sessions, and the key pairs that they name, are gone. `after` is the vault after it.
    /// Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As [`Store::remove`].
    pub fn clear_all(&mut self, after: &Vault) -> Result<(), StoreError> {
        let proof = self.proof.sealed().map(crate::seal::Sealed::slot);
        let ended = self.keys.begin_generation(after.slots().chain(proof));
        ended.map_err(|error| self.fails(error))?;
        // All other names were those of the generation that ended.
        self.owed.retain(|name| matches!(name, Name::Unused(_) | Name::LockAfter | Name::Attempts));
        Ok(())
    }

    /// How many names the database has to be told of.
    #[must_use]
    pub fn owes(&self) -> usize {
        if self.is_broken { 0 } else { self.owed.len() }
    }

    /// Tells the database what the vault holds under some of the names that it is owed. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed, or is full. Nothing is lost by it.
    pub fn tell(&mut self, vault: &Vault) -> Result<(), StoreError> {
        self.check_room()?;
        let names: Vec<Name> = self.owed.iter().take(NAMES_PER_BATCH).cloned().collect();
        self.commit(names.iter(), vault)?;
        for name in &names {
            self.owed.remove(name);
        }
        Ok(())
    }

    /// Whether nothing can be put any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The size of the database's file in bytes; 0 when the system does not say.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.records.bytes()
    }

    /// The reserve that a start may give up, to be made when nobody waits for it.
    #[must_use]
    pub fn reserve(&self) -> Reserve {
        Reserve::of(&self.path, self.bytes())
    }

    /// The file system that the store is on.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn file_system(&self) -> std::io::Result<FileSystem> {
        FileSystem::of(&self.path)
    }

    /// The directory of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the database what it is owed, and closes it. Blocks on the disk.
    pub fn close(mut self, vault: &Vault) {
        while self.owes() > 0 {
            if let Err(error) = self.tell(vault) {
                tracing::warn!(%error, "the database was not told what was removed; the next start tells it");
                break;
            }
        }
        // So that the next start knows when the database has lost any of it.
        if !self.is_broken
            && let Err(error) = self.keys.note()
        {
            tracing::warn!(%error, "the last commit is not noted");
        }
        let Self { path, records, is_broken, .. } = self;
        let database = records.path().to_owned();
        drop(records);
        if is_broken {
            return;
        }
        if let Err(error) = untouched::say_as_left(&path, &database) {
            tracing::warn!(%error, "the next start will copy the database before it opens it");
        }
    }

    /// From now on every batch fails, as on a disk that broke.
    #[cfg(test)]
    pub(crate) fn break_database(&mut self) {
        self.records.fail_from_now_on();
    }

    /// Tells the database what the vault holds under these names, in one step.
    fn commit<'a>(&mut self, names: impl ExactSizeIterator<Item = &'a Name>, vault: &Vault) -> Result<(), StoreError> {
        let (mut batch, count) = (Batch::default(), names.len());
        for name in names {
            batch.tell(self.keys.state().generation, name, vault.record(name));
        }
        self.commit_batch(batch, count)
    }

    /// Makes a batch durable, numbered.
    fn commit_batch(&mut self, mut batch: Batch, changes: usize) -> Result<(), StoreError> {
        let counts = Counts { commits: self.commits + 1, writes: self.keys.durable() };
        batch.count(counts);
        self.records.commit(batch, changes).map_err(|error| self.fails(error))?;
        self.commits = counts.commits;
        self.keys.set_commits(counts.commits);
        Ok(())
    }

    fn vault_record(&self) -> Vec<u8> {
        proof::record(self.header.vault, self.proof.sealed())
    }

    /// Whether the database can be written to.
    fn check_room(&self) -> Result<(), StoreError> {
        if self.is_broken {
            return Err(StoreError::Broken);
        }
        match file_system::free(&self.path) {
            Ok(free) if free < ROOM_TO_PUT => {
                Err(FileSystem::of(&self.path).map_or_else(io_error("look at", &self.path), StoreError::Full))
            }
            // sled will say what it thinks of a system that does not.
            _ => Ok(()),
        }
    }

    /// Takes note of a failure that leaves open what is on the disk.
    fn fails(&mut self, error: StoreError) -> StoreError {
        self.is_broken = true;
        self.named(error)
    }

    /// Names the file system where the disk is full.
    fn named(&self, error: StoreError) -> StoreError {
        match self.file_system() {
            Ok(file_system) if error.is_full() => StoreError::Full(file_system),
            _ => error,
        }
    }
}

fn removed_slot(change: &Change) -> Option<u32> {
    match change {
        Change::Removed(_, slot) => Some(*slot),
        _ => None,
    }
}

fn moved_slot(change: &Change) -> Option<u32> {
    match change {
        Change::Moved(_, slot) => Some(*slot),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
