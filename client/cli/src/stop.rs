use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use clap::Args;
use keyfob::{Client, Error};
use serde_json::json;

use super::{Failure, Session};

/// Stop the daemon: it finishes what it was asked before
///
/// Example: keyfob stop
#[derive(Debug, Args)]
pub(super) struct Stop {}

impl Stop {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        // Never start a daemon in order to stop it, which connecting does where systemd listens.
        let access = session.access()?;
        let is_named = access.place.named_socket().is_some();
        if !is_named && access.place.data_dir().is_ok_and(|dir| is_free(&dir)) {
            return session.output.nothing("no daemon is running", &json!({}));
        }
        let client = match Client::connect_blocking(&access) {
            Err(error @ Error::SocketGone { .. }) => return Err(error.into()),
            Err(error) if error.is_absent() => {
                return session.output.nothing("no daemon is running", &json!({}));
            }
            client => client?,
        };
        let begun = client.shutdown().wait()?;
        client.closed_blocking();
        session.output.print(&begun, "stopped")
    }
}

/// Whether no daemon holds the vault in this directory.
fn is_free(data_dir: &Path) -> bool {
    match File::open(data_dir.join("lock")) {
        // One that starts just now tries again when it finds the lock taken for a moment.
        Ok(lock) => !matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
