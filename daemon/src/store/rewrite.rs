//! Rewriting: the vault goes into a fresh database, and the one with its garbage is removed.
//!
//! sled neither shrinks its file nor gives back the memory for what is gone, and after a clear-all nearly
//! all of it is gone. While the new database is written beside the old one, the old one goes on taking
//! commits; what they changed is then written too, and at last `current` names the new one. Records are copied
//! as they are, sealed, so that a locked vault is rewritten too.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::current::Current;
use super::database::Database;
use super::{StoreError, io_error};
use crate::vault::{Change, Vault};

/// Changes that are written at once.
const WRITTEN_PER_STEP: usize = 500;

/// A new database that is to hold a vault.
#[derive(Debug)]
pub struct Rewrite {
    pub(super) store: PathBuf,
    pub(super) number: u64,
    pub(super) generation: u64,
    pub(super) cancelled: Arc<AtomicBool>,
}

impl Rewrite {
    /// Set this, and [`Rewrite::write`] ends soon, with `None`.
    #[must_use]
    pub fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Writes the vault. Blocks on the disk, for long when the vault is large.
    ///
    /// # Errors
    ///
    /// When the disk failed. The current database is unharmed.
    pub fn write(self, vault: &Vault) -> Result<Option<Rewritten>, StoreError> {
        let path = Current::directory(&self.store, self.number);
        let mut database = Database::create(&path, self.generation)?;
        let mut changes = vault.as_changes();
        loop {
            let step: Vec<_> = changes.by_ref().take(WRITTEN_PER_STEP).collect();
            if step.is_empty() {
                break;
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
            database.prepare(&step)?;
        }
        database.commit(&[])?;
        Ok(Some(Rewritten { database, number: self.number }))
    }
}

/// A database that holds the vault as it was when the rewriting began.
#[derive(Debug)]
pub struct Rewritten {
    pub(super) database: Database,
    pub(super) number: u64,
}

impl Rewritten {
    /// Writes what was committed since. Afterwards it holds the same as the current database.
    ///
    /// # Errors
    ///
    /// When the disk failed. The current database is unharmed.
    pub fn catch_up(&mut self, since: &[Change]) -> Result<(), StoreError> {
        for step in since.chunks(WRITTEN_PER_STEP) {
            self.database.prepare(step)?;
        }
        self.database.commit(&[])
    }
}

/// The database that was current before.
#[derive(Debug)]
pub struct Superseded {
    pub(super) database: Database,
    pub(super) path: PathBuf,
}

impl Superseded {
    /// Closes and removes it. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be removed; the next start tries again.
    pub fn remove(self) -> Result<(), StoreError> {
        let Self { database, path } = self;
        drop(database);
        fs::remove_dir_all(&path).map_err(io_error("remove", &path))
    }
}
