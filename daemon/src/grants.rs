//! [`Grants`]: who has which part of the vault. A grant lives in memory alone: none outlives the daemon.
//!
//! # Invariants
//!
//! - When a grant has ended nothing more takes effect through it: [`Grant::begin`] refuses, and whoever ends one waits for
//!   what was begun before.
//! - Its socket goes with it. What a daemon that was killed left behind goes when the next one starts ([`sockets`]).
//! - What one commit did is told to all grants before anybody is answered, so a grant ends with the last of its sessions,
//!   also if one of that name is stored right afterwards.

mod grant;
pub(crate) mod sockets;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob_proto::{By, Code, EventKind, Fault, GrantEnd, GrantName};

pub(crate) use self::grant::{Grant, Terms};
pub(crate) use self::usage::{Use, Used};
use crate::events::EventLog;
use crate::limits::MAX_GRANTS;
use crate::vault::{Announcement, Vault};

/// The grants that there are.
#[derive(Clone, Debug)]
pub(crate) struct Grants(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    live: Mutex<BTreeMap<GrantName, Arc<Grant>>>,
    /// Where it is told that one came or went.
    events: Arc<EventLog>,
    /// Where it is noted which sockets there are.
    list: Mutex<PathBuf>,
}

impl Grants {
    /// None yet. They are announced in this log.
    #[must_use]
    pub(crate) fn new(events: Arc<EventLog>) -> Self {
        Self(Arc::new(Shared { live: Mutex::default(), events, list: Mutex::default() }))
    }

    /// Notes in this file which sockets there are, for the next start.
    pub(crate) fn note_in(&self, list: PathBuf) {
        *self.0.list.lock().unwrap_or_else(PoisonError::into_inner) = list;
    }

    /// Adds one, once `bind` has made its socket.
    ///
    /// # Errors
    ///
    /// `GRANT_EXISTS`, `LIMIT_REACHED`; `SOCKET_UNAVAILABLE` when it cannot be noted where the socket is; or the fault of
    /// `bind`.
    pub(crate) fn add<T>(
        &self,
        grant: Grant,
        by: By,
        bind: impl FnOnce(&Grant) -> Result<T, Fault>,
    ) -> Result<(Arc<Grant>, T), Fault> {
        let mut live = self.live();
        if live.contains_key(&grant.terms().name) {
            let message = format!("there is a grant {} already: revoke it, or choose another name", grant.terms().name);
            return Err(Fault::new(Code::GrantExists, message));
        }
        if live.len() >= MAX_GRANTS {
            let message = format!("there are {MAX_GRANTS} grants, and there may be no more: revoke one");
            return Err(Fault::new(Code::LimitReached, message).on_limit("grants"));
        }
        let sockets = live.values().map(|grant| grant.socket()).chain([grant.socket()]);
        sockets::note(&self.list(), sockets)?;
        let bound = bind(&grant)?;
        grant.bound();
        let grant = Arc::new(grant);
        live.insert(grant.terms().name, Arc::clone(&grant));
        drop(live);
        self.announce(EventKind::GrantCreated { grant: grant.told() }, Some(by));
        Ok((grant, bound))
    }

    /// The grant of a name.
    #[must_use]
    pub(crate) fn get(&self, name: &GrantName) -> Option<Arc<Grant>> {
        self.live().get(name).cloned()
    }

    /// All of them, in the order of their names.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<Arc<Grant>> {
        self.live().values().cloned().collect()
    }

    /// Ends a grant, unless it has ended: its socket is gone when this returns.
    pub(crate) fn end(&self, grant: &Grant, reason: GrantEnd, by: Option<By>) {
        if self.take_out(grant, reason) {
            self.announce(ended(grant, reason), by);
        }
    }

    /// Ends all without telling anybody, for the daemon ends too.
    pub(crate) fn close(&self) {
        for grant in self.all() {
            self.take_out(&grant, GrantEnd::Revoked);
        }
    }

    /// Tells what one commit did: those who watch their part, and everybody else.
    pub(crate) fn publish(&self, mut announcements: Vec<Announcement>, before: &Vault, after: &Vault) {
        let mut over = self.all();
        over.retain(|grant| grant.observe(&announcements, before, after));
        for grant in over.iter().filter(|grant| self.take_out(grant, GrantEnd::SessionsGone)) {
            announcements.push(Announcement { kind: ended(grant, GrantEnd::SessionsGone), by: None });
        }
        self.0.events.publish(announcements);
    }

    /// Tells which calls were refused since it was last told.
    pub(crate) fn tell_refusals(&self) {
        self.all().iter().for_each(|grant| self.tell_refusals_of(grant));
    }

    fn tell_refusals_of(&self, grant: &Grant) {
        if let Some((method, code, count)) = grant.take_refusals() {
            let name = grant.terms().name;
            tracing::warn!(grant = %name, method, %code, count, "calls through a grant were refused");
            self.announce(EventKind::GrantRefused { name, method: method.to_owned(), code, count }, None);
        }
    }

    fn announce(&self, kind: EventKind, by: Option<By>) {
        self.0.events.publish(vec![Announcement { kind, by }]);
    }

    /// Ends a grant. Answers whether it had not ended before.
    fn take_out(&self, grant: &Grant, reason: GrantEnd) -> bool {
        if !grant.end() {
            return false;
        }
        self.tell_refusals_of(grant);
        let mut live = self.live();
        live.remove(&grant.terms().name);
        // Somebody else's may be there by now.
        if grant.is_bound() {
            sockets::remove(grant.socket());
        }
        // What is noted though it is gone harms nobody.
        let _ = sockets::note(&self.list(), live.values().map(|grant| grant.socket()));
        tracing::info!(grant = %grant.terms().name, ?reason, "a grant has ended");
        true
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<GrantName, Arc<Grant>>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> PathBuf {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn ended(grant: &Grant, reason: GrantEnd) -> EventKind {
    EventKind::GrantEnded { name: grant.terms().name, reason }
}
