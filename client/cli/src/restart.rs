use clap::Args;
use keyfob::{Client, Error};
use keyfob_proto::{Code, Shutdown};
use serde_json::json;

use super::{Failure, Session};

/// Replace the daemon that runs by the one that is installed now, such as after an upgrade
///
/// It finishes what it was asked before. Connections that are made meanwhile wait for the new one; grants end.
///
/// Example: keyfob restart
#[derive(Debug, Args)]
pub(super) struct Restart {}

impl Restart {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let access = session.access()?;
        let client = match Client::connect_blocking(&access) {
            Err(error) if error.is_absent() && !matches!(error, Error::SocketGone { .. }) => {
                return session.output.nothing("no daemon is running; the next command starts one", &json!({}));
            }
            client => client?,
        };
        let before = client.status().wait()?;
        match client.call(Shutdown { restart: true }).wait() {
            // It is so old that it can only stop.
            Err(Error::Fault(fault)) if fault.data.code == Code::InvalidParams => client.shutdown().wait()?,
            begun => begun?,
        };
        client.closed_blocking();
        let after = session.connect()?.status().wait()?;
        let (old, new) = (&before.daemon_version, &after.daemon_version);
        let pid = after.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        let text = format!("keyfobd {new}{pid}, in place of {old}");
        session.output.print(&json!({ "before": before.daemon_version, "after": after.daemon_version }), text)?;
        let own = env!("CARGO_PKG_VERSION");
        if new != own {
            let message = format!(
                "this command is {own}, and the keyfobd that was started again is {new}: it is installed in another place. \
                 `keyfob stop`, and the next command starts the one beside it; under systemd, `keyfob service install` does"
            );
            session.output.note(message)?;
        }
        Ok(())
    }
}
