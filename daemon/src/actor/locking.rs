//! Locking, unlocking and rekeying: what the actor does to the vault's keys, between two groups.

use keyfob_proto::{By, Code, EventKind, Fault, KeySource};

use super::Actor;
use super::commit::storage_failed;
use super::handle::Handle;
use crate::seal::{Depth, Key, on_wiped_stack};
use crate::store::{Origin, RekeyError, UnlockError};
use crate::vault::Announcement;

impl Handle {
    /// Locks the vault. Answers whether it was locked before.
    ///
    /// # Errors
    ///
    /// `SHUTTING_DOWN`.
    pub(crate) async fn lock(&self, by: Option<By>) -> Result<bool, Fault> {
        self.act(move |actor| Ok(actor.lock(by))).await
    }

    /// Unlocks the vault with its wrapping key. Answers whether it was locked before.
    ///
    /// # Errors
    ///
    /// `WRONG_PASSPHRASE`, or `KEY_UNAVAILABLE` where it is no passphrase, when this is not its key; `KEY_UNAVAILABLE`
    /// when its root key is not that of the records; `SHUTTING_DOWN`.
    pub(crate) async fn unlock(&self, wrapping: Key, by: Option<By>) -> Result<bool, Fault> {
        self.act(move |actor| actor.unlock(&wrapping, by)).await
    }

    /// Whether this is the wrapping key of the vault, locked or not.
    ///
    /// # Errors
    ///
    /// As [`Handle::unlock`].
    pub(crate) async fn check(&self, wrapping: Key) -> Result<(), Fault> {
        self.act(move |actor| actor.unlocked(&wrapping).map(drop)).await
    }

    /// Gives the vault a new root key, wrapped under this key from this origin, which is removed again where that
    /// fails. Answers how many records there are.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`, `STORAGE_ERROR`, `SHUTTING_DOWN`.
    pub(crate) async fn rekey(&self, origin: Origin, wrapping: Key, by: By) -> Result<u64, Fault> {
        self.act(move |actor| actor.rekey(&origin, &wrapping, by)).await
    }
}

impl Actor {
    /// Unlocks the vault if its wrapping key is to be had without anybody's help; one that comes from a passphrase is
    /// waited for.
    ///
    /// # Errors
    ///
    /// `KEY_UNAVAILABLE`. It stays locked.
    pub(crate) fn unlock_by_itself(&mut self) -> Result<(), Fault> {
        if self.store.origin().kind() == KeySource::Passphrase {
            return Ok(());
        }
        let wrapping = self.store.wrapping_key()?;
        // Nobody can have subscribed yet.
        self.open_with(&wrapping).map(drop)
    }

    fn lock(&mut self, by: Option<By>) -> bool {
        let was_locked = self.published.keys_mut().open.take().is_none();
        if !was_locked {
            self.announce(EventKind::VaultLocked, by);
        }
        was_locked
    }

    fn unlock(&mut self, wrapping: &Key, by: Option<By>) -> Result<bool, Fault> {
        let was_locked = self.open_with(wrapping)?;
        if was_locked {
            self.announce(EventKind::VaultUnlocked, by);
        }
        Ok(was_locked)
    }

    /// Shows everybody the keys that follow from a wrapping key. Answers whether there were none before.
    fn open_with(&mut self, wrapping: &Key) -> Result<bool, Fault> {
        let keys = self.unlocked(wrapping)?;
        // Where the vault was emptied and rekeyed while it was locked.
        if let Err(error) = self.store.prove(&keys) {
            self.notice(&error);
        }
        Ok(self.published.keys_mut().open.replace(keys).is_none())
    }

    fn unlocked(&self, wrapping: &Key) -> Result<crate::seal::VaultKeys, Fault> {
        self.store.unlock(wrapping, &self.published.vault()).map_err(|error| match error {
            UnlockError::NotItsKey if self.store.origin().kind() == KeySource::Passphrase => {
                Fault::new(Code::WrongPassphrase, "this is not the passphrase of the vault")
            }
            error => Fault::new(Code::KeyUnavailable, error.to_string()),
        })
    }

    fn announce(&self, kind: EventKind, by: Option<By>) {
        let vault = self.published.vault();
        self.published.grants.publish(vec![Announcement { kind, by }], &vault, &vault);
    }

    fn rekey(&mut self, origin: &Origin, wrapping: &Key, by: By) -> Result<u64, Fault> {
        if self.store.is_broken() || self.undecided.is_some() || !self.unfinished.is_empty() {
            self.store.discard(origin);
            return Err(storage_failed("the disk failed earlier, so nothing was tried"));
        }
        let progress = self.published.rekeying.clone();
        let vault = self.published.vault();
        let rekeyed = {
            let keys = self.published.keys();
            on_wiped_stack(Depth::Deep, || self.store.rekey(&vault, keys.open.as_ref(), (origin, wrapping), &progress))
        };
        progress.end();
        match rekeyed {
            Ok((rekeyed, new)) => {
                let mut keys = self.published.keys_mut();
                let old = self.published.replace(rekeyed);
                let was_locked = keys.open.replace(new).is_none();
                keys.origin = origin.clone();
                drop(keys);
                self.drop_old(old, crate::limits::GROUP);
                self.announce(EventKind::VaultRekeyed { key_source: origin.kind() }, Some(by));
                if was_locked {
                    self.announce(EventKind::VaultUnlocked, Some(by));
                }
                Ok(vault.record_count() as u64)
            }
            Err(RekeyError::Locked(locked)) => Err(locked.into()),
            Err(RekeyError::NotBegun(error)) => Err(storage_failed(&format!("{error}; the vault is as it was"))),
            Err(RekeyError::Failed(error)) => {
                self.fail(&error);
                Err(storage_failed("the disk failed: which key the vault has is decided at the next start"))
            }
        }
    }
}
