//! [`Client`]: one connection, one call at a time.

use std::future::poll_fn;
use std::task::{Poll, ready};

#[allow(clippy::wildcard_imports, reason = "the protocol's table names every call and reply")]
use keyfob_proto::call::*;
use keyfob_proto::{Incoming, for_each_call, write_call};

use crate::link::{Direction, Link};
use crate::{Access, Error, Subscription};

/// A connection to the vault. Open several to make calls at the same time.
pub struct Client {
    link: Link,
    last_id: u64,
}

impl Client {
    /// Connects to the daemon of a vault, which has to be running.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] and [`Error::SocketGone`] when there is none; [`Error::Untrusted`]; [`Error::OtherVault`];
    /// [`Error::Place`].
    pub async fn connect(access: &Access) -> Result<Self, Error> {
        access.connect().await
    }

    /// Connects to the daemon of a vault, and starts it when none answers. Two that do this at the same time
    /// reach the same one.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`], and [`Error::NotStarted`] with the daemon's own reason.
    pub async fn connect_or_start(access: &Access) -> Result<Self, Error> {
        match access.connect().await {
            Err(error) if error.is_absent() => {}
            connected => return connected,
        }
        let started = access.start().await;
        match (access.connect().await, started) {
            // If it did not start because another one just did, that one is as good.
            (Err(error), Err(not_started)) if error.is_absent() => Err(not_started),
            (connected, _) => connected,
        }
    }

    pub(crate) fn over(link: Link) -> Self {
        Self { link, last_id: 0 }
    }

    /// Shows every line that comes and goes to `observer`, for a person to look at. The lines hold
    /// session tokens and payloads.
    pub fn observe(&mut self, observer: impl FnMut(Direction, &[u8]) + Send + 'static) {
        self.link.observe(Box::new(observer));
    }

    /// Makes a call and waits for its reply.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] when the daemon refuses it, [`Error::TooLong`] when it does not fit a line,
    /// [`Error::Disconnected`] when the connection ends before the answer.
    pub async fn call<C: Call>(&mut self, call: C) -> Result<C::Reply, Error> {
        self.last_id += 1;
        let id = self.last_id;
        self.link.push(|out| write_call(out, id, &call))?;
        let mut write_error = None;
        // Both at once: the daemon reads no more from a client that does not read. And one that
        // refuses a connection says why before it closes it, so read in any case.
        poll_fn(|context| {
            if write_error.is_none()
                && let Poll::Ready(Err(error)) = self.link.poll_flush(context)
            {
                write_error = Some(error);
            }
            let answer = ready!(self.link.poll_find(context, |line| find_answer::<C>(line, id)));
            Poll::Ready(answer.unwrap_or_else(|| Err(Error::Disconnected(write_error.take()))))
        })
        .await
    }

    /// Waits until the daemon closes the connection. After `shutdown` that is when it has closed the
    /// vault.
    pub async fn closed(mut self) {
        let _ = poll_fn(|context| self.link.poll_find(context, |_| None::<Result<(), Error>>)).await;
    }

    /// Turns the connection into a stream of the vault's events, and says which was the last event
    /// before it.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn subscribe(mut self) -> Result<(Subscribed, Subscription), Error> {
        let subscribed = self.call(Subscribe {}).await?;
        Ok((subscribed, Subscription::new(self.link)))
    }
}

/// The answer to the call `id`, if the line is one. Answers to earlier calls, which nobody waits for
/// any more, and events are none.
fn find_answer<C: Call>(line: &[u8], id: u64) -> Option<Result<C::Reply, Error>> {
    match Incoming::parse(line) {
        Some(Incoming::Reply { id: answered, result }) if answered == id => {
            let reply = serde_json::from_str(result.get());
            Some(reply.map_err(|_| Error::Protocol("a reply is not of the call's kind")))
        }
        Some(Incoming::Fault { id: Some(answered), fault }) if answered == id => Some(Err(fault.into())),
        Some(Incoming::Fault { id: None, fault }) => Some(Err(fault.into())),
        Some(Incoming::Reply { .. } | Incoming::Fault { .. } | Incoming::Event(_)) => None,
        None => Some(Err(Error::Protocol("a line is neither a reply nor a fault nor an event"))),
    }
}

macro_rules! methods {
    (
        calls { $($(#[doc = $doc:literal])+ $snake:ident: $call:ident => $reply:ident = $method:literal;)+ }
        subscriptions { $($subscriptions:tt)+ }
    ) => {
        /// The calls of the protocol.
        impl Client {
            $(
                $(#[doc = $doc])+
                ///
                /// # Errors
                ///
                /// As [`Client::call`].
                pub async fn $snake(&mut self, call: $call) -> Result<$reply, Error> {
                    self.call(call).await
                }
            )+
        }
    };
}

for_each_call!(methods);
