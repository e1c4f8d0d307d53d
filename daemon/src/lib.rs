//! The daemon of keyfob: one session vault for every app on the machine.
//!
//! # The way of a request
//!
//! ```text
//! socket → listener → connection ──mutation──→ actor → store (sled)
//!                         │  ↑                   │
//!                         │  └──── reply ────────┤ publishes
//!                         └──read/sign── vault ←─┘ events → subscribers
//! ```
//!
//! A [`listener::Socket`] accepts connections from the users that [`peer::Allowed`] lets in. A
//! [`connection`] cuts lines, and [`service::Service`] says which call is a read and which a
//! mutation. Reads and signatures are answered at once from the published [`vault::Vault`].
//! Mutations go to the one [`actor::Actor`], which applies waiting ones together to a copy of the
//! vault, commits their changes to the [`store::Store`] with one flush, publishes the copy, and then
//! lets [`events`] and replies go.
//!
//! What is secret in the vault is [`seal::Sealed`], on the disk and in memory; it is opened where a call needs
//! it, and only while the vault is unlocked. The key that this depends on comes from a
//! [`key_source::Source`], and the store overwrites the key of each record that is removed before the reply.
//!
//! # Invariants
//!
//! - A reply to a mutation means that it is on the disk. What cannot be written is never seen.
//! - Only the actor changes the vault, only the store knows sled, only the [`clock`] asks for the
//!   time of day, only the vault knows what a call means.
//! - An exclusive lock on the data directory is held before anything in it, or the socket, is
//!   touched.
//! - No private key leaves the daemon, and nothing of a request but its method is logged.
//! - When the reply to a removal goes out, nobody can open what was removed any more.

pub mod actor;
pub mod clock;
pub mod config;
pub mod connection;
pub mod events;
pub mod key_source;
pub mod listener;
pub mod lock;
pub mod log;
pub mod peer;
pub mod process;
pub mod seal;
pub mod service;
pub mod store;
pub mod vault;

use std::fs::{self, DirBuilder};
use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use keyfob_proto::EndpointError;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::actor::{Actor, Handle, Published};
use crate::config::Config;
use crate::listener::Socket;
use crate::lock::{Lock, LockError};
use crate::peer::Allowed;
use crate::service::Service;
use crate::store::{Store, StoreError};

/// A daemon that holds its vault and listens, and does not serve yet.
pub struct Daemon {
    config: Config,
    allowed: Allowed,
    socket: Socket,
    actor: Actor,
    handle: Handle,
    published: Arc<Published>,
    lock: Lock,
}

impl Daemon {
    /// Takes the lock, reads the vault and binds the socket. When this returns, clients can connect.
    /// Needs a tokio runtime with more than one thread.
    ///
    /// # Errors
    ///
    /// When another daemon has the vault or the socket, the store is damaged, or the system refuses.
    pub fn open(mut config: Config) -> Result<Self, Error> {
        own_data_dir(&config.data_dir)?;
        // Two that start at once: the second waits until the first listens, or has failed, and its
        // starter then finds a vault either way.
        let path = config.data_dir.join("starting");
        let _starting = Lock::wait(&path).map_err(|source| Error::Io { action: "lock", path, source })?;
        let lock = lock_data_dir(&config)?;
        let (mut store, vault) = Store::open(&config.data_dir)?;
        if let Err(fault) = store.unlock_by_itself() {
            // It still tells names and clears.
            error!(reason = %fault, "the vault is locked");
        }
        let allowed = Allowed::new(&config.allow_uids);
        let socket = match config.listener.take() {
            Some(listener) => Socket::inherited(listener, config.endpoint.path())?,
            None => Socket::bind(&config.endpoint, &allowed)?,
        };
        info!(sessions = vault.session_count(), socket = %config.endpoint.path().display(), "the vault is open");
        let (actor, handle, published) = Actor::new(store, vault, config.clock.clone());
        Ok(Self { config, allowed, socket, actor, handle, published, lock })
    }

    /// Serves until `stop` is ready or a client calls `shutdown`; then drains: takes no new
    /// connection, finishes what was asked, closes the store.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { config, allowed, socket, actor, handle, published, mut lock } = self;
        let shutdown = CancellationToken::new();
        let max_connections = listener::max_connections();
        let service = Arc::new(Service::new(handle, published, &config, max_connections, shutdown.clone()));
        let mut actor = tokio::spawn(actor.run());
        let connections = {
            let mut accepting = pin!(socket.accept(&service, &allowed, max_connections));
            tokio::select! {
                connections = &mut accepting => connections,
                () = service.lock_when_idle() => accepting.await,
                () = stop => {
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
        // Whoever finds no socket any more and starts a daemon learns that this one is about to go.
        lock.mark_draining();
        drop(socket);
        let streams = listener::drain(connections).await;
        drop(service);
        // With the service the last way to the actor is gone: it finishes and closes the store.
        if !actor.is_finished() {
            let _ = actor.await;
        }
        info!("drained and stopped");
        drop(lock);
        drop(streams);
    }
}

/// Makes the data directory if it is not there, and makes it private.
///
/// # Errors
///
/// When it belongs to another user, or the system refuses.
pub fn own_data_dir(dir: &Path) -> Result<(), Error> {
    let refused = |action: &'static str| move |source| Error::Io { action, path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(refused("make the data directory"))?;
    let metadata = fs::metadata(dir).map_err(refused("look at"))?;
    if metadata.uid() != rustix::process::getuid().as_raw() {
        return Err(Error::NotOurs { path: dir.to_owned() });
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(refused("make private"))?;
    }
    Ok(())
}

fn lock_data_dir(config: &Config) -> Result<Lock, Error> {
    let dir = &config.data_dir;
    let path = dir.join("lock");
    let holder = format!("pid {}, socket {}", std::process::id(), config.endpoint.path().display());
    Lock::acquire(&path, &holder).map_err(|error| match error {
        LockError::Held(holder) => Error::VaultHeld { path: dir.clone(), holder },
        LockError::Io(source) => Error::Io { action: "lock", path, source },
    })
}

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
