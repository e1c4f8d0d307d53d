//! `keyfob service`: has the system's service manager start the daemon, systemd or launchd.

mod credential;
mod install;
mod launchd;
mod status;
mod systemd;
mod uninstall;
mod units;

use clap::{Args, Subcommand};

use super::{Failure, Session};

/// Have systemd (launchd on macOS) start the daemon, in a sandbox, at login and with the first connection
///
/// Example: keyfob service install
#[derive(Debug, Subcommand)]
pub(super) enum Service {
    Install(install::Install),
    Uninstall(uninstall::Uninstall),
    Status(status::Status),
}

/// The socket of the vault that several users share.
const SYSTEM_SOCKET: &str = "/run/keyfob/keyfob.sock";

/// Whose service is meant.
#[derive(Clone, Copy, Debug, Args)]
struct Scope {
    /// The vault that several users share, on /run/keyfob/keyfob.sock; as root
    #[arg(long)]
    system: bool,
}

impl Scope {
    fn systemd(self) -> Result<systemd::Systemd, Failure> {
        if self.system { systemd::Systemd::of_system() } else { systemd::Systemd::of_user() }
    }
}

impl Service {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        match self {
            Self::Install(command) => command.run(session),
            Self::Uninstall(command) => command.run(session),
            Self::Status(command) => command.run(session),
        }
    }
}
