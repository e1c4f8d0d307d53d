//! Sealing: what is secret in a record, under a key that can be destroyed. No I/O.
//!
//! ```text
//! root key (the store keeps it wrapped under the wrapping key)
//!   ├─ key of the scope `unused` = HMAC-SHA256(root key, its name)
//!   └─ key of the scope `in use` = HMAC-SHA256(root key, its name, the secret of the generation)
//!        └─ record key = HMAC-SHA256(scope key, salt) ⊕ mask
//!             └─ record = AES-256-GCM(record key, nonce; associated data: the record's identity)
//! ```
//!
//! Salt and mask are in a [`Slot`], which the store keeps in a file that is overwritten in place. Once they are
//! overwritten nobody opens the record, whatever else they have kept. The two scopes are there so that a clear-all
//! destroys one secret and spares the unused key pairs.
//!
//! # Invariants
//!
//! - A slot that seals was made in this process's memory. What is read back from the disk opens records and never
//!   seals one.
//! - Each record has a random nonce. Two records share no keystream, even if two slots were equal.
//! - The root key and the scope keys are in [`VaultKeys`] and nowhere else. A [`Key`] never moves; whatever works with
//!   one runs in [`on_wiped_stack`].

mod key;
mod keys;
mod random;
mod sealed;
mod slot;
mod stack;

pub use self::key::{KEY_BYTES, Key};
pub use self::keys::{Locked, Scope, VaultKeys};
pub use self::random::{fill_random, random};
pub use self::sealed::{OpenError, SEAL_BYTES, Sealed};
pub use self::slot::{SLOT_BYTES, Slot, SlotId, SlotSecret, StoredSlot};
pub use self::stack::{Depth, on_wiped_stack};

#[cfg(test)]
pub(crate) mod tests;
