//! [`Published`]: what everybody may look at while the actor works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use super::Lock;
use crate::events::EventLog;
use crate::store::RekeyProgress;
use crate::vault::Vault;

/// What everybody may look at while the actor works.
#[derive(Debug)]
pub struct Published {
    pub(super) vault: watch::Receiver<Arc<Vault>>,
    /// The events of all commits.
    pub events: EventLog,
    pub(super) failed: AtomicBool,
    pub(super) mutations: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) store_bytes: AtomicU64,
    pub(super) lock: watch::Receiver<Lock>,
    /// How far a rekeying has come.
    pub rekeying: Arc<RekeyProgress>,
}

impl Published {
    /// Whether the vault is locked, and where its key comes from.
    #[must_use]
    pub fn lock(&self) -> Lock {
        self.lock.borrow().clone()
    }

    /// The vault as the last commit left it.
    #[must_use]
    pub fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault.borrow())
    }

    /// Whether a commit failed, so that nothing can be changed any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Mutations that took effect since the start.
    #[must_use]
    pub fn mutations(&self) -> u64 {
        self.mutations.load(Ordering::Relaxed)
    }

    /// Commits to the disk since the start.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// The size of the store's file in bytes.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        self.store_bytes.load(Ordering::Relaxed)
    }
}
