use clap::Args;
use keyfob_proto::{Expected, PublicKey, Secret, SessionKey, StoreSession};
use serde_json::json;

use super::arguments::{public_key, session_name};
use super::complete::{key_names, session_names};
use super::input::SecretSource;
use super::output::{name, session_json};
use super::time::until;
use super::{Failure, Session, token};

/// Store a session and make it the active one
///
/// The session token (JWT) is read from stdin, a file or the environment, never from an argument,
/// where other programs could see it. On a terminal it is asked for and not shown. Quotes around it are taken off, and of
/// a JSON answer the field `session` is taken. Its key pair has to be in the vault: see `keyfob key new`.
///
/// Example: keyfob store work --file answer.json
#[derive(Debug, Args)]
pub(super) struct Store {
    /// The session's name, by default `@turnkey/session/v3`
    #[arg(value_parser = session_name, add = session_names())]
    key: Option<SessionKey>,

    /// Leave the active session as it is
    #[arg(long)]
    no_activate: bool,

    /// Only in place of a session that names this key pair, or with `none` only where there is no session of that name
    #[arg(long, value_name = "HEX", value_parser = expected, add = key_names())]
    if_key: Option<Expected>,

    /// Store it though the vault does not have its key pair
    #[arg(long)]
    without_key_pair: bool,

    /// Keep its key pair no longer: it goes when the session is cleared
    #[arg(long)]
    adopt_key_pair: bool,

    #[command(flatten)]
    token: SecretSource,
}

/// Reads what has to be there.
fn expected(text: &str) -> Result<Expected, String> {
    if text == "none" {
        return Ok(Expected::Nothing);
    }
    public_key(text).map(Expected::KeyPair).map_err(|error| format!("{error}; or `none`"))
}

impl Store {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let text = self.token.read("the session token", session)?;
        let found = token::find(&text).map_err(|what| Failure::Input(what.to_owned()))?;
        if let Some(how) = found.how {
            session.output.note(how)?;
        }
        let call = StoreSession {
            session_key: self.key,
            if_public_key: self.if_key,
            activate: !self.no_activate,
            without_key_pair: self.without_key_pair,
            adopt_key_pair: self.adopt_key_pair,
            ..StoreSession::new(Secret::new(found.token.as_str()))
        };
        let client = session.connect()?;
        let stored = session.unlocked(&client, |client| client.call(call.clone()).wait());
        let stored = stored.inspect_err(|failure| {
            if failure.is_no_key_pair() {
                // What it failed with is said in any case.
                let _ = session.output.note(NO_KEY_PAIR);
            }
        })?;
        let object = json!({
            "sessionKey": stored.session_key,
            "session": session_json(&stored.session, false),
            "replacedPublicKey": stored.replaced_public_key,
            "hasKeyPair": stored.has_key_pair,
            "active": stored.active,
        });
        let verb = if stored.replaced_public_key.is_some() { "replaced" } else { "stored" };
        let active = if stored.active { "now active; " } else { "" };
        let key_pair = shown_key_pair(&stored.session.public_key, stored.has_key_pair);
        let (key, expires) = (name(&stored.session_key), until(stored.session.expiry));
        session.output.print(&object, format!("{verb} {key}, {active}expires {expires}; key pair {key_pair}"))?;
        if !stored.has_key_pair {
            session.output.note("it cannot sign until `keyfob key import` takes that key pair in")?;
        }
        Ok(())
    }
}

/// What to do where the key pair is missing.
const NO_KEY_PAIR: &str = "`keyfob key import` takes a key pair in, `keyfob key new` creates one to log in with; \
                           --without-key-pair stores the session all the same";

/// A key pair, and whether the vault has it.
pub(super) fn shown_key_pair(key: &PublicKey, is_there: bool) -> String {
    if is_there { key.to_string() } else { format!("{key} (not in the vault)") }
}
