//! [`Daemon`]: open, serve, drain.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use interprocess::local_socket::tokio::Stream;
use keyfob_proto::{Listening, StartedBy};
use sd_notify::NotifyState;
use tokio::runtime;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::actor::{Actor, Handle, Published};
use crate::audit::{Audit, Writer};
use crate::config::Config;
use crate::directory::Private;
use crate::error::{Error, Purpose};
use crate::file_lock::{FileLock, LockError};
use crate::grants::sockets;
use crate::limits::{MAX_AUDIT_DAYS, SOCKET_PATIENCE};
use crate::listener::{self, Socket};
use crate::passed::Bound;
use crate::peer::Allowed;
use crate::process;
use crate::service::Service;
use crate::socket_file;
use crate::store::Store;
use crate::unit;

/// A daemon that holds its vault and listens, and does not serve yet.
pub struct Daemon {
    config: Config,
    allowed: Allowed,
    socket: Socket,
    actor: Actor,
    handle: Handle,
    published: Arc<Published>,
    audit: Option<Writer>,
    lock: FileLock,
}

impl Daemon {
    /// Takes the lock, reads the vault and binds the socket. When this returns, clients can connect. Call it within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// When another daemon has the vault or the socket, the store is damaged, or the system refuses.
    pub fn open(mut config: Config) -> Result<Self, Error> {
        own_data_dir(&config)?;
        // Two that start at once: the second waits until the first listens, or has failed, and its
        // starter then finds a vault either way.
        let path = config.data_dir.join("starting");
        let _starting = FileLock::wait(&path).map_err(|source| Error::Lock { path, source })?;
        let lock = lock_data_dir(&config)?;
        let (store, vault) = Store::open(&config.data_dir)?;
        let sessions = vault.session_count();
        let (mut actor, handle, published) = Actor::new(store, vault, config.clock.clone());
        if let Err(fault) = actor.unlock_by_itself() {
            // It still tells names and clears.
            error!(reason = %fault, "the vault is locked");
        }
        let audit = match config.audit_days {
            0 => None,
            days => {
                let refused =
                    |source| Error::Io { action: "write the audit to", path: config.data_dir.clone(), source };
                let (audit, writer) =
                    Audit::open(&config.data_dir, days.min(MAX_AUDIT_DAYS), config.clock.clone()).map_err(refused)?;
                published.events.write_to(audit);
                Some(writer)
            }
        };
        let allowed = Allowed::new(&config.allow_uids);
        let socket = match config.listener.take() {
            Some(Bound::BySystemd(listener)) => Socket::inherited(listener, &config.endpoint)?,
            Some(Bound::ByPredecessor(listener)) => Socket::taken_over(listener, &config.endpoint, &allowed)?,
            None => Socket::bind(&config.endpoint, &allowed)?,
        };
        sockets::remove_left(&config.data_dir.join(sockets::LIST));
        say_where(&config)?;
        info!(sessions, socket = %config.endpoint.path().display(), "the vault is open");
        Ok(Self { config, allowed, socket, actor, handle, published, audit, lock })
    }

    /// The path of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.config.endpoint.path()
    }

    /// Serves until `stop` is ready or a client calls `shutdown`; then drains: takes no new
    /// connection, finishes what was asked, closes the store.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Drained {
        let Self { config, allowed, mut socket, actor, handle, published, audit, mut lock } = self;
        let shutdown = CancellationToken::new();
        let max_connections = listener::max_connections();
        published.grants.note_in(config.data_dir.join(sockets::LIST));
        let grants = published.grants.clone();
        let (service, sockets) = Service::new(handle, published, &config, max_connections, shutdown.clone());
        let service = Arc::new(service);
        let granted = tokio::spawn(listener::grants::accept(sockets, Arc::clone(&service)));
        let mut actor = run(actor);
        let (mut stop, mut has_stopped) = (pin!(stop), false);
        let gives_way = Arc::clone(&service.gives_way);
        let connections = {
            let mut accepting = pin!(socket.accept(&service, &allowed, max_connections));
            tokio::select! {
                connections = &mut accepting => connections,
                () = service.lock_when_idle() => accepting.await,
                () = &mut stop => {
                    has_stopped = true;
                    shutdown.cancel();
                    accepting.await
                }
                // It ends only when nobody can reach it any more, so this is a defect. A daemon that
                // cannot change anything is of no use; the next one reads what is on the disk.
                _ = &mut actor => {
                    error!("the actor failed; what it acknowledged is on the disk");
                    shutdown.cancel();
                    accepting.await
                }
            }
        };
        let may_give_way = gives_way.load(Ordering::Relaxed) && socket.is_own();
        if !may_give_way {
            process::tell_service_manager(&[NotifyState::Stopping]);
        }
        // Whoever finds no socket any more and starts a daemon learns that this one is about to go.
        lock.mark_draining();
        if socket.is_own() && !may_give_way {
            // It may be gone, with the directory.
            let _ = fs::remove_file(config.data_dir.join(Listening::FILE));
        }
        let socket = Some(socket).filter(|_| may_give_way);
        grants.close();
        let drained = async {
            let waiting = listener::drain(connections).await;
            let _ = granted.await;
            // What was made in the last moment.
            grants.close();
            drop(service);
            // With the service the last way to the actor is gone: it finishes and closes the store.
            if !actor.is_finished() {
                let _ = actor.await;
            }
            waiting
        };
        let mut drained = pin!(drained);
        let waiting = tokio::select! {
            waiting = &mut drained => waiting,
            // Also one that was to give way.
            () = stop, if !has_stopped => {
                gives_way.store(false, Ordering::Relaxed);
                drained.await
            }
        };
        audit.into_iter().for_each(Writer::finish);
        info!("drained and stopped");
        drop(lock);
        let successor = socket.filter(|_| gives_way.load(Ordering::Relaxed)).and_then(Socket::give_way);
        Drained { waiting, successor }
    }
}

