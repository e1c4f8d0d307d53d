//! The calls of those who have a grant. They see the vault as their [`Part`](crate::vault::Part) of it.

use std::sync::Arc;

use keyfob_proto::{
    ActiveSessionSet, ApiKeyPairCreated, Call, Code, DaemonStatus, Fault, GrantEnd, LockStatus, PROTOCOL_VERSION,
    Request, SessionCleared, SessionKey, SessionStored, SetActiveSession,
};
use serde::Deserialize;

use super::status::{counts, limits};
use super::{Answer, Caller, Service, Step, check_subscription, creates, encode, refuse, stores};
use crate::account::Taken;
use crate::audit::{Entry, Other};
use crate::clock::Timestamp;
use crate::grants::{Grant, Use, Used};
use crate::seal::{Depth, VaultKeys};
use crate::vault::{Draft, Kind, Mutation, Vault, Within};

/// What those who have a grant see when they ask.
struct Seen<'a> {
    /// Their part of the vault.
    vault: Vault,
    grant: &'a Grant,
    /// The vault's keys, while it is unlocked, where they may be used.
    keys: Option<&'a VaultKeys>,
    now: Timestamp,
}

impl Seen<'_> {
    /// Makes a session the active one there; the vault's own active session stays.
    fn activate(&self, call: &SetActiveSession) -> Result<ActiveSessionSet, Fault> {
        let key = &call.session_key;
        if self.vault.session(key, self.now).is_none() {
            return Err(self.vault.no_session(key, self.now));
        }
        self.grant.activate(key);
        Ok(ActiveSessionSet { session_key: key.clone() })
    }
}

impl Service {
    /// Takes on a call that was found to be part of a grant.
    pub(super) async fn take_granted(
        self: &Arc<Self>,
        request: Request,
        grant: &Arc<Grant>,
        (caller, place): (&Caller, Option<Taken>),
    ) -> Step {
        let part = grant.part();
        let by = (caller, place, request.method());
        match request {
            Request::ClearSession(call) => {
                let ended = Arc::clone(grant);
                let then = move |reply: &SessionCleared| {
                    reply.session_key.iter().for_each(|key| ended.deactivate(key));
                };
                self.mutate_part(Within { part, call }, grant, by, then).await
            }
            Request::ClearAllSessions(call) if part.sessions.is_none() => {
                self.mutate_part(call, grant, by, |_| {}).await
            }
            Request::ClearAllSessions(call) => self.mutate_part(Within { part, call }, grant, by, |_| {}).await,
            Request::StoreSession(call) => match self.read_login(call, caller) {
                Ok(call) => {
                    let (note, storing) = (stores(&call, caller), Arc::clone(grant));
                    let then = move |reply: &SessionStored| {
                        note();
                        if reply.active {
                            storing.activate(&reply.session_key);
                        }
                    };
                    self.mutate_part(Within { part, call }, grant, by, then).await
                }
                Err(fault) => refuse(fault),
            },
            Request::SetActiveSession(call) if part.sessions.is_none() => {
                self.mutate_part(call, grant, by, |_| {}).await
            }
            Request::CreateApiKeyPair(call) => match self.new_key_pair(&call, caller) {
                Ok(pair) => {
                    grant.forget_created(|| self.published.vault());
                    let (note, creating) = (creates(caller), Arc::clone(grant));
                    let then = move |reply: &ApiKeyPairCreated| {
                        note(reply);
                        creating.created(reply.public_key);
                    };
                    self.mutate_part(pair, grant, by, then).await
                }
                Err(fault) => refuse(fault),
            },
            Request::DeleteApiKeyPair(call) => self.mutate_part(Within { part, call }, grant, by, |_| {}).await,
            Request::ClearUnusedKeyPairs(call) => self.mutate_part(Within { part, call }, grant, by, |_| {}).await,
            request => self.read_part(request, grant, caller),
        }
    }

    fn read_part(self: &Arc<Self>, request: Request, grant: &Arc<Grant>, caller: &Caller) -> Step {
        match request {
            Request::SetActiveSession(call) => self.use_part(call, grant, caller, |_, seen, call| seen.activate(call)),
            Request::GetSession(call) => self.use_part(call, grant, caller, |service, seen, call| {
                let found = seen.vault.get_session(call, seen.now, seen.keys)?;
                service.used_if(found.session.is_some());
                Ok(found)
            }),
            Request::GetAllSessions(call) => self.use_part(call, grant, caller, |service, seen, call| {
                let page = seen.vault.get_all_sessions(call, seen.now, seen.keys)?;
                service.used_if(!page.sessions.is_empty());
                Ok(page)
            }),
            Request::Sign(call) => {
                self.use_part(call, grant, caller, |service, seen, call| service.sign_in(&seen.vault, seen.keys, call))
            }
            Request::Stamp(call) => {
                self.use_part(call, grant, caller, |service, seen, call| service.stamp_in(&seen.vault, seen.keys, call))
            }
            Request::DescribeSession(call) => {
                self.look_at_part(call, grant, |_, seen, call| seen.vault.describe_session(call, seen.now))
            }
            Request::ListSessions(call) => {
                self.look_at_part(call, grant, |_, seen, call| Ok(seen.vault.list_sessions(call, seen.now)))
            }
            Request::GetActiveSessionKey(call) => {
                self.look_at_part(call, grant, |_, seen, _| Ok(seen.vault.get_active_session_key(seen.now)))
            }
            Request::ListApiKeyPairs(call) => {
                self.look_at_part(call, grant, |_, seen, call| Ok(seen.vault.list_api_key_pairs(call, seen.now)))
            }
            Request::Status(call) => self.look_at_part(call, grant, |service, seen, _| Ok(service.status_of(seen))),
            Request::Subscribe(call) => match check_subscription(&call) {
                Ok(()) => Step::Subscribe(call),
                Err(fault) => refuse(fault),
            },
            _ => refuse(Fault::new(Code::AccessDenied, "a grant serves no such call")),
        }
    }

