//! [`Account`]: what one user, or one grant, may make the daemon hold and do.
//!
//! The vault's own user and root have one account together, and nobody takes anything from that. All other users and all
//! grants have one each; what these may hold together is bounded too.

mod pool;
mod stored;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use keyfob_proto::{Code, Fault};

use self::pool::Pool;
pub(crate) use self::pool::Taken;
use self::stored::Stored;
use crate::limits::{
    CALLS_PER_SECOND, LONG_LINES, LONG_LINES_OF_A_USER, LONG_LINES_OF_OTHERS, OUT_BYTES, OUT_BYTES_OF_OTHERS,
    QUEUE_OF_A_USER, QUEUE_OF_OTHERS, SHARE_OF_A_USER, SHARE_OF_OTHERS, UNREAD_BYTES, UNREAD_BYTES_OF_A_USER,
    UNREAD_BYTES_OF_OTHERS,
};

/// All accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    owner: Arc<Account>,
    users: Mutex<HashMap<u32, Arc<Account>>>,
    others: Others,
    max_connections: usize,
}

/// What those have together who are not the vault's own user.
#[derive(Debug)]
struct Others {
    long_lines: Pool,
    unread: Pool,
    queue: Pool,
    turns: Pool,
    connections: Arc<AtomicUsize>,
}

/// What one user, or one grant, may make the daemon hold and do.
#[derive(Debug)]
pub(crate) struct Account {
    /// Places for lines that are long and not complete.
    long_lines: Pool,
    /// Room for pages that were not read yet, in KiB.
    unread: Pool,
    others: Option<OfOthers>,
}

/// What is so of every account but the owner's.
#[derive(Debug)]
struct OfOthers {
    /// Who it is, for faults.
    who: String,
    /// Mutations that wait for the actor.
    queue: Pool,
    /// Who has it works; the others wait.
    turns: Pool,
    rate: DefaultDirectRateLimiter,
    stored: Mutex<Stored>,
    /// Its connections, and those of all others; and how many there may be of each.
    connections: [(Arc<AtomicUsize>, usize); 2],
}

impl Accounts {
    /// Accounts where so many connections are served at once.
    #[must_use]
    pub(crate) fn new(max_connections: usize) -> Self {
        let owner = Account { long_lines: Pool::new(LONG_LINES), unread: Pool::new(kib(UNREAD_BYTES)), others: None };
        let others = Others {
            long_lines: Pool::new(LONG_LINES_OF_OTHERS),
            unread: Pool::new(kib(UNREAD_BYTES_OF_OTHERS)),
            queue: Pool::new(QUEUE_OF_OTHERS),
            // One works while another processor is the owner's.
            turns: Pool::new(1),
            connections: Arc::default(),
        };
        Self { owner: Arc::new(owner), users: Mutex::default(), others, max_connections }
    }

    /// That of the vault's own user and root.
    #[must_use]
    pub(crate) fn owner(&self) -> Arc<Account> {
        Arc::clone(&self.owner)
    }

    /// That of another user.
    #[must_use]
    pub(crate) fn user(&self, uid: u32) -> Arc<Account> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(self.account(format!("user {uid}"), CALLS_PER_SECOND));
        Arc::clone(users.entry(uid).or_insert_with(new))
    }

    /// One for a grant.
    #[must_use]
    pub(crate) fn grant(&self, calls_per_second: u32) -> Arc<Account> {
        Arc::new(self.account("this grant".to_owned(), calls_per_second))
    }

    fn account(&self, who: String, calls_per_second: u32) -> Account {
        let share = |of| self.max_connections.div_ceil(of);
        let rate = NonZeroU32::new(calls_per_second).unwrap_or(NonZeroU32::MIN);
        Account {
            long_lines: self.others.long_lines.within(LONG_LINES_OF_A_USER),
            unread: self.others.unread.within(kib(UNREAD_BYTES_OF_A_USER)),
            others: Some(OfOthers {
                who,
                queue: self.others.queue.within(QUEUE_OF_A_USER),
                turns: self.others.turns.within(1),
                rate: RateLimiter::direct(Quota::per_second(rate)),
                stored: Mutex::default(),
                connections: [
                    (Arc::default(), share(SHARE_OF_A_USER)),
                    (Arc::clone(&self.others.connections), share(SHARE_OF_OTHERS)),
                ],
            }),
        }
    }
}

