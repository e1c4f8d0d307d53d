//! [`Sealed`]: what is secret in one record.

use std::sync::Arc;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use keyfob_proto::{Code, Fault};
use zeroize::Zeroizing;

use super::key::KEY_BYTES;
use super::keys::{Locked, Scope, VaultKeys};
use super::random::fill_random;
use super::slot::{Slot, SlotId, SlotSecret, record_key};

/// What sealing adds to a record, in bytes.
pub const SEAL_BYTES: usize = 16;

const NONCE_BYTES: usize = 12;

/// What is secret in one record, and the slot from which its key follows.
pub struct Sealed {
    slot: u32,
    id: SlotId,
    /// None where the slot is damaged.
    secret: Option<SlotSecret>,
    nonce: [u8; NONCE_BYTES],
    /// With the tag at its end. Shared by a record and the same one under another root key.
    ciphertext: Arc<[u8]>,
}

/// Why a record cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The vault is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// Its slot is not what was written.
    #[error("the store is damaged: the slot of a record cannot be read")]
    SlotDamaged,
    /// It is not what was sealed there, or not with these keys.
    #[error("the store is damaged: a record is not what was written")]
    Altered,
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Locked(locked) => locked.into(),
            OpenError::SlotDamaged | OpenError::Altered => {
                Fault::new(Code::InternalError, format!("{error}; clear it and log in again"))
            }
        }
    }
}

impl Sealed {
    /// Seals what a record says, with a slot that was made in memory. It opens only together with the same `identity`.
    ///
    /// # Panics
    ///
    /// When it is over 64 GiB long.
    #[must_use]
    pub fn new(keys: &VaultKeys, scope: Scope, slot: Slot, identity: &[u8], plain: &[u8]) -> Self {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce);
        let (slot, id, secret) = slot.into_parts();
        let mut bytes = Zeroizing::new(Vec::with_capacity(plain.len() + SEAL_BYTES));
        bytes.extend_from_slice(plain);
        let tag = cipher(&record_key(&secret, keys.scope(scope)))
            .encrypt_inout_detached(&Nonce::from(nonce), identity, bytes.as_mut_slice().into())
            .expect("a record is far below the cipher's limit");
        bytes.extend_from_slice(&tag);
        Self { slot, id, secret: Some(secret), nonce, ciphertext: bytes.as_slice().into() }
    }

    /// What the store holds of a record. `secret` is that of its slot, unless the slot is damaged.
    #[must_use]
    pub fn stored(
        slot: u32,
        id: SlotId,
        secret: Option<Slot>,
        nonce: [u8; NONCE_BYTES],
        ciphertext: impl Into<Arc<[u8]>>,
    ) -> Self {
        let secret = secret.map(|slot| slot.into_parts().2);
        Self { slot, id, secret, nonce, ciphertext: ciphertext.into() }
    }

    /// Opens the record and does something with what it says. Call it in [`on_wiped_stack`](super::on_wiped_stack).
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open<T>(
        &self,
        keys: Option<&VaultKeys>,
        scope: Scope,
        identity: &[u8],
        then: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, OpenError> {
        let key = self.key(keys.ok_or(Locked)?, scope)?;
        let length = self.ciphertext.len().checked_sub(SEAL_BYTES).ok_or(OpenError::Altered)?;
        let (ciphertext, tag) = self.ciphertext.split_at(length);
        let tag = Tag::try_from(tag).map_err(|_| OpenError::Altered)?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        cipher(&key)
            .decrypt_inout_detached(&Nonce::from(self.nonce), identity, plain.as_mut_slice().into(), &tag)
            .map_err(|_| OpenError::Altered)?;
        Ok(then(&plain))
    }

    /// The same record under another root key, and the slot that it then needs. One whose slot is damaged stays so.
    /// Call it in [`on_wiped_stack`](super::on_wiped_stack).
    #[must_use]
    pub fn rewrapped(&self, from: &VaultKeys, to: &VaultKeys, scope: Scope) -> (Self, Option<Slot>) {
        let key = self.key(from, scope).ok();
        let slot = key.map(|key| Slot::wrapping(self.slot, self.id, &key, to.scope(scope)));
        let secret = slot.as_ref().map(Slot::secret);
        let ciphertext = Arc::clone(&self.ciphertext);
        (Self { slot: self.slot, id: self.id, secret, nonce: self.nonce, ciphertext }, slot)
    }

    /// The number of its slot.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The id that its slot has while the record lives.
    #[must_use]
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// The nonce that it was sealed with.
    #[must_use]
    pub fn nonce(&self) -> [u8; NONCE_BYTES] {
        self.nonce
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    fn key(&self, keys: &VaultKeys, scope: Scope) -> Result<Zeroizing<[u8; KEY_BYTES]>, OpenError> {
        let secret = self.secret.as_ref().ok_or(OpenError::SlotDamaged)?;
        Ok(record_key(secret, keys.scope(scope)))
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed(slot {})", self.slot)
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}
