//! [`Service`]: which of the protocol's calls is a read, which a mutation, and where each is served.

mod idle;
mod status;
mod unlocking;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use keyfob_proto::{
    By, Call, Code, CreateApiKeyPair, Fault, Paths, PublicKey, Request, SessionKey, ShutdownBegun, Sign, Signed, Stamp,
    Stamped, Subscribed,
};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::idle::Idle;
use self::unlocking::AttemptsByUser;
use crate::actor::{Handle, Published};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Subscription;
use crate::limits::LONG_LINES;
use crate::seal::Depth;
use crate::vault::{Kind, Login, Mutation, NewKeyPair, Signer};

/// A reply as JSON, or the fault.
pub type Answer = Result<Zeroizing<Vec<u8>>, Fault>;

/// How a request is answered.
pub enum Step {
    /// By the actor; the answer will come.
    Mutation(oneshot::Receiver<Answer>),
    /// At once, but only when everything before it on its connection is answered.
    Read(Box<dyn FnOnce() -> Answer + Send>),
    /// As a read; afterwards events come.
    Subscribe,
}

/// Everything that a connection needs.
#[derive(Debug)]
pub struct Service {
    actor: Handle,
    published: Arc<Published>,
    clock: Clock,
    started: Instant,
    paths: Paths,
    max_connections: usize,
    idle: Arc<Idle>,
    /// Whoever holds it is the only one to try.
    unlocking: tokio::sync::Mutex<AttemptsByUser>,
    /// Connections open now.
    pub connections: AtomicU64,
    /// The places of those that are in the middle of a long line.
    pub long_lines: Arc<Semaphore>,
    /// Cancelled when the daemon is to drain and exit.
    pub shutdown: CancellationToken,
}

impl Service {
    /// The service of an actor.
    #[must_use]
    pub fn new(
        actor: Handle,
        published: Arc<Published>,
        config: &Config,
        max_connections: usize,
        shutdown: CancellationToken,
    ) -> Self {
        let idle = Idle::new(config.lock_after, Arc::clone(&published), config.clock.clone());
        Self {
            actor,
            published,
            clock: config.clock.clone(),
            started: Instant::now(),
            paths: Paths { socket: config.endpoint.path().to_owned(), data_dir: config.data_dir.clone() },
            max_connections,
            idle: Arc::new(idle),
            unlocking: tokio::sync::Mutex::default(),
            connections: AtomicU64::new(0),
            long_lines: Arc::new(Semaphore::new(LONG_LINES)),
            shutdown,
        }
    }

    /// Takes a request on. What can be checked without the vault is checked here, on the caller's
    /// time and not on the actor's.
    pub async fn take(self: &Arc<Self>, request: Request, by: By) -> Step {
        match request {
            Request::ClearSession(call) => self.mutate(call, by).await,
            Request::ClearAllSessions(call) => self.mutate(call, by).await,
            Request::StoreSession(call) => match Login::read(call) {
                Ok(login) => self.mutate(login, by).await,
                Err(fault) => refuse(fault),
            },
            Request::SetActiveSession(call) => self.mutate(call, by).await,
            Request::CreateApiKeyPair(call) => match self.new_key_pair(&call) {
                Ok(pair) => self.mutate(pair, by).await,
                Err(fault) => refuse(fault),
            },
            Request::DeleteApiKeyPair(call) => self.mutate(call, by).await,
            Request::ClearUnusedKeyPairs(call) => self.mutate(call, by).await,
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
            Request::SetLockAfter(call) => match owner_only(by, "may say when the vault locks itself") {
                Ok(()) => self.mutate(call, by).await,
                Err(fault) => refuse(fault),
            },
            Request::Status(call) => self.read(call, |service, _| Ok(service.status())),
            Request::Shutdown(call) => self.read(call, |service, _| {
                service.shutdown.cancel();
                Ok(ShutdownBegun {})
            }),
            Request::Subscribe(_) => Step::Subscribe,
        }
    }

    /// Begins a subscription.
    pub fn subscribe(&self) -> (Answer, Subscription) {
        let (sequence, subscription) = self.published.events.subscribe();
        (Ok(encode(&Subscribed { sequence })), subscription)
    }

    /// Locks the vault whenever its keys were not used for as long as the daemon was told; never ends.
    pub async fn lock_when_idle(&self) {
        self.idle.lock_when_idle(&self.actor).await;
    }

    async fn mutate<M>(&self, mutation: M, by: By) -> Step
    where
        M: Mutation<Reply: serde::Serialize + Send>,
    {
        let idle = Arc::clone(&self.idle);
        // Only what took effect counts as a use.
        let encode = move |reply| {
            match M::KIND {
                Kind::Seals => idle.used(),
                Kind::Configures => idle.changed(),
                Kind::Puts | Kind::Removes | Kind::ClearsAll => {}
            }
            encode(&reply)
        };
        Step::Mutation(self.actor.submit(mutation, Some(by), encode).await)
    }

    fn read<C: Call + Send + 'static>(
        self: &Arc<Self>,
        call: C,
        answer: fn(&Self, &C) -> Result<C::Reply, Fault>,
    ) -> Step {
        let service = Arc::clone(self);
        Step::Read(Box::new(move || answer(&service, &call).map(|reply| encode(&reply))))
    }

    fn new_key_pair(&self, call: &CreateApiKeyPair) -> Result<NewKeyPair, Fault> {
        match &call.external_key_pair {
            Some(external) => NewKeyPair::import(external, self.clock.now()),
            None => NewKeyPair::generate(self.clock.now()),
        }
    }

    fn sign(&self, call: &Sign) -> Result<Signed, Fault> {
        let signer = signer::<Sign>(call.public_key.as_ref(), call.session_key.as_ref())?;
        let now = self.clock.now();
        let signature = self.published.open(Depth::Deep, |vault, keys| {
            let (pair, scope) = vault.signer(signer, now)?;
            pair.sign(keys, scope, call.payload.expose(), call.format.unwrap_or_default())
        })?;
        self.idle.used();
        Ok(signature)
    }

    fn stamp(&self, call: &Stamp) -> Result<Stamped, Fault> {
        let signer = signer::<Stamp>(call.public_key.as_ref(), call.session_key.as_ref())?;
        let now = self.clock.now();
        let stamped = self.published.open(Depth::Deep, |vault, keys| {
            let (pair, scope) = vault.signer(signer, now)?;
            pair.stamp(keys, scope, call.payload.expose())
        })?;
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

/// Refuses what only the vault's own user, and root, may do.
fn owner_only(by: By, what: &str) -> Result<(), Fault> {
    let own = rustix::process::getuid().as_raw();
    if by.uid == own || by.uid == 0 {
        return Ok(());
    }
    Err(Fault::new(Code::AccessDenied, format!("only the vault's own user, or root, {what}")))
}

/// Whom a call names to sign.
fn signer<'a, C: Call>(key_pair: Option<&'a PublicKey>, session: Option<&'a SessionKey>) -> Result<Signer<'a>, Fault> {
    match (key_pair, session) {
        (Some(_), Some(_)) => {
            let message = format!("{} takes `publicKey` or `sessionKey`, not both", C::METHOD);
            Err(Fault::new(Code::InvalidParams, message).on_params(C::METHOD, Some("sessionKey")))
        }
        (Some(key), None) => Ok(Signer::KeyPair(key)),
        (None, Some(key)) => Ok(Signer::Session(key)),
        (None, None) => Ok(Signer::Active),
    }
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
