use clap::Args;
use keyfob_proto::{GetAllSessions, SessionEntry, SessionKey};
use serde_json::json;

use super::output::{GOOD, HEADING, expires_in, name, session_json};
use super::{Failure, Session};

/// List the sessions, the active one marked with a star
///
/// Example: keyfob list --json
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print the session tokens too (with --json)
    #[arg(long)]
    reveal: bool,
}

impl List {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut client = session.connect()?;
        let mut page = client.get_all_sessions(GetAllSessions::default())?;
        let mut sessions = page.sessions;
        while page.next.is_some() {
            page = client.get_all_sessions(GetAllSessions { after: page.next, limit: None })?;
            sessions.append(&mut page.sessions);
        }
        let entries: Vec<_> = sessions
            .iter()
            .map(|entry| {
                json!({ "sessionKey": entry.session_key, "session": session_json(&entry.session, self.reveal) })
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

fn table(session: &Session<'_, '_>, sessions: &[SessionEntry], active: Option<&SessionKey>) -> String {
    let names: Vec<String> = sessions.iter().map(|entry| name(&entry.session_key)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("SESSION".len());
    let heading = format!("  {:width$}  {:>10}  {:26}  KEY PAIR", "SESSION", "EXPIRES IN", "TYPE");
    let mut lines = vec![session.output.styled(HEADING, heading)];
    for (entry, name) in sessions.iter().zip(&names) {
        let is_active = Some(&entry.session_key) == active;
        let mark = if is_active { "*" } else { " " };
        let (expires, kind, key) = (expires_in(&entry.session), &entry.session.session_type, entry.session.public_key);
        let line = format!("{mark} {name:width$}  {expires:>10}  {:26}  {key}", kind.escape_debug().to_string());
        lines.push(if is_active { session.output.styled(GOOD, line) } else { line });
    }
    lines.join("\n")
}
