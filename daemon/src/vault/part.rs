//! [`Part`]: what of the vault somebody is given, and the vault as they see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyfob_proto::{EventKind, PublicKey, RemovalReason, SessionKey};

use super::contents::Vault;
use super::read::is_live;
use crate::clock::Timestamp;

/// A part of the vault: some sessions or all of them, with the key pairs that they name, and the key pairs that were
/// created for the part and that nothing else names.
#[derive(Clone, Debug)]
pub struct Part {
    /// The names of the sessions, whether or not there are such; none: all.
    pub sessions: Option<Arc<BTreeSet<SessionKey>>>,
    /// The session that is the active one there. Where the part is of all sessions the vault's own pointer counts.
    pub active: Option<SessionKey>,
    /// The key pairs that were created for it.
    pub created: Arc<BTreeSet<PublicKey>>,
}

impl Part {
    /// Whether a session of this name is part of it.
    #[must_use]
    pub fn has(&self, key: &SessionKey) -> bool {
        self.sessions.as_ref().is_none_or(|names| names.contains(key))
    }

    /// What is told of a change to those who see only the part. `None`: nothing, for it is not about the part.
    #[must_use]
    pub fn told(&self, kind: &EventKind) -> Option<EventKind> {
        let is_told = match kind {
            EventKind::SessionStored { session_key, .. }
            | EventKind::SessionCleared { session_key, .. }
            | EventKind::SessionExpiring { session_key, .. } => self.has(session_key),
            EventKind::ActiveSessionChanged { .. } => self.sessions.is_none(),
            EventKind::VaultLocked | EventKind::VaultUnlocked => true,
            _ => false,
        };
        is_told.then(|| kind.clone())
    }

    /// What is told where too much happened to tell all of it: of a part that names its sessions, which of them are gone
    /// or expire soon.
    #[must_use]
    pub fn told_of_many(&self, before: &Vault, after: &Vault) -> Vec<EventKind> {
        let Some(names) = &self.sessions else { return vec![EventKind::Resync] };
        let is_gone = |key: &&SessionKey| before.sessions.contains_key(*key) && !after.sessions.contains_key(*key);
        let gone = |key: &SessionKey| EventKind::SessionCleared {
            session_key: key.clone(),
            reason: RemovalReason::AllCleared,
        };
        let warned = before.warned_until + 1..=after.warned_until;
        let soon = |key: &SessionKey| {
            let expiry = after.sessions.get(key)?.expiry();
            warned.contains(&expiry).then(|| EventKind::SessionExpiring { session_key: key.clone(), expiry })
        };
        names.iter().filter(is_gone).map(gone).chain(names.iter().filter_map(soon)).collect()
    }

    /// Which of its named sessions there are in a vault.
    #[must_use]
    pub fn present(&self, vault: &Vault) -> BTreeSet<SessionKey> {
        let names = self.sessions.iter().flat_map(|names| names.iter());
        names.filter(|key| vault.sessions.contains_key(*key)).cloned().collect()
    }
}

impl Vault {
    /// The vault as those see it who have a part: it holds nothing else, so no read of it can tell of anything else. The
    /// time that it takes depends on the part alone, or, where that has all sessions, on the unused key pairs.
    #[must_use]
    pub fn part(&self, part: &Part, now: Timestamp) -> Self {
        let mut seen = match &part.sessions {
            Some(names) => self.sessions_named(names, now),
            None => self.all_sessions(now),
        };
        for key in &*part.created {
            if let Some(pair) = self.unused.get(key).filter(|pair| !pair.facts().kept) {
                seen.insert_unused(Arc::clone(pair));
            }
        }
        if part.sessions.is_some() {
            // It may name none that is there. Then reads say of it what is known.
            seen.active.clone_from(&part.active);
        }
        seen
    }

    fn sessions_named(&self, names: &BTreeSet<SessionKey>, now: Timestamp) -> Self {
        let mut seen = Self { expired: self.expired.only(names), ..Self::default() };
        for key in names {
            let Some(session) = self.sessions.get(key) else { continue };
            let public_key = session.public_key();
            if let Some(pair) = self.in_use.get(public_key) {
                seen.in_use.insert_mut(*public_key, Arc::clone(pair));
            } else if let Some(kept) = self.unused.get(public_key).filter(|_| is_live(session, now)) {
                seen.insert_unused(Arc::clone(kept));
            }
            seen.insert_session(key.clone(), Arc::clone(session));
        }
        seen
    }

    fn all_sessions(&self, now: Timestamp) -> Self {
        let mut seen = self.clone();
        (seen.unused, seen.unused_by_age) = Default::default();
        let is_kept = |key: &PublicKey| self.unused.get(key).filter(|pair| pair.facts().kept);
        let named = self.unused.keys().filter(|key| self.naming(key, now).next().is_some());
        for kept in named.filter_map(is_kept) {
            seen.insert_unused(Arc::clone(kept));
        }
        seen
    }
}
