//! Rewriting: the records go into a fresh database, and the one with its garbage is removed.
//!
//! sled neither shrinks its file nor gives back the memory for what is gone, and after a clear-all nearly
//! all of it is gone. While the new database is written beside the old one, the old one goes on taking commits. The
//! names that they concern are noted, and at the end the new database is told what these stand for then. Records are
//! copied as they are, sealed, so that a locked vault is rewritten too.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::database::{Batch, Database};
use crate::limits::NAMES_PER_BATCH;
use crate::store::error::{StoreError, io_error};
use crate::vault::{Name, Vault};

/// A new database that is to hold the records of a generation.
#[derive(Debug)]
pub struct Rewrite {
    pub(in crate::store) path: PathBuf,
    pub(in crate::store) number: u64,
    pub(in crate::store) generation: u64,
    pub(in crate::store) vault_record: Vec<u8>,
    pub(in crate::store) cancelled: Arc<AtomicBool>,
}

/// A database that holds what each name stood for at some moment since the rewriting began.
#[derive(Debug)]
pub struct Rewritten {
    pub(in crate::store) database: Database,
    pub(in crate::store) number: u64,
    pub(in crate::store) generation: u64,
}

/// The database that was in force before.
#[derive(Debug)]
pub struct Superseded(pub(in crate::store) Database);

impl Rewrite {
    /// Set this, and [`Rewrite::write`] ends soon, with `None`.
    #[must_use]
    pub fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Writes what the vault holds, a part at a time. `vault` answers it as it is at each moment: what is cleared in the
    /// meantime is not kept. Blocks on the disk, for long when the vault is large.
    ///
    /// # Errors
    ///
    /// When the disk failed. The database in force is unharmed.
    pub fn write(self, vault: impl Fn() -> Arc<Vault>) -> Result<Option<Rewritten>, StoreError> {
        let Self { path, number, generation, vault_record, cancelled } = self;
        let mut database = Database::create(&path)?;
        let mut batch = Batch::default();
        batch.vault(vault_record);
        database.prepare(batch, 1)?;
        let mut last = None;
        loop {
            let vault = vault();
            let names = vault.names_after(last.as_ref(), NAMES_PER_BATCH);
            if cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let mut batch = Batch::default();
            for name in &names {
                batch.tell(generation, name, vault.record(name));
            }
            database.prepare(batch, names.len())?;
            last = match names.last() {
                Some(name) if names.len() == NAMES_PER_BATCH => Some(name.clone()),
                _ => break,
            };
        }
        database.commit(Batch::default(), 0)?;
        Ok(Some(Rewritten { database, number, generation }))
    }
}

impl Rewritten {
    /// Tells it what has changed since.
    ///
    /// # Errors
    ///
    /// When the disk failed. The database in force is unharmed.
    pub fn catch_up<'a>(&mut self, changed: impl Iterator<Item = &'a Name>, vault: &Vault) -> Result<(), StoreError> {
        let mut names = changed.peekable();
        while names.peek().is_some() {
            let mut batch = Batch::default();
            for name in names.by_ref().take(NAMES_PER_BATCH) {
                batch.tell(self.generation, name, vault.record(name));
            }
            self.database.prepare(batch, NAMES_PER_BATCH)?;
        }
        Ok(())
    }
}

impl Superseded {
    /// Closes and removes it. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be removed; the next start tries again.
    pub fn remove(self) -> Result<(), StoreError> {
        let path = self.0.path().to_owned();
        drop(self.0);
        fs::remove_dir_all(&path).map_err(io_error("remove", &path))
    }
}
