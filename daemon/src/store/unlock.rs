//! The keys of the vault, from its wrapping key.

use keyfob_proto::Fault;

use super::Store;
use super::keys::Origin;
use crate::seal::{Depth, Key, VaultKeys, on_wiped_stack};
use crate::vault::Vault;

/// Why a vault was not unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    /// The root key is wrapped under another key.
    #[error("the key that was found is not that of the vault: restore the right one")]
    NotItsKey,
    /// The root key opens none of the records.
    #[error(
        "the root key in `store/keys` is not that of the vault's records: somebody put another file in its place, or \
         altered it. Restore `store` from a backup"
    )]
    NotOfTheRecords,
}

impl Store {
    /// Where the wrapping key comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.header.origin
    }

    /// The keys that follow from a wrapping key, if it is the vault's.
    ///
    /// # Errors
    ///
    /// [`UnlockError`].
    pub fn unlock(&self, wrapping: &Key, vault: &Vault) -> Result<VaultKeys, UnlockError> {
        on_wiped_stack(Depth::Deep, || {
            let root = self.header.unwrap(wrapping).ok_or(UnlockError::NotItsKey)?;
            let keys = VaultKeys::new(root, self.generation_secret());
            // A header that was put in the place of the vault's own opens too.
            let is_of = self.proof.is_of(&self.header.vault, &keys).or_else(|| vault.opens_with(&keys));
            if is_of.unwrap_or(true) { Ok(keys) } else { Err(UnlockError::NotOfTheRecords) }
        })
    }

    /// The wrapping key, where it is to be had without anybody's help.
    ///
    /// # Errors
    ///
    /// `KEY_UNAVAILABLE`; `INVALID_PARAMS` where it comes from a passphrase.
    pub fn wrapping_key(&self) -> Result<Key, Fault> {
        self.header.origin.key(None, &self.data_dir)
    }

    /// What the keys of the current generation depend on.
    #[must_use]
    pub fn generation_secret(&self) -> &[u8] {
        &*self.keys.state().secret
    }

    /// Removes what was made of an origin that the vault will not have.
    pub fn discard(&self, origin: &Origin) {
        origin.remove(&self.data_dir);
    }
}
