//! [`Endpoint`]: where the daemon listens and its clients connect.

use std::env;
use std::ffi::OsString;
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

    /// The endpoint that everybody uses who names none: `$KEYFOB_SOCKET`, else
    /// `$XDG_RUNTIME_DIR/keyfob/keyfob.sock`, else `keyfob-<uid>/keyfob.sock` in the directory for
    /// temporary files.
    ///
    /// # Errors
    ///
    /// When no socket can have the path that follows from the environment.
    pub fn from_env() -> Result<Self, EndpointError> {
        let uid = rustix::process::getuid().as_raw();
        Self::resolve(env::var_os("KEYFOB_SOCKET"), env::var_os("XDG_RUNTIME_DIR"), &env::temp_dir(), uid)
    }

    fn resolve(
        socket: Option<OsString>,
        runtime_dir: Option<OsString>,
        temp_dir: &Path,
        uid: u32,
    ) -> Result<Self, EndpointError> {
        let given = |value: Option<OsString>| value.filter(|text| !text.is_empty());
        if let Some(socket) = given(socket) {
            return Self::named(socket);
        }
        let directory = match given(runtime_dir) {
            Some(runtime_dir) => Path::new(&runtime_dir).join("keyfob"),
            None => temp_dir.join(format!("keyfob-{uid}")),
        };
        Self::checked(directory.join("keyfob.sock"), false)
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

    /// Whether a user named this socket, rather than the default. Who is behind a default path has
    /// to be checked: others may be able to write where it lies.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.is_named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(socket: Option<&str>, runtime_dir: Option<&str>) -> String {
        let endpoint =
            Endpoint::resolve(socket.map(Into::into), runtime_dir.map(Into::into), Path::new("/tmp"), 7).unwrap();
        endpoint.path().display().to_string()
    }

    #[test]
    fn the_environment_decides_in_its_documented_order() {
        assert_eq!(resolve(Some("/a/b"), Some("/run/user/7")), "/a/b");
        assert_eq!(resolve(None, Some("/run/user/7")), "/run/user/7/keyfob/keyfob.sock");
        assert_eq!(resolve(None, None), "/tmp/keyfob-7/keyfob.sock");
        assert_eq!(resolve(Some(""), Some("")), "/tmp/keyfob-7/keyfob.sock", "empty is absent");
    }

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
