//! [`Slot`]: the 64 bytes from which the key of one record follows.
//!
//! | at byte | what |
//! | --- | --- |
//! | 0 | the id, 8 bytes, random |
//! | 8 | the salt, 16 bytes |
//! | 24 | the mask, 32 bytes |
//! | 56 | the slot's number, 4 bytes big-endian |
//! | 60 | CRC-32 of all that, 4 bytes big-endian |

use zeroize::Zeroizing;

use super::key::{KEY_BYTES, Key, derive_into};
use super::random::fill_random;

/// The length of a slot, in bytes: a power of two, so that none crosses a sector.
pub const SLOT_BYTES: usize = 64;

const ID_BYTES: usize = 8;
const SALT_BYTES: usize = 16;
const SECRET_BYTES: usize = SALT_BYTES + KEY_BYTES;
const CHECKED_BYTES: usize = SLOT_BYTES - 4;

/// Tells what is in a slot from what was there before. A record lives while its slot has the id that it was sealed
/// with.
pub type SlotId = [u8; ID_BYTES];

/// Salt and mask.
pub type SlotSecret = Zeroizing<[u8; SECRET_BYTES]>;

/// A slot: its place in the file, counted from 0, and what is in it.
pub struct Slot {
    number: u32,
    id: SlotId,
    secret: SlotSecret,
}

/// What is found in a slot of the file.
#[derive(Debug)]
pub enum StoredSlot {
    /// A slot.
    Whole(Slot),
    /// Bytes that are not what was written.
    Damaged,
}

impl Slot {
    /// A new slot, made in memory. Only these seal.
    ///
    /// # Panics
    ///
    /// As [`fill_random`].
    #[must_use]
    pub fn fresh(number: u32) -> Self {
        let mut bytes = Zeroizing::new([0; ID_BYTES + SECRET_BYTES]);
        fill_random(&mut *bytes);
        Self::of(number, &bytes)
    }

    /// New slots of these numbers.
    ///
    /// # Panics
    ///
    /// As [`fill_random`].
    pub fn fresh_all(numbers: impl ExactSizeIterator<Item = u32>) -> impl Iterator<Item = Self> {
        const BYTES: usize = ID_BYTES + SECRET_BYTES;
        let mut bytes = Zeroizing::new(vec![0; numbers.len() * BYTES]);
        fill_random(&mut bytes);
        numbers.enumerate().map(move |(at, number)| {
            let bytes = bytes[at * BYTES..][..BYTES].try_into().expect("its length");
            Self::of(number, bytes)
        })
    }

    fn of(number: u32, bytes: &[u8; ID_BYTES + SECRET_BYTES]) -> Self {
        let mut slot = Self { number, id: [0; ID_BYTES], secret: Zeroizing::new([0; SECRET_BYTES]) };
        slot.id.copy_from_slice(&bytes[..ID_BYTES]);
        slot.secret.copy_from_slice(&bytes[ID_BYTES..]);
        slot
    }

    /// What the bytes of the file say of the slot of this number.
    #[must_use]
    pub fn read(number: u32, bytes: &[u8; SLOT_BYTES]) -> StoredSlot {
        let (checked, sum) = bytes.split_at(CHECKED_BYTES);
        if crc32fast::hash(checked).to_be_bytes() != *sum || number.to_be_bytes() != checked[CHECKED_BYTES - 4..] {
            return StoredSlot::Damaged;
        }
        match checked[..CHECKED_BYTES - 4].try_into() {
            Ok(bytes) => StoredSlot::Whole(Self::of(number, bytes)),
            Err(_) => StoredSlot::Damaged,
        }
    }

    /// The bytes for the file.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; SLOT_BYTES]> {
        let mut bytes = Zeroizing::new([0; SLOT_BYTES]);
        bytes[..ID_BYTES].copy_from_slice(&self.id);
        bytes[ID_BYTES..ID_BYTES + SECRET_BYTES].copy_from_slice(&*self.secret);
        bytes[CHECKED_BYTES - 4..CHECKED_BYTES].copy_from_slice(&self.number.to_be_bytes());
        let sum = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Its place in the file.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The id of what is in it.
    #[must_use]
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// A copy of salt and mask.
    pub(super) fn secret(&self) -> SlotSecret {
        self.secret.clone()
    }

    /// The parts.
    pub(super) fn into_parts(self) -> (u32, SlotId, SlotSecret) {
        (self.number, self.id, self.secret)
    }

    /// The slot of the same record when its scope has another key.
    pub(super) fn wrapping(number: u32, id: SlotId, record_key: &[u8; KEY_BYTES], scope: &Key) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        let (salt, mask) = secret.split_at_mut(SALT_BYTES);
        fill_random(salt);
        let mask: &mut [u8; KEY_BYTES] = mask.try_into().expect("its length");
        derive_into(scope, &[salt], mask);
        mask.iter_mut().zip(record_key).for_each(|(mask, byte)| *mask ^= byte);
        Self { number, id, secret }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({})", self.number)
    }
}

/// The key of the record whose slot has this secret.
pub(super) fn record_key(secret: &SlotSecret, scope: &Key) -> Zeroizing<[u8; KEY_BYTES]> {
    let (salt, mask) = secret.split_at(SALT_BYTES);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    derive_into(scope, &[salt], &mut key);
    key.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    key
}
