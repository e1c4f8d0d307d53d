//! [`Rewriting`]: a rewriting of the vault that is under way beside the actor.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinHandle, spawn_blocking};

use super::published::Published;
use crate::limits::MAX_CHANGED_MEANWHILE;
use crate::store::{Rewritten, Store, StoreError, Superseded};
use crate::vault::{Change, Name};

/// A task that writes the vault into a fresh database, and the names that have changed since it began.
pub(super) struct Rewriting {
    task: JoinHandle<Result<Option<Rewritten>, StoreError>>,
    cancelled: Arc<AtomicBool>,
    changed: HashSet<Name>,
}

impl Rewriting {
    /// Begins to rewrite what is published.
    pub(super) fn begin(store: &Store, published: Arc<Published>) -> Self {
        let rewrite = store.rewrite();
        let cancelled = rewrite.cancelled();
        let task = spawn_blocking(move || rewrite.write(|| published.vault()));
        Self { task, cancelled, changed: HashSet::new() }
    }

    /// Takes note of a commit. Gives up when all was cleared, for hardly anything is left to be written, or when more
    /// has changed than it means to remember.
    pub(super) fn committed(&mut self, changes: &[Change]) {
        if changes.iter().any(|change| matches!(change, Change::ClearedAll)) {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        if !self.cancelled.load(Ordering::Relaxed) {
            self.changed.extend(changes.iter().filter_map(Change::name));
        }
        if self.changed.len() > MAX_CHANGED_MEANWHILE {
            self.cancelled.store(true, Ordering::Relaxed);
            self.changed = HashSet::new();
        }
    }

    /// Waits until the task is done, or for ever when there is none. May be dropped and asked again.
    pub(super) async fn done(rewriting: &mut Option<Self>) -> Result<Option<Rewritten>, StoreError> {
        match rewriting {
            Some(Self { task, .. }) => task.await.unwrap_or(Ok(None)),
            None => std::future::pending().await,
        }
    }

    /// The names that have changed since it began; none when it was given up, so that what it wrote is of no use.
    pub(super) fn changed(self) -> Option<HashSet<Name>> {
        (!self.cancelled.load(Ordering::Relaxed)).then_some(self.changed)
    }

    /// Gives up. What is left is removed by the next start.
    pub(super) async fn cancel(self) {
        self.cancelled.store(true, Ordering::Relaxed);
        // However it ended, it has.
        drop(self.task.await);
    }
}

/// Removes the database that was in force before, on nobody's time.
pub(super) fn remove_in_background(old: Superseded) {
    spawn_blocking(move || match old.remove() {
        Ok(()) => tracing::info!("the vault was rewritten"),
        Err(error) => tracing::warn!(%error, "the vault was rewritten, and the old file stays for now"),
    });
}
