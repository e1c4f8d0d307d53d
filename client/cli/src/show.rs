use clap::Args;
use keyfob_proto::{Code, Fault, GetSession, Session as VaultSession, SessionKey};
use serde_json::json;

use super::arguments::Named;
use super::complete::session_names;
use super::escape::printable;
use super::output::{name, session_json};
use super::store::shown_key_pair;
use super::time::{local, until};
use super::{Failure, Session};

/// Show a session, by default the active one
///
/// Example: keyfob show work --reveal
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The session [default: the one that KEYFOB_SESSION names, else the active one]
    #[arg(value_parser = Named::read, add = session_names())]
    key: Option<Named>,

    /// Print the session token too
    #[arg(long)]
    reveal: bool,
}

impl Show {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let key = session.named_session(self.key, &client)?;
        let call = GetSession { session_key: key.clone() };
        let found = session.unlocked(&client, |client| client.call(call.clone()).wait())?;
        match (found.session_key, found.session) {
            (Some(key), Some(session_found)) => {
                let object = json!({
                    "sessionKey": key,
                    "session": session_json(&session_found, self.reveal),
                    "hasKeyPair": found.has_key_pair,
                });
                let key_pair = shown_key_pair(&session_found.public_key, found.has_key_pair);
                session.output.print(&object, text(&key, &session_found, &key_pair, self.reveal))
            }
            _ => Err(none(key.as_ref()).into()),
        }
    }
}

/// The vault answers null where there is no session; a person who asked for one wants to be told.
fn none(key: Option<&SessionKey>) -> Fault {
    match key {
        Some(key) => {
            let message = format!("no session {:?}; `keyfob list` shows those there are", key.as_str());
            Fault::new(Code::NotFound, message).on_session(key)
        }
        None => Fault::new(Code::NoSessionFound, "no session is active; make one active with `keyfob use KEY`"),
    }
}

fn text(key: &SessionKey, session: &VaultSession, key_pair: &str, reveal: bool) -> String {
    let mut lines = vec![
        ("session", name(key)),
        ("type", session.session_type.clone()),
        ("user", session.user_id.clone()),
        ("organization", session.organization_id.clone()),
        ("expires", format!("{}, {}", local(session.expiry), until(session.expiry))),
        ("key pair", key_pair.to_owned()),
    ];
    lines.extend(session.session_profile_id.clone().map(|profile| ("profile", profile)));
    lines.extend(session.scope.clone().map(|scope| ("scope", scope)));
    let token = if reveal { session.token.expose() } else { "hidden (--reveal shows it)" };
    lines.push(("token", token.to_owned()));
    let lines: Vec<String> = lines.iter().map(|(field, value)| format!("{field:13} {}", printable(value))).collect();
    lines.join("\n")
}
