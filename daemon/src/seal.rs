//! [`Sealed`]: what is secret in one record, under a key that can be destroyed. No I/O.
//!
//! # Keys
//!
//! ```text
//! root key (the store keeps it wrapped)
//!   └─ scope key = HMAC-SHA256(root key, the scope's name and its secret)
//!        └─ record key = HMAC-SHA256(scope key, salt) ⊕ mask
//!             └─ record = AES-256-GCM(record key, nonce 0; associated data: the record's identity)
//! ```
//!
//! Salt and mask are the 64 random bytes of a [`Slot`], which the store keeps in a file that is overwritten in
//! place: once they are overwritten, the record can be opened by nobody, whatever else they have kept. A
//! [`Scope`] is what goes together: unused key pairs are in one, and the sessions with their key pairs
//! since the last clear-all in another, whose secret is destroyed by the next.
//!
//! # Invariants
//!
//! - A slot's bytes seal one record of a scope, once. (A clear-all frees slots as they are, for records of other
//!   scopes.) The key is therefore a new one for each record, and no nonce is ever used twice under it.
//! - Nothing here holds what a record says in the clear. A locked vault holds no scope's key, so nothing
//!   in it can be opened, and opening and locking exclude each other.

mod slot;

use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hmac::{Hmac, Mac};
use keyfob_proto::{Code, Fault};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

pub use self::slot::{NoneAtHand, SLOT_BYTES, Slot, Supply};

/// The length of every key, in bytes.
pub const KEY_BYTES: usize = 32;

/// What sealing adds to a record, in bytes.
pub const SEAL_BYTES: usize = 16;

/// A key. Overwritten when it is dropped.
pub type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Records whose keys are destroyed together, and the key that all of theirs come from while the vault is
/// unlocked.
pub struct Scope(RwLock<Option<Key>>);

impl Scope {
    /// A scope of a locked vault.
    #[must_use]
    pub fn locked() -> Arc<Self> {
        Arc::new(Self(RwLock::new(None)))
    }

    /// An unlocked scope of a vault that has no store.
    #[must_use]
    pub fn without_store() -> Arc<Self> {
        Arc::new(Self(RwLock::new(Some(random()))))
    }

    /// Gives it its key: from the root key, its name and its secret.
    pub fn unlock(&self, root: &Key, name: &[u8], secret: &[u8]) {
        let key = prf(root, &[name, secret]);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Whether it has its key.
    ///
    /// # Errors
    ///
    /// [`Locked`].
    pub fn check(&self) -> Result<(), Locked> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(drop).ok_or(Locked)
    }

    /// Takes its key away. Waits for whoever is just opening a record.
    pub fn lock(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Does something with the key of a slot.
    fn with_key<T>(&self, slot: &Slot, then: impl FnOnce(&Key) -> T) -> Result<T, Locked> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = key.as_ref().ok_or(Locked)?;
        Ok(then(&slot.key_under(key)))
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scope")
    }
}

/// The vault is locked: its keys are not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vault is locked: `keyfob unlock`")]
pub struct Locked;

impl From<Locked> for Fault {
    fn from(locked: Locked) -> Self {
        Fault::new(Code::VaultLocked, locked.to_string())
    }
}

/// Why a record cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The vault is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// It is not what was sealed there.
    #[error("the store is damaged: a record is not what was written")]
    Altered,
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Locked(locked) => locked.into(),
            OpenError::Altered => Fault::new(Code::InternalError, format!("{error}; clear it and log in again")),
        }
    }
}

/// What is secret in one record.
#[derive(Debug)]
pub struct Sealed {
    scope: Arc<Scope>,
    slot: Slot,
    ciphertext: Box<[u8]>,
}

impl Sealed {
    /// Seals what a record says. It opens only together with the same `identity`.
    ///
    /// # Errors
    ///
    /// [`Locked`].
    ///
    /// # Panics
    ///
    /// When it is over 64 GiB long.
    pub fn new(scope: &Arc<Scope>, slot: Slot, identity: &[u8], plain: &[u8]) -> Result<Self, Locked> {
        let mut ciphertext = Vec::with_capacity(plain.len() + SEAL_BYTES);
        ciphertext.extend_from_slice(plain);
        let sealed = scope.with_key(&slot, |key| {
            cipher(key).encrypt_inout_detached(&Nonce::default(), identity, ciphertext.as_mut_slice().into())
        });
        match sealed {
            Ok(tag) => ciphertext.extend_from_slice(&tag.expect("a record is far below the cipher's limit")),
            Err(locked) => {
                ciphertext.zeroize();
                return Err(locked);
            }
        }
        Ok(Self { scope: Arc::clone(scope), slot, ciphertext: ciphertext.into() })
    }

    /// What the store holds of a record.
    #[must_use]
    pub fn stored(scope: &Arc<Scope>, slot: Slot, ciphertext: &[u8]) -> Self {
        Self { scope: Arc::clone(scope), slot, ciphertext: ciphertext.into() }
    }

