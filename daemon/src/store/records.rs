//! [`Database`]: what each session and key pair is called, and what it says, sealed. It knows nothing of what lives.

mod database;
mod entry;
pub mod record;
mod rewrite;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};

pub(super) use self::database::{Batch, Counts, Database, wait_until_closed};
pub(super) use self::entry::Entry;
pub use self::rewrite::{Rewrite, Rewritten, Superseded};
use super::error::{StoreError, io_error};

#[cfg(test)]
pub(super) use self::database::open_sled;

/// What the directories of databases are called, before their numbers.
const PREFIX: &str = "records.";

/// Where the database of a number is.
pub(super) fn directory(store: &Path, number: u64) -> PathBuf {
    store.join(format!("{PREFIX}{number}"))
}

/// Removes every database but this one: what a crash, or a failure, left of another.
pub(super) fn remove_others(store: &Path, number: u64) -> Result<(), StoreError> {
    let current = directory(store, number);
    for entry in fs::read_dir(store).map_err(io_error("list", store))? {
        let path = entry.map_err(io_error("list", store))?.path();
        let is_database = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if is_database && path != current {
            fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}
