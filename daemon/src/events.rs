//! [`EventLog`]: gives events their sequence numbers and hands them to subscribers.

use std::sync::{Mutex, OnceLock, PoisonError};

use keyfob_proto::{Event, Subscribe};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::audit::{Audit, Entry};
use crate::limits::EVENT_BACKLOG;
use crate::vault::Announcement;

/// Every event since it was made, of which the last [`EVENT_BACKLOG`] are kept, or fewer. A slow subscriber
/// costs no more than that and delays nobody.
#[derive(Debug)]
pub(crate) struct EventLog {
    sender: broadcast::Sender<Event>,
    /// The sequence number of the last event. Held while events are sent, so that a subscription
    /// falls between two commits.
    last: Mutex<u64>,
    /// Where they are written, too.
    audit: OnceLock<Audit>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::keeping(EVENT_BACKLOG)
    }
}

impl EventLog {
    /// One that keeps so many events.
    #[must_use]
    pub(crate) fn keeping(backlog: usize) -> Self {
        Self { sender: broadcast::channel(backlog).0, last: Mutex::new(0), audit: OnceLock::new() }
    }

    /// Sends what one commit has to tell. Call it only when the commit is durable and visible.
    pub(crate) fn publish(&self, announcements: Vec<Announcement>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for Announcement { kind, by } in announcements {
            *last += 1;
            let event = Event { sequence: *last, kind, by };
            if let Some(audit) = self.audit.get() {
                audit.note(Entry::Event(event.clone()));
            }
            // Without subscribers there is nobody to tell.
            let _ = self.sender.send(event);
        }
    }

    /// Writes all events from now on. The first one that is given counts.
    pub(crate) fn write_to(&self, audit: Audit) {
        let _ = self.audit.set(audit);
    }

    /// Where the events are written, if they are.
    #[must_use]
    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.audit.get()
    }

    /// A subscription to what a call asks for, and the sequence number of the last event before it.
    #[must_use]
    pub(crate) fn subscribe(&self, wanted: Subscribe) -> (u64, Subscription) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        (*last, Subscription { wanted, receiver: self.sender.subscribe(), late: None, missed: false })
    }
}

/// One subscriber's place in the [`EventLog`].
#[derive(Debug)]
pub(crate) struct Subscription {
    wanted: Subscribe,
    receiver: broadcast::Receiver<Event>,
    /// The event after a gap, to be told after the gap was.
    late: Option<Event>,
    missed: bool,
}

impl Subscription {
    /// The next event; where some were missed, a [`Resync`](keyfob_proto::EventKind::Resync) in their place. `None` when
    /// the daemon shuts down. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.late.take() {
            return Some(event);
        }
        loop {
            match self.receiver.recv().await {
                Ok(event) if self.missed => {
                    self.missed = false;
                    let resync = Event::resync(event.sequence - 1);
                    self.late = Some(event).filter(|event| self.wanted.wants(&event.kind));
                    return Some(resync);
                }
                Ok(event) if self.wanted.wants(&event.kind) => return Some(event),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.missed = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use keyfob_proto::EventKind;

    use super::*;

    fn announce(log: &EventLog, count: usize) {
        let kind = EventKind::VaultLocked;
        log.publish(vec![Announcement { kind, by: None }; count]);
    }

    #[tokio::test]
    async fn a_subscription_begins_after_the_sequence_it_was_told() {
        let log = EventLog::default();
        announce(&log, 3);
        let (sequence, mut subscription) = log.subscribe(Subscribe::default());
        announce(&log, 2);
        assert_eq!(sequence, 3);
        assert_eq!(subscription.next().await.unwrap().sequence, 4);
        assert_eq!(subscription.next().await.unwrap().sequence, 5);
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_that_it_missed_some() {
        let log = EventLog::default();
        let (_, mut subscription) = log.subscribe(Subscribe::default());
        announce(&log, EVENT_BACKLOG + 10);
        let resync = subscription.next().await.unwrap();
        assert_eq!((resync.sequence, resync.kind), (10, EventKind::Resync));
        for sequence in 11..=EVENT_BACKLOG as u64 + 10 {
            assert_eq!(subscription.next().await.unwrap().sequence, sequence);
        }
        drop(log);
        assert!(subscription.next().await.is_none());
    }
}
