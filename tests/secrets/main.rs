//! Secrets: out of reach on the disk, once they were cleared for everybody, and in a locked vault's memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod erasure;
mod format_1;
mod lock;
#[cfg(target_os = "linux")] // where a process's memory is a file
mod memory;
#[cfg(target_os = "linux")]
mod memory_scan;
mod rekey;
mod tampering;

/// A passphrase that is long enough.
const PASSPHRASE: &str = "correct horse battery staple";

/// Says that a test was not run.
#[cfg(target_os = "linux")]
fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