    /// Opens the record and does something with what it says, before the vault can be locked.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open<T>(&self, identity: &[u8], then: impl FnOnce(&[u8]) -> T) -> Result<T, OpenError> {
        self.scope.with_key(&self.slot, |key| {
            let length = self.ciphertext.len().checked_sub(SEAL_BYTES).ok_or(OpenError::Altered)?;
            let (ciphertext, tag) = self.ciphertext.split_at(length);
            let tag = Tag::try_from(tag).map_err(|_| OpenError::Altered)?;
            let mut plain = Zeroizing::new(ciphertext.to_vec());
            cipher(key)
                .decrypt_inout_detached(&Nonce::default(), identity, plain.as_mut_slice().into(), &tag)
                .map_err(|_| OpenError::Altered)?;
            Ok(then(&plain))
        })?
    }

    /// What its slot has to hold for it to open in another scope, which has the key of another root key. The record
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// [`Locked`], if one of the scopes is.
    pub fn rewrapped(&self, to: &Scope) -> Result<Slot, Locked> {
        let to = to.0.read().unwrap_or_else(PoisonError::into_inner);
        let to = to.as_ref().ok_or(Locked)?;
        self.scope.with_key(&self.slot, |key| Slot::wrapping(self.slot.number, key, to, &random()))
    }

    /// The number of the slot that keeps its key.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot.number
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }
}

/// Random bytes from the system.
///
/// # Panics
///
/// When the system has none, which no system that has started does.
#[must_use]
pub fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    fill_random(&mut *bytes);
    bytes
}

/// As [`random`].
///
/// # Panics
///
/// As [`random`].
pub fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has randomness");
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new((&**key).into())
}

fn prf(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(&**key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let key = Zeroizing::new(output.into());
    output.zeroize();
    key
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An unlocked scope.
    pub(crate) fn scope(secret: u8) -> Arc<Scope> {
        let scope = Scope::locked();
        scope.unlock(&Zeroizing::new([1; KEY_BYTES]), b"test", &[secret]);
        scope
    }

    pub(crate) fn slot(number: u32, byte: u8) -> Slot {
        Slot::new(number, Zeroizing::new([byte; SLOT_BYTES]))
    }

    fn opened(sealed: &Sealed, identity: &[u8]) -> Result<Vec<u8>, OpenError> {
        sealed.open(identity, <[u8]>::to_vec)
    }

    #[test]
    fn a_record_opens_with_its_own_slot_scope_and_identity_only() {
        let here = scope(1);
        let sealed = Sealed::new(&here, slot(7, 9), b"session a", b"secret").unwrap();
        assert_eq!((opened(&sealed, b"session a"), sealed.slot()), (Ok(b"secret".to_vec()), 7));
        assert!(!sealed.ciphertext().windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(opened(&sealed, b"session b"), Err(OpenError::Altered));
        let elsewhere = |scope: &_, slot| Sealed::stored(scope, slot, sealed.ciphertext());
        assert_eq!(opened(&elsewhere(&here, slot(7, 9)), b"session a"), Ok(b"secret".to_vec()));
        assert_eq!(opened(&elsewhere(&here, slot(7, 8)), b"session a"), Err(OpenError::Altered));
        assert_eq!(opened(&elsewhere(&scope(2), slot(7, 9)), b"session a"), Err(OpenError::Altered));
        assert_eq!(opened(&Sealed::stored(&here, slot(7, 9), b"short"), b""), Err(OpenError::Altered));
    }

    #[test]
    fn a_locked_scope_neither_seals_nor_opens() {
        let scope = scope(1);
        let sealed = Sealed::new(&scope, slot(0, 1), b"", b"secret").unwrap();
        scope.lock();
        assert_eq!(opened(&sealed, b""), Err(OpenError::Locked(Locked)));
        assert_eq!(Sealed::new(&scope, slot(1, 2), b"", b"x").unwrap_err(), Locked);
    }

    #[test]
    fn a_record_opens_under_another_root_with_its_slot_rewrapped() {
        let (here, there) = (scope(1), scope(2));
        let sealed = Sealed::new(&here, slot(5, 7), b"a", b"secret").unwrap();
        let new = sealed.rewrapped(&there).unwrap();
        assert!(new.number == 5 && new.bytes() != slot(5, 7).bytes());
        let moved = |scope, slot| opened(&Sealed::stored(scope, slot, sealed.ciphertext()), b"a");
        assert_eq!(moved(&there, new.clone()), Ok(b"secret".to_vec()));
        assert_eq!(moved(&here, new), Err(OpenError::Altered));
        assert_eq!(moved(&there, slot(5, 7)), Err(OpenError::Altered));
        there.lock();
        assert!(sealed.rewrapped(&there).is_err());
    }
}
