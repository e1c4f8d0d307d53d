use clap::Args;
use keyfob_proto::{ClearAllSessions, ClearSession, SessionKey};

use super::output::name;
use super::{Failure, Session};

/// Clear a session with its key pair, or all of them
///
/// One atomic step: afterwards the session, its key pair (unless another session names it too) and,
/// if it was active, the active pointer are gone. With --all every session goes; unused key pairs
/// stay, see `keyfob key prune`.
///
/// Example: keyfob clear work
#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The session [default: the active one]
    #[arg(conflicts_with = "all")]
    key: Option<SessionKey>,

    /// Clear every session
    #[arg(long)]
    all: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Clear {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        if self.all {
            session.confirm(self.yes, "Clear every session, with its key pair?")?;
            let cleared = session.connect()?.clear_all_sessions(ClearAllSessions {})?;
            let text =
                format!("cleared {} sessions and {} key pairs", cleared.cleared_sessions, cleared.deleted_key_pairs);
            return session.output.print(&cleared, text);
        }
        let target =
            self.key.as_ref().map_or_else(|| "the active session".to_owned(), |key| format!("session {}", name(key)));
        session.confirm(self.yes, &format!("Clear {target}, with its key pair?"))?;
        let cleared = session.connect()?.clear_session(ClearSession { session_key: self.key })?;
        let pair = match &cleared.deleted_public_key {
            Some(key) => format!("its key pair {key} is deleted"),
            None => "no key pair was deleted".to_owned(),
        };
        let active = if cleared.was_active { "; no session is active now" } else { "" };
        session.output.print(&cleared, format!("cleared {}; {pair}{active}", name(&cleared.session_key)))
    }
}
