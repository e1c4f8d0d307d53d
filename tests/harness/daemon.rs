//! [`TestDaemon`]: the real daemon, in the process of the test.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keyfob_proto::{Endpoint, StartedBy};
use keyfobd::Daemon;
use keyfobd::clock::{Clock, ManualClock, Timestamp};
use keyfobd::config::{Config, LockAfter};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::RawClient;

/// When a test's clock begins, in seconds since the epoch.
pub const START: u64 = 1_800_000_000;

/// A daemon that runs in this process, with its vault in a directory of its own and a clock that the
/// test sets. Stops when it is dropped.
pub struct TestDaemon {
    /// Sets the daemon's clock.
    pub clock: ManualClock,
    /// Where it listens.
    pub endpoint: Endpoint,
    dir: Option<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestDaemon {
    /// A daemon with an empty vault. It listens when this returns.
    #[must_use]
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"))
    }

    /// A daemon on the vault that an earlier one left.
    #[must_use]
    pub fn start_in(dir: TempDir) -> Self {
        Self::start_locking(dir, None)
    }

    /// As [`TestDaemon::start_in`], with a vault that locks itself after so long without use.
    #[must_use]
    pub fn start_locking(dir: TempDir, lock_after: Option<Duration>) -> Self {
        let lock_after = lock_after.map_or(LockAfter::AsTheVaultSays, LockAfter::Unused);
        let endpoint = Endpoint::named(dir.path().join("keyfob.sock")).expect("a short path");
        let (clock, hand) = Clock::manual(Timestamp::from_secs(START));
        let data_dir = dir.path().join("data");
        let config = Config {
            endpoint: endpoint.clone(),
            data_dir,
            is_default_dir: false,
            listener: None,
            started_by: StartedBy::Command,
            allow_uids: Vec::new(),
            lock_after,
            audit_days: 30,
            clock,
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let daemon = Daemon::open(config).expect("the daemon starts");
                ready.send(()).expect("the test waits");
                daemon.serve(async { drop(stopped.await) }).await;
            });
        });
        is_ready.recv().expect("the daemon starts");
        Self { clock: hand, endpoint, dir: Some(dir), stop: Some(stop), thread: Some(thread) }
    }

    /// The way to it for a client of the library.
    #[must_use]
    pub fn access(&self) -> keyfob::Access {
        keyfob::Access::socket(self.endpoint.path())
    }

    /// A new connection.
    #[must_use]
    pub fn connect(&self) -> RawClient {
        RawClient::connect(self.endpoint.path())
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.as_ref().expect("running").path().join("data")
    }

    /// Stops it as a signal does, and keeps the vault.
    #[must_use]
    pub fn stop(mut self) -> TempDir {
        self.halt();
        self.dir.take().expect("stopped once")
    }

    /// Stops it and starts another on the same vault.
    #[must_use]
    pub fn restart(self) -> Self {
        Self::start_in(self.stop())
    }

    /// Waits until it has stopped by itself, after a client's `shutdown`.
    pub fn wait(&mut self) {
        self.thread.take().expect("running").join().expect("the daemon ends well");
    }

    fn halt(&mut self) {
        if let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) {
            // It may have stopped by itself.
            let _ = stop.send(());
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the daemon ends well");
        }
    }

    /// Creates a key pair and stores a session that names it, which lives for `lifetime` seconds.
    /// Answers the public key.
    pub fn log_in(&self, client: &mut RawClient, name: &str, lifetime: u64) -> String {
        let created = client.call("createApiKeyPair", json!({}));
        let public_key = created["publicKey"].as_str().expect("a public key").to_owned();
        let token = crate::login::token(&public_key, START + lifetime);
        client.call("storeSession", json!({ "sessionToken": token, "sessionKey": name }));
        public_key
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        self.halt();
    }
}
