//! [`Stored`]: what another user, or a grant, has in the vault.

use std::collections::{HashMap, HashSet};

use keyfob_proto::{Code, Fault, PublicKey, SessionKey};

use crate::limits::{MAX_SESSIONS, MAX_UNUSED_KEY_PAIRS, USER_KEY_PAIRS, USER_SESSION_BYTES, USER_SESSIONS};
use crate::vault::Vault;

/// What somebody who is not the vault's own user has stored since the daemon started. Who did is not kept in the vault;
/// so all of them together have no more than half of what it may hold.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    key_pairs: HashSet<PublicKey>,
    /// The sessions, and how many bytes each takes.
    sessions: HashMap<SessionKey, usize>,
}

impl Stored {
    /// Whether another key pair may be created.
    ///
    /// # Errors
    ///
    /// `LIMIT_REACHED`.
    pub(crate) fn check_key_pair(&mut self, vault: &Vault) -> Result<(), Fault> {
        if self.key_pairs.len() >= USER_KEY_PAIRS {
            self.key_pairs.retain(|key| vault.is_unused(key));
        }
        if self.key_pairs.len() >= USER_KEY_PAIRS
            || vault.unused_count() + vault.kept_count() >= MAX_UNUSED_KEY_PAIRS / 2
        {
            return Err(reached("keyPairs", &format!("{USER_KEY_PAIRS} key pairs that no session names")));
        }
        Ok(())
    }

    /// Whether another session may be stored, of so many bytes.
    ///
    /// # Errors
    ///
    /// `LIMIT_REACHED`.
    pub(crate) fn check_session(&mut self, key: &SessionKey, bytes: usize, vault: &Vault) -> Result<(), Fault> {
        let replaced = self.sessions.get(key).copied();
        let is_full = |sessions: &HashMap<SessionKey, usize>| {
            let too_many = replaced.is_none() && sessions.len() >= USER_SESSIONS;
            let all = sessions.values().sum::<usize>() + bytes - replaced.unwrap_or_default().min(bytes);
            (too_many, all > USER_SESSION_BYTES)
        };
        if is_full(&self.sessions) != (false, false) {
            self.sessions.retain(|key, _| vault.has_session(key));
        }
        match is_full(&self.sessions) {
            (true, _) => Err(reached("sessions", &format!("{USER_SESSIONS} sessions"))),
            (_, true) => Err(reached("bytes", &format!("{} KiB of session tokens", USER_SESSION_BYTES / 1024))),
            _ if replaced.is_none() && !vault.has_session(key) && vault.session_count() >= MAX_SESSIONS / 2 => {
                Err(reached("sessions", &format!("half of the {MAX_SESSIONS} sessions of the vault, with others")))
            }
            _ => Ok(()),
        }
    }

    /// A key pair was created.
    pub(crate) fn created(&mut self, key: PublicKey) {
        self.key_pairs.insert(key);
    }

    /// A session was stored.
    pub(crate) fn stored(&mut self, key: SessionKey, bytes: usize) {
        self.sessions.insert(key, bytes);
    }
}

fn reached(limit: &'static str, what: &str) -> Fault {
    let message = format!("a user other than the vault's own, or a grant, may have {what}: remove some first");
    Fault::new(Code::LimitReached, message).on_limit(limit)
}
