//! [`Events`]: the vault's events as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use keyfob_proto::call::Subscribe;
use keyfob_proto::{Event, Incoming};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::link::Link;
use crate::{Access, Error, io};

/// Events that wait for a slow reader; the daemon keeps those after them for a while.
const BACKLOG: usize = 64;

/// The vault's events, in the order of the commits. When the daemon stops, the last item is [`Error::Ended`];
/// [`Events::reconnect`] goes on after that.
///
/// Where the daemon says [`EventKind::Resync`](keyfob_proto::EventKind::Resync), some were missed: read what you need again.
pub struct Events {
    access: Access,
    starts: bool,
    wanted: Subscribe,
    sequence: u64,
    received: mpsc::Receiver<Result<Event, Error>>,
    is_over: bool,
    /// To be told first: what happened before a reconnection is not known.
    resync: Option<Event>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("access", &self.access).field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) async fn subscribe(access: Access, starts: bool, wanted: Subscribe) -> Result<Self, Error> {
        let (sequence, received) = begin(&access, starts, &wanted).await?;
        Ok(Self { access, starts, wanted, sequence, received, is_over: false, resync: None })
    }

    /// The sequence number of the last event before the subscription.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next event; [`Error::Ended`] when the daemon stops, and `None` after that. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// [`Events::next`] for code that is not async: blocks the thread meanwhile.
    pub fn wait(&mut self) -> Option<Result<Event, Error>> {
        pollster::block_on(self.next())
    }

    /// Subscribes again, when the events have ended. The next item is
    /// [`EventKind::Resync`](keyfob_proto::EventKind::Resync): what happened meanwhile is not known.
    ///
    /// # Errors
    ///
    /// As [`Client::events`](crate::Client::events).
    pub async fn reconnect(&mut self) -> Result<(), Error> {
        (self.sequence, self.received) = begin(&self.access, self.starts, &self.wanted).await?;
        self.is_over = false;
        self.resync = Some(Event::resync(self.sequence));
        Ok(())
    }

    /// [`Events::reconnect`] for code that is not async: blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn reconnect_blocking(&mut self) -> Result<(), Error> {
        pollster::block_on(self.reconnect())
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        if let Some(resync) = self.resync.take() {
            return Poll::Ready(Some(Ok(resync)));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = ready!(self.received.poll_recv(context)).unwrap_or(Err(Error::Ended));
        self.is_over = next.is_err();
        Poll::Ready(Some(next))
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}

/// Subscribes on a connection of its own, and begins to pass on what comes. Answers the sequence number before it.
async fn begin(
    access: &Access,
    starts: bool,
    wanted: &Subscribe,
) -> Result<(u64, mpsc::Receiver<Result<Event, Error>>), Error> {
    let (begun, answer) = oneshot::channel();
    let (access, wanted) = (access.clone(), wanted.clone());
    io::runtime()?.spawn(async move {
        match subscribe(&access, starts, &wanted).await {
            Ok((sequence, link)) => {
                let (events, received) = mpsc::channel(BACKLOG);
                if begun.send(Ok((sequence, received))).is_ok() {
                    pass_on(link, events).await;
                }
            }
            Err(error) => drop(begun.send(Err(error))),
        }
    });
    answer.await.map_err(|_| Error::Disconnected(None))?
}

async fn subscribe(access: &Access, starts: bool, wanted: &Subscribe) -> Result<(u64, Link), Error> {
    let mut link = access.reach(starts).await?;
    let subscribed = timeout(access.deadlines.call, link.ask(wanted)).await;
    let subscribed = subscribed.map_err(|_| Error::TimedOut { sent: true })??;
    Ok((subscribed.sequence, link))
}

/// Passes events on until the daemon stops or nobody wants them any more.
async fn pass_on(mut link: Link, events: mpsc::Sender<Result<Event, Error>>) {
    loop {
        let next = poll_fn(|context| link.poll_find(context, find_event));
        let found = tokio::select! {
            found = next => found,
            () = events.closed() => return,
        };
        // One that was killed may leave a connection that was reset.
        let event = match found {
            None | Some(Err(Error::Disconnected(_))) => Err(Error::Ended),
            Some(found) => found,
        };
        let is_last = event.is_err();
        if events.send(event).await.is_err() || is_last {
            return;
        }
    }
}

fn find_event(line: &[u8]) -> Option<Result<Event, Error>> {
    match Incoming::parse(line) {
        Some(Incoming::Event(event)) => Some(Ok(event)),
        Some(Incoming::Fault { fault, .. }) => Some(Err(fault.into())),
        Some(Incoming::Reply { .. }) => None,
        None => Some(Err(Error::Protocol("a line is not an event"))),
    }
}
