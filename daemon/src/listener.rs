//! The socket: binding it without taking it from anybody, and accepting connections.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Stream as SyncStream};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use interprocess::os::unix::uds_local_socket::tokio::Listener as UdsListener;
use keyfob_proto::{Endpoint, write_fault};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tracing::{Instrument, info_span, warn};

use crate::connection;
use crate::error::Error;
use crate::file_lock::{FileLock, LockError};
use crate::limits::{ACCEPT_PAUSE, DRAIN, MAX_CONNECTIONS, OTHER_FILES};
use crate::peer::{self, Allowed};
use crate::service::Service;

/// A bound socket. Dropping it removes the socket's file, and then gives up the lock beside it.
#[derive(Debug)]
pub struct Socket {
    listener: Listener,
    /// None where somebody else made the socket, who also keeps it to one daemon.
    _lock: Option<FileLock>,
}

impl Socket {
    /// Binds the endpoint's socket. A stale one, left by a daemon that was killed, is replaced; a
    /// live one, or a file that is no socket, is left alone.
    ///
    /// # Errors
    ///
    /// When another daemon has the socket, or the system refuses.
    pub fn bind(endpoint: &Endpoint, allowed: &Allowed) -> Result<Self, Error> {
        let path = endpoint.path();
        let refused = |action: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { action, path, source }
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !endpoint.is_named() {
            own_directory(dir)?;
        }
        // The lock makes looking and removing one step, against a daemon with another vault.
        let lock_path = with_suffix(path, ".lock");
        let lock =
            FileLock::acquire(&lock_path, &format!("pid {}", std::process::id())).map_err(|error| match error {
                LockError::Held(holder) => Error::SocketHeld { path: path.to_owned(), holder },
                LockError::Io(source) => refused("lock", &lock_path)(source),
            })?;
        remove_stale(path)?;
        let name = path.to_fs_name::<GenericFilePath>().map_err(refused("listen on", path))?;
        let listener =
            ListenerOptions::new().name(name).mode(0o600).create_tokio().map_err(refused("listen on", path))?;
        if allowed.has_others() {
            // The process's mask took from others what they need to connect.
            let mode = fs::Permissions::from_mode(0o666);
            fs::set_permissions(path, mode).map_err(refused("open to others", path))?;
        }
        Ok(Self { listener, _lock: Some(lock) })
    }

    /// A socket that was bound by whoever started the daemon, such as systemd. Its file stays when this is dropped.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn inherited(listener: UnixListener, path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Io { action: "listen on", path: path.to_owned(), source };
        let listener = listener.set_nonblocking(true).and_then(|()| UdsListener::try_from(OwnedFd::from(listener)));
        Ok(Self { listener: listener.map_err(refused)?.into(), _lock: None })
    }

    /// Accepts connections and serves each in a task of its own, until the service's shutdown
    /// begins. Answers those that are still open.
    pub async fn accept(&self, service: &Arc<Service>, allowed: &Allowed, max_connections: usize) -> Connections {
        let mut connections = JoinSet::new();
        let mut number = 0_u64;
        loop {
            let stream = tokio::select! {
                biased;
                () = service.shutdown.cancelled() => return connections,
                Some(_) = connections.join_next() => {
                    service.connections.store(connections.len() as u64, Ordering::Relaxed);
                    continue;
                }
                stream = self.listener.accept() => stream,
            };
            match stream {
                Ok(stream) => {
                    number += 1;
                    let is_full = connections.len() >= max_connections;
                    let most = if is_full { 0 } else { max_connections };
                    connections.spawn(admit(stream, number, Arc::clone(service), allowed.clone(), most));
                    service.connections.store(connections.len() as u64, Ordering::Relaxed);
                }
                Err(error) => {
                    // Most likely there is no file descriptor left. Connections that close free some.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Connections that are being served.
pub type Connections = JoinSet<Option<Stream>>;

/// Waits for connections to finish what they were asked, but not for ever. Answers the streams of
/// those that did: clients see them close, and take that as the end of the daemon.
pub async fn drain(mut connections: Connections) -> Vec<Stream> {
    let mut streams = Vec::new();
    let all = async {
        while let Some(served) = connections.join_next().await {
            streams.extend(served.ok().flatten());
        }
    };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        warn!(open = connections.len(), "connections did not finish in time and are closed");
        connections.shutdown().await;
    }
    streams
}

/// Serves one connection, of at most this many, or tells it why not.
async fn admit(stream: Stream, number: u64, service: Arc<Service>, allowed: Allowed, most: usize) -> Option<Stream> {
    let by =
        peer::of(&stream).inspect_err(|error| warn!(%error, "a connection without credentials is not served")).ok()?;
    let admitted = allowed.admit(by, most).and_then(|admitted| match most {
        0 => Err(peer::too_many("the daemon serves as many connections as it may")),
        _ => Ok(admitted),
    });
    match admitted {
        Ok(_admitted) => {
            let span = info_span!("connection", number, pid = by.pid, uid = by.uid);
            connection::serve(stream, by, service).instrument(span).await
        }
        Err(fault) => {
            warn!(pid = by.pid, uid = by.uid, code = %fault.data.code, "a connection is refused");
            let mut line = Vec::new();
            write_fault(&mut line, None, &fault);
            // It may have hung up already.
            let _ = (&stream).write_all(&line).await;
            None
        }
    }
}

/// Raises the process's limit on open files as far as the system lets it, and answers how many of
/// them may be connections.
#[must_use]
pub fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let files =
        limit.map_or(usize::MAX, |files| usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX));
    files.min(MAX_CONNECTIONS)
}

/// Makes sure that the default socket's directory is the user's own and nobody else's: it may lie
/// where others can write.
fn own_directory(dir: &Path) -> Result<(), Error> {
    let refused = |action: &'static str| move |source| Error::Io { action, path: dir.to_owned(), source };
    match DirBuilder::new().mode(0o700).recursive(false).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refused("make the directory")(error)),
    }
    let metadata = fs::symlink_metadata(dir).map_err(refused("look at"))?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::getuid().as_raw() {
        return Err(Error::NotOurs { path: dir.to_owned() });
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(refused("make private"))?;
    }
    Ok(())
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
