//! The calls on the vault's keys: `lock`, `unlock` and `rekey`; and the delays after wrong passphrases.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use keyfob_proto::{By, Call, Code, Fault, KeySource, Rekey, Secret, Unlock, VaultLocked, VaultRekeyed, VaultUnlocked};

use super::Service;
use crate::clock::Timestamp;
use crate::limits::{MAX_DELAY_SECONDS, MAX_PASSPHRASE_BYTES};
use crate::seal::{Key, Locked};
use crate::store::Origin;

/// The wrong passphrases of each user: one who is let in cannot keep the vault's owner out.
pub(super) type AttemptsByUser = HashMap<u32, Attempts>;

/// A user's wrong passphrases since the last good one.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    wrong: u32,
    next_at: Timestamp,
}

impl Attempts {
    /// Refuses to try another passphrase yet.
    fn check(&self, now: Timestamp) -> Result<(), Fault> {
        let left = self.next_at.since(now);
        // A clock that was put back does not lock anybody out for longer.
        let seconds = (left.as_secs() + u64::from(left.subsec_nanos() > 0)).min(MAX_DELAY_SECONDS);
        if seconds == 0 {
            return Ok(());
        }
        let message = format!("a wrong passphrase was given: try again in {seconds} s");
        Err(Fault::new(Code::UnlockDelayed, message).retry_after(seconds))
    }

    /// Takes note of how it went: after each wrong one the wait is twice as long.
    fn note<T>(&mut self, method: &'static str, tried: &Result<T, Fault>, now: Timestamp) {
        match tried {
            Ok(_) => *self = Self::default(),
            Err(fault) if fault.data.code == Code::WrongPassphrase => {
                let seconds = 1_u64.checked_shl(self.wrong).unwrap_or(MAX_DELAY_SECONDS).min(MAX_DELAY_SECONDS);
                self.wrong += 1;
                self.next_at = now.after(Duration::from_secs(seconds));
                tracing::warn!(method, wrong = self.wrong, "a wrong passphrase");
            }
            Err(_) => {}
        }
    }
}

impl Service {
    pub(super) async fn lock(&self, by: By) -> Result<VaultLocked, Fault> {
        let was_locked = self.actor.lock(Some(by)).await?;
        tracing::info!(method = "lock", was_locked, "the vault is locked");
        Ok(VaultLocked { was_locked })
    }

    pub(super) async fn unlock(&self, call: Unlock, by: By) -> Result<VaultUnlocked, Fault> {
        // One at a time: each takes a core and much memory.
        let mut attempts = self.unlocking.lock().await;
        let attempts = attempts.entry(by.uid).or_default();
        if !self.published.is_locked() {
            // Whoever asks means to use it.
            self.idle.used();
            return Ok(VaultUnlocked { was_locked: false });
        }
        attempts.check(self.clock.now())?;
        if let Some(passphrase) = &call.passphrase {
            check_length(passphrase, 1, (Unlock::METHOD, "passphrase"))?;
        }
        let origin = self.published.origin();
        let wrapping = self.find_key(move |data_dir| origin.key(call.passphrase.as_ref(), &data_dir)).await?;
        // Before, or it might be found idle at once.
        self.idle.used();
        let unlocked = self.actor.unlock(wrapping, Some(by)).await;
        attempts.note(Unlock::METHOD, &unlocked, self.clock.now());
        if unlocked.is_ok() {
            tracing::info!(method = Unlock::METHOD, "the vault is unlocked");
        }
        unlocked.map(|was_locked| VaultUnlocked { was_locked })
    }

    pub(super) async fn rekey(&self, call: Rekey, by: By) -> Result<VaultRekeyed, Fault> {
        let Rekey { key_source, passphrase, current_passphrase } = call;
        match &passphrase {
            Some(passphrase) if key_source == KeySource::Passphrase => {
                check_length(passphrase, Rekey::MIN_PASSPHRASE_CHARS, (Rekey::METHOD, "passphrase"))?;
            }
            None if key_source != KeySource::Passphrase => {}
            _ => {
                let message = "rekey takes `passphrase` with the key source `passphrase`, and only then";
                return Err(wrong_param((Rekey::METHOD, "passphrase"), message));
            }
        }
        // Nobody unlocks, or rekeys, meanwhile.
        let mut attempts = self.unlocking.lock().await;
        // One with nothing in it can have another key without the old one, which may be lost.
        let is_locked = self.published.is_locked();
        if is_locked && !self.published.vault().is_empty() {
            return Err(Locked.into());
        }
        if !is_locked {
            self.check_current(attempts.entry(by.uid).or_default(), current_passphrase).await?;
        }
        let (origin, wrapping) =
            self.find_key(move |data_dir| Origin::new(key_source, passphrase.as_ref(), &data_dir)).await?;
        let records = self.actor.rekey(origin, wrapping, by).await?;
        self.idle.used();
        tracing::info!(method = Rekey::METHOD, records, "the vault has a new key");
        Ok(VaultRekeyed { key_source, records })
    }

    /// Whoever takes a vault away from its passphrase has to know it: that the vault is unlocked is not enough.
    async fn check_current(&self, attempts: &mut Attempts, current: Option<Secret>) -> Result<(), Fault> {
        const PARAM: (&str, &str) = (Rekey::METHOD, "currentPassphrase");
        let origin = self.published.origin();
        if origin.kind() != KeySource::Passphrase {
            let message = "the wrapping key does not come from a passphrase now: leave `currentPassphrase` out";
            return if current.is_some() { Err(wrong_param(PARAM, message)) } else { Ok(()) };
        }
        let Some(current) = current else {
            let message = "the vault is kept under a passphrase: give it as `currentPassphrase`";
            return Err(wrong_param(PARAM, message));
        };
        attempts.check(self.clock.now())?;
        check_length(&current, 1, PARAM)?;
        let wrapping: Key = self.find_key(move |data_dir| origin.key(Some(&current), &data_dir)).await?;
        let checked = self.actor.check(wrapping).await;
        attempts.note(Rekey::METHOD, &checked, self.clock.now());
        checked
    }

    /// Finds a key, on a thread that may take long.
    async fn find_key<T: Send + 'static>(
        &self,
        find: impl FnOnce(PathBuf) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let data_dir = self.paths.data_dir.clone();
        let failed = |_| Fault::new(Code::InternalError, "the daemon failed while it made a key; its log says more");
        tokio::task::spawn_blocking(move || find(data_dir)).await.map_err(failed)?
    }
}

fn check_length(passphrase: &Secret, min_chars: usize, param: (&'static str, &'static str)) -> Result<(), Fault> {
    let text = passphrase.expose();
    if text.len() > MAX_PASSPHRASE_BYTES || text.chars().count() < min_chars {
        let message =
            format!("a passphrase has at least {min_chars} characters and at most {MAX_PASSPHRASE_BYTES} bytes");
        return Err(wrong_param(param, &message));
    }
    Ok(())
}

fn wrong_param((method, field): (&'static str, &'static str), message: &str) -> Fault {
    Fault::new(Code::InvalidParams, message).on_params(method, Some(field))
}
