//! [`Idle`]: when the vault's keys were last used, and the lock that closes by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::actor::Handle;
use crate::clock::{Clock, Timestamp};

/// How often it is looked whether the clock was put back while nothing is used.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// When the vault's keys were last used, and after how long without use it is locked.
#[derive(Debug)]
pub(super) struct Idle {
    lock_after: Option<Duration>,
    clock: Clock,
    /// In seconds since the epoch: the wall clock, so that a machine that slept for long is found locked.
    last_use: AtomicU64,
    /// Told when a use is earlier than the one before.
    put_back: Notify,
}

impl Idle {
    pub(super) fn new(lock_after: Option<Duration>, clock: Clock) -> Self {
        let last_use = AtomicU64::new(clock.now().secs());
        Self { lock_after, clock, last_use, put_back: Notify::new() }
    }

    /// After how long without use the vault is locked.
    pub(super) fn lock_after(&self) -> Option<Duration> {
        self.lock_after
    }

    /// The keys are used now.
    pub(super) fn used(&self) {
        let now = self.clock.now().secs();
        if self.last_use.swap(now, Ordering::Relaxed) > now {
            self.put_back.notify_one();
        }
    }

    /// Locks the vault whenever its keys were not used for as long as the daemon was told; never ends.
    pub(super) async fn lock_when_idle(&self, actor: &Handle) {
        let Some(lock_after) = self.lock_after else { return std::future::pending().await };
        loop {
            // A clock that was put back must not leave the vault open for longer.
            let last_use = self.last_use();
            if last_use > self.clock.now() {
                self.used();
                continue;
            }
            let is_due = tokio::select! {
                () = self.clock.reached(last_use.after(lock_after)) => true,
                () = self.put_back.notified() => false,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            if is_due && self.last_use() == last_use {
                if actor.lock(None).await.is_err() {
                    return std::future::pending().await;
                }
                // From now on it is idle anew.
                self.used();
            }
        }
    }

    fn last_use(&self) -> Timestamp {
        Timestamp::from_secs(self.last_use.load(Ordering::Relaxed))
    }
}
