//! The tour: a real daemon on a throw-away vault, and everything a login goes through.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use keyfob::{Access, Client, Direction, Error};
use keyfob_proto::{Code, Place, PublicKey, Secret, SessionKey, Stamped};
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::output::{GOOD, HEADING, count, name, session_json};
use super::{Failure, Session};

/// See it work: a daemon on a throw-away vault, two apps that log in, stamp and clear
///
/// Example: keyfob tour --wire
#[derive(Debug, Args)]
pub(super) struct Tour {
    /// Print each line of JSON that goes over the socket
    #[arg(long)]
    wire: bool,
}

/// What the apps of the tour want to stamp.
const BODY: &str = r#"{"organizationId":"c75ecb07-c84a-4dd5-932c-539dfafc6864"}"#;

impl Tour {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let dir = tempfile::Builder::new().prefix("keyfob-tour-").tempdir()?;
        let (socket, data) = (dir.path().join("keyfob.sock"), dir.path().join("data"));
        let access = Access::new(Place::new(Some(socket.into()), Some(data.into())));
        let mut guide = Guide { session, wire: self.wire.then(Wire::default) };

        let wallet = guide.connect(&access, "wallet")?;
        let walked = guide.walk(&wallet, &access);
        // Whatever happened on the way: no daemon and no file of the tour stays behind.
        wallet.shutdown().wait()?;
        wallet.closed_blocking();
        walked?;
        guide.say("The daemon is stopped", "and the throw-away vault removed", &json!({}))
    }
}

/// Leads through the tour and shows what happens.
struct Guide<'a, 'b, 'io> {
    session: &'a mut Session<'b, 'io>,
    wire: Option<Wire>,
}

/// The lines seen since the last step.
type Wire = Arc<Mutex<Vec<String>>>;

impl Guide<'_, '_, '_> {
    fn walk(&mut self, wallet: &Client, access: &Access) -> Result<(), Failure> {
        let listening = format!("listening on {}", access.place.endpoint().map_err(Error::from)?.path().display());
        self.say("A daemon on a throw-away vault", &listening, &json!({}))?;
        let agent = self.connect(access, "agent")?;
        let wallet_key = self.log_in(wallet, "wallet")?;
        self.log_in(&agent, "agent")?;
        self.list(wallet)?;

        let session_key: SessionKey = "wallet".parse().map_err(|_| Failure::Tour("a session key"))?;
        let stamped = wallet.stamp(BODY).with_session(&session_key).wait()?;
        verify(&stamped, &wallet_key)?;
        let header = format!(
            "{}: {}…\nverified with the public key",
            stamped.stamp_header_name,
            &stamped.stamp_header_value[..40]
        );
        self.say("wallet stamps a request", &header, &json!(stamped))?;

        let cleared = wallet.clear_session().named(&session_key).wait()?;
        let pair = cleared.deleted_public_key.map(|key| format!("its key pair {key} went with it"));
        self.say("wallet clears its session", &pair.ok_or(Failure::Tour("no key pair was deleted"))?, &json!(cleared))?;
        self.list(&agent)?;

        let cleared = agent.clear_all_sessions().wait()?;
        let text = format!(
            "{} and {} are gone",
            count(cleared.cleared_sessions, "session"),
            count(cleared.deleted_key_pairs, "key pair")
        );
        self.say("agent clears all sessions", &text, &json!(cleared))?;
        self.list(wallet)?;

        match agent.clear_all_sessions().wait() {
            Err(Error::Fault(fault)) if fault.data.code == Code::NoSessionFound => {
                let text = format!("{}: {}", fault.data.code, fault.message);
                self.say("Clearing all once more is an error", &text, &json!(fault))
            }
            _ => Err(Failure::Tour("a second clear found something to clear")),
        }
    }

    fn connect(&self, access: &Access, app: &'static str) -> Result<Client, Failure> {
        let client = Client::connect_or_start_blocking(access)?;
        if let Some(wire) = &self.wire {
            let wire = Arc::clone(wire);
            client.observe(move |direction, line| {
                let arrow = if direction == Direction::Out { "→" } else { "←" };
                let line = String::from_utf8_lossy(line.trim_ascii_end());
                wire.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{app:6} {arrow} {line}"));
            });
        }
        Ok(client)
    }

    /// What an app does to log in. The token would come from Turnkey; here the app makes one up.
    fn log_in(&mut self, client: &Client, app: &str) -> Result<PublicKey, Failure> {
        let created = client.create_api_key_pair().wait()?;
        let token = session_token(&created.public_key)?;
        let session_key: SessionKey = app.parse().map_err(|_| Failure::Tour("a session key"))?;
        let stored = client.store_session(token).named(&session_key).wait()?;
        let text = format!("key pair {}\nsession {}, now active", created.public_key, name(&stored.session_key));
        let object = json!({ "sessionKey": stored.session_key, "session": session_json(&stored.session, false) });
        self.say(&format!("{app} logs in"), &text, &object)?;
        Ok(created.public_key)
    }

    fn list(&mut self, client: &Client) -> Result<(), Failure> {
        let page = client.get_all_sessions().wait()?;
        let names: Vec<String> = page.sessions.iter().map(|entry| name(&entry.session_key)).collect();
        let active = page.active_session_key.as_ref().map_or_else(|| "none".to_owned(), name);
        let object = json!({ "sessionKeys": names, "activeSessionKey": page.active_session_key });
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        self.say("What is in the vault", &format!("sessions: {names}\nactive: {active}"), &object)
    }

    /// Shows one step, and the lines that made it.
    fn say(&mut self, title: &str, text: &str, object: &Value) -> Result<(), Failure> {
        let lines: Vec<String> = match &self.wire {
            Some(wire) => wire.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect(),
            None => Vec::new(),
        };
        let output = &mut self.session.output;
        let mut paragraph = vec![output.styled(HEADING, title)];
        paragraph.extend(lines.iter().map(|line| format!("  {line}")));
        paragraph.extend(text.lines().map(|line| format!("  {}", output.styled(GOOD, line))));
        output.print(&json!({ "step": title, "result": object, "wire": lines }), paragraph.join("\n"))
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    exp: u64,
    public_key: &'a PublicKey,
    session_type: &'a str,
    user_id: &'a str,
    organization_id: &'a str,
}

