//! [`Untouched`]: a database as it was before sled opened it.
//!
//! sled repairs what it opens, and on a damaged file its repair is to cut off what follows the damage. A store that is
//! refused has to stay as it was, so that a rescue finds all that is left. It is therefore copied first, unless it is to
//! the byte what a daemon left that was stopped.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{StoreError, io_error};

/// What says how a daemon left the database that it stopped with, beside the database.
const FILE: &str = "stopped";

/// A copy of a database's directory, to be put back or discarded. Where neither happens, the next start
/// removes it.
pub(super) struct Untouched {
    original: PathBuf,
    copy: PathBuf,
}

impl Untouched {
    /// Copies what sled might change.
    pub(super) fn copy(database: &Path) -> Result<Self, StoreError> {
        let new = Self { original: database.to_owned(), copy: database.with_extension("untouched") };
        copy_files(&new.original, &new.copy).map_err(|error| {
            // Half a copy is of no use, and the disk may be full.
            let _ = fs::remove_dir_all(&new.copy);
            io_error("copy", database)(error)
        })?;
        Ok(new)
    }

    /// Puts the copy in the place of what sled made of the original.
    pub(super) fn put_back(self) -> Result<(), StoreError> {
        let touched = self.original.with_extension("touched");
        File::open(self.copy.join("db"))
            .and_then(|copy| copy.sync_all())
            .and_then(|()| fs::rename(&self.original, &touched))
            .and_then(|()| fs::rename(&self.copy, &self.original))
            .and_then(|()| fs::remove_dir_all(&touched))
            .map_err(io_error("put back", &self.original))
    }

    /// Removes the copy: the original is sound.
    pub(super) fn discard(self) {
        // Where this fails, the next start does it.
        let _ = fs::remove_dir_all(&self.copy);
    }
}

/// Whether a database is as the daemon left it that stopped with it.
pub(super) fn is_as_left(store: &Path, database: &Path) -> bool {
    let said = fs::read_to_string(store.join(FILE)).ok();
    said.is_some() && said == as_it_is(database).ok()
}

/// Says how a database is left. It must be closed.
///
/// # Errors
///
/// When the disk failed. The next start then copies it.
pub(super) fn say_as_left(store: &Path, database: &Path) -> Result<(), StoreError> {
    let path = store.join(FILE);
    as_it_is(database).and_then(|text| fs::write(&path, text)).map_err(io_error("write", &path))
}

/// What a database is like: its name, and the length and CRC-32 of its file.
fn as_it_is(database: &Path) -> io::Result<String> {
    const BYTES_PER_STEP: usize = 1024 * 1024;
    let mut file = File::open(database.join("db"))?;
    // sled's threads may go on for a moment after it was closed.
    file.lock()?;
    let (mut hasher, mut bytes) = (crc32fast::Hasher::new(), vec![0; BYTES_PER_STEP]);
    let mut length = 0;
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            break;
        }
        hasher.update(&bytes[..read]);
        length += read;
    }
    let name = database.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name} {length} {:08x}\n", hasher.finalize()))
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
