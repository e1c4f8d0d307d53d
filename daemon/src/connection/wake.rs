//! [`Wake`]: what a connection waits for.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use super::Connection;
use crate::access::Access;
use crate::account::Taken;
use crate::events::Subscription;
use crate::limits::PAUSE;
use crate::service::{Answer, Caller};

/// What the connection woke up for.
pub(super) enum Wake {
    Answered(Answer),
    Read(io::Result<usize>),
    /// There is a place for its long line.
    Place(Taken),
    Event(keyfob_proto::Event),
    TimedOut,
    Drain,
}

impl Connection {
    /// Waits for whatever comes, in no order, so that none keeps the others waiting. Dropping any of
    /// these futures loses nothing but a place in the queue of those with long lines.
    pub(super) async fn wake(&mut self) -> Wake {
        let may_read = self.pending.has_room();
        let (waits, deadline) = (self.inbox.waits_for_place(), self.inbox.deadline());
        let (mut stream, place) = (&self.stream, self.inbox.next_place());
        tokio::select! {
            answer = self.pending.first_answer() => Wake::Answered(answer),
            place = place, if may_read && waits => Wake::Place(place),
            read = async { stream.read_buf(self.inbox.space()).await }, if may_read && !waits => Wake::Read(read),
            event = next_event(&mut self.subscription, &self.caller) => event,
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Wake::TimedOut,
            () = self.service.shutdown.cancelled() => Wake::Drain,
            () = ended(&self.caller) => Wake::Drain,
        }
    }

    /// When another daemon is to take the place of this one, whoever is in the middle of asking is heard until they pause.
    /// Answers whether there is more to take.
    pub(super) async fn hears_more(&mut self, end: Instant) -> bool {
        if !self.service.gives_way() || self.inbox.waits_for_place() || Instant::now() >= end {
            return false;
        }
        let (mut stream, pause) = (&self.stream, end.min(Instant::now() + PAUSE));
        let read = timeout_at(pause, stream.read_buf(self.inbox.space())).await;
        matches!(read, Ok(Ok(bytes)) if bytes > 0)
    }
}

/// Ready when the grant that a caller has has ended.
async fn ended(caller: &Caller) {
    match &caller.access {
        Access::Granted(grant) => grant.ended().cancelled().await,
        Access::Owner | Access::Allowed => std::future::pending().await,
    }
}

async fn next_event(subscription: &mut Option<Subscription>, caller: &Caller) -> Wake {
    let Some(subscription) = subscription else { return std::future::pending().await };
    let Some(mut event) = subscription.next().await else { return Wake::Drain };
    if !caller.access.is_owner()
        && let Some(by) = &mut event.by
    {
        // Who has which grant is the owner's to know.
        by.grant = None;
    }
    Wake::Event(event)
}
