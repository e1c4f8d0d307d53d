//! How often a grant was used, and by whom: [`Use`] is one use under way.

use std::path::PathBuf;
use std::sync::Arc;

use keyfob_proto::{By, Code, Fault, GrantUse};

use super::grant::Grant;
use crate::clock::Timestamp;

/// What became of a grant.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Uses that succeeded.
    used: u64,
    /// Those that are under way, and may succeed.
    begun: u64,
    refused: u64,
    last: Option<GrantUse>,
    /// What was refused and not told yet: the last of it, and how much.
    untold: Option<(&'static str, Code, u64)>,
}

impl Usage {
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn last(&self) -> Option<GrantUse> {
        self.last.clone()
    }

    pub(super) fn refuse(&mut self, method: &'static str, code: &Code) {
        self.refused += 1;
        let before = self.untold.take().map_or(0, |(_, _, count)| count);
        self.untold = Some((method, code.clone(), before + 1));
    }

    pub(super) fn take_refusals(&mut self) -> Option<(&'static str, Code, u64)> {
        self.untold.take()
    }
}

/// Who uses a grant.
#[derive(Clone, Debug)]
pub(crate) struct Used {
    /// Their connection.
    pub by: By,
    /// Their program's file, where the system tells.
    pub program: Option<PathBuf>,
}

/// A use under way. Dropped before it succeeded it does not count.
#[derive(Debug)]
pub(crate) struct Use {
    grant: Arc<Grant>,
}

impl Grant {
    /// Begins a use.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED` when the grant has ended; `LIMIT_REACHED` when as many are under way as are left.
    pub(crate) fn begin(self: &Arc<Self>, now: Timestamp) -> Result<Use, Fault> {
        self.check(now)?;
        let mut state = self.state();
        if state.has_ended {
            // In between. Whoever ended it waits for what was begun before, and for nothing else.
            return Err(has_ended());
        }
        let usage = &mut state.usage;
        if self.terms().uses.is_some_and(|uses| usage.used + usage.begun >= uses) {
            let message = "this grant was used as often as it may be";
            return Err(Fault::new(Code::LimitReached, message).on_limit("uses").granting(self.granted()));
        }
        usage.begun += 1;
        Ok(Use { grant: Arc::clone(self) })
    }

    /// Refuses what comes after the end.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED`.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Fault> {
        if !self.has_ended() && now < self.terms().expires_at {
            return Ok(());
        }
        Err(has_ended())
    }

    /// Waits until what was begun before the end is done.
    pub(crate) async fn settle(&self) {
        loop {
            let settled = self.settled.notified();
            if self.state().usage.begun == 0 {
                return;
            }
            settled.await;
        }
    }
}

fn has_ended() -> Fault {
    Fault::new(Code::AccessDenied, "this grant has ended: ask whoever gave it for another")
}

impl Use {
    /// It succeeded. Answers whether it was the last.
    #[must_use]
    pub(crate) fn succeed(self, method: &'static str, Used { by, program }: Used, now: Timestamp) -> bool {
        let mut state = self.grant.state();
        let usage = &mut state.usage;
        usage.used += 1;
        usage.last = Some(GrantUse { at: now.secs(), method: method.to_owned(), pid: by.pid, uid: by.uid, program });
        self.grant.terms().uses.is_some_and(|uses| usage.used >= uses)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.grant.state().usage.begun -= 1;
        self.grant.settled.notify_waiters();
    }
}
