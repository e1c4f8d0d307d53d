use clap::Args;
use keyfob::Client;
use keyfob_proto::{ApiKeyPairEntry, ClearAllSessions, ClearSession, DescribeSession, PublicKey, SessionDescribed};

use super::arguments::{Named, public_key};
use super::complete::{key_names, session_names};
use super::output::{count, name};
use super::{Failure, Session, arguments};

/// Clear a session with its key pair, or all of them
///
/// One atomic step: afterwards the session, its key pair (unless it is kept, or another session names it too) and,
/// if it was active, the active pointer are gone. With --all every session goes; unused and kept key pairs
/// stay, see `keyfob key`.
///
/// Example: keyfob clear work
#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The session [default: the one that KEYFOB_SESSION names, else the active one]
    #[arg(conflicts_with = "all", value_parser = Named::read, add = session_names())]
    key: Option<Named>,

    /// Clear every session; without a terminal to ask on, this needs --yes
    #[arg(long)]
    all: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Succeed where there is nothing to clear
    #[arg(long)]
    if_exists: bool,

    /// Only while the session names this key pair: one that was stored anew meanwhile stays
    #[arg(long, value_name = "HEX", value_parser = public_key, conflicts_with = "all", add = key_names())]
    if_key: Option<PublicKey>,
}

impl Clear {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        if self.all {
            return clear_all(&client, self.yes, self.if_exists, session);
        }
        let call = ClearSession {
            session_key: session.named_session(self.key, &client)?,
            if_public_key: self.if_key,
            if_exists: self.if_exists,
        };
        clear(&client, call, self.yes, session)
    }
}

fn clear_all(client: &Client, yes: bool, if_exists: bool, session: &mut Session<'_, '_>) -> Result<(), Failure> {
    let counts = client.status().wait()?.counts;
    if counts.sessions > 0 {
        let what = format!("{} and {}", count(counts.sessions, "session"), count(counts.key_pairs_in_use, "key pair"));
        session.confirm_in_any_case(yes, &format!("Clear {what}?"))?;
    }
    let cleared = client.call(ClearAllSessions { if_exists }).wait()?;
    let (sessions, pairs) = (cleared.cleared_sessions, cleared.deleted_key_pairs);
    if sessions == 0 {
        return session.output.nothing("there was nothing to clear", &cleared);
    }
    let text = format!("cleared {} and {}", count(sessions, "session"), count(pairs, "key pair"));
    session.output.print(&cleared, text)
}

fn clear(client: &Client, call: ClearSession, yes: bool, session: &mut Session<'_, '_>) -> Result<(), Failure> {
    // What is not there is not asked about; the vault says so.
    let there = DescribeSession { session_key: call.session_key.clone() };
    if !yes
        && session.output.io.can_ask
        && let Ok(SessionDescribed { session: Some(there), .. }) = client.call(there).wait()
    {
        let pairs = arguments::key_pairs(client)?;
        let goes =
            |pair: &ApiKeyPairEntry| pair.public_key == there.public_key && !pair.kept && pair.session_count == 1;
        let and_its_key_pair = if pairs.iter().any(goes) { " and its key pair" } else { ", not its key pair" };
        session.confirm(false, &format!("Clear session {}{and_its_key_pair}?", name(&there.session_key)))?;
    }
    let cleared = client.call(call).wait()?;
    let Some(key) = cleared.session_key.as_ref().filter(|_| cleared.cleared) else {
        return session.output.nothing("there was nothing to clear", &cleared);
    };
    let pair = match &cleared.deleted_public_key {
        Some(key) => format!("its key pair {key} is deleted"),
        None => "no key pair was deleted (it is kept, or another session's too, or not there)".to_owned(),
    };
    let active = if cleared.was_active { "; no session is active now" } else { "" };
    session.output.print(&cleared, format!("cleared {}; {pair}{active}", name(key)))
}
