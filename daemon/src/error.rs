//! [`Error`]: why a daemon does not start.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use keyfob_proto::EndpointError;

use crate::store::StoreError;

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket can have the path.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is no home directory.
    #[error("there is no home directory to keep the vault in: name one with --data-dir or KEYFOB_DATA_DIR")]
    NoDataDir,
    /// A file or directory belongs to somebody else.
    #[error("{} belongs to another user: use a directory of your own", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
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
    /// The exit code of a daemon that did not start, after `sysexits.h`: 65 the store is damaged or
    /// from a newer release, 74 the disk failed, 75 another daemon is there, 1 anything else.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Store(StoreError::Damaged { .. } | StoreError::Future { .. }) => 65,
            Self::Store(_) => 74,
            Self::VaultHeld { .. } | Self::SocketHeld { .. } => 75,
            Self::Endpoint(_) | Self::NoDataDir | Self::NotOurs { .. } | Self::NotASocket { .. } | Self::Io { .. } => 1,
        })
    }
}
