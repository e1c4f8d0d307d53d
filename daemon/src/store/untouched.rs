//! [`Untouched`]: a database as it was before sled opened it.
//!
//! sled repairs what it opens, and on a damaged file its repair is to cut off what follows the damage. A
//! store that is refused has to stay as it was, so that a rescue finds all that is left.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{StoreError, io_error};

/// A copy of a database's directory, to be put back or discarded. Where neither happens, the next start
/// removes it, unless the original is missing.
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
