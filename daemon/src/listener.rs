//! The socket: binding it without taking it from anybody, and accepting connections.

mod admission;
pub(crate) mod grants;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::os::unix::uds_local_socket::tokio::Listener as UdsListener;
use keyfob_proto::Endpoint;
use rustix::process::{Resource, getrlimit};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use self::admission::admit;
pub(crate) use self::admission::refuse;
use crate::error::Error;
use crate::file_lock::FileLock;
use crate::limits::{ACCEPT_PAUSE, DRAIN, MAX_CONNECTIONS, OTHER_FILES, SOCKET_LOOK_EVERY};
use crate::peer::Allowed;
use crate::service::Service;
use crate::socket_file::{self, bind, file_at};

/// A bound socket. Dropping it removes the socket's file, unless the path leads elsewhere by then, and gives up the lock
/// beside it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: Listener,
    endpoint: Endpoint,
    /// Which file the path led to when it was bound.
    file: Option<(u64, u64)>,
    mode: u32,
    /// None where somebody else made the socket, who also keeps it to one daemon.
    lock: Option<FileLock>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.lock.is_some() && self.is_there() {
            // Whoever finds it nevertheless is refused, and the next daemon replaces it.
            let _ = fs::remove_file(self.endpoint.path());
        }
    }
}

impl Socket {
    /// Binds the endpoint's socket. A stale one, left by a daemon that was killed, is replaced; a
    /// live one, or a file that is no socket, is left alone.
    ///
    /// # Errors
    ///
    /// When another daemon has the socket, or the system refuses.
    pub(crate) fn bind(endpoint: &Endpoint, allowed: &Allowed) -> Result<Self, Error> {
        let mode = mode(allowed);
        let (listener, lock) = bind(endpoint, mode)?;
        Ok(Self { listener, endpoint: endpoint.clone(), file: file_at(endpoint.path()), mode, lock: Some(lock) })
    }

    /// A socket that was bound by systemd. Its file stays when this is dropped.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub(crate) fn inherited(listener: UnixListener, endpoint: &Endpoint) -> Result<Self, Error> {
        let path = endpoint.path();
        let refused = |source| Error::Io { action: "listen on", path: path.to_owned(), source };
        let listener = listener.set_nonblocking(true).and_then(|()| UdsListener::try_from(OwnedFd::from(listener)));
        let listener = listener.map_err(refused)?.into();
        Ok(Self { listener, endpoint: endpoint.clone(), file: file_at(path), mode: 0, lock: None })
    }

    /// The socket of the daemon whose place this one takes. It is this one's from now on.
    ///
    /// # Errors
    ///
    /// When another daemon has the lock beside it, or the system refuses.
    pub(crate) fn taken_over(listener: UnixListener, endpoint: &Endpoint, allowed: &Allowed) -> Result<Self, Error> {
        let lock = socket_file::lock(endpoint.path())?;
        let mut socket = Self::inherited(listener, endpoint)?;
        (socket.mode, socket.lock) = (mode(allowed), Some(lock));
        Ok(socket)
    }

    /// Gives the socket to a successor: what connects from now on waits for it.
    #[must_use]
    pub(crate) fn give_way(mut self) -> Option<UnixListener> {
        let Listener::UdSocket(listener) = &self.listener;
        let given = rustix::io::fcntl_dupfd_cloexec(listener.as_fd(), 3).ok()?;
        // Its file is the successor's to remove.
        self.file = None;
        Some(given.into())
    }

    /// Whether it is the daemon's, and not systemd's, where it outlives the daemon.
    pub(crate) fn is_own(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether the path still leads to this socket.
    fn is_there(&self) -> bool {
        self.file.is_some() && file_at(self.endpoint.path()) == self.file
    }

    /// Makes the socket anew if it was removed.
    ///
    /// # Errors
    ///
    /// When nobody can reach it any more.
    fn keep(&mut self) -> Result<(), Error> {
        if self.is_there() || self.file.is_none() {
            return Ok(());
        }
        let path = self.endpoint.path();
        if self.lock.is_none() || file_at(path).is_some() {
            return Err(Error::SocketHeld {
                path: path.to_owned(),
                holder: "it took the place of this one".to_owned(),
            });
        }
        // The lock's file went with the socket's, or the daemon still holds it.
        self.lock = None;
        let (listener, lock) = bind(&self.endpoint, self.mode)?;
        (self.listener, self.lock, self.file) = (listener, Some(lock), file_at(path));
        info!(socket = %path.display(), "the socket was removed, and is made anew");
        Ok(())
    }

    /// Accepts connections and serves each in a task of its own, until the service's shutdown
    /// begins, or nobody can reach the socket any more. Answers those that are still open.
    pub(crate) async fn accept(
        &mut self,
        service: &Arc<Service>,
        allowed: &Allowed,
        max_connections: usize,
    ) -> Connections {
        let mut connections = JoinSet::new();
        let mut number = 0_u64;
        let mut look = tokio::time::interval(SOCKET_LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stream = tokio::select! {
                biased;
                () = service.shutdown.cancelled() => return connections,
                Some(_) = connections.join_next() => {
                    service.connections.store(connections.len() as u64, Ordering::Relaxed);
                    continue;
                }
                _ = look.tick() => {
                    if let Err(error) = self.keep() {
                        error!(%error, "nobody can reach the daemon, so it stops");
                        service.shutdown.cancel();
                    }
                    continue;
                }
                stream = self.listener.accept() => stream,
            };
            match stream {
                Ok(stream) => {
                    number += 1;
                    let is_full = connections.len() >= max_connections;
                    // Counted before it is served, for it may ask at once.
                    service.connections.store(connections.len() as u64 + 1, Ordering::Relaxed);
                    connections.spawn(admit(stream, number, Arc::clone(service), allowed.clone(), is_full));
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

/// Who may try to connect. The process's mask takes from others what they need.
fn mode(allowed: &Allowed) -> u32 {
    if allowed.has_others() { 0o666 } else { 0o600 }
}

/// Connections that are being served.
pub(crate) type Connections = JoinSet<Option<Stream>>;

/// Waits for connections to finish what they were asked, but not for ever. Answers the streams of
/// those that did: clients see them close, and take that as the end of the daemon.
pub(crate) async fn drain(mut connections: Connections) -> Vec<Stream> {
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

/// How many of the files that the process may have open may be connections.
#[must_use]
pub(crate) fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let files =
        limit.map_or(usize::MAX, |files| usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX));
    files.min(MAX_CONNECTIONS)
}