/// A token in Turnkey's format, good for an hour, signed by nobody who matters.
#[expect(clippy::disallowed_methods, reason = "the tour plays the server that issues the token")]
fn session_token(public_key: &PublicKey) -> Result<Secret, Failure> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let claims = Claims {
        exp: now.as_secs() + 3600,
        public_key,
        session_type: "SESSION_TYPE_READ_WRITE",
        user_id: "6912b819-f4df-40f4-a192-20ee43090974",
        organization_id: "c75ecb07-c84a-4dd5-932c-539dfafc6864",
    };
    let encode = |json: &[u8]| BASE64URL_NOPAD.encode(json);
    let payload = encode(json!(claims).to_string().as_bytes());
    let signed = format!("{}.{payload}", encode(br#"{"alg":"ES256","typ":"JWT"}"#));
    let issuer = SigningKey::try_generate().map_err(|_| Failure::Tour("the system has no randomness"))?;
    let signature: Signature = issuer.sign(signed.as_bytes());
    Ok(Secret::new(format!("{signed}.{}", encode(&signature.to_bytes()))))
}

/// Checks a stamp as Turnkey's API does.
fn verify(stamped: &Stamped, expected: &PublicKey) -> Result<(), Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header {
        public_key: PublicKey,
        scheme: String,
        signature: String,
    }
    let json = BASE64URL_NOPAD.decode(stamped.stamp_header_value.as_bytes()).unwrap_or_default();
    let header: Header = serde_json::from_slice(&json).map_err(|_| Failure::Tour("the stamp cannot be read"))?;
    let signature = HEXLOWER.decode(header.signature.as_bytes()).ok().and_then(|der| Signature::from_der(&der).ok());
    let key = VerifyingKey::from_sec1_bytes(header.public_key.as_bytes()).ok();
    let is_good = header.public_key == *expected
        && header.scheme == "SIGNATURE_SCHEME_TK_API_P256"
        && key.zip(signature).is_some_and(|(key, signature)| key.verify(BODY.as_bytes(), &signature).is_ok());
    if is_good { Ok(()) } else { Err(Failure::Tour("the stamp does not verify")) }
}
