use clap::Args;
use keyfob_proto::{Code, Fault, GetSession, Session as VaultSession, SessionKey};
use serde_json::json;

use super::output::{expires_in, name, session_json};
use super::{Failure, Session};

/// Show a session, by default the active one
///
/// Example: keyfob show work --reveal
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The session [default: the active one]
    key: Option<SessionKey>,

    /// Print the session token too
    #[arg(long)]
    reveal: bool,
}

impl Show {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let found = session.connect()?.get_session(GetSession { session_key: self.key.clone() })?;
        match (found.session_key, found.session) {
            (Some(key), Some(found)) => {
                let object = json!({ "sessionKey": key, "session": session_json(&found, self.reveal) });
                session.output.print(&object, text(&key, &found, self.reveal))
            }
            _ => Err(none(self.key.as_ref()).into()),
        }
    }
}

/// The vault answers null where there is no session; a person who asked for one wants to be told.
fn none(key: Option<&SessionKey>) -> Fault {
    match key {
        Some(key) => {
            let message = format!("no session {}; `keyfob list` shows those there are", name(key));
            Fault::new(Code::NotFound, message).on_session(key)
        }
        None => Fault::new(Code::NoSessionFound, "no session is active; make one active with `keyfob use KEY`"),
    }
}

fn text(key: &SessionKey, session: &VaultSession, reveal: bool) -> String {
    let mut lines = vec![
        ("session", name(key)),
        ("type", session.session_type.clone()),
        ("user", session.user_id.clone()),
        ("organization", session.organization_id.clone()),
        ("expires", format!("{} (Unix time), in {}", session.expiry, expires_in(session.expiry))),
        ("key pair", session.public_key.to_string()),
    ];
    lines.extend(session.session_profile_id.clone().map(|profile| ("profile", profile)));
    lines.extend(session.scope.clone().map(|scope| ("scope", scope)));
    let token = if reveal { session.token.expose() } else { "hidden (--reveal shows it)" };
    lines.push(("token", token.to_owned()));
    let lines: Vec<String> = lines.iter().map(|(field, value)| format!("{field:13} {}", printable(value))).collect();
    lines.join("\n")
}

/// What a token claims is data too: it must not drive the terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect()
}
