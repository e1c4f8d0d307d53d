//! Locking, unlocking and rekeying: what the actor does to the vault's keys, between two commits.

use keyfob_proto::{By, Code, EventKind, Fault, KeySource};
use tokio::sync::oneshot;

use super::{Actor, GROUP, Handle, Submission, shutting_down, storage_failed};
use crate::key_source::Source;
use crate::seal::Key;
use crate::store::{RekeyError, Store, not_its_key};
use crate::vault::Announcement;

/// Whether the vault is locked, and where its key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Whether it is locked.
    pub locked: bool,
    /// Where the key comes from.
    pub source: Source,
}

impl Lock {
    pub(super) fn of(store: &Store) -> Self {
        Self { locked: store.is_locked(), source: store.key_source().clone() }
    }
}

impl Handle {
    /// Locks the vault. Answers whether it was locked before.
    ///
    /// # Errors
    ///
    /// `SHUTTING_DOWN`.
    pub async fn lock(&self, by: Option<By>) -> Result<bool, Fault> {
        self.act(move |actor| Ok(actor.lock(by))).await
    }

    /// Unlocks the vault. Answers whether it was locked before.
    ///
    /// # Errors
    ///
    /// `WRONG_PASSPHRASE` when this is not its key; `SHUTTING_DOWN`.
    pub async fn unlock(&self, key: Key, by: Option<By>) -> Result<bool, Fault> {
        self.act(move |actor| actor.unlock(&key, by)).await
    }

    /// Gives the vault a new root key, wrapped under this key from this source, which is removed again where that
    /// fails. Answers how many records there are.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`, `STORAGE_ERROR`, `SHUTTING_DOWN`.
    pub async fn rekey(&self, source: Source, key: Key, by: By) -> Result<u64, Fault> {
        self.act(move |actor| actor.rekey(&source, &key, Some(by))).await
    }

    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Actor) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        // The caller may have hung up; its answer is then nobody's.
        let act = move |actor: &mut Actor| drop(sender.send(act(actor)));
        self.queue.send(Submission::Act(Box::new(act))).await.map_err(|_| shutting_down())?;
        receiver.await.map_err(|_| shutting_down())?
    }
}

impl Actor {
    fn lock(&mut self, by: Option<By>) -> bool {
        let was_locked = self.store.is_locked();
        self.store.lock();
        self.vault.borrow().forget_signing_keys();
        if !was_locked {
            self.show_lock(EventKind::VaultLocked, by);
        }
        was_locked
    }

    fn unlock(&mut self, key: &Key, by: Option<By>) -> Result<bool, Fault> {
        let was_locked = self.store.is_locked();
        if !self.store.unlock(key) {
            return Err(match self.store.key_source().kind() {
                KeySource::Passphrase => Fault::new(Code::WrongPassphrase, "this is not the passphrase of the vault"),
                _ => not_its_key(),
            });
        }
        if was_locked {
            self.show_lock(EventKind::VaultUnlocked, by);
        }
        Ok(was_locked)
    }

    fn show_lock(&self, kind: EventKind, by: Option<By>) {
        self.lock.send_replace(Lock::of(&self.store));
        self.published.events.publish(vec![Announcement { kind, by }]);
    }

    fn rekey(&mut self, source: &Source, key: &Key, by: Option<By>) -> Result<u64, Fault> {
        if self.published.has_failed() {
            self.store.discard(source);
            return Err(storage_failed("the disk failed earlier, so nothing was tried"));
        }
        let was_locked = self.store.is_locked();
        let progress = self.published.rekeying.clone();
        let vault = self.vault.borrow().clone();
        let rekeyed = tokio::task::block_in_place(|| self.store.rekey(&vault, source, key, &progress));
        progress.end();
        match rekeyed {
            Ok(mut rekeyed) => {
                rekeyed.continues(&vault);
                self.supply = self.store.supply();
                self.replace(rekeyed, GROUP);
                if was_locked {
                    self.show_lock(EventKind::VaultUnlocked, by);
                } else {
                    self.lock.send_replace(Lock::of(&self.store));
                }
                Ok(vault.record_count() as u64)
            }
            Err(RekeyError::Locked(locked)) => Err(locked.into()),
            Err(RekeyError::NotBegun(error)) => {
                Err(Fault::new(Code::StorageError, format!("{error}; the vault is as it was")))
            }
            Err(RekeyError::Failed(error)) => {
                self.fail(&error);
                Err(storage_failed("the disk failed: which key the vault has is decided at the next start"))
            }
        }
    }
}
