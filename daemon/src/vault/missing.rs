//! What is said of a session or key pair that is not there: it has expired, or never was, or is another.

use keyfob_proto::{Code, Fault, PublicKey, SessionKey};

use super::contents::Vault;
use crate::clock::Timestamp;

impl Vault {
    /// When a session expired, whether or not it is destroyed yet.
    fn expired_at(&self, key: &SessionKey, now: Timestamp) -> Option<u64> {
        let undestroyed = self.sessions.get(key).map(|session| session.expiry()).filter(|expiry| *expiry <= now.secs());
        undestroyed.or_else(|| self.expired.get(key).map(|name| name.expiry))
    }

    /// The fault of a call that names a session which is not there: it has expired, or never was.
    #[must_use]
    pub fn no_session(&self, key: &SessionKey, now: Timestamp) -> Fault {
        match self.expired_at(key, now) {
            Some(expiry) => has_expired("the session", key, expiry, now),
            None => no_such_session(key),
        }
    }

    /// The session that was active until it expired, and when it did.
    pub(super) fn expired_active(&self, now: Timestamp) -> Option<(&SessionKey, u64)> {
        let undestroyed = self.active.as_ref().filter(|key| self.session(key, now).is_none());
        let key = undestroyed.or_else(|| self.expired.active().filter(|_| self.active.is_none()))?;
        Some((key, self.expired_at(key, now)?))
    }

    /// The fault of a call that needs an active session where none is: it has expired, or there was none.
    #[must_use]
    pub fn none_active(&self, now: Timestamp) -> Fault {
        match self.expired_active(now) {
            Some((key, expiry)) => has_expired("the active session", key, expiry, now),
            None => no_active_session(),
        }
    }
}

fn has_expired(what: &str, key: &SessionKey, expiry: u64, now: Timestamp) -> Fault {
    let (then, ago) = (Timestamp::from_secs(expiry), now.since(Timestamp::from_secs(expiry)).as_secs());
    let message = format!("{what} {:?} expired at {then}, {ago} s ago: log in again", key.as_str());
    Fault::new(Code::SessionExpired, message).on_session(key).expired_at(expiry)
}

/// The fault of a call that names a session which never was.
pub(super) fn no_such_session(key: &SessionKey) -> Fault {
    let message = format!("no session {:?}; `keyfob list` shows those there are", key.as_str());
    Fault::new(Code::NotFound, message).on_session(key)
}

/// The fault of a call that needs an active session where none is.
pub(super) fn no_active_session() -> Fault {
    Fault::new(Code::NoSessionFound, "no session is active: name one, or make one active with `keyfob use KEY`")
}

/// The fault of a call that expects another session than the one that is there: one that names this key pair, or none.
pub(super) fn another_session(key: &SessionKey, there: Option<&PublicKey>) -> Fault {
    let is = match there {
        Some(public_key) => format!("there is a session {:?} that names the key pair {public_key}", key.as_str()),
        None => format!("there is no session {:?}", key.as_str()),
    };
    let message = format!("{is}, which is not what the call expects, so nothing was changed");
    let fault = Fault::new(Code::Conflict, message).on_session(key);
    match there {
        Some(public_key) => fault.on_key_pair(*public_key),
        None => fault,
    }
}

/// The fault of a call that needs a key pair which the vault does not have.
pub(super) fn no_key_pair(key: &PublicKey) -> Fault {
    let message = format!(
        "the vault has no key pair {key}; `keyfob key list` shows those there are, `keyfob key import` adds one"
    );
    Fault::new(Code::KeyPairNotFound, message).on_key_pair(*key)
}

/// The fault of a session that is not stored, because the vault does not have its key pair.
pub(super) fn not_without_key_pair(key: &PublicKey) -> Fault {
    let message = format!(
        "the vault has no key pair {key}, which the session token names, so nothing was stored: take it in first, or log \
         in with a key pair that the vault created"
    );
    Fault::new(Code::KeyPairNotFound, message).on_key_pair(*key)
}
