//! [`Daemon`]: open, serve, drain.

use std::fs::{self, DirBuilder};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use tokio::runtime;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::actor::{Actor, Handle, Published};
use crate::config::Config;
use crate::error::Error;
use crate::file_lock::{FileLock, LockError};
use crate::listener::{self, Socket};
use crate::peer::Allowed;
use crate::service::Service;
use crate::store::Store;

/// A daemon that holds its vault and listens, and does not serve yet.
pub struct Daemon {
    config: Config,
    allowed: Allowed,
    socket: Socket,
    actor: Actor,
    handle: Handle,
    published: Arc<Published>,
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
        own_data_dir(&config.data_dir)?;
        // Two that start at once: the second waits until the first listens, or has failed, and its
        // starter then finds a vault either way.
        let path = config.data_dir.join("starting");
        let _starting = FileLock::wait(&path).map_err(|source| Error::Io { action: "lock", path, source })?;
        let lock = lock_data_dir(&config)?;
        let (store, vault) = Store::open(&config.data_dir)?;
        let sessions = vault.session_count();
        let (mut actor, handle, published) = Actor::new(store, vault, config.clock.clone());
        if let Err(fault) = actor.unlock_by_itself() {
            // It still tells names and clears.
            error!(reason = %fault, "the vault is locked");
        }
        let allowed = Allowed::new(&config.allow_uids);
        let socket = match config.listener.take() {
            Some(listener) => Socket::inherited(listener, config.endpoint.path())?,
            None => Socket::bind(&config.endpoint, &allowed)?,
        };
        info!(sessions, socket = %config.endpoint.path().display(), "the vault is open");
        Ok(Self { config, allowed, socket, actor, handle, published, lock })
    }

    /// Serves until `stop` is ready or a client calls `shutdown`; then drains: takes no new
    /// connection, finishes what was asked, closes the store.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { config, allowed, socket, actor, handle, published, mut lock } = self;
        let shutdown = CancellationToken::new();
        let max_connections = listener::max_connections();
        let service = Arc::new(Service::new(handle, published, &config, max_connections, shutdown.clone()));
        let mut actor = run(actor);
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

/// Runs the actor, which blocks on the disk, in a thread of its own.
///
/// # Panics
///
/// When the system has no thread or no timer for it.
fn run(actor: Actor) -> JoinHandle<()> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("the system has timers");
    spawn_blocking(move || runtime.block_on(actor.run()))
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

fn lock_data_dir(config: &Config) -> Result<FileLock, Error> {
    let dir = &config.data_dir;
    let path = dir.join("lock");
    let holder = format!("pid {}, socket {}", std::process::id(), config.endpoint.path().display());
    FileLock::acquire(&path, &holder).map_err(|error| match error {
        LockError::Held(holder) => Error::VaultHeld { path: dir.clone(), holder },
        LockError::Io(source) => Error::Io { action: "lock", path, source },
    })
}
