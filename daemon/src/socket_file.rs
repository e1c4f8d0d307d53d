//! The files of sockets: where one may be, how it is bound without taking it from anybody, and what is left of it.

use std::fs;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Stream as SyncStream};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use keyfob_proto::Endpoint;
use rustix::fs::Mode;
#[cfg(target_os = "linux")]
use rustix::fs::OFlags;

use crate::directory::Private;
use crate::error::{Error, Purpose};
use crate::file_lock::{FileLock, LockError};

/// Whether there is a place for the endpoint's socket. Makes nothing.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn check(endpoint: &Endpoint) -> Result<(), Error> {
    let path = endpoint.path();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !endpoint.is_named() {
        private(dir).check()?;
    } else if !dir.is_dir() {
        return Err(Error::NoSocketDir { path: dir.to_owned() });
    }
    // Before anything is left beside it.
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(Error::NotASocket { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// The directory of a socket that nobody named: keyfob's own, or that of the vault.
fn private(dir: &Path) -> Private<'_> {
    Private { path: dir, purpose: Purpose::Socket, is_default: true }
}

/// Binds the endpoint's socket, and takes the lock beside it.
pub(crate) fn bind(endpoint: &Endpoint, mode: u32) -> Result<(Listener, FileLock), Error> {
    let path = endpoint.path();
    let refused = |action: &'static str| move |source| Error::Io { action, path: path.to_owned(), source };
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !endpoint.is_named() {
        private(dir).own()?;
    }
    check(endpoint)?;
    let lock = lock(path)?;
    remove_stale(path)?;
    let listener = listen(path).map_err(refused("listen on"))?;
    if mode != 0o600 {
        set_mode(path, mode).map_err(refused("open to others"))?;
    }
    Ok((listener, lock))
}

/// Takes the lock beside a socket. It makes looking and removing one step, against a daemon with another vault.
pub(crate) fn lock(path: &Path) -> Result<FileLock, Error> {
    let lock_path = with_suffix(path, ".lock");
    let holder = format!("pid {}", std::process::id());
    FileLock::acquire(&lock_path, &holder, || false).map_err(|error| match error {
        LockError::Held(holder) => Error::SocketHeld { path: path.to_owned(), holder },
        source => Error::Lock { path: lock_path, source },
    })
}

/// Binds a socket that nobody else can connect to.
pub(crate) fn listen(path: &Path) -> io::Result<Listener> {
    let options = ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?).mode(0o600);
    // Its file is removed by whoever knows that it is still this one's.
    options.reclaim_name(false).create_tokio()
}

/// Sets the mode of a socket's file. Where others can write they may have put a link in its place, to a file that is not to
/// be opened to anybody.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let held = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if !fs::metadata(&held)?.file_type().is_socket() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        fs::set_permissions(held, fs::Permissions::from_mode(mode))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let mode = Mode::from_raw_mode(mode.try_into().map_err(|_| io::ErrorKind::InvalidInput)?);
        Ok(rustix::fs::chmodat(rustix::fs::CWD, path, mode, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// Which file a path leads to.
pub(crate) fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), Error> {
    let refused = |action: &'static str| move |source| Error::Io { action, path: path.to_owned(), source };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(refused("look at"))?,
    };
    if !metadata.file_type().is_socket() {
        return Err(Error::NotASocket { path: path.to_owned() });
    }
    let name = path.to_fs_name::<GenericFilePath>().map_err(refused("connect to"))?;
    match SyncStream::connect(name) {
        Ok(stream) => {
            let pid = stream.peer_creds().ok().and_then(|credentials| credentials.pid());
            let holder = pid.map_or_else(|| "unknown".to_owned(), |pid| format!("pid {pid}"));
            Err(Error::SocketHeld { path: path.to_owned(), holder })
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused("remove the stale socket"))
        }
        Err(error) => Err(refused("connect to")(error)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn the_mode_of_a_file_that_a_link_in_the_sockets_place_leads_to_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, file, link) = (dir.path().join("s"), dir.path().join("f"), dir.path().join("l"));
        let _listener = UnixListener::bind(&socket).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        set_mode(&socket, 0o666).unwrap();
        assert_eq!(mode(&socket), 0o666);
        assert!(set_mode(&link, 0o666).is_err());
        assert!(cfg!(not(target_os = "linux")) || set_mode(&file, 0o666).is_err(), "it is no socket");
        assert_eq!(mode(&file), 0o600);
    }
}
