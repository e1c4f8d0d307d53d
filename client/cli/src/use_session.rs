use clap::Args;

use super::arguments::Named;
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
    #[arg(value_parser = Named::read, add = session_names())]
    key: Named,
}

impl Use {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let set = client.set_active_session(self.key.find(&client)?).wait()?;
        session.output.print(&set, format!("{} is active", name(&set.session_key)))
    }
}
