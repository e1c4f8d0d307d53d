//! [`Progress`]: says how far a long run is.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How often it says so.
const EVERY: Duration = Duration::from_secs(5);

/// Lines on standard output, or none.
pub(crate) struct Progress {
    name: &'static str,
    total: u64,
    began: Instant,
    said: Instant,
    is_silent: bool,
}

impl Progress {
    /// The progress of `total` steps.
    pub(crate) fn new(name: &'static str, total: u64) -> Self {
        Self { name, total, began: Instant::now(), said: Instant::now(), is_silent: false }
    }

    /// For tests.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { is_silent: true, ..Self::new("", 0) }
    }

    /// Says that a test was not run.
    #[cfg(test)]
    pub(crate) fn skipped(why: &str) {
        let _ = writeln!(io::stderr(), "skipped: {why}");
    }

    /// So many steps are done.
    pub(crate) fn step(&mut self, done: u64, details: &str) {
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            self.say(&format!("{done} of {}: {details}", self.total));
        }
    }

    /// It ended well.
    pub(crate) fn done(&self, what: &str) {
        self.say(what);
    }

    /// Something to know.
    pub(crate) fn say(&self, what: &str) {
        if !self.is_silent {
            // Whoever closed the pipe has seen enough.
            let _ = writeln!(io::stdout(), "{} [{:.0} s] {what}", self.name, self.began.elapsed().as_secs_f64());
        }
    }
}
