//! The system's randomness.

use zeroize::Zeroizing;

/// Random bytes from the system.
///
/// # Panics
///
/// As [`fill_random`].
#[must_use]
pub fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    fill_random(&mut *bytes);
    bytes
}

/// Fills a slice with random bytes from the system.
///
/// # Panics
///
/// When the system has none, which no system that has started does.
pub fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has randomness");
}
