use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use keyfob::Client;
use keyfob_proto::{GetAllSessions, ListSessions, SessionKey, SessionSummary};
use serde_json::{Value, json};

use super::arguments::duration;
use super::output::{GOOD, HEADING, name};
use super::table::{Column, lines};
use super::time::{now, span, until};
use super::{Failure, Session, live};

/// List the sessions, the active one marked with a star
///
/// Example: keyfob list --sort expiry
#[derive(Debug, Args)]
pub(super) struct List {
    /// In which order
    #[arg(long, value_name = "ORDER", default_value = "name")]
    sort: Sort,

    /// Only those that expire within this time, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expiring: Option<Duration>,

    /// Stay, and show each change
    #[arg(long, conflicts_with = "json")]
    watch: bool,

    /// Print the sessions whole, with their tokens (with --json)
    #[arg(long, requires = "json")]
    reveal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// By name
    Name,
    /// The soonest to expire first
    Expiry,
}

/// The sessions, and which is active.
pub(super) struct Listed {
    sessions: Vec<SessionSummary>,
    active: Option<SessionKey>,
}

impl List {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        if self.watch {
            return live::run(session, |session| {
                let listed = self.read(&client)?;
                Ok(table(session, &listed))
            });
        }
        let listed = self.read(&client)?;
        let mut revealed = if self.reveal { session.unlocked(&client, reveal)? } else { HashMap::new() };
        let entry = |entry: &SessionSummary| {
            let mut value = json!(entry);
            if let Some(session) = revealed.remove(&entry.session_key) {
                value["session"] = session;
            }
            value
        };
        let entries: Vec<_> = listed.sessions.iter().map(entry).collect();
        let object = json!({ "sessions": entries, "activeSessionKey": listed.active });
        if listed.sessions.is_empty() {
            let why = match self.expiring {
                Some(expiring) => format!("no session expires within {}", span(expiring.as_secs())),
                None => "no sessions; `keyfob store` stores one".to_owned(),
            };
            return session.output.nothing(why, &object);
        }
        let text = table(session, &listed);
        session.output.print(&object, text)
    }

    /// The sessions that are asked for, in their order.
    fn read(&self, client: &Client) -> Result<Listed, Failure> {
        let mut listed = read(client)?;
        if let Some(expiring) = self.expiring {
            let end = now().saturating_add(expiring.as_secs());
            listed.sessions.retain(|session| session.expiry <= end);
        }
        if self.sort == Sort::Expiry {
            listed.sessions.sort_by_key(|session| session.expiry);
        }
        Ok(listed)
    }
}

/// Every session.
pub(super) fn read(client: &Client) -> Result<Listed, Failure> {
    let mut page = client.list_sessions().wait()?;
    let mut sessions = page.sessions;
    while page.next.is_some() {
        page = client.call(ListSessions { after: page.next, limit: None }).wait()?;
        sessions.append(&mut page.sessions);
    }
    Ok(Listed { sessions, active: page.active_session_key })
}

/// Every session with its token.
fn reveal(client: &Client) -> Result<HashMap<SessionKey, Value>, keyfob::Error> {
    let (mut sessions, mut after) = (HashMap::new(), None);
    loop {
        let page = client.call(GetAllSessions { after, limit: None }).wait()?;
        sessions.extend(page.sessions.into_iter().map(|entry| (entry.session_key, json!(entry.session))));
        after = page.next;
        if after.is_none() {
            return Ok(sessions);
        }
    }
}

/// The sessions as a person reads them.
fn table(session: &Session<'_, '_>, listed: &Listed) -> String {
    let columns = [
        Column { heading: "  SESSION", least: 14 },
        Column { heading: "EXPIRES", least: 12 },
        Column { heading: "KEY PAIR", least: 15 },
    ];
    let row = |entry: &SessionSummary| {
        let mark = if entry.active { "*" } else { " " };
        vec![format!("{mark} {}", name(&entry.session_key)), until(entry.expiry), key_pair(entry)]
    };
    let rows: Vec<_> = listed.sessions.iter().map(row).collect();
    let styled = lines(&columns, &rows, session.output.io.width).into_iter().enumerate().map(|(at, line)| match at {
        0 => session.output.styled(HEADING, line),
        at if listed.sessions[at - 1].active => session.output.styled(GOOD, line),
        _ => line,
    });
    styled.collect::<Vec<_>>().join("\n")
}

/// The key pair of a session. One that is missing is marked in front, where it is not cut off.
fn key_pair(entry: &SessionSummary) -> String {
    if entry.has_key_pair { entry.public_key.to_string() } else { format!("(missing) {}", entry.public_key) }
}
