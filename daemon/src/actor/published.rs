//! [`Published`]: what everybody may look at while the actor works.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::events::EventLog;
use crate::grants::Grants;
use crate::seal::{Depth, VaultKeys, on_wiped_stack};
use crate::store::{Origin, RekeyProgress};
use crate::vault::Vault;

/// What everybody may look at while the actor works.
#[derive(Debug)]
pub(crate) struct Published {
    vault: RwLock<Arc<Vault>>,
    /// The one place of the vault's keys. Whoever opens a record holds this meanwhile: so the keys are those of the
    /// vault that is read, and whoever locks the vault waits until nobody has them in hand.
    keys: RwLock<Keys>,
    failure: RwLock<Option<String>>,
    /// The events of all commits.
    pub events: Arc<EventLog>,
    /// Who has which part of the vault.
    pub grants: Grants,
    /// Mutations that took effect since the start.
    pub(super) mutations: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) store_bytes: AtomicU64,
    /// How far a rekeying has come.
    pub rekeying: Arc<RekeyProgress>,
}

/// Whether the vault is locked, and where its wrapping key comes from.
#[derive(Debug)]
pub(super) struct Keys {
    /// While the vault is unlocked.
    pub(super) open: Option<VaultKeys>,
    /// Where the wrapping key comes from.
    pub(super) origin: Origin,
}

impl Published {
    pub(super) fn new(vault: Vault, keys: Keys, store_bytes: u64) -> Self {
        let events = Arc::<EventLog>::default();
        Self {
            grants: Grants::new(Arc::clone(&events)),
            vault: RwLock::new(Arc::new(vault)),
            keys: RwLock::new(keys),
            failure: RwLock::new(None),
            events,
            mutations: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            store_bytes: AtomicU64::new(store_bytes),
            rekeying: Arc::default(),
        }
    }

    /// The vault as the last commit left it.
    #[must_use]
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something that opens records, or signs: with the vault as the last commit left it, and its keys while it is
    /// unlocked. What it returns must hold no key.
    pub(crate) fn open<T>(&self, depth: Depth, work: impl FnOnce(&Vault, Option<&VaultKeys>) -> T) -> T {
        let keys = self.keys();
        let vault = self.vault();
        on_wiped_stack(depth, || work(&vault, keys.open.as_ref()))
    }

    /// Whether the vault is locked.
    #[must_use]
    pub(crate) fn is_locked(&self) -> bool {
        self.keys().open.is_none()
    }

    /// Where the wrapping key comes from.
    #[must_use]
    pub(crate) fn origin(&self) -> Origin {
        self.keys().origin.clone()
    }

    /// Why nothing can be put any more, if that is so.
    #[must_use]
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Mutations that took effect since the start.
    #[must_use]
    pub(crate) fn mutations(&self) -> u64 {
        self.mutations.load(Ordering::Relaxed)
    }

    /// Times that the disk was waited for since the start.
    #[must_use]
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// The size of the store's file in bytes.
    #[must_use]
    pub(crate) fn store_bytes(&self) -> u64 {
        self.store_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody has the keys in hand.
    pub(super) fn keys_mut(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows everybody another vault, and answers the one before.
    pub(super) fn replace(&self, vault: Vault) -> Arc<Vault> {
        std::mem::replace(&mut *self.vault.write().unwrap_or_else(PoisonError::into_inner), Arc::new(vault))
    }

    pub(super) fn set_failure(&self, failure: Option<String>) {
        *self.failure.write().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}
