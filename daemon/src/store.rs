//! [`Store`]: sessions and key pairs on disk. It decides nothing.
//!
//! # Layout
//!
//! ```text
//! store/format     the format of all this: 1
//! store/current    the number of the database that holds the vault, and its commits when last noted
//! store/sled.1/    that database: the records, sealed
//! store/keys       what they are sealed with, wrapped under a root key; overwritten in place
//! key-0123abcd     beside the store: the key file, where that is what the root key is wrapped under
//! ```
//!
//! A database is one sled tree, its keys apart by their first byte:
//!
//! | key | value |
//! | --- | --- |
//! | `n` | the current generation, 8 bytes big-endian |
//! | `c` | the number of commits, 8 bytes big-endian |
//! | `u` + public key | an unused key pair |
//! | `g` + generation + `a` | the active session key |
//! | `g` + generation + `s` + session key | a session |
//! | `g` + generation + `k` + public key | a key pair in use |
//!
//! # Invariants
//!
//! - [`Store::commit`] returns `Ok` only when the changes are on the disk.
//! - Clear-all is one small record whatever the number of sessions: the next generation begins, and
//!   what lies under the old one is invisible at once. The bytes go when the vault is rewritten into a
//!   fresh database ([`Rewrite`]), which happens as soon as most of the file is garbage.
//! - What a commit removes is erased before [`Store::commit`] returns: its key is overwritten in place, and
//!   nothing opens the record any more, wherever copies of it are left. A clear-all does it by overwriting
//!   one secret.
//! - No record is over [`MAX_RECORD_BYTES`], so that nothing that sled writes is so large that it goes
//!   into one of the files that sled never syncs.
//! - What is read at a start is on the disk before anybody sees it.
//! - A store of another format is refused before sled touches it. One that cannot be read, contradicts
//!   itself, or has lost commits since it was last opened or closed is refused too, and is afterwards as it
//!   was before.

mod current;
mod database;
mod error;
mod format;
mod header;
mod keys;
mod lock;
pub mod record;
mod rekey;
mod rewrite;
mod untouched;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::current::Current;
use self::database::Database;
use self::error::io_error;
use self::header::Header;
use self::keys::{Contents, Keys};
use self::untouched::Untouched;
use crate::seal::{Key, Scope, Supply};
use crate::vault::{Change, Scopes, Vault};

pub use self::error::StoreError;
pub(crate) use self::lock::not_its_key;
pub use self::record::MAX_RECORD_BYTES;
pub use self::rekey::{RekeyError, RekeyProgress};
pub use self::rewrite::{Rewrite, Rewritten, Superseded};

/// A database this small is never worth rewriting, in bytes.
const WORTH_REWRITING_BYTES: u64 = 8 * 1024 * 1024;

/// What a database may take for each record before it is rewritten, in bytes.
const GENEROUS_RECORD_BYTES: u64 = 2048;

/// The vault's records on disk. There is one owner, and it does not share.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// The number of the current database.
    number: u64,
    database: Database,
    data_dir: PathBuf,
    keys: Keys,
    header: Header,
    /// While the vault is unlocked.
    root: Option<Key>,
    /// What the vault's records are sealed in.
    scopes: Scopes,
    /// The number of clear-alls before what the scopes are for.
    generation: u64,
    /// The secrets of this generation and the next, each at its number modulo 2.
    generations: [keys::Secret; 2],
    /// The scope that begins with the next clear-all.
    next: Arc<Scope>,
}

impl Store {
    /// Opens the store in `data_dir`, or makes one, and reads all of it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, has another format, or is damaged. It is then as it was.
    pub fn open(data_dir: &Path) -> Result<(Self, Vault), StoreError> {
        let (path, is_new) = format::ready(data_dir)?;
        let current = Current::read(&path)?;
        let directory = Current::directory(&path, current.number);
        if !directory.join("db").exists() {
            return Err(StoreError::damaged(&directory, "its file `db` is missing"));
        }
        current.remove_others(&path)?;
        let untouched = Untouched::copy(&directory)?;
        match Self::read(data_dir, path, current, is_new) {
            Ok(opened) => {
                untouched.discard();
                Ok(opened)
            }
            Err(error) => {
                untouched.put_back()?;
                Err(error)
            }
        }
    }

    fn read(data_dir: &Path, path: PathBuf, current: Current, is_new: bool) -> Result<(Self, Vault), StoreError> {
        let directory = Current::directory(&path, current.number);
        let database = Database::open(&directory)?;
        let commits = database.commits();
        if commits < current.commits {
            let what = format!("it held {} changes and {commits} of them are left", current.commits);
            return Err(StoreError::damaged(&directory, what));
        }
        let (mut keys, header, mut generations, contents) = Keys::open(&path.join(Keys::FILE))?;
        let scopes = Scopes::locked();
        let vault = read_vault(&database, &directory, scopes.clone(), &mut keys, &contents)?;
        Current { commits, ..current }.write(&path)?;
        // Only now: whichever of the two files is in force, it is so on the disk, and it is sound.
        rekey::remove_unfinished(&path)?;
        let generation = database.generation();
        if !is_new {
            generations[place(generation + 1)] = keys.sweep(generation)?;
        }
        if let Some(before) = &header.before {
            before.remove(data_dir);
        }
        let (data_dir, number, next) = (data_dir.to_owned(), current.number, Scope::locked());
        let store =
            Self { path, number, database, data_dir, keys, header, root: None, scopes, generation, generations, next };
        Ok((store, vault))
    }

