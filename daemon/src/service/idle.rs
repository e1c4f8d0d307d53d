//! [`Idle`]: when the vault's keys were last used, and the lock that closes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::actor::{Handle, Published};
use crate::clock::{Clock, Timestamp};
use crate::config::LockAfter;

/// How often it is looked whether the clock was put back while nothing is used.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// When the vault's keys were last used, and after how long without use it is locked.
#[derive(Debug)]
pub(super) struct Idle {
    told: LockAfter,
    published: Arc<Published>,
    clock: Clock,
    /// In seconds since the epoch: the wall clock, so that a machine that slept for long is found locked.
    last_use: AtomicU64,
    /// Told when a use is earlier than the one before, and when the vault says otherwise.
    changed: Notify,
}

impl Idle {
    pub(super) fn new(told: LockAfter, published: Arc<Published>, clock: Clock) -> Self {
        let last_use = AtomicU64::new(clock.now().secs());
        Self { told, published, clock, last_use, changed: Notify::new() }
    }

    /// After how long without use the vault is locked.
    pub(super) fn lock_after(&self) -> Option<Duration> {
        match self.told {
            LockAfter::AsTheVaultSays => self.published.vault().lock_after(),
            LockAfter::Never => None,
            LockAfter::Unused(after) => Some(after),
        }
    }

    /// Whether that was said to the daemon, and not to the vault.
    pub(super) fn is_told(&self) -> bool {
        self.told != LockAfter::AsTheVaultSays
    }

    /// The keys are used now.
    pub(super) fn used(&self) {
        let now = self.clock.now().secs();
        if self.last_use.swap(now, Ordering::Relaxed) > now {
            self.changed.notify_one();
        }
    }

    /// What the vault says was changed.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Locks the vault whenever its keys were not used for so long; never ends.
    pub(super) async fn lock_when_idle(&self, actor: &Handle) {
        loop {
            let Some(lock_after) = self.lock_after() else {
                self.changed.notified().await;
                continue;
            };
            // A clock that was put back must not leave the vault open for longer.
            let last_use = self.last_use();
            if last_use > self.clock.now() {
                let _ = self.begin_anew(last_use);
                continue;
            }
            let is_due = tokio::select! {
                () = self.clock.reached(last_use.after(lock_after)) => true,
                () = self.changed.notified() => false,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            // Before it locks: what comes afterwards is a use, also one at the same second as the last one.
            if is_due && self.lock_after() == Some(lock_after) && self.begin_anew(last_use) {
                match actor.lock(None).await {
                    Ok(true) => {}
                    Ok(false) => tracing::info!(unused_seconds = lock_after.as_secs(), "the vault locked itself"),
                    Err(_) => return std::future::pending().await,
                }
            }
        }
    }

    /// From now on it is idle anew, unless it was used in the meantime. Answers whether it was not.
    fn begin_anew(&self, last_use: Timestamp) -> bool {
        let now = self.clock.now().secs();
        self.last_use.compare_exchange(last_use.secs(), now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn last_use(&self) -> Timestamp {
        Timestamp::from_secs(self.last_use.load(Ordering::Relaxed))
    }
}
