//! What time does to a vault: sessions get a warning, and later they go.
//!
//! A session past its expiry is not served even while it is still here (see the reads); removing it
//! is a matter of tidiness, so it is done in steps.

use keyfob_proto::{EventKind, SessionKey};

use super::contents::{ByExpiry, Vault};
use super::draft::Draft;
use crate::clock::Timestamp;
use crate::limits::MAX_ANNOUNCED;

/// How long before its expiry a session gets its warning, in seconds.
pub const WARNING_SECONDS: u64 = 60;

impl Vault {
    /// When [`Draft::pass_time`] has something to do next, where the clock is believed from `steady_at` on.
    #[must_use]
    pub fn next_due(&self, steady_at: Timestamp) -> Option<Timestamp> {
        let expires = self.by_expiry.first().map(|(expiry, _)| Timestamp::from_secs(*expiry).max(steady_at));
        let warned =
            self.expiring_after(self.warned_until).next().map(|(expiry, _)| expiry.saturating_sub(WARNING_SECONDS));
        expires.into_iter().chain(warned.map(Timestamp::from_secs)).min()
    }

    /// Sessions that expire up to this second have had their warning.
    #[must_use]
    pub fn warned_until(&self) -> u64 {
        self.warned_until
    }

    /// The sessions that expire later than the second `after`, the soonest first.
    fn expiring_after(&self, after: u64) -> impl Iterator<Item = (u64, &SessionKey)> {
        self.by_expiry
            .range::<ByExpiry, _>((after + 1, None)..)
            .filter_map(|(expiry, key)| Some((*expiry, key.as_ref()?)))
    }

    /// Whether there is a session that has expired and was not swept yet.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.by_expiry.first().is_some_and(|(expiry, _)| *expiry <= now.secs())
    }

    /// How many sessions have not expired.
    #[must_use]
    pub fn live_count(&self, now: Timestamp) -> usize {
        let expired = self.by_expiry.range::<ByExpiry, _>(..(now.secs() + 1, None)).count();
        self.sessions.size() - expired
    }
}

impl Draft<'_> {
    /// Clears sessions that have expired, at most [`MAX_ANNOUNCED`] of them, and announces those
    /// that will within [`WARNING_SECONDS`]. A sweep is as many removals as it clears sessions. While the clock is not
    /// believed none is cleared: it might be put back, and what is destroyed does not come back.
    pub fn pass_time(&mut self, is_steady: bool) {
        self.set_by(None);
        let now = self.now().secs();
        for _ in 0..if is_steady { MAX_ANNOUNCED } else { 0 } {
            match self.vault().by_expiry.first().cloned() {
                Some((expiry, Some(key))) if expiry <= now => self.expire(key),
                _ => break,
            }
        }
        self.warn(now + WARNING_SECONDS);
    }

    /// Announces the sessions that expire up to the second `until` and have not had their warning.
    /// Where the clock went back, they will have another: the last one was wrong.
    fn warn(&mut self, until: u64) {
        let vault = self.vault();
        let is_soon = |(expiry, _): &(u64, &SessionKey)| *expiry <= until;
        let soon = vault.expiring_after(vault.warned_until.max(self.now().secs())).take_while(is_soon);
        let mut soon: Vec<_> = soon
            .take(MAX_ANNOUNCED + 1)
            .map(|(expiry, key)| EventKind::SessionExpiring { session_key: key.clone(), expiry })
            .collect();
        if soon.len() > MAX_ANNOUNCED {
            soon = vec![EventKind::Resync];
        }
        for kind in soon {
            self.announce(kind);
        }
        self.set_warned_until(until);
    }
}
