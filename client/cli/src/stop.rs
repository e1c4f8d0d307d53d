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
        // Never start a daemon in order to stop it.
        let client = match Client::connect_blocking(&session.access()?) {
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
