//! [`Service`]: which of the protocol's calls is a read, which a mutation, and where each is served.

mod caller;
mod granted;
mod granting;
mod idle;
mod quota;
mod shutdown;
mod status;
mod unlocking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use keyfob_proto::{Call, Code, Fault, Paths, Request, Sign, Signed, Stamp, Stamped, StartedBy, Subscribe, Subscribed};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub(crate) use self::caller::Caller;
pub(crate) use self::granting::GrantSocket;
use self::idle::Idle;
use self::quota::{creates, stores};
use crate::access::Access;
use crate::account::{Accounts, Taken};
use crate::actor::{Handle, Lane, Published};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Subscription;
use crate::refused::Refused;
use crate::seal::{Depth, VaultKeys};
use crate::vault::{Attempts, Kind, Mutation, Vault};

/// A reply as JSON, or the fault.
pub(crate) type Answer = Result<Zeroizing<Vec<u8>>, Fault>;

/// How a request is answered.
pub(crate) enum Step {
    /// By the actor; the answer will come.
    Mutation(oneshot::Receiver<Answer>),
    /// At once, but only when everything before it on its connection is answered.
    Read(Box<dyn FnOnce() -> Answer + Send>),
    /// As a read; afterwards these events come.
    Subscribe(Subscribe),
}

/// Everything that a connection needs.
#[derive(Debug)]
pub(crate) struct Service {
    actor: Handle,
    published: Arc<Published>,
    clock: Clock,
    started: Instant,
    started_by: StartedBy,
    paths: Paths,
    max_connections: usize,
    /// Where the sockets of new grants go, to be listened on.
    grant_sockets: mpsc::UnboundedSender<GrantSocket>,
    idle: Arc<Idle>,
    /// Whoever holds it is the only one to try.
    unlocking: tokio::sync::Mutex<Attempts>,
    /// Connections open now.
    pub connections: AtomicU64,
    /// What each user, and each grant, may make the daemon hold and do.
    pub accounts: Accounts,
    /// Connections that were refused.
    pub refused: Refused,
    /// Cancelled when the daemon is to drain and exit.
    pub shutdown: CancellationToken,
    /// Whether another one is to take its place then.
    pub gives_way: Arc<AtomicBool>,
}

impl Service {
    /// The service of an actor, and the sockets of the grants that it makes.
    #[must_use]
    pub(crate) fn new(
        actor: Handle,
        published: Arc<Published>,
        config: &Config,
        max_connections: usize,
        shutdown: CancellationToken,
    ) -> (Self, mpsc::UnboundedReceiver<GrantSocket>) {
        let (grant_sockets, sockets) = mpsc::unbounded_channel();
        let idle = Idle::new(config.lock_after, Arc::clone(&published), config.clock.clone());
        let attempts = published.vault().attempts();
        let service = Self {
            actor,
            published,
            clock: config.clock.clone(),
            started: Instant::now(),
            paths: Paths { socket: config.endpoint.path().to_owned(), data_dir: config.data_dir.clone() },
            max_connections,
            grant_sockets,
            idle: Arc::new(idle),
            unlocking: tokio::sync::Mutex::new(attempts),
            connections: AtomicU64::new(0),
            accounts: Accounts::new(max_connections),
            refused: Refused::default(),
            shutdown,
            gives_way: Arc::default(),
            started_by: config.started_by,
        };
        (service, sockets)
    }

    /// What is published, and who has a part of it.
    #[must_use]
    pub(crate) fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// What time it is.
    #[must_use]
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes a request on. What can be checked without the vault is checked here, on the caller's
    /// time and not on the actor's.
    /// A mutation of somebody who is not the owner takes a `place` in the actor's queue.
    pub(crate) async fn take(self: &Arc<Self>, request: Request, caller: &Caller, place: Option<Taken>) -> Step {
        let may = caller.account.call().and_then(|()| caller.access.check(&request));
        match (may, &caller.access) {
            (Err(fault), _) => refuse(fault),
            (Ok(()), Access::Granted(grant)) => self.take_granted(request, grant, (caller, place)).await,
            (Ok(()), Access::Owner | Access::Allowed) => self.take_whole(request, caller, place).await,
        }
    }

