//! The calls on the vault's lock, and the lock that closes by itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyfob_proto::{
    By, Call, Code, Fault, KeySource, LockStatus, Rekey, Rekeying, Secret, Unlock, VaultLocked, VaultRekeyed,
    VaultUnlocked,
};

use tokio::sync::Notify;

use super::Service;
use crate::clock::Timestamp;
use crate::key_source::{MAX_PASSPHRASE_BYTES, MIN_PASSPHRASE_CHARS, Source};
use crate::seal::Locked;

/// The longest wait after wrong passphrases, in seconds.
const MAX_DELAY_SECONDS: u64 = 300;

/// How often it is looked whether the clock was put back while nothing is used.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A user's wrong passphrases since the last good one.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    wrong: u32,
    next_at: Timestamp,
}

impl Attempts {
    fn delay(&self, now: Timestamp) -> Option<u64> {
        let left = self.next_at.since(now);
        // A clock that was put back does not lock anybody out for longer.
        let seconds = (left.as_secs() + u64::from(left.subsec_nanos() > 0)).min(MAX_DELAY_SECONDS);
        (seconds > 0).then_some(seconds)
    }

    /// Twice as long after each.
    fn failed(&mut self, now: Timestamp) {
        let seconds = 1_u64.checked_shl(self.wrong).unwrap_or(MAX_DELAY_SECONDS).min(MAX_DELAY_SECONDS);
        self.wrong += 1;
        self.next_at = now.after(Duration::from_secs(seconds));
    }
}

/// When the vault's keys were last used, and after how long without use it is locked.
#[derive(Debug)]
pub(super) struct Idle {
    lock_after: Option<Duration>,
    /// In seconds since the epoch: the wall clock, so that a machine that slept for long is found locked.
    last_use: AtomicU64,
    /// Told when a use is earlier than the one before.
    put_back: Notify,
}

impl Idle {
    pub(super) fn new(lock_after: Option<Duration>, now: Timestamp) -> Self {
        Self { lock_after, last_use: AtomicU64::new(now.secs()), put_back: Notify::new() }
    }

    fn last_use(&self) -> Timestamp {
        Timestamp::from_secs(self.last_use.load(Ordering::Relaxed))
    }

    pub(super) fn used(&self, now: Timestamp) {
        if self.last_use.swap(now.secs(), Ordering::Relaxed) > now.secs() {
            self.put_back.notify_one();
        }
    }
}

