//! [`Store`]: sessions and key pairs on disk. It decides nothing.
//!
//! # Layout
//!
//! ```text
//! store/format     the format of all this: 1
//! store/current    the number of the database that holds the vault, and its commits when last noted
//! store/sled.1/    that database
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
//! - No record is over [`MAX_RECORD_BYTES`], so that nothing that sled writes is so large that it goes
//!   into one of the files that sled never syncs.
//! - What is read at a start is on the disk before anybody sees it.
//! - A store of another format is refused before sled touches it. One that cannot be read, contradicts
//!   itself, or has lost commits since it was last opened or closed is refused too, and is afterwards as it
//!   was before.

mod current;
mod database;
mod format;
pub mod record;
mod rewrite;
mod untouched;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::current::Current;
use self::database::Database;
use self::untouched::Untouched;
use crate::vault::{Change, Vault};

pub use self::record::MAX_RECORD_BYTES;
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
}

/// Why the store cannot be opened, or cannot be written to any more.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// sled failed: the disk, or what is on it.
    #[error("the store failed: {0}")]
    Engine(#[from] sled::Error),
    /// The store was written by a later release.
    #[error("the store in {} has format {found}, and this release knows format {known}: use a newer keyfobd", path.display())]
    Future {
        /// The store's directory.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The format that this release writes.
        known: u32,
    },
    /// What is in the store makes no sense. It is not served, and left as it is.
    #[error(
        "the store in {} is damaged ({what}) and not served. Restore it from a backup, or move it away to start empty",
        path.display()
    )]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What makes no sense.
        what: String,
    },
}

impl StoreError {
    fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

impl Store {
    /// Opens the store in `data_dir`, or makes one, and reads all of it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, has another format, or is damaged. It is then as it was.
    pub fn open(data_dir: &Path) -> Result<(Self, Vault), StoreError> {
        let path = format::ready(data_dir)?;
        let current = Current::read(&path)?;
        let directory = Current::directory(&path, current.number);
        if !directory.join("db").exists() {
            return Err(StoreError::damaged(&directory, "its file `db` is missing"));
        }
        current.remove_others(&path)?;
        let untouched = Untouched::copy(&directory)?;
        match Self::read(path, current) {
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

    fn read(path: PathBuf, current: Current) -> Result<(Self, Vault), StoreError> {
        let directory = Current::directory(&path, current.number);
        let database = Database::open(&directory)?;
        let commits = database.commits();
        if commits < current.commits {
            let what = format!("it held {} changes and {commits} of them are left", current.commits);
            return Err(StoreError::damaged(&directory, what));
        }
        let vault = Vault::restore(database.read_all(&directory)?)
            .map_err(|error| StoreError::damaged(&directory, error.to_string()))?;
        Current { commits, ..current }.write(&path)?;
        Ok((Self { path, number: current.number, database }, vault))
    }

    /// Makes the changes durable, all or none. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed. Whether the changes are durable is then decided at the next start, and
    /// nothing that is written later can be trusted.
    pub fn commit<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) -> Result<(), StoreError> {
        self.database.commit(changes)
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
        Rewrite { store: self.path.clone(), number: self.number + 1, cancelled: Arc::new(AtomicBool::new(false)) }
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

/// Completes a [`StoreError::Io`].
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