    /// A supply with nothing at hand.
    #[must_use]
    pub fn supply(&self) -> Supply {
        Supply { slots: Vec::new(), next: Some(Arc::clone(&self.next)) }
    }

    /// Sees to it that a supply lasts for this many records. Blocks on the disk now and then.
    ///
    /// # Errors
    ///
    /// When the disk failed.
    pub fn replenish(&mut self, supply: &mut Supply, records: usize) -> Result<(), StoreError> {
        self.keys.replenish(supply, records)
    }

    /// Makes the changes durable, all or none, and then erases the keys of what they removed: those in these
    /// slots, and where all was cleared all others of its generation. What was erased comes into the supply as
    /// new. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed. Whether the changes are durable is then decided at the next start, and
    /// nothing that is written later can be trusted.
    pub fn commit(&mut self, changes: &[Change], erased: &[u32], supply: &mut Supply) -> Result<(), StoreError> {
        let before = self.database.generation();
        self.database.commit(changes)?;
        for change in changes {
            if let Change::PutUnused(pair) = change {
                self.keys.take(pair.sealed().slot(), true);
            }
        }
        self.keys.release(erased);
        let cleared = changes.iter().position(|change| matches!(change, Change::ClearAll));
        if let Some(at) = cleared {
            self.keys.begin_generation(supply);
            for change in &changes[at..] {
                let sealed = match change {
                    Change::PutSession(_, session) => session.sealed(),
                    Change::PutInUse(pair) => pair.sealed(),
                    _ => continue,
                };
                self.keys.take(sealed.slot(), false);
            }
        }
        let secret = self.keys.erase(erased, cleared.map(|_| before), supply)?;
        if let Some(secret) = secret {
            self.generations[place(before)] = secret;
            self.generation += 1;
            self.scopes.in_use = std::mem::replace(&mut self.next, Scope::locked());
            supply.next = Some(Arc::clone(&self.next));
            self.unlock_scopes();
        }
        Ok(())
    }

    /// The size of the database's file in bytes; 0 when the system does not say.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.database.bytes().unwrap_or_default()
    }

    /// Whether most of the database's file is garbage, when it has to hold this many sessions and key pairs.
    #[must_use]
    pub fn is_wasteful(&self, records: usize) -> bool {
        self.bytes() > WORTH_REWRITING_BYTES + GENEROUS_RECORD_BYTES * records as u64
    }

    /// Begins to rewrite the vault into a fresh database; see [`Rewrite`].
    #[must_use]
    pub fn rewrite(&self) -> Rewrite {
        Rewrite {
            store: self.path.clone(),
            number: self.number + 1,
            generation: self.database.generation(),
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Makes a database that has caught up the current one. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed. Which of the two a next start would open is then unknown, so nothing may be
    /// committed to either.
    pub fn switch_to(&mut self, new: Rewritten) -> Result<Superseded, StoreError> {
        let Rewritten { database, number } = new;
        Current { number, commits: database.commits() }.write(&self.path)?;
        let path = Current::directory(&self.path, self.number);
        self.number = number;
        Ok(Superseded { database: std::mem::replace(&mut self.database, database), path })
    }

    /// Removes what a rewriting that failed has left.
    ///
    /// # Errors
    ///
    /// When it cannot be removed; the next start tries again.
    pub fn remove_unfinished(&self) -> Result<(), StoreError> {
        self.current().remove_others(&self.path)
    }

    fn current(&self) -> Current {
        Current { number: self.number, commits: self.database.commits() }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // All of these commits are on the disk. Without the note the next start checks against the last.
        if let Err(error) = self.current().write(&self.path) {
            tracing::warn!(%error, "the number of commits is not noted");
        }
    }
}

/// Where the secret of a generation is kept, of two.
fn place(generation: u64) -> usize {
    usize::from(!generation.is_multiple_of(2))
}

/// The vault that a database holds, sealed with what is in these slots.
fn read_vault(
    database: &Database,
    directory: &Path,
    scopes: Scopes,
    keys: &mut Keys,
    contents: &Contents,
) -> Result<Vault, StoreError> {
    let mut take = |number, is_unused| {
        let slot = contents.slot(number).ok_or("the key of a record is missing")?;
        if keys.take(number, is_unused) { Ok(slot) } else { Err("two records have the same key") }
    };
    let stored = database.read_all(directory, scopes, &mut take)?;
    Vault::restore(stored).map_err(|error| StoreError::damaged(directory, error.to_string()))
}

#[cfg(test)]
mod tests;