impl Service {
    /// Locks the vault whenever its keys were not used for as long as the daemon was told; never ends.
    pub async fn lock_when_idle(&self) {
        let Some(lock_after) = self.idle.lock_after else { return std::future::pending().await };
        loop {
            // A clock that was put back must not leave the vault open for longer.
            let (now, last_use) = (self.clock.now(), self.idle.last_use());
            if last_use > now {
                self.idle.used(now);
                continue;
            }
            let is_due = tokio::select! {
                () = self.clock.reached(last_use.after(lock_after)) => true,
                () = self.idle.put_back.notified() => false,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            if is_due && self.idle.last_use() == last_use {
                if self.actor.lock(None).await.is_err() {
                    return std::future::pending().await;
                }
                // From now on it is idle anew.
                self.idle.used(self.clock.now());
            }
        }
    }

    pub(super) async fn lock(&self, by: By) -> Result<VaultLocked, Fault> {
        let was_locked = self.actor.lock(Some(by)).await?;
        tracing::info!(method = "lock", was_locked, "the vault is locked");
        Ok(VaultLocked { was_locked })
    }

    pub(super) async fn unlock(&self, call: Unlock, by: By) -> Result<VaultUnlocked, Fault> {
        // One at a time: each takes a core and much memory.
        let mut attempts = self.unlocking.lock().await;
        // Each user's own, so that one who is let in cannot keep the vault's owner out.
        let attempts = attempts.entry(by.uid).or_default();
        let lock = self.published.lock();
        if !lock.locked {
            // Whoever asks means to use it.
            self.idle.used(self.clock.now());
            return Ok(VaultUnlocked { was_locked: false });
        }
        if let Some(seconds) = attempts.delay(self.clock.now()) {
            let message = format!("a wrong passphrase was given: try again in {seconds} s");
            return Err(Fault::new(Code::UnlockDelayed, message).retry_after(seconds));
        }
        if let Some(passphrase) = &call.passphrase {
            check_length(passphrase, 1, Unlock::METHOD)?;
        }
        let key = self.key(move |data_dir| lock.source.key(call.passphrase.as_ref(), &data_dir)).await?;
        // Before, or it might be found idle at once.
        self.idle.used(self.clock.now());
        let unlocked = self.actor.unlock(key, Some(by)).await;
        match &unlocked {
            Ok(_) => {
                *attempts = Attempts::default();
                tracing::info!(method = Unlock::METHOD, "the vault is unlocked");
            }
            Err(fault) if fault.data.code == Code::WrongPassphrase => {
                attempts.failed(self.clock.now());
                tracing::warn!(method = Unlock::METHOD, wrong = attempts.wrong, "a wrong passphrase");
            }
            Err(_) => {}
        }
        unlocked.map(|was_locked| VaultUnlocked { was_locked })
    }

    pub(super) async fn rekey(&self, call: Rekey, by: By) -> Result<VaultRekeyed, Fault> {
        let own = rustix::process::getuid().as_raw();
        if by.uid != own && by.uid != 0 {
            return Err(Fault::new(Code::AccessDenied, "only the vault's own user, or root, may give it another key"));
        }
        let Rekey { key_source, passphrase } = call;
        match &passphrase {
            Some(passphrase) if key_source == KeySource::Passphrase => {
                check_length(passphrase, MIN_PASSPHRASE_CHARS, Rekey::METHOD)?;
            }
            None if key_source != KeySource::Passphrase => {}
            _ => {
                let message = "rekey takes `passphrase` with the key source `passphrase`, and only then";
                return Err(wrong_passphrase_param(Rekey::METHOD, message));
            }
        }
        // Nobody unlocks, or rekeys, meanwhile.
        let _attempts = self.unlocking.lock().await;
        // One with nothing in it can have another key without the old one, which may be lost.
        if self.published.lock().locked && !self.published.vault().is_empty() {
            return Err(Locked.into());
        }
        let (source, key) = self.key(move |data_dir| Source::new(key_source, passphrase.as_ref(), &data_dir)).await?;
        let records = self.actor.rekey(source, key, by).await?;
        self.idle.used(self.clock.now());
        tracing::info!(method = Rekey::METHOD, records, "the vault has a new key");
        Ok(VaultRekeyed { key_source, records })
    }

    /// Finds a key, on a thread that may take long.
    async fn key<T: Send + 'static>(
        &self,
        find: impl FnOnce(PathBuf) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let data_dir = self.paths.data_dir.clone();
        let failed = |_| Fault::new(Code::InternalError, "the daemon failed while it made a key; its log says more");
        tokio::task::spawn_blocking(move || find(data_dir)).await.map_err(failed)?
    }

    pub(super) fn lock_status(&self) -> LockStatus {
        let lock = self.published.lock();
        LockStatus {
            locked: lock.locked,
            key_source: lock.source.kind(),
            lock_after_seconds: self.idle.lock_after.map(|after| after.as_secs()),
            rekeying: self.published.rekeying.now().map(|(done, total)| Rekeying { done, total }),
        }
    }
}

fn check_length(passphrase: &Secret, min_chars: usize, method: &'static str) -> Result<(), Fault> {
    let text = passphrase.expose();
    if text.len() > MAX_PASSPHRASE_BYTES || text.chars().count() < min_chars {
        let message =
            format!("a passphrase has at least {min_chars} characters and at most {MAX_PASSPHRASE_BYTES} bytes");
        return Err(wrong_passphrase_param(method, &message));
    }
    Ok(())
}

fn wrong_passphrase_param(method: &'static str, message: &str) -> Fault {
    Fault::new(Code::InvalidParams, message).on_params(method, Some("passphrase"))
}
