use clap::Args;

use super::output::name;
use super::{Failure, Session};

/// Print the name of the active session; nothing, if there is none
///
/// Example: keyfob active
#[derive(Debug, Args)]
pub(super) struct Active {}

impl Active {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let active = session.connect()?.get_active_session_key().wait()?;
        match &active.session_key {
            None => session.output.nothing("no session is active", &active),
            Some(key) if session.output.io.width.is_some() => session.output.print(&active, name(key)),
            // To the letter: this is for scripts.
            Some(key) => session.output.print(&active, key),
        }
    }
}
