use std::collections::HashMap;

use clap::Args;
use keyfob_proto::{GetAllSessions, ListSessions, SessionKey, SessionName};
use serde_json::{Value, json};

use super::output::{GOOD, HEADING, expires_in, name};
use super::{Failure, Session};
use crate::blocking;

/// List the sessions, the active one marked with a star
///
/// Example: keyfob list --json
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print the sessions whole, with their tokens (with --json)
    #[arg(long)]
    reveal: bool,
}

impl List {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut client = session.connect()?;
        let mut page = client.list_sessions(ListSessions::default())?;
        let mut sessions = page.sessions;
        while page.next.is_some() {
            page = client.list_sessions(ListSessions { after: page.next, limit: None })?;
            sessions.append(&mut page.sessions);
        }
        let mut revealed = if self.reveal && session.output.json { reveal(&mut client)? } else { HashMap::new() };
        let entries: Vec<_> = sessions
            .iter()
            .map(|entry| {
                let mut value = json!(entry);
                if let Some(session) = revealed.remove(&entry.session_key) {
                    value["session"] = session;
                }
                value
            })
            .collect();
        let object = json!({ "sessions": entries, "activeSessionKey": page.active_session_key });
        if sessions.is_empty() {
            return session.output.nothing("no sessions; `keyfob store` stores one", &object);
        }
        let text = table(session, &sessions, page.active_session_key.as_ref());
        session.output.print(&object, text)
    }
}

/// Every session with its token.
fn reveal(client: &mut blocking::Client) -> Result<HashMap<SessionKey, Value>, Failure> {
    let (mut sessions, mut after) = (HashMap::new(), None);
    loop {
        let page = client.get_all_sessions(GetAllSessions { after, limit: None })?;
        sessions.extend(page.sessions.into_iter().map(|entry| (entry.session_key, json!(entry.session))));
        after = page.next;
        if after.is_none() {
            return Ok(sessions);
        }
    }
}

fn table(session: &Session<'_, '_>, sessions: &[SessionName], active: Option<&SessionKey>) -> String {
    let names: Vec<String> = sessions.iter().map(|entry| name(&entry.session_key)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("SESSION".len());
    let heading = format!("  {:width$}  {:>10}  KEY PAIR", "SESSION", "EXPIRES IN");
    let mut lines = vec![session.output.styled(HEADING, heading)];
    for (entry, name) in sessions.iter().zip(&names) {
        let is_active = Some(&entry.session_key) == active;
        let mark = if is_active { "*" } else { " " };
        let line = format!("{mark} {name:width$}  {:>10}  {}", expires_in(entry.expiry), entry.public_key);
        lines.push(if is_active { session.output.styled(GOOD, line) } else { line });
    }
    lines.join("\n")
}
