use clap::Args;
use keyfob_proto::{Secret, SessionKey, StoreSession};
use serde_json::json;

use super::input::SecretSource;
use super::output::{expires_in, name, session_json};
use super::{Failure, Session};

/// Store a session and make it the active one
///
/// The session token (JWT) is read from stdin, a file or the environment, never from an argument,
/// where other programs could see it. Its key pair should be in the vault: see `keyfob key new`.
///
/// Example: pbpaste | keyfob store work
#[derive(Debug, Args)]
pub(super) struct Store {
    /// The session's name, by default `@turnkey/session/v3`
    key: Option<SessionKey>,

    #[command(flatten)]
    token: SecretSource,
}

impl Store {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let token = self.token.read("the session token", session)?;
        let call = StoreSession { session_token: Secret::new(token.as_str()), session_key: self.key };
        let stored = session.connect()?.store_session(call)?;
        let object = json!({
            "sessionKey": stored.session_key,
            "session": session_json(&stored.session, false),
            "replaced": stored.replaced,
        });
        let verb = if stored.replaced { "replaced" } else { "stored" };
        let text = format!(
            "{verb} {}, now active; expires in {}; key pair {}",
            name(&stored.session_key),
            expires_in(stored.session.expiry),
            stored.session.public_key
        );
        session.output.print(&object, text)
    }
}
