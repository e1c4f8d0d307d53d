//! [`Current`]: which database holds the vault, and how many commits it held when it was last opened or
//! closed, in a file of its own.
//!
//! Replacing this file is how the store moves from one database to the next. The count is there because
//! sled takes a damaged log for one that ends where the damage begins, and opens with what is before it: a
//! vault that has lost sessions, or all of them, and looks healthy. Each commit counts itself in its own
//! batch, and a database that holds fewer than this file says has lost some.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{StoreError, io_error};

/// The database that holds the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Current {
    /// The number in the name of its directory.
    pub(super) number: u64,
    /// The commits that it holds at least.
    pub(super) commits: u64,
}

impl Current {
    /// What a new store begins with.
    pub(super) const FIRST: Self = Self { number: 1, commits: 0 };

    /// What the store says.
    pub(super) fn read(store: &Path) -> Result<Self, StoreError> {
        let path = store.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| StoreError::damaged(store, "its file `current` is not one")),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Err(StoreError::damaged(store, "its file `current` is missing or no text"))
            }
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, commits) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self { number: number.parse().ok()?, commits: commits.parse().ok()? })
    }

    /// Makes this durable, so that a crash leaves it or what was there before. The database has to be on
    /// the disk already.
    pub(super) fn write(self, store: &Path) -> Result<(), StoreError> {
        let replace = || -> io::Result<()> {
            let unfinished = store.join("current.new");
            let mut file = File::create(&unfinished)?;
            file.write_all(format!("{} {}\n", self.number, self.commits).as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, store.join(FILE))?;
            File::open(store)?.sync_all()
        };
        replace().map_err(io_error("write", &store.join(FILE)))
    }

    /// Where a database of this number is.
    pub(super) fn directory(store: &Path, number: u64) -> PathBuf {
        store.join(format!("{PREFIX}{number}"))
    }

    /// Removes every database but this one: what a crash, or a failure, left of another.
    pub(super) fn remove_others(self, store: &Path) -> Result<(), StoreError> {
        let current = Self::directory(store, self.number);
        for entry in fs::read_dir(store).map_err(io_error("list", store))? {
            let path = entry.map_err(io_error("list", store))?.path();
            let is_database = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
            if is_database && path != current {
                fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }
}

const FILE: &str = "current";
const PREFIX: &str = "sled.";
