//! [`Client`]: a handle on a vault.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[allow(clippy::wildcard_imports, reason = "the protocol's table names every call and reply")]
use keyfob_proto::call::*;
use keyfob_proto::{
    GrantName, MAX_LINE_BYTES, Payload, Permissions, PublicKey, Secret, SessionKey, call_line, for_each_call,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::driver::{Answer, Asked, Command, Driver};
use crate::events::Events;
use crate::prepared::Prepared;
use crate::{Access, Direction, Error, io};

/// Longer than any program runs: the deadline of whoever wants none.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// A handle on a vault: one connection, which all clones share.
///
/// Calls overlap: they are sent as they are made, and each is answered when the vault has answered it. Clones are cheap.
/// A client works under any async runtime and under none, see [`Prepared::wait`]; not across `fork`, for the thread that
/// reads and writes stays behind.
///
/// The next call re-establishes a connection that was lost. Calls that were sent and not answered fail with
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
    /// The number of the connection, which counts from 1.
    number: Arc<AtomicU64>,
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
    /// [`Error::IsGrant`];
    /// [`Error::Place`]; [`Error::TimedOut`] after [`Deadlines::connect`](crate::Deadlines::connect).
    pub async fn connect(access: &Access) -> Result<Self, Error> {
        Self::open(access.clone(), false).await
    }

    /// Connects to the daemon of a vault, and starts it when none answers. Concurrent callers
    /// reach the same daemon.
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
        let number = Arc::default();
        let driver = Driver::new(access.clone(), starts, received, Arc::clone(&number));
        io::runtime()?.spawn(driver.run(connected));
        answer.await.map_err(|_| Error::Gone)??;
        Ok(Self { shared: Arc::new(Shared { access, starts, commands, number, last_id: AtomicU64::new(0) }) })
    }

    /// Which vault it is.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.shared.access
    }

    /// Shows every line that comes and goes from now on to `observer`, for a person to look at. The lines hold session
    /// tokens and payloads. Those of [`Client::events`] are not among them.
    ///
    /// It runs where all clients of the program read and write: it must not wait for anything, least of all for a call,
    /// and if it panics, this client is of no use any more ([`Error::Gone`]).
    pub fn observe(&self, observer: impl FnMut(Direction, &[u8]) + Send + 'static) {
        let _ = self.shared.commands.send(Command::Observe(Box::new(observer)));
    }

    /// Prepares a call that is made of its parameters. Each call of the protocol has a method of its own, too.
    pub fn call<C: Call>(&self, call: C) -> Prepared<'_, C> {
        Prepared::new(self, call, self.shared.access.deadlines.call)
    }

    /// Waits, for as long as it takes, until the daemon closes the connection that there is now. After `shutdown` that is
    /// when it has closed the vault.
    pub async fn closed(&self) {
        let (closed, told) = oneshot::channel();
        let number = self.shared.number.load(Ordering::Relaxed);
        let _ = self.shared.commands.send(Command::TellOfEnd(number, closed));
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
        let line = Zeroizing::new(call_line(id, call));
        // The line feed does not count.
        if line.len() - 1 > MAX_LINE_BYTES {
            return Err(Error::TooLong);
        }
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + within.min(FOREVER);
        let asked = Asked { id, line, deadline, answer: Answer::new(answer) };
        self.shared.commands.send(Command::Call(asked)).map_err(|_| Error::Gone)?;
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
