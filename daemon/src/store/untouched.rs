//! [`Untouched`]: a database as it was before sled opened it.
//!
//! sled repairs what it opens, and on a damaged file its repair is to cut off what follows the damage. A
//! store that is refused has to stay as it was, so that a rescue finds all that is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{StoreError, io_error};

/// A copy of a database's directory. Removed unless it is put back.
pub(super) struct Untouched {
    original: PathBuf,
    copy: PathBuf,
}

impl Untouched {
    /// Copies what sled might change.
    pub(super) fn copy(database: &Path) -> Result<Self, StoreError> {
        let copy = database.with_extension("untouched");
        let new = Self { original: database.to_owned(), copy };
        copy_files(&new.original, &new.copy).map_err(io_error("copy", database))?;
        Ok(new)
    }

    /// Puts the copy in the place of what sled made of the original.
    pub(super) fn put_back(self) -> Result<(), StoreError> {
        let touched = self.original.with_extension("touched");
        fs::rename(&self.original, &touched)
            .and_then(|()| fs::rename(&self.copy, &self.original))
            .and_then(|()| fs::remove_dir_all(&touched))
            .map_err(io_error("put back", &self.original))
    }
}

impl Drop for Untouched {
    fn drop(&mut self) {
        // Where this fails, the next start removes it.
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
