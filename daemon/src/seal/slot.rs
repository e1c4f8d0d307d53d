//! [`Slot`]: where the key of one record is kept; and the [`Supply`] of those that no record uses yet.

use std::sync::Arc;

use keyfob_proto::{Code, Fault};
use zeroize::Zeroizing;

use super::{KEY_BYTES, Key, Scope, prf, random};

/// The length of a slot, in bytes: it never lies across two sectors of a disk.
pub const SLOT_BYTES: usize = 64;

/// Where the key of one record is kept, and what is kept there.
#[derive(Clone)]
pub struct Slot {
    /// Its place in the store's file, counted from 0.
    pub number: u32,
    bytes: Zeroizing<[u8; SLOT_BYTES]>,
}

impl Slot {
    /// The slot of this number that holds these bytes.
    #[must_use]
    pub fn new(number: u32, bytes: Zeroizing<[u8; SLOT_BYTES]>) -> Self {
        Self { number, bytes }
    }

    /// What the store keeps.
    #[must_use]
    pub fn bytes(&self) -> &[u8; SLOT_BYTES] {
        &self.bytes
    }

    pub(super) fn key_under(&self, scope: &Key) -> Key {
        let (salt, mask) = self.bytes.split_at(KEY_BYTES);
        let mut key = prf(scope, &[salt]);
        key.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        key
    }

    /// The slot that holds a record's key under another scope key. `salt` is random.
    pub(super) fn wrapping(number: u32, key: &Key, scope: &Key, salt: &Key) -> Self {
        let mut bytes = Zeroizing::new([0; SLOT_BYTES]);
        let (new_salt, mask) = bytes.split_at_mut(KEY_BYTES);
        new_salt.copy_from_slice(&**salt);
        mask.copy_from_slice(&*prf(scope, &[&**salt]));
        mask.iter_mut().zip(key.iter()).for_each(|(mask, byte)| *mask ^= byte);
        Self { number, bytes }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.number)
    }
}

/// What a draft seals with: slots whose bytes are on the disk already, and the scope that begins with the
/// next clear-all.
#[derive(Debug, Default)]
pub struct Supply {
    /// Slots that hold no record's key.
    pub slots: Vec<Slot>,
    /// The scope of what comes after a clear-all; gone once there was one.
    pub next: Option<Arc<Scope>>,
}

impl Supply {
    /// A supply of a vault that has no store.
    #[must_use]
    pub fn without_store(slots: u32) -> Self {
        let slots = (0..slots).map(|number| Slot::new(number, random())).collect();
        Self { slots, next: Some(Scope::without_store()) }
    }

    /// A slot for one record.
    ///
    /// # Errors
    ///
    /// [`NoneAtHand`], which only a failing disk brings about.
    pub fn slot(&mut self) -> Result<Slot, NoneAtHand> {
        self.slots.pop().ok_or(NoneAtHand)
    }
}

/// A [`Supply`] is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no key at hand to seal with")]
pub struct NoneAtHand;

impl From<NoneAtHand> for Fault {
    fn from(error: NoneAtHand) -> Self {
        Fault::new(Code::InternalError, error.to_string())
    }
}