    /// A mutation of a part. What it did is noted once it is durable.
    async fn mutate_part<M>(
        &self,
        mutation: M,
        grant: &Arc<Grant>,
        (caller, place, method): (&Caller, Option<Taken>, &'static str),
        then: impl FnOnce(&M::Reply) + Send + 'static,
    ) -> Step
    where
        M: Mutation<Reply: serde::Serialize + Send>,
    {
        let begun = match grant.begin(self.clock.now()) {
            Ok(begun) => begun,
            Err(fault) => return refuse(fault),
        };
        let finish = self.finish(grant, caller, method);
        let then = |reply: &M::Reply| {
            then(reply);
            finish(begun, &encode(reply));
        };
        let mutation = WhileGranted { grant: Arc::clone(grant), mutation };
        self.mutate(mutation, (caller, place), then).await
    }

    /// A use that only reads or signs.
    fn use_part<C: Call + Send + 'static>(
        self: &Arc<Self>,
        call: C,
        grant: &Arc<Grant>,
        caller: &Caller,
        answer: fn(&Self, &Seen<'_>, &C) -> Result<C::Reply, Fault>,
    ) -> Step {
        let (service, grant) = (Arc::clone(self), Arc::clone(grant));
        let finish = self.finish(&grant, caller, C::METHOD);
        Step::Read(Box::new(move || -> Answer {
            let now = service.clock.now();
            let begun = grant.begin(now)?;
            let reply = service.published.open(Depth::Deep, |vault, keys| {
                answer(&service, &Seen { vault: vault.part(&grant.part(), now), grant: &grant, keys, now }, &call)
            })?;
            let reply = encode(&reply);
            finish(begun, &reply);
            Ok(reply)
        }))
    }

    /// What every grant may be asked.
    fn look_at_part<C: Call + Send + 'static>(
        self: &Arc<Self>,
        call: C,
        grant: &Arc<Grant>,
        answer: fn(&Self, &Seen<'_>, &C) -> Result<C::Reply, Fault>,
    ) -> Step {
        let (service, grant) = (Arc::clone(self), Arc::clone(grant));
        Step::Read(Box::new(move || -> Answer {
            let now = service.clock.now();
            grant.check(now)?;
            let vault = service.published.vault().part(&grant.part(), now);
            let reply = answer(&service, &Seen { vault, grant: &grant, keys: None, now }, &call)?;
            Ok(encode(&reply))
        }))
    }

    /// What is done when a use has succeeded and this was answered.
    fn finish(
        &self,
        grant: &Arc<Grant>,
        caller: &Caller,
        method: &'static str,
    ) -> impl FnOnce(Use, &[u8]) + Send + use<> {
        let (published, grant) = (Arc::clone(&self.published), Arc::clone(grant));
        let (used, clock) = (caller.used(), self.clock.clone());
        move |begun, reply| {
            if let Some(audit) = published.events.audit() {
                let Used { by, program } = used.clone();
                let session_key = session_of(reply);
                audit.note(Entry::Other(Other::GrantUsed { method, session_key, by, program }));
            }
            if begun.succeed(method, used, clock.now()) {
                published.grants.end(&grant, GrantEnd::UsedUp, None);
            }
        }
    }

    fn status_of(&self, seen: &Seen<'_>) -> DaemonStatus {
        let lock = LockStatus {
            locked: self.published.is_locked(),
            key_source: None,
            lock_after_seconds: None,
            lock_after_overridden: false,
            rekeying: None,
        };
        DaemonStatus {
            protocol_version: PROTOCOL_VERSION,
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
            grant: Some(seen.grant.told()),
            pid: None,
            uptime_seconds: None,
            started_by: None,
            health: None,
            storage: None,
            lock,
            memory: None,
            active_session_key: seen.vault.active(seen.now).cloned(),
            counts: counts(&seen.vault, seen.now),
            limits: limits(self.max_connections),
            paths: None,
        }
    }
}

/// A mutation through a grant. One that has to wait for the actor has no effect if the grant ends before its turn.
struct WhileGranted<M> {
    grant: Arc<Grant>,
    mutation: M,
}

impl<M: Mutation> Mutation for WhileGranted<M> {
    type Reply = M::Reply;
    const KIND: Kind = M::KIND;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<M::Reply, Fault> {
        self.grant.check(draft.now())?;
        self.mutation.apply(draft)
    }
}

/// The session that a reply names. A page names many.
fn session_of(reply: &[u8]) -> Option<SessionKey> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        session_key: Option<SessionKey>,
    }
    serde_json::from_slice::<Named>(reply).ok()?.session_key
}
