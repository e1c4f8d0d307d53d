//! [`Service`]: which of the protocol's calls is a read, which a mutation, and where each is served.

mod locking;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use keyfob_proto::{
    By, Call, Code, Counts, CreateApiKeyPair, DaemonStatus, Fault, Health, Limits, MAX_LINE_BYTES,
    MAX_SESSION_KEY_BYTES, PROTOCOL_VERSION, Paths, PublicKey, Request, SessionKey, ShutdownBegun, Sign, Signed, Stamp,
    Stamped, Subscribed,
};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::actor::{Handle, Published};
use crate::clock::Clock;
use crate::config::Config;
use crate::connection::{LINE_TIMEOUT, LONG_LINES};
use crate::events::Subscription;
use crate::process;
use crate::vault::{KeyPair, Login, MAX_TOKEN_BYTES, Mutation, NewKeyPair, Signer, Vault};

use self::locking::{Attempts, Idle};

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
    idle: Idle,
    /// By user. Whoever holds it is the only one to try.
    unlocking: tokio::sync::Mutex<HashMap<u32, Attempts>>,
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
        let paths = Paths { socket: config.endpoint.path().to_owned(), data_dir: config.data_dir.clone() };
        let (clock, started, connections) = (config.clock.clone(), Instant::now(), AtomicU64::new(0));
        let long_lines = Arc::new(Semaphore::new(LONG_LINES));
        let (idle, unlocking) = (Idle::new(config.lock_after, clock.now()), tokio::sync::Mutex::default());
        Self {
            actor,
            published,
            clock,
            started,
            paths,
            max_connections,
            idle,
            unlocking,
            connections,
            long_lines,
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
            Request::GetSession(call) => {
                self.read(call, |service, call| service.using_keys().get_session(call, service.clock.now()))
            }
            Request::GetAllSessions(call) => {
                self.read(call, |service, call| service.using_keys().get_all_sessions(call, service.clock.now()))
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

    async fn mutate<M>(&self, mutation: M, by: By) -> Step
    where
        M: Mutation<Reply: serde::Serialize>,
    {
        if M::SEALS {
            self.idle.used(self.clock.now());
        }
        Step::Mutation(self.actor.submit(mutation, Some(by), |reply| encode(&reply)).await)
    }

    fn read<C: Call + Send + 'static>(
        self: &Arc<Self>,
        call: C,
        answer: fn(&Self, &C) -> Result<C::Reply, Fault>,
    ) -> Step {
        let service = Arc::clone(self);
        Step::Read(Box::new(move || {
            let answered = match answer(&service, &call) {
                // A clear-all, or another root key, took away what the vault that was read opens with: there is a new one.
                Err(fault) if fault.data.code == Code::VaultLocked && !service.published.lock().locked => {
                    answer(&service, &call)
                }
                answered => answered,
            };
            answered.map(|reply| encode(&reply))
        }))
    }

    fn new_key_pair(&self, call: &CreateApiKeyPair) -> Result<NewKeyPair, Fault> {
        match &call.external_key_pair {
            Some(external) => NewKeyPair::import(external, self.clock.now()),
            None => NewKeyPair::generate(self.clock.now()),
        }
    }

    fn sign(&self, call: &Sign) -> Result<Signed, Fault> {
        let signer = signer::<Sign>(call.public_key.as_ref(), call.session_key.as_ref())?;
        self.key_pair(signer)?.sign(call.payload.expose(), call.format.unwrap_or_default())
    }

    fn stamp(&self, call: &Stamp) -> Result<Stamped, Fault> {
        let signer = signer::<Stamp>(call.public_key.as_ref(), call.session_key.as_ref())?;
        self.key_pair(signer)?.stamp(call.payload.expose())
    }

    /// The key pair alone: a signature takes long enough that it should not keep a whole vault.
    fn key_pair(&self, signer: Signer<'_>) -> Result<Arc<KeyPair>, Fault> {
        self.using_keys().signer(signer, self.clock.now()).cloned()
    }

    /// The vault, for something that opens a record.
    fn using_keys(&self) -> Arc<Vault> {
        self.idle.used(self.clock.now());
        self.published.vault()
    }

    fn status(&self) -> DaemonStatus {
        let vault = self.published.vault();
        DaemonStatus {
            protocol_version: PROTOCOL_VERSION,
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            health: if self.published.has_failed() { Health::StorageFailed } else { Health::Ok },
            lock: self.lock_status(),
            memory: process::memory_status(),
            active_session_key: vault.active(self.clock.now()).cloned(),
            counts: Counts {
                sessions: vault.session_count() as u64,
                key_pairs_in_use: vault.in_use_count() as u64,
                key_pairs_unused: vault.unused_count() as u64,
                connections: self.connections.load(Ordering::Relaxed),
                mutations: self.published.mutations(),
                flushes: self.published.flushes(),
                store_bytes: self.published.store_bytes(),
            },
            limits: Limits {
                line_bytes: MAX_LINE_BYTES as u64,
                session_key_bytes: MAX_SESSION_KEY_BYTES as u64,
                session_token_bytes: MAX_TOKEN_BYTES as u64,
                connections: self.max_connections as u64,
                line_seconds: LINE_TIMEOUT.as_secs(),
            },
            paths: self.paths.clone(),
        }
    }
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
