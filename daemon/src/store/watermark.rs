//! How many commits the store held when it was last opened or closed, in a file of its own.
//!
//! sled takes a damaged log for one that ends where the damage begins, and opens with what is before it:
//! a vault that has lost sessions, or all of them, and looks healthy. Each commit therefore counts itself
//! in its own batch. A store that holds fewer than this file says has lost some.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The number that was noted; 0 where none was.
///
/// # Errors
///
/// When the file cannot be read, or holds no number.
pub(super) fn read(store: &Path) -> io::Result<u64> {
    match fs::read_to_string(store.join(FILE)) {
        Ok(text) => text.trim_ascii().parse().map_err(|_| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Notes a number, so that a crash leaves it or the one before. What it counts has to be on the disk.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn write(store: &Path, commits: u64) -> io::Result<()> {
    let unfinished = store.join("commits.new");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{commits}")?;
    file.sync_all()?;
    fs::rename(&unfinished, store.join(FILE))?;
    File::open(store)?.sync_all()
}

const FILE: &str = "commits";
