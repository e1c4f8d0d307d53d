//! The sockets of grants: made, noted in a file, and removed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::Listener;
use keyfob_proto::{Code, Endpoint, Fault, GrantName};
use rustix::fs::{AtFlags, CWD, Uid, chownat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::socket_file::{check, listen, set_mode};

/// The file in the data directory in which it is noted which sockets there are.
pub(crate) const LIST: &str = "grants";

/// Where the socket of a grant is that names no path: beside the vault's own.
///
/// # Errors
///
/// `SOCKET_UNAVAILABLE` when the user that the grant is for cannot reach it.
pub(crate) fn beside(vault: &Path, name: &GrantName, uid: Option<u32>) -> Result<PathBuf, Fault> {
    let dir = vault.parent().unwrap_or(Path::new("/"));
    let is_closed = fs::metadata(dir).is_ok_and(|metadata| metadata.permissions().mode() & 0o011 == 0);
    match uid.filter(|uid| *uid != 0 && *uid != own_uid() && is_closed) {
        Some(uid) => {
            let why = format!("user {uid} cannot enter {}", dir.display());
            Err(unavailable(&format!("{why}: name a path for the grant's socket that they can reach")))
        }
        None => Ok(dir.join(format!("grant-{name}.sock"))),
    }
}

/// Makes the socket of a grant, for its user.
///
/// # Errors
///
/// `SOCKET_UNAVAILABLE`: nobody can have that path, its directory is not there, or something is in its place.
pub(crate) fn bind(path: &Path, uid: Option<u32>) -> Result<Listener, Fault> {
    if !path.is_absolute() {
        return Err(unavailable("the path of a grant's socket begins with /"));
    }
    let endpoint = Endpoint::named(path).map_err(|error| unavailable(&error.to_string()))?;
    check(&endpoint).map_err(|error| unavailable(&error.to_string()))?;
    remove_stale(path, |owner| owner == own_uid());
    let listener = listen(path).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => unavailable(&format!("there is a socket {} already", path.display())),
        _ => unavailable(&format!("cannot listen on {}: {error}", path.display())),
    })?;
    if let Some(uid) = uid.filter(|uid| *uid != own_uid() && *uid != 0) {
        // The kernel says who connects; the mode only lets them try.
        let given = chownat(CWD, path, Some(Uid::from_raw(uid)), None, AtFlags::SYMLINK_NOFOLLOW);
        let opened = given.map_err(io::Error::from).or_else(|_| set_mode(path, 0o666));
        opened.map_err(|error| {
            remove(path);
            unavailable(&format!("cannot open {} to user {uid}: {error}", path.display()))
        })?;
    }
    Ok(listener)
}

/// Removes a socket. It may be gone, with its directory.
pub(crate) fn remove(path: &Path) {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, "the socket of a grant that has ended is still there");
    }
}

/// Notes which sockets there are. It is on the disk when this returns.
///
/// # Errors
///
/// `SOCKET_UNAVAILABLE`: then none may be made, for nobody would remove it after a kill.
pub(crate) fn note<'a>(list: &Path, sockets: impl Iterator<Item = &'a Path>) -> Result<(), Fault> {
    let sockets: Vec<&Path> = sockets.collect();
    let written = if sockets.is_empty() {
        fs::remove_file(list).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    } else {
        let unfinished = list.with_extension("new");
        let text = serde_json::to_vec(&sockets).map_err(io::Error::from);
        text.and_then(|text| fs::write(&unfinished, text)).and_then(|()| fs::rename(&unfinished, list))
    };
    written.map_err(|error| unavailable(&format!("cannot write {}: {error}", list.display())))
}

/// Removes what a daemon that was killed left behind.
pub(crate) fn remove_left(list: &Path) {
    let Ok(text) = fs::read(list) else { return };
    let sockets: Vec<PathBuf> = serde_json::from_slice(&text).unwrap_or_default();
    for socket in &sockets {
        // One that was made for another user is theirs, where root made it.
        remove_stale(socket, |owner| owner == own_uid() || own_uid() == 0);
    }
    if let Err(error) = fs::remove_file(list) {
        tracing::warn!(%error, "the list of the grants of another run is still there");
    }
}

/// Removes a socket that nobody listens on, if it belongs to one of these.
fn remove_stale(path: &Path, is_ours: impl FnOnce(u32) -> bool) {
    let metadata = fs::symlink_metadata(path).ok().filter(|metadata| metadata.file_type().is_socket());
    if metadata.is_some_and(|metadata| is_ours(metadata.uid())) && is_stale(path) {
        remove(path);
    }
}

/// Whether nobody listens on a socket. It waits for nobody: one whose listener is busy is not stale.
fn is_stale(path: &Path) -> bool {
    let connected = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    connected() == Err(rustix::io::Errno::CONNREFUSED)
}

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn unavailable(message: &str) -> Fault {
    Fault::new(Code::SocketUnavailable, message)
}
