use clap::Args;
use keyfob_proto::SessionKey;

use super::arguments::session_name;
use super::complete::session_names;
use super::output::name;
use super::{Failure, Session};

/// Make a session the active one, for all shells and apps
///
/// In one shell alone, set KEYFOB_SESSION.
///
/// Example: keyfob use work
#[derive(Debug, Args)]
pub(super) struct Use {
    /// The session
    #[arg(value_parser = session_name, add = session_names())]
    key: SessionKey,
}

impl Use {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let set = session.connect()?.set_active_session(self.key).wait()?;
        session.output.print(&set, format!("{} is active", name(&set.session_key)))
    }
}
