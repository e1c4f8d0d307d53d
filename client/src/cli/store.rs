use clap::Args;
use keyfob_proto::{Secret, SessionKey, StoreSession};
use serde_json::json;

use super::arguments::session_name;
use super::complete::session_names;
use super::input::SecretSource;
use super::output::{name, session_json};
use super::time::until;
use super::{Failure, Session, token};

/// Store a session and make it the active one
///
/// The session token (JWT) is read from stdin, a file or the environment, never from an argument,
/// where other programs could see it. On a terminal it is asked for and not shown. Quotes around it are taken off, and of
/// a JSON answer the field `session` is taken. Its key pair should be in the vault: see `keyfob key new`.
///
/// Example: keyfob store work --file answer.json
#[derive(Debug, Args)]
pub(super) struct Store {
    /// The session's name, by default `@turnkey/session/v3`
    #[arg(value_parser = session_name, add = session_names())]
    key: Option<SessionKey>,

    #[command(flatten)]
    token: SecretSource,
}

impl Store {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let text = self.token.read("the session token", session)?;
        let found = token::find(&text).map_err(|what| Failure::Input(what.to_owned()))?;
        if let Some(how) = found.how {
            session.output.note(how)?;
        }
        let call = StoreSession { session_token: Secret::new(found.token.as_str()), session_key: self.key };
        let mut client = session.connect()?;
        let stored = session.unlocked(&mut client, |client| client.store_session(call.clone()))?;
        let object = json!({
            "sessionKey": stored.session_key,
            "session": session_json(&stored.session, false),
            "replaced": stored.replaced,
            "hasKeyPair": stored.has_key_pair,
        });
        let verb = if stored.replaced { "replaced" } else { "stored" };
        let text = format!(
            "{verb} {}, now active; expires {}; key pair {}",
            name(&stored.session_key),
            until(stored.session.expiry),
            stored.session.public_key
        );
        session.output.print(&object, text)?;
        if !stored.has_key_pair {
            session.output.note(
                "warning: the vault does not have that key pair, so it cannot sign for this session: `keyfob key import` \
                 takes it in; or `keyfob key new`, and log in with what it prints",
            )?;
        }
        Ok(())
    }
}
