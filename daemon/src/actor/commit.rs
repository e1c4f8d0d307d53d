//! Committing: a draft becomes durable, and then the vault that everybody is shown; or it does not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyfob_proto::{Code, Fault};

use super::Actor;
use super::failing::removals;
use crate::clock::Timestamp;
use crate::limits::{DROPPED_PER_STEP, GROUP, REMOVAL_PAUSE};
use crate::seal::{Depth, on_wiped_stack};
use crate::store::{PutError, StoreError};
use crate::vault::{Change, Drafted, Vault};

/// How a group ended that was not made durable as it was.
pub(super) enum Failed {
    /// Nothing was put. What was removed is still to be.
    Put(Fault),
    /// What was to be removed may be there or not.
    Removal(Fault),
}

impl Actor {
    /// Makes durable what was drafted, shows it to everybody and says what happened.
    pub(super) fn commit(&mut self, drafted: Drafted, now: Timestamp) -> Result<(), Failed> {
        let Drafted { vault, changes, announcements } = drafted;
        if changes.is_empty() {
            // Time has passed, or nothing has.
            if !announcements.is_empty() || vault.warned_until() != self.published.vault().warned_until() {
                let before = self.published.replace(vault);
                self.published.grants.publish(announcements, &before, &self.published.vault());
            }
            return Ok(());
        }
        let clears_all = changes.iter().any(|change| matches!(change, Change::ClearedAll));
        if changes.iter().any(Change::is_put) {
            self.put(&changes, &vault)?;
        } else {
            self.remove(&changes, &vault, clears_all, now)?;
        }
        self.published.flushes.fetch_add(1, Ordering::Relaxed);
        self.published.store_bytes.store(self.store.bytes(), Ordering::Relaxed);
        if let Some(rewriting) = &mut self.rewriting {
            rewriting.committed(&changes);
        }
        // Events before replies: whoever has a reply and subscribes then is not told of it again.
        let (few, after) = (if clears_all { 0 } else { vault.session_count() } + GROUP, vault.clone());
        let before = if clears_all { self.publish_next_generation(vault) } else { self.published.replace(vault) };
        self.published.grants.publish(announcements, &before, &after);
        self.drop_old(before, few);
        Ok(())
    }

    fn put(&mut self, changes: &[Change], after: &Vault) -> Result<(), Failed> {
        let put = self.store.put(changes, after);
        self.is_full &= put.is_err();
        put.map_err(|error| match error {
            PutError::NotTried(error) => Failed::Put(self.refuse(&error)),
            PutError::Undecided(error) => {
                self.undecided.add(after.clone());
                self.fail(&error);
                let what = "the disk failed: whether this took effect is decided at the next start";
                Failed::Put(storage_failed(&format!("{what} ({error})")))
            }
        })
    }

    fn remove(&mut self, changes: &[Change], after: &Vault, clears_all: bool, now: Timestamp) -> Result<(), Failed> {
        let (slots, undecided) = self.undecided.removed(changes, &self.published.vault(), after, now);
        let rest = if clears_all && slots.is_empty() { Ok(()) } else { self.store.remove(changes, slots) };
        match rest.and_then(|()| if clears_all { self.store.clear_all(after) } else { Ok(()) }) {
            Ok(()) => {
                self.undecided = undecided;
                self.unfinished.clear();
                Ok(())
            }
            Err(error) => {
                // Those that were unfinished before are among them: each group repeats them.
                self.unfinished = removals(changes).collect();
                self.fail(&error);
                let what = "the disk failed: whether this took effect is decided at the next start, or when it is \
                            asked again";
                Err(Failed::Removal(storage_failed(&format!("{what} ({error})"))))
            }
        }
    }

    /// Shows everybody the vault after a clear-all, with the keys of its generation, at once; and answers
    /// the one before.
    fn publish_next_generation(&self, vault: Vault) -> Arc<Vault> {
        let mut keys = self.published.keys_mut();
        let old = self.published.replace(vault);
        on_wiped_stack(Depth::Deep, || {
            if let Some(keys) = &mut keys.open {
                keys.begin_generation(self.store.generation_secret());
            }
        });
        drop(keys);
        old
    }

    /// Drops a vault that nobody is shown any more: at once if it has few sessions, or a little at a time. All at once
    /// it would keep the allocator from everybody else: reads were seen to wait 40 ms.
    pub(super) fn drop_old(&self, old: Arc<Vault>, few: usize) {
        if old.session_count() <= few {
            return;
        }
        self.background.spawn(async move {
            let mut old = Arc::unwrap_or_clone(old);
            while old.shed(DROPPED_PER_STEP) {
                tokio::time::sleep(REMOVAL_PAUSE).await;
            }
        });
    }

    /// Sees to it that so many records can be sealed.
    pub(super) fn refill(&mut self, records: usize) -> Result<(), Fault> {
        self.store.refill(records).map_err(|error| self.refuse(&error))
    }

    /// The fault of something that was not put, and nothing is left open.
    fn refuse(&mut self, error: &StoreError) -> Fault {
        self.notice(error);
        storage_failed(&match self.published.failure() {
            Some(before) if self.store.is_broken() => {
                format!("the disk failed earlier, so nothing was tried ({before})")
            }
            _ => format!("{error}; nothing was changed"),
        })
    }

    /// Takes note of an error after which less is possible.
    pub(super) fn notice(&mut self, error: &StoreError) {
        if self.store.is_broken() {
            self.fail(error);
        } else if !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!(%error, "nothing can be stored; clearing goes on");
        }
    }

    /// Nothing is put any more until the next start.
    pub(super) fn fail(&self, error: &StoreError) {
        if self.published.failure().is_none() {
            tracing::error!(%error, "the disk failed: nothing is stored any more until the daemon is restarted");
            self.published.set_failure(Some(error.to_string()));
        }
    }
}

/// The fault of something that the disk does not take.
pub(super) fn storage_failed(what: &str) -> Fault {
    let message = format!("{what}. Reads and clearing go on. See to the disk; `keyfob status` says what it is like");
    Fault::new(Code::StorageError, message)
}
