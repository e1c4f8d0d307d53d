//! The calls on the vault's keys: `lock`, `unlock` and `rekey`.

use std::path::PathBuf;

use keyfob_proto::{By, Call, Code, Fault, KeySource, Rekey, Secret, Unlock, VaultLocked, VaultRekeyed, VaultUnlocked};

use super::Service;
use crate::actor::Lane;
use crate::limits::MAX_PASSPHRASE_BYTES;
use crate::seal::{Key, Locked};
use crate::store::Origin;
use crate::vault::Attempts;

impl Service {
    pub(super) async fn lock(&self, by: By) -> Result<VaultLocked, Fault> {
        let was_locked = self.actor.lock(Some(by)).await?;
        tracing::info!(method = "lock", was_locked, "the vault is locked");
        Ok(VaultLocked { was_locked })
    }

    pub(super) async fn unlock(&self, call: Unlock, by: By) -> Result<VaultUnlocked, Fault> {
        // One at a time: each takes a core and much memory.
        let mut attempts = self.unlocking.lock().await;
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
        self.note(&mut attempts, Unlock::METHOD, &unlocked).await;
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
            self.check_current(&mut attempts, current_passphrase).await?;
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
        self.note(attempts, Rekey::METHOD, &checked).await;
        checked
    }

    /// Takes note of how it went, in the vault too where that takes it: a full disk makes no wait shorter.
    async fn note<T>(&self, attempts: &mut Attempts, method: &'static str, tried: &Result<T, Fault>) {
        let noted = match tried {
            Ok(_) => Attempts::default(),
            Err(fault) if fault.data.code == Code::WrongPassphrase => attempts.after_another(self.clock.now()),
            Err(_) => return,
        };
        if noted.wrong > 0 {
            tracing::warn!(method, wrong = noted.wrong, "a wrong passphrase");
        }
        if std::mem::replace(attempts, noted) != noted {
            let kept = self.actor.submit(noted, (None, Lane::Owner), drop).await.await;
            if !matches!(kept, Ok(Ok(()))) {
                tracing::warn!("the wrong passphrases are not noted in the vault");
            }
        }
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
