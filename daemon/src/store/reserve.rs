//! A reserve of room on the disk, which a start may give up: sled does not open where there is none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::{StoreError, io_error};
use super::file_system::free;
use crate::limits::ROOM_TO_PUT;
use crate::seal::fill_random;

const FILE: &str = "reserve";

/// A reserve that is to be made.
#[derive(Debug)]
pub struct Reserve {
    store: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// That of a store whose database has this size: what sled writes when it opens.
    pub(super) fn of(store: &Path, database_bytes: u64) -> Self {
        const LEAST: u64 = 4 * 1024 * 1024;
        const SHARE: u64 = 32;
        Self { store: store.to_owned(), bytes: LEAST + database_bytes / SHARE }
    }

    /// Makes it if it is missing or too small, and there is more room than it takes. Where there is not, a later start
    /// does. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed, or is full after all. Nothing is left then.
    pub fn make(self) -> Result<(), StoreError> {
        let Self { store, bytes } = self;
        let path = store.join(FILE);
        let there = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let room = free(&store).map_err(io_error("look at", &store))?;
        if there >= bytes || room < bytes + ROOM_TO_PUT {
            return Ok(());
        }
        let written = write(&path, bytes);
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map_err(io_error("write", &path))
    }
}

/// Real bytes: a file system may not keep room for what was only asked for.
fn write(path: &Path, bytes: u64) -> io::Result<()> {
    const BYTES_PER_STEP: usize = 256 * 1024;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut step = vec![0; BYTES_PER_STEP];
    while left > 0 {
        let now = left.min(step.len());
        fill_random(&mut step[..now]);
        file.write_all(&step[..now])?;
        left -= now;
    }
    file.sync_all()
}

/// Gives the reserve up. Answers whether there was one.
pub(super) fn give_up(store: &Path) -> bool {
    let is_given_up = fs::remove_file(store.join(FILE)).is_ok();
    // The room is there when the disk knows.
    is_given_up && File::open(store).and_then(|store| store.sync_all()).is_ok()
}
