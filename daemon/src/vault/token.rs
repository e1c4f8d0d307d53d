//! [`Login`]: a session token, read.

use keyfob_proto::{Code, Expected, Fault, PublicKey, Secret, Session, SessionKey, StoreSession};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::jwt::{NOT_AN_OBJECT, payload_of, whole_number};
use super::key_pair::is_on_curve;
use crate::clock::Timestamp;
use crate::limits::{MAX_CLAIM_BYTES, MAX_TOKEN_BYTES};

/// The largest `exp`: the end of the year 9999, in seconds since the epoch.
const MAX_EXPIRY: u64 = 253_402_300_799;

/// How long a session of Turnkey's lives where nobody says otherwise, in seconds.
const DEFAULT_LIFE: u64 = 900;

/// A session about to be stored: its token was read and found good, its expiry not yet looked at.
///
/// The token's signature is not verified, as in Turnkey's SDK: the vault keeps what the login
/// returned, and the API judges it.
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) session_key: SessionKey,
    /// What has to be there under this name.
    pub(super) expected: Option<Expected>,
    /// Whether it becomes the active session.
    pub(super) activates: bool,
    /// Whether it is stored though its key pair is not there.
    pub(super) without_key_pair: bool,
    /// Whether its key pair, if it is kept, is kept no longer.
    pub(super) adopts_key_pair: bool,
    /// Complete but for [`Session::expiration_seconds`], which depends on the moment of storing.
    session: Session,
    /// When it was issued, in seconds since the epoch, if the token says so.
    issued_at: Option<u64>,
}

impl Login {
    /// Reads the token of a call.
    ///
    /// # Errors
    ///
    /// `INVALID_TOKEN` when the token cannot be read or lacks a claim.
    pub fn read(call: StoreSession) -> Result<Self, Fault> {
        let session_key = call.session_key.unwrap_or_default();
        let (session, issued_at) =
            read_token(call.session_token).map_err(|wrong| wrong.fault().on_session(&session_key))?;
        Ok(Self {
            session_key,
            expected: call.if_public_key,
            activates: call.activate,
            without_key_pair: call.without_key_pair,
            adopts_key_pair: call.adopt_key_pair,
            session,
            issued_at,
        })
    }

    /// What it is stored under.
    #[must_use]
    pub fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// The length of its token, in bytes.
    #[must_use]
    pub fn token_bytes(&self) -> usize {
        self.session.token.expose().len()
    }

    /// The same login under another name.
    #[cfg(test)]
    pub(crate) fn rename(&mut self, session_key: SessionKey) {
        self.session_key = session_key;
    }

    /// The session as it is stored at `now`.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED` when the token's `exp` has passed.
    pub(super) fn session_at(&self, now: Timestamp) -> Result<Session, Fault> {
        let Self { session_key, session, .. } = self;
        let left = Timestamp::from_secs(session.expiry).since(now);
        if left.is_zero() {
            let fault = Fault::new(Code::SessionExpired, self.is_expired(now));
            return Err(fault.on_session(session_key).expired_at(session.expiry));
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Ok(Session { expiration_seconds: seconds.to_string(), ..session.clone() })
    }
}

impl Login {
    /// Why it is refused at `now`. A clock that is wrong makes a new token look expired, and a new login would not help.
    fn is_expired(&self, now: Timestamp) -> String {
        let expiry = self.session.expiry;
        let life = self.issued_at.map_or(DEFAULT_LIFE, |issued_at| expiry.saturating_sub(issued_at));
        let (then, ago) = (Timestamp::from_secs(expiry), now.since(Timestamp::from_secs(expiry)).as_secs());
        let what_to_do = if ago < life {
            "if you have just logged in, the clock of this machine is wrong: set it. Else log in again"
        } else {
            "log in again"
        };
        format!("the session token expired at {then}, and it is {now} by the clock of this machine: {what_to_do}")
    }
}

/// The claims that matter, each as the JSON it is, so that a wrong one can be named.
#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    exp: Option<&'a RawValue>,
    #[serde(borrow)]
    iat: Option<&'a RawValue>,
    #[serde(borrow)]
    public_key: Option<&'a RawValue>,
    #[serde(borrow)]
    session_type: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    organization_id: Option<&'a RawValue>,
    #[serde(borrow)]
    session_profile_id: Option<&'a RawValue>,
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
}

