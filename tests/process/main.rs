//! `keyfobd` as a process: signals, kills, second daemons, bad disks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod disk;
#[cfg(target_os = "linux")] // where a test may make a file system
mod full;
#[cfg(target_os = "linux")] // which has namespaces
mod grants;
mod kill;
mod lifecycle;
#[cfg(target_os = "linux")] // which tells what a process uses
mod neighbours;
mod passed;
mod reach;
mod readme;
mod secrets;
#[cfg(target_os = "linux")]
mod sharing;
mod start;

/// A directory with a short path for a daemon.
fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("kf").tempdir().unwrap()
}

/// Says that a test, or a part of one, was not run.
fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
