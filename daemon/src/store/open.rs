//! A start: what is in the two halves is brought to the disk, compared, and made one vault.

use std::fs::File;
use std::path::Path;

use super::error::{StoreError, io_error};
use super::keys::{self, Keys, Note};
use super::proof::Proof;
use super::records::record::VaultRecord;
use super::records::{self, Counts, Database};
use super::recover::{Recovered, living};
use super::untouched::{self, Untouched};
use super::{Store, format, rekey, reserve};
use crate::vault::Vault;

impl Store {
    /// Opens the store in `data_dir`, or makes one, and reads all of it. What was removed and not told to the database
    /// is gone. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, has another format, or is damaged. It is then as it was.
    pub fn open(data_dir: &Path) -> Result<(Self, Vault), StoreError> {
        let path = format::ready(data_dir)?;
        // Which file has which name is what the disk says, not what a crash left in the system's memory.
        File::open(&path).and_then(|store| store.sync_all()).map_err(io_error("sync", &path))?;
        let (keys, ..) = Keys::open(&path.join(keys::FILE))?;
        let number = keys.state().database;
        drop(keys);
        let database = records::directory(&path, number);
        if !database.join("db").exists() {
            return Err(StoreError::damaged(&database, "its file `db` is missing"));
        }
        // Before anything is changed: its owner may live, though nobody holds the lock of the vault.
        records::wait_until_closed(&database)?;
        records::remove_others(&path, number)?;
        let copy = copy(&path, &database)?;
        let opened = Self::read(data_dir, &path, &database).or_else(|error| {
            if error.is_full() && reserve::give_up(&path) {
                tracing::warn!(%error, "the disk is full: the reserve is given up");
                return Self::read(data_dir, &path, &database);
            }
            Err(error)
        });
        match (opened, copy) {
            (Ok(opened), copy) => {
                copy.into_iter().for_each(Untouched::discard);
                Ok(opened)
            }
            (Err(error), Some(copy)) => {
                copy.put_back()?;
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn read(data_dir: &Path, path: &Path, database: &Path) -> Result<(Self, Vault), StoreError> {
        let (mut keys, header, slots) = Keys::open(&path.join(keys::FILE))?;
        let records = Database::open(database)?;
        let counts = records.counts()?;
        compare(database, keys.last(), counts)?;
        let damaged = |what: &str| StoreError::damaged(path, what);
        let bytes = records.vault_record()?;
        let VaultRecord { id, proof } = VaultRecord::decode(&bytes).map_err(damaged)?;
        if id != header.vault {
            return Err(damaged("its file `keys` is that of another vault"));
        }
        let proof = match proof.map(|part| living(&slots, part)).transpose().map_err(damaged)? {
            Some(Some(sealed)) => Proof::There(sealed),
            Some(None) => Proof::Gone,
            None => Proof::NotYet,
        };
        let mut recovered = Recovered::new(&slots);
        records.read_all(keys.state().generation, &mut |entry| recovered.take(entry))?;
        let (stored, owed) = recovered.finish();
        let vault = Vault::restore(stored).map_err(|error| damaged(&error.to_string()))?;
        if !vault.slots().chain(proof.sealed().map(crate::seal::Sealed::slot)).all(|slot| keys.take(slot)) {
            return Err(damaged("two records have the same slot"));
        }
        // Only now: both halves are on the disk, and sound.
        rekey::remove_unfinished(path)?;
        keys.set_commits(counts.commits);
        let commits = keys.count_on();
        keys.sweep(owed.is_empty())?;
        if let Some(before) = &header.before {
            before.remove(data_dir);
        }
        let (path, data_dir) = (path.to_owned(), data_dir.to_owned());
        Ok((Self { path, data_dir, keys, header, proof, records, commits, owed, is_broken: false }, vault))
    }
}

/// Copies the database, unless it is as a daemon left it, or there is no room for a copy.
fn copy(store: &Path, database: &Path) -> Result<Option<Untouched>, StoreError> {
    if untouched::is_as_left(store, database) {
        return Ok(None);
    }
    match Untouched::copy(database) {
        Ok(copy) => Ok(Some(copy)),
        // To serve is more than to leave everything as it was.
        Err(error) if error.is_full() => {
            tracing::warn!(%error, "the database is opened without a copy of it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Refuses halves of different copies: each has to be at least as far as the other says.
fn compare(database: &Path, keys: Note, records: Counts) -> Result<(), StoreError> {
    let lost = |half: &str, had: u64, left: u64| {
        let what = format!("its {half} held {had} changes and {left} of them are left, so it is older than the rest");
        Err(StoreError::damaged(database, what))
    };
    if records.commits < keys.commits {
        return lost("database", keys.commits, records.commits);
    }
    if keys.writes < records.writes {
        return lost("file `keys`", records.writes, keys.writes);
    }
    Ok(())
}