/// What is wrong with a token, without any of it.
#[derive(Debug)]
struct Wrong {
    claim: Option<&'static str>,
    message: String,
}

impl Wrong {
    fn claim(claim: &'static str, message: String) -> Self {
        Self { claim: Some(claim), message }
    }

    fn fault(self) -> Fault {
        let fault = Fault::new(Code::InvalidToken, self.message);
        match self.claim {
            Some(claim) => fault.on_field(claim),
            None => fault,
        }
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { claim: None, message }
    }
}

impl From<&str> for Wrong {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// Reads a token, or says what is wrong with it without repeating any of it.
fn read_token(token: Secret) -> Result<(Session, Option<u64>), Wrong> {
    let text = token.expose();
    if text.len() > MAX_TOKEN_BYTES {
        return Err(format!("the session token is over {MAX_TOKEN_BYTES} bytes").into());
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the session token has a character that no JWT has: a space, a quote, a byte order mark?".into());
    }
    let payload = payload_of(text)?;
    let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| NOT_AN_OBJECT)?;

    // It only helps to explain.
    let issued_at = claims.iat.and_then(|iat| whole_number(iat.get()));
    let public_key: PublicKey = required(claims.public_key, "public_key")?
        .parse()
        .ok()
        .filter(is_on_curve)
        .ok_or_else(|| wrong("public_key", "not a compressed P-256 public key in hex"))?;
    let session = Session {
        expiry: expiry(claims.exp)?,
        public_key,
        session_type: required(claims.session_type, "session_type")?,
        user_id: required(claims.user_id, "user_id")?,
        organization_id: required(claims.organization_id, "organization_id")?,
        session_profile_id: optional(claims.session_profile_id, "session_profile_id")?,
        scope: optional(claims.scope, "scope")?,
        expiration_seconds: String::new(),
        token,
    };
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let claims = session.session_type.len()
        + session.user_id.len()
        + session.organization_id.len()
        + optional(&session.session_profile_id)
        + optional(&session.scope);
    if claims > MAX_CLAIM_BYTES {
        return Err(format!("the claims of the session token are over {MAX_CLAIM_BYTES} bytes together").into());
    }
    Ok((session, issued_at))
}

/// The beginning of the year 2000 in milliseconds, and in microseconds.
const YEAR_2000_MS: u64 = 946_684_800_000;
const YEAR_2000_US: u64 = YEAR_2000_MS * 1000;

fn expiry(exp: Option<&RawValue>) -> Result<u64, Wrong> {
    let exp = exp.ok_or_else(|| lacks("exp"))?;
    let wrong = |what| Err(wrong("exp", what));
    match whole_number(exp.get()) {
        Some(seconds @ 1..=MAX_EXPIRY) => Ok(seconds),
        Some(0) | None => wrong("not a Unix time in whole seconds"),
        Some(time @ YEAR_2000_MS..YEAR_2000_US) if time / 1000 <= MAX_EXPIRY => {
            wrong("in milliseconds: it has to be in seconds")
        }
        Some(time @ YEAR_2000_US..) if time / 1_000_000 <= MAX_EXPIRY => {
            wrong("in microseconds: it has to be in seconds")
        }
        Some(_) => wrong("after the year 9999"),
    }
}

fn required(claim: Option<&RawValue>, name: &'static str) -> Result<String, Wrong> {
    optional(claim, name)?.ok_or_else(|| lacks(name))
}

/// A claim that is null or empty counts as absent.
fn optional(claim: Option<&RawValue>, name: &'static str) -> Result<Option<String>, Wrong> {
    let Some(claim) = claim else { return Ok(None) };
    match serde_json::from_str::<Option<String>>(claim.get()) {
        Ok(text) => Ok(text.filter(|text| !text.is_empty())),
        Err(_) => Err(wrong(name, "not a string")),
    }
}

fn lacks(claim: &'static str) -> Wrong {
    Wrong::claim(claim, format!("the session token lacks the claim `{claim}`"))
}

fn wrong(claim: &'static str, what: &str) -> Wrong {
    Wrong::claim(claim, format!("the claim `{claim}` of the session token is {what}"))
}

#[cfg(test)]
mod tests;
