//! Leaving nothing on the stack.

use std::hint::black_box;

/// How deep the stack is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// By sealing and opening records: less than 8 KiB.
    Shallow,
    /// By signing, by Argon2id, by many steps together: less than 32 KiB.
    Deep,
}

/// Does something with keys, and then overwrites the part of the stack that it used: the libraries that work with keys
/// leave copies there. What it returns must hold no key but in a [`Key`](super::Key).
pub fn on_wiped_stack<T>(depth: Depth, work: impl FnOnce() -> T) -> T {
    let done = call(work);
    match depth {
        Depth::Shallow => overwrite::<1024>(),
        Depth::Deep => overwrite::<4096>(),
    }
    done
}

/// A call of its own, so that the frames of `work` lie where [`overwrite`] writes.
#[inline(never)]
fn call<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Overwrites so many words of 8 bytes.
#[inline(never)]
fn overwrite<const WORDS: usize>() {
    let mut below = [0_u64; WORDS];
    black_box(&mut below);
}
