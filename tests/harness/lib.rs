//! What the tests share: a daemon in the test's own process ([`TestDaemon`]) or in one of its own
//! ([`DaemonProcess`]), a client that knows nothing but lines of JSON ([`RawClient`]), and tokens in
//! Turnkey's format ([`login`]). [`properties`] says what must hold for
//! whatever bytes arrive, [`model`] what the vault would do on a plain map, [`Twins`]
//! what nobody can tell who has a grant, and [`history`] whether several
//! clients can have seen what they saw. An [`attacker`] tries to open what was cleared.
//!
//! Nothing here sleeps. A daemon is ready when its socket is bound, time passes when a test says so,
//! and a read that waits for ever fails after [`PATIENCE`].

#![allow(clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

pub mod attacker;
mod crowd;
mod daemon;
pub mod history;
pub mod login;
pub mod model;
mod process;
pub mod properties;
mod raw;
mod twins;

use std::time::Duration;

pub use crowd::Crowd;
pub use daemon::{START, TestDaemon};
pub use process::{DaemonProcess, ended, kill_running, programs, started, workspace};
pub use raw::RawClient;
pub use twins::Twins;

/// How long a test waits for what must come. A bound against hanging, not a measure.
pub const PATIENCE: Duration = Duration::from_secs(60);