    /// Takes on a call on the whole vault.
    async fn take_whole(self: &Arc<Self>, request: Request, caller: &Caller, place: Option<Taken>) -> Step {
        let by = caller.by;
        match request {
            Request::ClearSession(call) => self.mutate(call, (caller, place), |_| {}).await,
            Request::ClearAllSessions(call) => self.mutate(call, (caller, place), |_| {}).await,
            Request::StoreSession(call) => match self.read_login(call, caller) {
                Ok(login) => {
                    let note = stores(&login, caller);
                    self.mutate(login, (caller, place), |_| note()).await
                }
                Err(fault) => refuse(fault),
            },
            Request::SetActiveSession(call) => self.mutate(call, (caller, place), |_| {}).await,
            Request::CreateApiKeyPair(call) => match self.new_key_pair(&call, caller) {
                Ok(pair) => self.mutate(pair, (caller, place), creates(caller)).await,
                Err(fault) => refuse(fault),
            },
            Request::DeleteApiKeyPair(call) => self.mutate(call, (caller, place), |_| {}).await,
            Request::ClearUnusedKeyPairs(call) => self.mutate(call, (caller, place), |_| {}).await,
            Request::GetSession(call) => self.read(call, |service, call| {
                let now = service.clock.now();
                let found = service.published.open(Depth::Shallow, |vault, keys| vault.get_session(call, now, keys))?;
                service.used_if(found.session.is_some());
                Ok(found)
            }),
            Request::GetAllSessions(call) => self.read(call, |service, call| {
                let now = service.clock.now();
                let page =
                    service.published.open(Depth::Shallow, |vault, keys| vault.get_all_sessions(call, now, keys))?;
                service.used_if(!page.sessions.is_empty());
                Ok(page)
            }),
            Request::DescribeSession(call) => {
                self.read(call, |service, call| service.published.vault().describe_session(call, service.clock.now()))
            }
            Request::ListSessions(call) => {
                self.read(call, |service, call| Ok(service.published.vault().list_sessions(call, service.clock.now())))
            }
            Request::GetActiveSessionKey(call) => {
                self.read(call, |service, _| Ok(service.published.vault().get_active_session_key(service.clock.now())))
            }
            Request::ListApiKeyPairs(call) => self.read(call, |service, call| {
                Ok(service.published.vault().list_api_key_pairs(call, service.clock.now()))
            }),
            Request::Sign(call) => self.read(call, Self::sign),
            Request::Stamp(call) => self.read(call, Self::stamp),
            Request::Lock(_) => answered(self.lock(by).await),
            Request::Unlock(call) => answered(self.unlock(call, by).await),
            Request::Rekey(call) => answered(self.rekey(call, by).await),
            Request::SetLockAfter(call) => self.mutate(call, (caller, place), |_| {}).await,
            Request::CreateGrant(call) => answered(self.create_grant(call, caller)),
            Request::ListGrants(call) => self.read(call, |service, _| Ok(service.list_grants())),
            Request::RevokeGrant(call) => answered(self.revoke_grant(call, by).await),
            Request::RevokeAllGrants(_) => answered(Ok(self.revoke_all_grants(by).await)),
            Request::Status(call) => self.read(call, |service, _| Ok(service.status())),
            Request::Shutdown(call) => self.read(call, Self::begin_shutdown),
            Request::Subscribe(call) => match check_subscription(&call) {
                Ok(()) => Step::Subscribe(call),
                Err(fault) => refuse(fault),
            },
        }
    }

