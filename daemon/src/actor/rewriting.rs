//! [`Rewriting`]: a rewriting of the vault that is under way beside the actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

use crate::store::{Rewritten, Store, StoreError, Superseded};
use crate::vault::{Change, Vault};

/// A task that writes the vault into a fresh database, and what was committed since it began.
pub(super) struct Rewriting {
    task: JoinHandle<Result<Option<Rewritten>, StoreError>>,
    cancelled: Arc<AtomicBool>,
    since: Vec<Change>,
}

impl Rewriting {
    /// Begins to rewrite `vault`, which is what the store holds now.
    pub(super) fn begin(store: &Store, vault: Arc<Vault>) -> Self {
        let rewrite = store.rewrite();
        let cancelled = rewrite.cancelled();
        Self { task: spawn_blocking(move || rewrite.write(&vault)), cancelled, since: Vec::new() }
    }

    /// Takes note of a commit.
    pub(super) fn committed(&mut self, changes: &[Change]) {
        self.since.extend_from_slice(changes);
    }

    /// Waits until the task is done, or for ever when there is none. May be dropped and asked again.
    pub(super) async fn done(rewriting: &mut Option<Self>) -> Result<Option<Rewritten>, StoreError> {
        match rewriting {
            Some(Self { task, .. }) => task.await.unwrap_or(Ok(None)),
            None => std::future::pending().await,
        }
    }

    /// The new database with all that was committed since; `None` when the task gave up.
    pub(super) fn catch_up(
        self,
        rewritten: Result<Option<Rewritten>, StoreError>,
    ) -> Result<Option<Rewritten>, StoreError> {
        let Some(mut new) = rewritten? else { return Ok(None) };
        block_in_place(|| new.catch_up(&self.since))?;
        Ok(Some(new))
    }

    /// Gives up. What is left is removed by the next start.
    pub(super) async fn cancel(self) {
        self.cancelled.store(true, Ordering::Relaxed);
        // However it ended, it has.
        drop(self.task.await);
    }
}

/// Removes the database that was current before, on nobody's time.
pub(super) fn remove_in_background(old: Superseded) {
    spawn_blocking(move || match old.remove() {
        Ok(()) => tracing::info!("the vault was rewritten"),
        Err(error) => tracing::warn!(%error, "the vault was rewritten, and the old file stays for now"),
    });
}