/// What is left of a daemon that has drained.
pub struct Drained {
    /// The connections of those who wait for its end: they see it when these are dropped.
    pub waiting: Vec<Stream>,
    /// The socket for the daemon that takes the place of this one, if one is to.
    pub successor: Option<UnixListener>,
}

/// Runs the actor, which blocks on the disk, in a thread of its own.
///
/// # Panics
///
/// When the system has no thread or no timer for it.
fn run(actor: Actor) -> JoinHandle<()> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("the system has timers");
    spawn_blocking(move || runtime.block_on(actor.run()))
}

/// Makes the data directory if it is not there.
///
/// # Errors
///
/// When it, or a directory that it is to be made in, belongs to another user; when others can enter it; when it holds
/// something else than a vault, or cannot be written to.
pub(crate) fn own_data_dir(config: &Config) -> Result<(), Error> {
    if config.started_by == StartedBy::Systemd && unit::hides(&config.data_dir) {
        let reason = format!("{} is in a home, which the unit hides", config.data_dir.display());
        return Err(Error::OutsideUnit { reason, path: config.data_dir.clone() });
    }
    let owned = check_data_dir(config).and_then(|()| private(config).own());
    owned.map_err(|error| match &error {
        Error::Directory { source, .. } | Error::Io { source, .. }
            if config.started_by == StartedBy::Systemd && source.kind() == io::ErrorKind::ReadOnlyFilesystem =>
        {
            Error::OutsideUnit { reason: error.to_string(), path: config.data_dir.clone() }
        }
        _ => error,
    })
}

/// Whether a daemon could start with this data directory and this socket. Makes nothing.
///
/// # Errors
///
/// Why it could not.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    check_data_dir(config)?;
    socket_file::check(&config.endpoint)
}

/// What a vault's directory has from its first start on, some of it before there is a vault.
const OWN_FILES: [&str; 4] = ["store", "starting", "lock", "keyfobd.log"];

fn check_data_dir(config: &Config) -> Result<(), Error> {
    let dir = &config.data_dir;
    if !private(config).check()? {
        return Ok(());
    }
    let is_writable = rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    let read_only = |error: rustix::io::Errno| Error::Io {
        action: "write to the data directory",
        path: dir.clone(),
        source: error.into(),
    };
    is_writable.map_err(read_only)?;
    let is_vault = OWN_FILES.iter().any(|name| dir.join(name).exists());
    let is_empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if is_vault || is_empty { Ok(()) } else { Err(Error::NotAVault { path: dir.clone() }) }
}

fn private(config: &Config) -> Private<'_> {
    Private { path: &config.data_dir, purpose: Purpose::Vault, is_default: config.is_default_dir }
}

/// Says in the data directory where the daemon listens, for those who look for it elsewhere.
fn say_where(config: &Config) -> Result<(), Error> {
    let path = config.data_dir.join(Listening::FILE);
    let refused = |source| Error::Io { action: "write", path: path.clone(), source };
    let listening = Listening { socket: config.endpoint.path().to_owned(), pid: std::process::id() };
    let unfinished = path.with_extension("new");
    let text = serde_json::to_vec(&listening).expect("two plain fields");
    // On a full disk a file of nothing is left, and clients look where the socket is by default.
    let written = fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, &path));
    match written {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            tracing::warn!(%error, "nobody learns from the data directory where the daemon listens");
            Ok(())
        }
        written => written.map_err(refused),
    }
}

fn lock_data_dir(config: &Config) -> Result<FileLock, Error> {
    let dir = &config.data_dir;
    let path = dir.join("lock");
    let (pid, host) = (std::process::id(), process::host());
    let holder = format!("pid {pid} on {host}, socket {}", config.endpoint.path().display());
    // One whose socket was removed makes it anew, or ends. Whoever started this one then finds either.
    let end = Instant::now() + SOCKET_PATIENCE;
    let may_end = || Instant::now() < end && !is_reachable(dir);
    FileLock::acquire(&path, &holder, may_end).map_err(|error| match error {
        LockError::Held(holder) => Error::VaultHeld { path: dir.clone(), holder },
        source => Error::Lock { path, source },
    })
}

/// Whether somebody listens where the vault's daemon says that it does.
fn is_reachable(dir: &Path) -> bool {
    Listening::read(dir).is_some_and(|listening| UnixStream::connect(listening.socket).is_ok())
}
