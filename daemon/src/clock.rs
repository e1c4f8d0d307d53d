//! The wall clock, as a value that tests can set. Nothing else in the daemon asks for the time of
//! day.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;

/// A laptop that slept, or a clock that was set, is noticed after this long at the latest.
const LONGEST_NAP: Duration = Duration::from_secs(15);

/// An instant of the wall clock: the time since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// This many whole seconds after the Unix epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0.as_secs()
    }

    /// So much later.
    #[must_use]
    pub const fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// The time from `earlier` until now; zero if the clock went back in between.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the daemon reads the time of day: the system's clock, or a test's.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(watch::Receiver<Timestamp>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until its owner sets it.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let (sender, receiver) = watch::channel(start);
        (Self(Source::Manual(receiver)), ManualClock(sender))
    }

    /// What time it is.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Waits until the clock shows `instant` or later. Timers count the time that the machine is
    /// awake, so a long wait asks the clock again and again.
    pub async fn reached(&self, instant: Timestamp) {
        match &self.0 {
            Source::System => loop {
                let left = instant.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            },
            Source::Manual(now) => {
                let mut now = now.clone();
                if now.wait_for(|now| *now >= instant).await.is_err() {
                    // Its owner is gone: the clock stands still for good.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// Sets a clock made by [`Clock::manual`].
#[derive(Debug)]
pub struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    /// Puts the clock forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }

    /// Puts the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| now.0 += by);
    }
}