    /// Begins a subscription.
    pub(crate) fn subscribe(&self, call: Subscribe, caller: &Caller) -> (Answer, Subscription) {
        let (sequence, subscription) = match &caller.access {
            Access::Granted(grant) => grant.subscribe(call),
            Access::Owner => self.published.events.subscribe(call),
            // Who has which grant is the owner's to know.
            Access::Allowed => self.published.events.subscribe(call.without_grants()),
        };
        (Ok(encode(&Subscribed { sequence })), subscription)
    }

    /// Locks the vault whenever its keys were not used for as long as the daemon was told; never ends.
    pub(crate) async fn lock_when_idle(&self) {
        self.idle.lock_when_idle(&self.actor).await;
    }

    /// A mutation; `then` is done once it is durable.
    async fn mutate<M>(
        &self,
        mutation: M,
        (caller, place): (&Caller, Option<Taken>),
        then: impl FnOnce(&M::Reply) + Send + 'static,
    ) -> Step
    where
        M: Mutation<Reply: serde::Serialize + Send>,
    {
        let idle = Arc::clone(&self.idle);
        let lane = if caller.account.is_owner() { Lane::Owner } else { Lane::Others };
        // Only what took effect counts as a use.
        let encode = move |reply| {
            match M::KIND {
                Kind::Seals => idle.used(),
                Kind::Configures => idle.changed(),
                Kind::Puts | Kind::Removes | Kind::ClearsAll => {}
            }
            then(&reply);
            drop(place);
            encode(&reply)
        };
        Step::Mutation(self.actor.submit(mutation, (Some(caller.by), lane), encode).await)
    }

    fn read<C: Call + Send + 'static>(
        self: &Arc<Self>,
        call: C,
        answer: fn(&Self, &C) -> Result<C::Reply, Fault>,
    ) -> Step {
        let service = Arc::clone(self);
        Step::Read(Box::new(move || answer(&service, &call).map(|reply| encode(&reply))))
    }

    fn sign(&self, call: &Sign) -> Result<Signed, Fault> {
        self.published.open(Depth::Deep, |vault, keys| self.sign_in(vault, keys, call))
    }

    fn sign_in(&self, vault: &Vault, keys: Option<&VaultKeys>, call: &Sign) -> Result<Signed, Fault> {
        let format = call.format.unwrap_or_default();
        let signature = vault.signer(&call.signer, self.clock.now())?.sign(keys, call.payload.expose(), format)?;
        self.idle.used();
        Ok(signature)
    }

    fn stamp(&self, call: &Stamp) -> Result<Stamped, Fault> {
        self.published.open(Depth::Deep, |vault, keys| self.stamp_in(vault, keys, call))
    }

    fn stamp_in(&self, vault: &Vault, keys: Option<&VaultKeys>, call: &Stamp) -> Result<Stamped, Fault> {
        let stamped = vault.signer(&call.signer, self.clock.now())?.stamp(keys, call.payload.expose())?;
        self.idle.used();
        Ok(stamped)
    }

    /// Takes note of a use of the vault's keys, if it was one: asking for what is not there is none.
    fn used_if(&self, was_used: bool) {
        if was_used {
            self.idle.used();
        }
    }
}

/// Refuses a subscription that names too many sessions.
fn check_subscription(call: &Subscribe) -> Result<(), Fault> {
    const MAX: usize = Subscribe::MAX_SESSIONS;
    if call.session_keys.as_ref().is_none_or(|keys| keys.len() <= MAX) {
        return Ok(());
    }
    let message = format!("`sessionKeys` of subscribe must be an array of at most {MAX} session keys");
    Err(Fault::new(Code::InvalidParams, message).on_params(Subscribe::METHOD, Some("sessionKeys")))
}

fn refuse(fault: Fault) -> Step {
    Step::Read(Box::new(|| Err(fault)))
}

/// The step of a call that was served before it is its turn to be answered.
fn answered(result: Result<impl serde::Serialize, Fault>) -> Step {
    let answer = result.map(|reply| encode(&reply));
    Step::Read(Box::new(|| answer))
}

fn encode(reply: &impl serde::Serialize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(reply).expect("the protocol's types are JSON"))
}
