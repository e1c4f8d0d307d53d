//! [`StoreError`]: what can be wrong with the disk, or with what is on it.

use std::io;
use std::path::{Path, PathBuf};

use super::file_system::FileSystem;

/// Why the store cannot be opened, or cannot be written to any more.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// sled failed: the disk, or what is on it.
    #[error("the store failed: {}", plain(.0))]
    Engine(#[from] sled::Error),
    /// There is too little room, and nothing was tried; or the system said so.
    #[error("no space left on device (ENOSPC): {0}")]
    Full(FileSystem),
    /// The disk failed before, so nothing was tried.
    #[error("the disk failed before")]
    Broken,
    /// Another process has the database open.
    #[error(
        "another keyfobd has the database in {} open, though nobody holds the file `lock` of its vault: was that removed? \
         Stop the other daemon first",
        path.display()
    )]
    InUse {
        /// The database's directory.
        path: PathBuf,
    },
    /// The store was written by a later release.
    #[error("the store in {} has format {found}, and this release knows format {known}: use a newer keyfobd", path.display())]
    Future {
        /// The store's directory.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The format that this release writes.
        known: u32,
    },
    /// What is in the store makes no sense. It is not served, and left as it is.
    #[error(
        "the store in {} is damaged ({what}) and not served. Restore it from a backup, or move it away to start empty",
        path.display()
    )]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What makes no sense.
        what: String,
    },
}

impl StoreError {
    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Whether more room would have helped.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            Self::Io { source, .. } => is_full(source.kind()),
            Self::Engine(sled::Error::Io(error)) => is_full(error.kind()),
            Self::Full(_) => true,
            Self::Engine(_) | Self::Broken | Self::InUse { .. } | Self::Future { .. } | Self::Damaged { .. } => false,
        }
    }
}

/// The system's reason, where sled has one.
fn plain(error: &sled::Error) -> String {
    match error {
        sled::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Completes a [`StoreError::Io`].
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}
