use clap::Args;

use super::{Failure, Session};

/// Lock the vault: its keys leave the daemon's memory
///
/// A locked vault tells the names of sessions and key pairs and clears them. It neither shows a token nor
/// signs nor stores until it is unlocked.
///
/// Example: keyfob lock
#[derive(Debug, Args)]
pub(super) struct Lock {}

impl Lock {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let locked = session.connect()?.lock().wait()?;
        session.output.print(&locked, if locked.was_locked { "it was locked already" } else { "locked" })
    }
}
