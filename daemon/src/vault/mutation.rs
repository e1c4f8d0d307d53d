//! What each call that changes the vault means. One `apply` is one rule.
//!
//! A rule checks first and changes then: one that answers a fault has changed nothing.

use keyfob_proto::{
    ActiveSessionSet, AllSessionsCleared, ApiKeyPairCreated, ApiKeyPairDeleted, ClearAllSessions, ClearReason,
    ClearSession, ClearUnusedKeyPairs, Code, DeleteApiKeyPair, Fault, LockAfterSet, PublicKey, SessionCleared,
    SessionStored, SetActiveSession, SetLockAfter, UnusedKeyPairsCleared,
};

use super::draft::Draft;
use super::key_pair::NewKeyPair;
use super::missing::{no_active_session, no_such_session};
use super::read::no_key_pair;
use super::token::Login;
use crate::clock::Timestamp;

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
        let session_key = match &self.session_key {
            Some(key) if !vault.sessions.contains_key(key) => return Err(no_such_session(key)),
            Some(key) => key.clone(),
            None => vault.active.clone().ok_or_else(no_active_session)?,
        };
        let (deleted_public_key, was_active) = draft.remove_session(&session_key, ClearReason::Cleared);
        Ok(SessionCleared { session_key, deleted_public_key, was_active })
    }
}

impl Mutation for ClearAllSessions {
    type Reply = AllSessionsCleared;
    const KIND: Kind = Kind::ClearsAll;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<AllSessionsCleared, Fault> {
        let vault = draft.vault();
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
        let session_key = self.session_key.clone();
        let session = self.session_at(draft.now())?;
        let replaced = draft.put_session(&session_key, &session)?;
        draft.set_active(Some(session_key.clone()));
        let has_key_pair = draft.vault().in_use.contains_key(&session.public_key);
        Ok(SessionStored { session_key, session, replaced, has_key_pair })
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
        let public_key = *self.public_key();
        if draft.vault().key_pair(&public_key, draft.now()).is_none() {
            draft.put_key_pair(self)?;
        }
        Ok(ApiKeyPairCreated { public_key })
    }
}

impl Mutation for DeleteApiKeyPair {
    type Reply = ApiKeyPairDeleted;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<ApiKeyPairDeleted, Fault> {
        let Self { public_key } = *self;
        // No session has it any more.
        if draft.expire_key_pair(&public_key) {
            return Ok(ApiKeyPairDeleted { public_key });
        }
        if draft.vault().key_pair(&public_key, draft.now()).is_none() {
            return Err(no_key_pair(&public_key));
        }
        if draft.vault().in_use.contains_key(&public_key) {
            let message = format!("a session names the key pair {public_key}: clear the session, and it goes with it");
            return Err(Fault::new(Code::KeyPairInUse, message).on_key_pair(public_key));
        }
        draft.remove_unused(public_key);
        Ok(ApiKeyPairDeleted { public_key })
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
        for key in &deleted_public_keys {
            draft.remove_unused(*key);
        }
        Ok(UnusedKeyPairsCleared { deleted_public_keys, more })
    }
}
