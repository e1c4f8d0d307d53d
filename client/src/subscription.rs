//! [`Subscription`]: the vault's events as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use keyfob_proto::{Event, Incoming};

use crate::Error;
use crate::link::Link;

/// The vault's events, in the order of the commits. When the daemon stops, the last item is [`Error::Ended`].
///
/// Where the daemon says [`EventKind::Resync`](keyfob_proto::EventKind::Resync), some were missed:
/// read what you need again.
pub struct Subscription {
    link: Link,
    is_over: bool,
}

impl Subscription {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, is_over: false }
    }

    /// The next event; [`Error::Ended`] when the daemon stops, and `None` after that. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let found = ready!(self.link.poll_find(context, |line| match Incoming::parse(line) {
            Some(Incoming::Event(event)) => Some(Ok(event)),
            Some(Incoming::Fault { fault, .. }) => Some(Err(fault.into())),
            Some(Incoming::Reply { .. }) => None,
            None => Some(Err(Error::Protocol("a line is not an event"))),
        }));
        self.is_over = !matches!(found, Some(Ok(_)));
        // One that was killed may leave a connection that was reset.
        Poll::Ready(Some(match found {
            None | Some(Err(Error::Disconnected(_))) => Err(Error::Ended),
            Some(found) => found,
        }))
    }
}

impl Stream for Subscription {
    type Item = Result<Event, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}
