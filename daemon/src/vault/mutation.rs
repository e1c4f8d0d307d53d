//! What each call that changes the vault means. One `apply` is one rule.
//!
//! A rule checks first and changes then: one that answers a fault has changed nothing.

use keyfob_proto::{
    ActiveSessionSet, AllSessionsCleared, ApiKeyPairCreated, ApiKeyPairDeleted, ClearAllSessions, ClearSession,
    ClearUnusedKeyPairs, Code, DeleteApiKeyPair, Expected, Fault, LockAfterSet, PublicKey, RemovalReason, Session,
    SessionCleared, SessionKey, SessionStored, SetActiveSession, SetLockAfter, UnusedKeyPairsCleared,
};

use super::contents::Vault;
use super::draft::Draft;
use super::facts::KeyPairFacts;
use super::key_pair::NewKeyPair;
use super::missing::{another_session, no_active_session, no_key_pair, no_such_session, not_without_key_pair};
use super::token::Login;
use crate::clock::Timestamp;
use crate::limits::{MAX_SESSIONS, MAX_UNUSED_KEY_PAIRS};

/// A call that changes the vault, its parameters checked as far as they can be without it.
pub trait Mutation: Send + 'static {
    /// What the caller gets once the change is durable.
    type Reply;

    /// What it may do.
    const KIND: Kind;

    /// Applies the rule to a draft.
    ///
    /// # Errors
    ///
    /// The faults that the protocol names for the call. The draft is as it was.
    fn apply(&self, draft: &mut Draft<'_>) -> Result<Self::Reply, Fault>;
}

/// What a mutation may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Puts something that has to be sealed.
    Seals,
    /// Puts something that needs no key.
    Puts,
    /// Only removes.
    Removes,
    /// Removes all sessions.
    ClearsAll,
    /// Puts a setting.
    Configures,
}

impl Mutation for SetLockAfter {
    type Reply = LockAfterSet;
    const KIND: Kind = Kind::Configures;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<LockAfterSet, Fault> {
        draft.set_lock_after(self.lock_after_seconds);
        Ok(LockAfterSet { lock_after_seconds: self.lock_after_seconds })
    }
}

impl Mutation for ClearSession {
    type Reply = SessionCleared;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<SessionCleared, Fault> {
        let vault = draft.vault();
        // One that has expired and is not destroyed yet is cleared like any other.
        let key = self.session_key.as_ref().or(vault.active.as_ref());
        let Some((key, session)) = key.and_then(|key| vault.sessions.get_key_value(key)) else {
            return match &self.session_key {
                key if self.if_exists => Ok(nothing_cleared(key.clone())),
                Some(key) => Err(no_such_session(key)),
                None => Err(no_active_session()),
            };
        };
        if self.if_public_key.is_some_and(|expected| expected != *session.public_key()) {
            return Err(another_session(key, Some(session.public_key())));
        }
        let session_key = key.clone();
        let (deleted_public_key, was_active) = draft.remove_session(&session_key, RemovalReason::Cleared);
        Ok(SessionCleared { cleared: true, session_key: Some(session_key), deleted_public_key, was_active })
    }
}

/// What is answered where there was nothing to clear, and that is no fault.
fn nothing_cleared(session_key: Option<SessionKey>) -> SessionCleared {
    SessionCleared { cleared: false, session_key, deleted_public_key: None, was_active: false }
}

impl Mutation for ClearAllSessions {
    type Reply = AllSessionsCleared;
    const KIND: Kind = Kind::ClearsAll;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<AllSessionsCleared, Fault> {
        let vault = draft.vault();
        if vault.sessions.is_empty() && self.if_exists {
            return Ok(AllSessionsCleared { cleared_sessions: 0, deleted_key_pairs: 0 });
        }
        if vault.sessions.is_empty() {
            return Err(Fault::new(Code::NoSessionFound, "there is no session to clear"));
        }
        let (cleared_sessions, deleted_key_pairs) = (vault.sessions.size() as u64, vault.in_use.size() as u64);
        draft.clear_all();
        Ok(AllSessionsCleared { cleared_sessions, deleted_key_pairs })
    }
}

impl Mutation for Login {
    type Reply = SessionStored;
    const KIND: Kind = Kind::Seals;

    /// Deletes no key pair but that of the session it replaces: another unused one may belong to a
    /// login in flight in another app.
    fn apply(&self, draft: &mut Draft<'_>) -> Result<SessionStored, Fault> {
        let checked = self.check(draft.vault(), draft.now())?;
        self.carry_out(checked, draft)
    }
}

/// A login that may be stored.
pub(super) struct Checked {
    session: Session,
    /// The key pair of the session that it replaces.
    replaced_public_key: Option<PublicKey>,
    has_key_pair: bool,
}

impl Login {
    /// Whether it may be stored, by the vault as the caller sees it.
    pub(super) fn check(&self, seen: &Vault, now: Timestamp) -> Result<Checked, Fault> {
        let key = &self.session_key;
        let session = self.session_at(now)?;
        let there = seen.session(key, now).map(|there| *there.public_key());
        if self.expected.is_some_and(|expected| !is_met(expected, there)) {
            return Err(another_session(key, there.as_ref()));
        }
        let has_key_pair = seen.key_pair(&session.public_key, now).is_some();
        if !has_key_pair && !self.without_key_pair {
            return Err(not_without_key_pair(&session.public_key).on_session(key));
        }
        Ok(Checked { session, replaced_public_key: there, has_key_pair })
    }

