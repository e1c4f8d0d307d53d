//! Secrets: out of reach on the disk, once they were cleared for everybody, and in a locked vault's memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod erasure;
mod format_1;
mod lock;
mod memory;
mod rekey;

/// A passphrase that is long enough.
const PASSPHRASE: &str = "correct horse battery staple";
