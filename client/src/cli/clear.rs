use clap::Args;
use keyfob_proto::{ClearAllSessions, ClearSession, Code, SessionKey, Status};
use serde_json::json;

use super::arguments::session_name;
use super::complete::session_names;
use super::output::{count, name};
use super::{Failure, Session, list};
use crate::{Error, blocking};

/// Clear a session with its key pair, or all of them
///
/// One atomic step: afterwards the session, its key pair (unless another session names it too) and,
/// if it was active, the active pointer are gone. With --all every session goes; unused key pairs
/// stay, see `keyfob key prune`.
///
/// Example: keyfob clear work
#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The session [default: the one that KEYFOB_SESSION names, else the active one]
    #[arg(conflicts_with = "all", value_parser = session_name, add = session_names())]
    key: Option<SessionKey>,

    /// Clear every session; without a terminal to ask on, this needs --yes
    #[arg(long)]
    all: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Succeed where there is nothing to clear
    #[arg(long)]
    if_exists: bool,
}

impl Clear {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut client = session.connect()?;
        let cleared = if self.all {
            clear_all(&mut client, self.yes, session)
        } else {
            let key = session.named_session(self.key)?;
            clear(&mut client, key, self.yes, session)
        };
        match cleared {
            Err(Failure::Vault(Error::Fault(fault)))
                if self.if_exists && matches!(fault.data.code, Code::NotFound | Code::NoSessionFound) =>
            {
                session.output.nothing("there was nothing to clear", &json!({ "cleared": false }))
            }
            cleared => cleared,
        }
    }
}

fn clear_all(client: &mut blocking::Client, yes: bool, session: &mut Session<'_, '_>) -> Result<(), Failure> {
    let counts = client.status(Status {})?.counts;
    if counts.sessions > 0 {
        let what = format!("{} and {}", count(counts.sessions, "session"), count(counts.key_pairs_in_use, "key pair"));
        session.confirm_in_any_case(yes, &format!("Clear {what}?"))?;
    }
    let cleared = client.clear_all_sessions(ClearAllSessions {})?;
    let (sessions, pairs) = (cleared.cleared_sessions, cleared.deleted_key_pairs);
    let text = format!("cleared {} and {}", count(sessions, "session"), count(pairs, "key pair"));
    session.output.print(&cleared, text)
}

fn clear(
    client: &mut blocking::Client,
    key: Option<SessionKey>,
    yes: bool,
    session: &mut Session<'_, '_>,
) -> Result<(), Failure> {
    // What is not there is not asked about; the vault says so.
    if !yes
        && session.output.io.can_ask
        && let Some(key) = list::read(client)?.find(key.as_ref())
    {
        session.confirm(false, &format!("Clear session {} and its key pair?", name(&key)))?;
    }
    let cleared = client.clear_session(ClearSession { session_key: key })?;
    let pair = match &cleared.deleted_public_key {
        Some(key) => format!("its key pair {key} is deleted"),
        None => "no key pair was deleted".to_owned(),
    };
    let active = if cleared.was_active { "; no session is active now" } else { "" };
    session.output.print(&cleared, format!("cleared {}; {pair}{active}", name(&cleared.session_key)))
}