    /// Stores it, and makes it the active session if it is to be.
    pub(super) fn carry_out(&self, checked: Checked, draft: &mut Draft<'_>) -> Result<SessionStored, Fault> {
        let stored = self.put(checked, draft)?;
        if self.activates {
            draft.set_active(Some(self.session_key.clone()));
        }
        let active = draft.vault().active.as_ref() == Some(&self.session_key);
        Ok(SessionStored { active, ..stored })
    }

    /// Stores it, and leaves the active session as it is.
    pub(super) fn put(&self, checked: Checked, draft: &mut Draft<'_>) -> Result<SessionStored, Fault> {
        let Checked { session, replaced_public_key, has_key_pair } = checked;
        if replaced_public_key.is_none() {
            check_room(draft.vault().sessions.size(), MAX_SESSIONS, "sessions")?;
        }
        draft.put_session(&self.session_key, &session, self.adopts_key_pair)?;
        let session_key = self.session_key.clone();
        Ok(SessionStored { session_key, session, replaced_public_key, has_key_pair, active: false })
    }
}

/// Refuses more of something than the vault may hold.
fn check_room(there: usize, most: usize, what: &'static str) -> Result<(), Fault> {
    if there < most {
        return Ok(());
    }
    let message = format!("the vault holds {there} {what}, and may hold no more: remove some first");
    Err(Fault::new(Code::LimitReached, message).on_limit(if what == "sessions" { what } else { "keyPairs" }))
}

/// Whether what is there under a name is what a caller expects: a session that names this key pair, or none.
fn is_met(expected: Expected, there: Option<PublicKey>) -> bool {
    match expected {
        Expected::Nothing => there.is_none(),
        Expected::KeyPair(key) => there == Some(key),
    }
}

impl Mutation for SetActiveSession {
    type Reply = ActiveSessionSet;
    const KIND: Kind = Kind::Puts;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<ActiveSessionSet, Fault> {
        let Self { session_key } = self;
        if draft.vault().session(session_key, draft.now()).is_none() {
            return Err(draft.vault().no_session(session_key, draft.now()));
        }
        draft.set_active(Some(session_key.clone()));
        Ok(ActiveSessionSet { session_key: session_key.clone() })
    }
}

impl Mutation for NewKeyPair {
    type Reply = ApiKeyPairCreated;
    const KIND: Kind = Kind::Seals;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<ApiKeyPairCreated, Fault> {
        let there = draft.vault().key_pair(&self.facts().public_key, draft.now()).map(|pair| pair.facts().clone());
        let created = there.is_none();
        let facts = there.as_ref().map_or_else(|| self.facts().clone(), |there| there.told(self.facts()));
        if created {
            check_room(draft.vault().unused.size(), MAX_UNUSED_KEY_PAIRS, "unused key pairs")?;
        }
        if there.as_ref() != Some(&facts) {
            draft.put_key_pair(self, facts.clone())?;
        }
        let KeyPairFacts { public_key, kept, label, .. } = facts;
        Ok(ApiKeyPairCreated { public_key, created, kept, label })
    }
}

impl Mutation for DeleteApiKeyPair {
    type Reply = ApiKeyPairDeleted;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<ApiKeyPairDeleted, Fault> {
        let Self { public_key, if_exists } = *self;
        // One whose sessions have all expired is not told of, and waits to be destroyed: it is now.
        if draft.vault().in_use.contains_key(&public_key) && draft.vault().key_pair(&public_key, draft.now()).is_none()
        {
            draft.expire_sessions_of(&public_key);
            return Ok(ApiKeyPairDeleted { deleted: true, public_key });
        }
        let is_unused = draft.vault().key_pair(&public_key, draft.now()).is_some()
            && draft.vault().naming(&public_key, draft.now()).next().is_none();
        if !is_unused {
            return draft.vault().not_deletable(&public_key, draft.now(), if_exists);
        }
        draft.remove_unused(public_key, RemovalReason::Deleted);
        Ok(ApiKeyPairDeleted { deleted: true, public_key })
    }
}

impl Vault {
    /// What is answered to whoever deletes a key pair that is not theirs to delete: a session names it, or it is not
    /// there.
    pub(super) fn not_deletable(
        &self,
        public_key: &PublicKey,
        now: Timestamp,
        if_exists: bool,
    ) -> Result<ApiKeyPairDeleted, Fault> {
        match self.key_pair(public_key, now) {
            Some(_) => {
                let message = format!("a session names the key pair {public_key}: clear the session first");
                Err(Fault::new(Code::KeyPairInUse, message).on_key_pair(*public_key))
            }
            None if if_exists => Ok(ApiKeyPairDeleted { deleted: false, public_key: *public_key }),
            None => Err(no_key_pair(public_key)),
        }
    }
}

impl Mutation for ClearUnusedKeyPairs {
    type Reply = UnusedKeyPairsCleared;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<UnusedKeyPairsCleared, Fault> {
        let min_age = self.min_age_seconds.unwrap_or(Self::PENDING_SECONDS);
        let now = draft.now();
        let is_due = |(created_at, _): &&(u64, _)| now.since(Timestamp::from_secs(*created_at)).as_secs() >= min_age;
        let mut due = draft.vault().unused_by_age.iter().take_while(is_due).map(|(_, key)| *key);
        let deleted_public_keys: Vec<PublicKey> = due.by_ref().take(Self::MAX_DELETED).collect();
        let more = due.next().is_some();
        draft.sweep(&deleted_public_keys);
        Ok(UnusedKeyPairsCleared { deleted_public_keys, more })
    }
}