impl Account {
    /// Whether it is that of the vault's own user and root.
    #[must_use]
    pub(crate) fn is_owner(&self) -> bool {
        self.others.is_none()
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// `TOO_MANY_CONNECTIONS`.
    pub(crate) fn connect(self: &Arc<Self>) -> Result<Connected, Fault> {
        let Some(others) = &self.others else { return Ok(Connected { counts: Vec::new() }) };
        let mut connected = Connected { counts: Vec::new() };
        for (count, most) in &others.connections {
            let before = count.fetch_add(1, Ordering::Relaxed);
            connected.counts.push(Arc::clone(count));
            if before >= *most {
                return Err(too_many(&format!("{} has as many connections as one may", others.who)));
            }
        }
        Ok(connected)
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// `LIMIT_REACHED`: there were too many of late.
    pub(crate) fn call(&self) -> Result<(), Fault> {
        let Some(others) = &self.others else { return Ok(()) };
        others.rate.check().map_err(|too_early| {
            let wait = too_early.wait_time_from(DefaultClock::default().now());
            let message = format!("{} makes more calls a second than it may: wait a moment", others.who);
            let fault = Fault::new(Code::LimitReached, message).on_limit("callsPerSecond");
            fault.retry_after(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        })
    }

    /// Waits for a place for a long line.
    pub(crate) async fn long_line(self: Arc<Self>) -> Taken {
        self.long_lines.take(1).await
    }

    /// Waits for room for a page of so many bytes.
    pub(crate) async fn room(&self, bytes: usize) -> Taken {
        self.unread.take(kib(bytes)).await
    }

    /// Waits for its turn to work; the owner always has it.
    pub(crate) async fn turn(&self) -> Option<Taken> {
        Some(self.others.as_ref()?.turns.take(1).await)
    }

    /// Waits for a place among the mutations that wait for the actor; the owner's have a queue of their own.
    pub(crate) async fn queue(&self) -> Option<Taken> {
        Some(self.others.as_ref()?.queue.take(1).await)
    }

    /// How many bytes of answers wait before they are written.
    #[must_use]
    pub(crate) fn out_bytes(&self) -> usize {
        if self.is_owner() { OUT_BYTES } else { OUT_BYTES_OF_OTHERS }
    }

    /// What it has stored; the owner's is not counted.
    pub(crate) fn stored<T>(&self, look: impl FnOnce(&mut Stored) -> T) -> Option<T> {
        Some(look(&mut self.others.as_ref()?.stored.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A connection that is open; dropped when it ends.
#[derive(Debug)]
pub(crate) struct Connected {
    counts: Vec<Arc<AtomicUsize>>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The fault of somebody who has to close a connection first.
#[must_use]
pub(crate) fn too_many(who: &str) -> Fault {
    Fault::new(Code::TooManyConnections, format!("{who}; close one and try again"))
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_users_leave_connections_to_each_other_and_to_the_owner() {
        let accounts = Accounts::new(8);
        let open = |account: &Arc<Account>| account.connect();
        let (one, two, three) = (accounts.user(1), accounts.user(2), accounts.grant(1));
        let first = open(&one).unwrap();
        let _kept: Vec<_> = [&one, &two, &two].map(|account| open(account).unwrap()).into();
        assert_eq!(open(&one).unwrap_err().data.code, Code::TooManyConnections, "one user has a quarter");
        assert_eq!(open(&three).unwrap_err().data.code, Code::TooManyConnections, "all have half");
        assert!((0..100).all(|_| open(&accounts.owner()).is_ok()));
        drop(first);
        assert!(open(&three).is_ok());
    }

    #[test]
    fn who_calls_too_often_is_told_how_long_to_wait_and_nobody_else_is() {
        let accounts = Accounts::new(8);
        let (busy, calm) = (accounts.grant(3), accounts.user(7));
        let fault = (0..1000).find_map(|_| busy.call().err()).unwrap();
        assert_eq!((fault.data.code, fault.data.retry_after_seconds), (Code::LimitReached, Some(1)));
        assert_eq!(fault.data.limit.as_deref(), Some("callsPerSecond"));
        assert!(calm.call().is_ok());
        assert!((0..100_000).all(|_| accounts.owner().call().is_ok()));
    }
}
