//! [`Timers`]: when the actor has something to do that nobody asks for.
//!
//! They are armed once and not for each group: to arm one costs as much as a small group does.

use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep};

use crate::clock::{Clock, Timestamp};
use crate::limits::IDLE;

type Due = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time when something in the vault is due, and the time when the actor is found idle.
pub(super) struct Timers {
    clock: Clock,
    due_at: Option<Timestamp>,
    due: Due,
    idle: Pin<Box<Sleep>>,
    /// When the last group came.
    used: Instant,
    rest: Rest,
}

/// What an idle actor has to do.
enum Rest {
    /// It may not be idle yet.
    Unknown,
    /// There is more to do, at once.
    More,
    /// Nothing, until another group has come.
    Nothing,
}

/// What the time has come for.
pub(super) enum Time {
    /// Something in the vault.
    Due,
    /// No group has come for a while.
    Idle,
}

impl Timers {
    pub(super) fn new(clock: Clock) -> Self {
        let due: Due = Box::pin(std::future::pending());
        let (idle, used) = (Box::pin(sleep(IDLE)), Instant::now());
        Self { clock, due_at: None, due, idle, used, rest: Rest::Unknown }
    }

    /// Says when something is due next.
    pub(super) fn set_due(&mut self, at: Option<Timestamp>) {
        if self.due_at == at {
            return;
        }
        self.due_at = at;
        let clock = self.clock.clone();
        self.due = match at {
            Some(at) => Box::pin(async move { clock.reached(at).await }),
            None => Box::pin(std::future::pending()),
        };
    }

    /// A group has come.
    pub(super) fn is_used(&mut self) {
        self.used = Instant::now();
        self.rest = Rest::Unknown;
    }

    /// What was to be done is done, or some of it.
    pub(super) fn was_idle(&mut self, is_more_to_do: bool) {
        self.rest = if is_more_to_do { Rest::More } else { Rest::Nothing };
    }

    /// Waits for the next time. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Time {
        loop {
            match self.rest {
                Rest::More => return Time::Idle,
                Rest::Unknown if self.used.elapsed() >= IDLE => return Time::Idle,
                Rest::Unknown | Rest::Nothing => {}
            }
            let may_be_idle = matches!(self.rest, Rest::Unknown);
            tokio::select! {
                () = self.due.as_mut() => {
                    // If it still is, that is said anew.
                    self.set_due(None);
                    return Time::Due;
                }
                () = self.idle.as_mut(), if may_be_idle => self.idle.as_mut().reset(self.used + IDLE),
            }
        }
    }
}
