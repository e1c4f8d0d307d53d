//! The wall clock, as a value that tests can set. Nothing else in the daemon asks for the time of
//! day.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

/// A laptop that slept, or a clock that was set, is noticed after this long at the latest.
const LONGEST_NAP: Duration = Duration::from_secs(15);

/// The date and the time of day in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
            Some(time) => write!(f, "{}", time.strftime("%Y-%m-%d %H:%M:%S UTC")),
            None => write!(f, "{} s after 1970", self.secs()),
        }
    }
}

/// A clock is believed when it was not set for so long: only then is destroyed what has expired by it.
pub const STEADY: Duration = Duration::from_secs(10 * 60);

/// A clock that is corrected gently moves by less than this between two looks.
const JUMP: Duration = Duration::from_secs(5);

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

    /// This many whole milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// The date and the time of day in UTC, as RFC 3339 has it, to the second.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let time = i64::try_from(self.secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        time.map_or_else(|| self.secs().to_string(), |time| time.to_string())
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
    System(Arc<Mutex<Steadiness>>),
    Manual(watch::Receiver<Manual>),
}

/// How the wall clock goes beside the one that counts the time since the machine started, asleep or not, and that
/// nobody sets.
#[derive(Debug)]
struct Steadiness {
    /// What the wall clock was ahead by when it was last looked.
    ahead: Duration,
    /// Since when it has not jumped, by the other clock.
    since: Duration,
}

impl Steadiness {
    fn new(wall: Timestamp, boot: Duration) -> Self {
        // How it went before is not known.
        Self { ahead: wall.0.saturating_sub(boot), since: boot }
    }

    /// Looks at both clocks. Answers how long it takes until the wall clock is believed.
    fn look(&mut self, wall: Timestamp, boot: Duration) -> Duration {
        let ahead = wall.0.saturating_sub(boot);
        if ahead.abs_diff(self.ahead) >= JUMP {
            self.since = boot;
        }
        self.ahead = ahead;
        (self.since + STEADY).saturating_sub(boot)
    }
}

/// What a test has set.
#[derive(Clone, Copy, Debug)]
struct Manual {
    now: Timestamp,
    steady_in: Duration,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Arc::new(Mutex::new(Steadiness::new(wall(), boot())))))
    }

    /// A clock that stands still until its owner sets it, and that is believed until then.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let (sender, receiver) = watch::channel(Manual { now: start, steady_in: Duration::ZERO });
        (Self(Source::Manual(receiver)), ManualClock(sender))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => wall(),
            Source::Manual(manual) => manual.borrow().now,
        }
    }

    /// How long it takes until the clock has not been set for [`STEADY`]; zero when it has not. A daemon does not know
    /// what was done to the clock before it was started.
    #[must_use]
    pub fn steady_in(&self) -> Duration {
        match &self.0 {
            Source::System(steadiness) => {
                steadiness.lock().unwrap_or_else(PoisonError::into_inner).look(wall(), boot())
            }
            Source::Manual(manual) => manual.borrow().steady_in,
        }
    }

    /// Waits until the clock shows `instant` or later. Timers count the time that the machine is
    /// awake, so a long wait asks the clock again and again.
    pub async fn reached(&self, instant: Timestamp) {
        match &self.0 {
            Source::System(_) => loop {
                let _ = self.steady_in();
                let left = instant.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            },
            Source::Manual(manual) => {
                let mut manual = manual.clone();
                if manual.wait_for(|manual| manual.now >= instant).await.is_err() {
                    // Its owner is gone: the clock stands still for good.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// The system's time of day.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
fn wall() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The time since the machine was started, asleep or not.
fn boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    clock_gettime(clock).try_into().unwrap_or_default()
}

/// Sets a clock made by [`Clock::manual`].
#[derive(Debug)]
pub struct ManualClock(watch::Sender<Manual>);

impl ManualClock {
    /// Sets the clock, as a person or a time server does: it is not believed for a while.
    pub fn set(&self, now: Timestamp) {
        self.0.send_replace(Manual { now, steady_in: STEADY });
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|manual| {
            manual.now.0 += by;
            manual.steady_in = manual.steady_in.saturating_sub(by);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_believed_when_it_was_not_set_for_a_while() {
        let secs = Duration::from_secs;
        let wall = |seconds: u64| Timestamp::from_secs(1_800_000_000 + seconds);
        let mut steadiness = Steadiness::new(wall(0), secs(100));
        assert_eq!(steadiness.look(wall(0), secs(100)), STEADY, "not before it was watched for as long");
        assert_eq!(steadiness.look(wall(599), secs(699)), secs(1));
        assert_eq!(steadiness.look(wall(600), secs(700)), Duration::ZERO);
        assert_eq!(steadiness.look(wall(50_004), secs(50_100)), Duration::ZERO, "corrected gently");
        assert_eq!(steadiness.look(wall(51_204), secs(50_100)), STEADY, "set forward");
        assert_eq!(steadiness.look(wall(51_504), secs(50_400)), secs(300));
        assert_eq!(steadiness.look(wall(50_400), secs(50_500)), STEADY, "and back");
        assert_eq!(steadiness.look(wall(90_500), secs(90_600)), Duration::ZERO, "however long it slept");
    }
}
