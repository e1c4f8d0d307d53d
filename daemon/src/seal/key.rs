//! [`Key`]: 32 secret bytes that stay in one place.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use super::random::fill_random;

/// The length of every key, in bytes.
pub const KEY_BYTES: usize = 32;

/// A key. Moving it moves a pointer: its bytes stay where they were written, and are overwritten when it is dropped.
pub struct Key(Box<[u8; KEY_BYTES]>);

impl Key {
    /// The key that `fill` writes, in the place where it stays.
    ///
    /// # Errors
    ///
    /// Those of `fill`.
    pub fn try_fill<E>(fill: impl FnOnce(&mut [u8; KEY_BYTES]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        fill(&mut key.0)?;
        Ok(key)
    }

    /// As [`Key::try_fill`], where nothing can fail.
    #[must_use]
    pub fn fill(fill: impl FnOnce(&mut [u8; KEY_BYTES])) -> Self {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        fill(&mut key.0);
        key
    }

    /// A key from the system's randomness.
    ///
    /// # Panics
    ///
    /// As [`fill_random`].
    #[must_use]
    pub fn random() -> Self {
        Self::fill(|bytes| fill_random(bytes))
    }

    /// The key that HMAC-SHA256 makes of this one and of `parts`. Call it in [`on_wiped_stack`](super::on_wiped_stack).
    #[must_use]
    pub fn derive(&self, parts: &[&[u8]]) -> Self {
        Self::fill(|bytes| derive_into(self, parts, bytes))
    }

    /// The bytes themselves. Every use of this is a place to review.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(redacted)")
    }
}

/// Writes what [`Key::derive`] makes.
pub(super) fn derive_into(key: &Key, parts: &[&[u8]], output: &mut [u8; KEY_BYTES]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    let mut derived = mac.finalize().into_bytes();
    output.copy_from_slice(&derived);
    derived.zeroize();
}
