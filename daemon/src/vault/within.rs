//! What each call that changes the vault means for those who have a [`Part`] of it.
//!
//! A rule looks at the vault as they see it, answers by that, and changes what is behind it. So an answer is the same
//! whatever else is in the vault: a key pair that is gone for them may live on with a session that they do not see.

use std::collections::VecDeque;

use keyfob_proto::{
    AllSessionsCleared, ApiKeyPairDeleted, ClearAllSessions, ClearSession, ClearUnusedKeyPairs, DeleteApiKeyPair,
    Fault, RemovalReason, SessionCleared, SessionStored, UnusedKeyPairsCleared,
};

use super::draft::Draft;
use super::mutation::{Kind, Mutation};
use super::part::Part;
use super::token::Login;

/// A call that concerns a part of the vault.
#[derive(Debug)]
pub struct Within<M> {
    /// The part.
    pub part: Part,
    /// The call.
    pub call: M,
}

impl<M: Mutation> Within<M> {
    /// What the call answers to those who see only the part. It must be one that only removes.
    fn seen(&self, draft: &Draft<'_>) -> Result<M::Reply, Fault> {
        let mut no_slots = VecDeque::new();
        let seen = draft.vault().part(&self.part, draft.now());
        self.call.apply(&mut Draft::new(seen, draft.now(), None, &mut no_slots))
    }
}

impl Mutation for Within<ClearSession> {
    type Reply = SessionCleared;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<SessionCleared, Fault> {
        let reply = self.seen(draft)?;
        if let Some(key) = reply.session_key.as_ref().filter(|_| reply.cleared) {
            draft.remove_session(key, RemovalReason::Cleared);
        }
        Ok(reply)
    }
}

impl Mutation for Within<ClearAllSessions> {
    type Reply = AllSessionsCleared;
    /// As many removals as there are sessions in the part.
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<AllSessionsCleared, Fault> {
        let reply = self.seen(draft)?;
        for key in self.part.present(draft.vault()) {
            draft.remove_session(&key, RemovalReason::AllCleared);
        }
        Ok(reply)
    }
}

impl Mutation for Within<Login> {
    type Reply = SessionStored;
    const KIND: Kind = Kind::Seals;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<SessionStored, Fault> {
        let seen = draft.vault().part(&self.part, draft.now());
        let stored = self.call.check(&seen, draft.now())?;
        if self.part.sessions.is_none() {
            return self.call.carry_out(stored, draft);
        }
        // The vault's own pointer is not theirs to move.
        let active = self.call.activates || self.part.active.as_ref() == Some(&self.call.session_key);
        Ok(SessionStored { active, ..self.call.put(stored, draft)? })
    }
}

impl Mutation for Within<DeleteApiKeyPair> {
    type Reply = ApiKeyPairDeleted;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<ApiKeyPairDeleted, Fault> {
        let public_key = self.call.public_key;
        if self.part.created.contains(&public_key) {
            let reply = self.seen(draft)?;
            if reply.deleted {
                draft.expire_sessions_of(&public_key);
                draft.remove_unused(public_key, RemovalReason::Deleted);
            }
            return Ok(reply);
        }
        // One that was not created for the part goes with its sessions, or stays.
        let seen = draft.vault().part(&self.part, draft.now());
        seen.not_deletable(&public_key, draft.now(), self.call.if_exists)
    }
}

impl Mutation for Within<ClearUnusedKeyPairs> {
    type Reply = UnusedKeyPairsCleared;
    const KIND: Kind = Kind::Removes;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<UnusedKeyPairsCleared, Fault> {
        let reply = self.seen(draft)?;
        draft.sweep(&reply.deleted_public_keys);
        Ok(reply)
    }
}
