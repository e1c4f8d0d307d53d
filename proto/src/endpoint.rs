//! [`Endpoint`]: where the daemon listens and its clients connect.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest socket path in bytes: the kernel's `sun_path` has 108 on Linux and 104 elsewhere, one of
/// them for the end.
pub const MAX_SOCKET_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The path of the vault's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    path: PathBuf,
    is_named: bool,
}

/// A path that cannot be the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The path is over [`MAX_SOCKET_PATH_BYTES`].
    #[error(
        "the socket path {path} is {bytes} bytes long and the system's limit is {MAX_SOCKET_PATH_BYTES}; \
         name a shorter one with --socket or KEYFOB_SOCKET"
    )]
    TooLong {
        /// The path as it was given.
        path: PathBuf,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The path is empty or ends in no file name.
    #[error("{path:?} is not the path of a socket; name one with --socket or KEYFOB_SOCKET")]
    NoFileName {
        /// The path as it was given.
        path: PathBuf,
    },
}

impl Endpoint {
    /// The endpoint that a user names.
    ///
    /// # Errors
    ///
    /// When no socket can have this path.
    pub fn named(path: impl Into<PathBuf>) -> Result<Self, EndpointError> {
        Self::checked(path.into(), true)
    }

    /// The endpoint that follows from the environment.
    ///
    /// # Errors
    ///
    /// When no socket can have this path.
    pub fn unnamed(path: impl Into<PathBuf>) -> Result<Self, EndpointError> {
        Self::checked(path.into(), false)
    }

    fn checked(path: PathBuf, is_named: bool) -> Result<Self, EndpointError> {
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > MAX_SOCKET_PATH_BYTES {
            Err(EndpointError::TooLong { path, bytes })
        } else if path.file_name().is_none() {
            Err(EndpointError::NoFileName { path })
        } else {
            Ok(Self { path, is_named })
        }
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a user named this socket. The directory of one that nobody named is made by whoever listens there.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.is_named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_fills_the_system_is_the_longest() {
        let path = format!("/{}", "x".repeat(MAX_SOCKET_PATH_BYTES - 1));
        assert!(Endpoint::named(&path).is_ok());
        let error = Endpoint::named(format!("{path}x")).unwrap_err().to_string();
        let bytes = format!("{} bytes long", MAX_SOCKET_PATH_BYTES + 1);
        assert!(error.contains(&bytes) && error.contains("--socket"), "{error}");
    }

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        for path in ["", "/", "/tmp/.."] {
            assert!(matches!(Endpoint::named(path), Err(EndpointError::NoFileName { .. })), "{path}");
        }
    }
}
