//! [`Error`]: why a daemon does not start.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use keyfob_proto::{EndpointError, PlaceError};

use crate::file_lock::LockError;
use crate::store::StoreError;

/// What a directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The vault.
    Vault,
    /// The socket.
    Socket,
}

impl Purpose {
    /// How another one is named.
    pub(crate) fn named_by(self) -> &'static str {
        match self {
            Self::Vault => "--data-dir or KEYFOB_DATA_DIR",
            Self::Socket => "--socket or KEYFOB_SOCKET",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vault => "the data directory",
            Self::Socket => "the socket's directory",
        })
    }
}

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no place for the vault, or none that a socket can have.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A flag, or a variable of the environment, has no value that makes sense.
    #[error("{0}")]
    Usage(String),
    /// A directory belongs to somebody else.
    #[error("{} belongs to user {owner}, and you are user {own}{}", path.display(), as_root(*own))]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who the daemon is.
        own: u32,
    },
    /// Others can enter a directory that was named.
    #[error(
        "others can enter {}, or read it: keyfob needs a directory of its own (mode 700), so make one, or `chmod 700` it if \
         it is that", path.display()
    )]
    NotPrivate {
        /// The directory.
        path: PathBuf,
    },
    /// A directory has something else in it.
    #[error("{} is not empty and holds no vault: name a directory of its own", path.display())]
    NotAVault {
        /// The directory.
        path: PathBuf,
    },
    /// A directory cannot be made, or not be used.
    #[error(
        "cannot {action} {purpose} {}: {source}; name another with {}", path.display(), purpose.named_by()
    )]
    Directory {
        /// What was tried.
        action: &'static str,
        /// What it is for.
        purpose: Purpose,
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The unit that started the daemon does not let it write there.
    #[error(
        "{reason}. The unit keyfobd.service lets it write to its own directory alone: `systemctl --user edit keyfobd.service`, \
         add the two lines `[Service]` and `BindPaths={}`, and `systemctl --user restart keyfobd.socket`", path.display()
    )]
    OutsideUnit {
        /// What was refused.
        reason: String,
        /// The data directory.
        path: PathBuf,
    },
    /// The directory of a socket that was named is not there.
    #[error("the directory {} for the socket is not there: make it, or name another socket", path.display())]
    NoSocketDir {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be locked.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LockError,
    },
    /// The system allows too few open files.
    #[error("the system allows {limit} open files, and keyfobd needs {needed}: raise the limit (`ulimit -n`)")]
    TooFewFiles {
        /// The limit.
        limit: u64,
        /// The least.
        needed: u64,
    },
    /// Another daemon has the vault.
    #[error("the vault in {} is held by another keyfobd ({holder})", path.display())]
    VaultHeld {
        /// The data directory.
        path: PathBuf,
        /// What the holder says of itself.
        holder: String,
    },
    /// Another daemon listens.
    #[error("another program listens on {} ({holder}): stop it, or name another socket", path.display())]
    SocketHeld {
        /// The socket.
        path: PathBuf,
        /// Who it is.
        holder: String,
    },
    /// There is a file in the socket's place.
    #[error("{} exists and is not a socket: move it away, or name another socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
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
}

impl Error {
    /// The exit code of a daemon that did not start, after `sysexits.h`: 2 wrong usage, 65 the store is damaged or
    /// from a newer release, 74 the disk failed, 75 another daemon is there, 1 anything else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Store(StoreError::Damaged { .. } | StoreError::Future { .. }) => 65,
            Self::Store(StoreError::InUse { .. }) | Self::VaultHeld { .. } | Self::SocketHeld { .. } => 75,
            Self::Store(_) => 74,
            Self::Place(_)
            | Self::NotOurs { .. }
            | Self::NotPrivate { .. }
            | Self::NotAVault { .. }
            | Self::Directory { .. }
            | Self::OutsideUnit { .. }
            | Self::NoSocketDir { .. }
            | Self::Lock { .. }
            | Self::TooFewFiles { .. }
            | Self::NotASocket { .. }
            | Self::Io { .. } => 1,
        })
    }
}

impl From<EndpointError> for Error {
    fn from(error: EndpointError) -> Self {
        Self::Place(error.into())
    }
}

/// What to do about a directory of another user's.
fn as_root(own: u32) -> &'static str {
    if own == 0 {
        " (root): run keyfob as that user, without sudo, or set HOME and XDG_RUNTIME_DIR to your own"
    } else {
        ": name one of your own with KEYFOB_DATA_DIR, KEYFOB_SOCKET or XDG_RUNTIME_DIR"
    }
}
