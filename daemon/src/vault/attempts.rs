//! [`Attempts`]: the wrong passphrases since the last good one. The vault keeps them, so that to stop the daemon does not
//! shorten the wait.

use std::time::Duration;

use keyfob_proto::{Code, Fault};

use super::draft::Draft;
use super::mutation::{Kind, Mutation};
use crate::clock::Timestamp;
use crate::limits::MAX_DELAY_SECONDS;

/// The wrong passphrases since the last good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many there were.
    pub wrong: u32,
    /// When the next may be tried.
    pub next_at: Timestamp,
}

impl Attempts {
    /// Refuses to try another passphrase yet.
    ///
    /// # Errors
    ///
    /// `UNLOCK_DELAYED`.
    pub fn check(self, now: Timestamp) -> Result<(), Fault> {
        let left = self.next_at.since(now);
        // A clock that was put back does not lock anybody out for longer.
        let seconds = (left.as_secs() + u64::from(left.subsec_nanos() > 0)).min(MAX_DELAY_SECONDS);
        if seconds == 0 {
            return Ok(());
        }
        let message = format!("a wrong passphrase was given: try again in {seconds} s");
        Err(Fault::new(Code::UnlockDelayed, message).retry_after(seconds))
    }

    /// After one more wrong one the wait is twice as long.
    #[must_use]
    pub fn after_another(self, now: Timestamp) -> Self {
        let seconds = 1_u64.checked_shl(self.wrong).unwrap_or(MAX_DELAY_SECONDS).min(MAX_DELAY_SECONDS);
        Self { wrong: self.wrong.saturating_add(1), next_at: now.after(Duration::from_secs(seconds)) }
    }
}

/// Takes note of the wrong passphrases so far.
impl Mutation for Attempts {
    type Reply = ();
    const KIND: Kind = Kind::Configures;

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), Fault> {
        draft.set_attempts(*self);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes_and_a_clock_put_back_makes_it_no_longer() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            attempts = attempts.after_another(now);
            let fault = attempts.check(now).unwrap_err();
            assert_eq!(fault.data.code, Code::UnlockDelayed);
            waits.push(fault.data.retry_after_seconds.unwrap());
            let early = Timestamp::default();
            assert!(attempts.check(early).unwrap_err().data.retry_after_seconds.unwrap() <= MAX_DELAY_SECONDS);
            assert!(attempts.check(now.after(Duration::from_secs(MAX_DELAY_SECONDS))).is_ok());
        }
        assert!(waits.is_sorted() && waits[..3] == [1, 2, 4] && waits[39] == MAX_DELAY_SECONDS, "{waits:?}");
    }
}
