//! [`Client`]: a handle on a vault.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[allow(clippy::wildcard_imports, reason = "the protocol's table names every call and reply")]
use keyfob_proto::call::*;
use keyfob_proto::{MAX_LINE_BYTES, Payload, PublicKey, Secret, SessionKey, for_each_call, write_call};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::driver::{Answer, Asked, Command, Driver};
use crate::events::Events;
use crate::prepared::Prepared;
use crate::{Access, Direction, Error, io};

/// The most calls of one client that are under way at once; whoever makes more waits for its turn.
const MAX_CALLS: usize = 1024;

/// A handle on a vault: one connection, which all clones share.
///
/// Calls overlap: they are sent as they are made, and each is answered when the vault has answered it. Clones are cheap.
/// A client works under any async runtime and under none, see [`Prepared::wait`]; not across `fork`, for the thread that
/// reads and writes stays behind.
///
/// A connection that is lost is made anew by the next call. Calls that were sent and not answered fail with
/// [`Error::Disconnected`] and are never sent twice.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    access: Access,
    /// Whether a daemon that is not there is started.
    starts: bool,
    commands: mpsc::UnboundedSender<Command>,
    /// Whoever makes a call has one of them until it is answered.
    places: Arc<Semaphore>,
    last_id: AtomicU64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("access", &self.shared.access).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the daemon of a vault, which has to be running.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] and [`Error::SocketGone`] when there is none; [`Error::Untrusted`]; [`Error::OtherVault`];
    /// [`Error::Place`]; [`Error::TimedOut`] after [`Deadlines::connect`](crate::Deadlines::connect).
    pub async fn connect(access: &Access) -> Result<Self, Error> {
        Self::open(access.clone(), false).await
    }

    /// Connects to the daemon of a vault, and starts it when none answers. Two that do this at the same time
    /// reach the same one.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`], and [`Error::NotStarted`] with the daemon's own reason.
    pub async fn connect_or_start(access: &Access) -> Result<Self, Error> {
        Self::open(access.clone(), true).await
    }

    /// [`Client::connect`] for code that is not async: blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn connect_blocking(access: &Access) -> Result<Self, Error> {
        pollster::block_on(Self::connect(access))
    }

    /// [`Client::connect_or_start`] for code that is not async: blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn connect_or_start_blocking(access: &Access) -> Result<Self, Error> {
        pollster::block_on(Self::connect_or_start(access))
    }

    async fn open(access: Access, starts: bool) -> Result<Self, Error> {
        let (commands, received) = mpsc::unbounded_channel();
        let (connected, answer) = oneshot::channel();
        let driver = Driver::new(access.clone(), starts, received);
        io::runtime()?.spawn(driver.run(connected));
        answer.await.map_err(|_| Error::Disconnected(None))??;
        let places = Arc::new(Semaphore::new(MAX_CALLS));
        Ok(Self { shared: Arc::new(Shared { access, starts, commands, places, last_id: AtomicU64::new(0) }) })
    }

    /// Which vault it is.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.shared.access
    }

    /// Shows every line that comes and goes from now on to `observer`, for a person to look at. The lines hold
    /// session tokens and payloads.
    pub fn observe(&self, observer: impl FnMut(Direction, &[u8]) + Send + 'static) {
        let _ = self.shared.commands.send(Command::Observe(Box::new(observer)));
    }

    /// Prepares a call that is made of its parameters. Each call of the protocol has a method of its own, too.
    pub fn call<C: Call>(&self, call: C) -> Prepared<'_, C> {
        Prepared::new(self, call, self.shared.access.deadlines.call)
    }

    /// Waits until the daemon closes the connection. After `shutdown` that is when it has closed the vault.
    pub async fn closed(&self) {
        let (closed, told) = oneshot::channel();
        let _ = self.shared.commands.send(Command::TellOfEnd(closed));
        // Nobody tells any more when the driver is gone, and the connection with it.
        let _ = told.await;
    }

    /// [`Client::closed`] for code that is not async: blocks the thread meanwhile.
    pub fn closed_blocking(&self) {
        pollster::block_on(self.closed());
    }

    /// [`Client::events`] for code that is not async: blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn events_blocking(&self, wanted: Subscribe) -> Result<Events, Error> {
        pollster::block_on(self.events(wanted))
    }

    /// Asks for the vault's events, on a connection of their own: those that `wanted` names, from the next one on.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`], or as [`Client::connect_or_start`] if that made this client; [`Error::Fault`].
    pub async fn events(&self, wanted: Subscribe) -> Result<Events, Error> {
        Events::subscribe(self.shared.access.clone(), self.shared.starts, wanted).await
    }

    /// Sends a call and waits for its reply.
    pub(crate) async fn send<C: Call>(&self, call: &C, within: Duration) -> Result<C::Reply, Error> {
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut line = Zeroizing::new(Vec::new());
        write_call(&mut line, id, call);
        // The line feed does not count.
        if line.len() - 1 > MAX_LINE_BYTES {
            return Err(Error::TooLong);
        }
        let place = Arc::clone(&self.shared.places).acquire_owned().await.map_err(|_| Error::Disconnected(None))?;
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + within;
        let asked = Asked { id, line, deadline, answer: Answer::new(answer, place) };
        self.shared.commands.send(Command::Call(asked)).map_err(|_| Error::Disconnected(None))?;
        let reply = answered.await.map_err(|_| Error::Disconnected(None))??;
        serde_json::from_slice(&reply).map_err(|_| Error::Protocol("a reply is not of the call's kind"))
    }
}

/// Makes a call of what it needs.
macro_rules! make {
    ($call:ident) => {
        $call::default()
    };
    ($call:ident $param:ident) => {
        $call::new($param.into())
    };
}

macro_rules! methods {
    (
        calls { $(
            $(#[doc = $doc:literal])+
            $snake:ident($($param:ident: $type:ident)?): $call:ident => $reply:ident = $method:literal;
        )+ }
        subscriptions { $($subscriptions:tt)+ }
    ) => {
        /// The calls of the protocol. What they may be given besides is said by methods of what they answer.
        impl Client {
            $(
                $(#[doc = $doc])+
                pub fn $snake(&self $(, $param: impl Into<$type>)?) -> Prepared<'_, $call> {
                    self.call(make!($call $($param)?))
                }
            )+
        }
    };
}

for_each_call!(methods);
