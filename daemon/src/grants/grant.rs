//! [`Grant`]: one part of the vault that was given, and what became of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use keyfob_proto::{
    Code, EventKind, GrantEntry, GrantName, GrantTerms, Granted, Permission, Permissions, PublicKey, RemovalReason,
    SessionKey, Subscribe,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::usage::Usage;
use crate::clock::Timestamp;
use crate::events::{EventLog, Subscription};
use crate::limits::GRANT_EVENT_BACKLOG;
use crate::socket_file::file_at;
use crate::vault::{Announcement, Part, Vault};

/// What is given, to whom and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// What it is called.
    pub name: GrantName,
    /// What may be done.
    pub may: Permissions,
    /// With which sessions; none: with all.
    pub sessions: Option<Arc<BTreeSet<SessionKey>>>,
    /// Who may use it, besides the vault's own user and root.
    pub uid: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// How often it may be used.
    pub uses: Option<u64>,
    /// How many calls a second it answers.
    pub calls_per_second: u32,
    /// Whether it ends with the connection that it was made on.
    pub until_disconnect: bool,
}

/// A part of the vault that was given.
#[derive(Debug)]
pub(crate) struct Grant {
    terms: Terms,
    socket: PathBuf,
    /// Which file the path led to when the socket was made.
    file: OnceLock<(u64, u64)>,
    events: EventLog,
    state: Mutex<State>,
    /// Told when what was begun is done.
    pub(super) settled: Notify,
    ended: CancellationToken,
}

#[derive(Debug)]
pub(super) struct State {
    /// The active session there, of several.
    active: Option<SessionKey>,
    /// The key pairs that were created through it.
    created: Arc<BTreeSet<PublicKey>>,
    /// Which of its sessions there are.
    present: BTreeSet<SessionKey>,
    pub(super) usage: Usage,
    connections: u64,
    pub(super) has_ended: bool,
}

impl Grant {
    /// A grant with a socket at this path. Once it is among the others it has to [look](Self::look) which of its
    /// sessions there are.
    #[must_use]
    pub(crate) fn new(terms: Terms, socket: PathBuf) -> Self {
        let state = State {
            active: only(terms.sessions.as_deref()).cloned(),
            created: Arc::default(),
            present: BTreeSet::new(),
            usage: Usage::default(),
            connections: 0,
            has_ended: false,
        };
        let events = EventLog::keeping(GRANT_EVENT_BACKLOG);
        Self {
            terms,
            socket,
            file: OnceLock::new(),
            events,
            state: Mutex::new(state),
            settled: Notify::new(),
            ended: CancellationToken::new(),
        }
    }

    /// What is given.
    #[must_use]
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The path of its socket.
    #[must_use]
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its socket is made.
    pub(super) fn bound(&self) {
        if let Some(file) = file_at(&self.socket) {
            let _ = self.file.set(file);
        }
    }

    /// Whether the path still leads to its socket.
    pub(super) fn is_bound(&self) -> bool {
        self.file.get().is_some_and(|file| file_at(&self.socket).as_ref() == Some(file))
    }

    /// What of the vault it gives.
    #[must_use]
    pub(crate) fn part(&self) -> Part {
        self.state().part(&self.terms)
    }

    /// What a fault says may be done.
    #[must_use]
    pub(crate) fn granted(&self) -> Granted {
        Granted { may: self.terms.may.clone(), session_keys: self.session_keys() }
    }

    /// Cancelled when it has ended.
    #[must_use]
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// A subscription to what happens to its sessions, and the number of the last event before it.
    #[must_use]
    pub(crate) fn subscribe(&self, wanted: Subscribe) -> (u64, Subscription) {
        self.events.subscribe(wanted)
    }

    /// A session was stored or chosen to be the active one there.
    pub(crate) fn activate(&self, key: &SessionKey) {
        self.state().active = Some(key.clone());
    }

    /// A session was cleared; it is not the active one any more, unless there is only one name.
    pub(crate) fn deactivate(&self, key: &SessionKey) {
        let is_only = only(self.terms.sessions.as_deref()).is_some();
        let mut state = self.state();
        if !is_only && state.active.as_ref() == Some(key) {
            state.active = None;
        }
    }

    /// A key pair was created through it.
    pub(crate) fn created(&self, key: PublicKey) {
        Arc::make_mut(&mut self.state().created).insert(key);
    }

    /// Forgets the key pairs that were created through it and that a session names, or nobody has, by now.
    pub(crate) fn forget_created(&self, vault: impl FnOnce() -> Arc<Vault>) {
        let mut state = self.state();
        // The vault as it is now: one of before has no key pair that was noted since.
        let vault = vault();
        Arc::make_mut(&mut state.created).retain(|key| vault.is_unused(key));
    }

    /// Looks which of its sessions there are. Answers whether it may be used: one that names sessions and may store
    /// none is of no use without them.
    #[must_use]
    pub(crate) fn look(&self, vault: &Vault) -> bool {
        let mut state = self.state();
        state.present = state.part(&self.terms).present(vault);
        self.terms.sessions.is_none() || self.terms.may.contains(Permission::Store) || !state.present.is_empty()
    }

    /// Notes a connection that came, or went.
    pub(crate) fn connected(&self, is_open: bool) {
        let mut state = self.state();
        state.connections = if is_open { state.connections + 1 } else { state.connections.saturating_sub(1) };
    }

    /// Takes note of a call that was refused.
    pub(crate) fn refuse(&self, method: &'static str, code: &Code) {
        self.state().usage.refuse(method, code);
    }

    pub(super) fn take_refusals(&self) -> Option<(&'static str, Code, u64)> {
        self.state().usage.take_refusals()
    }

    /// What its users may know of it, and subscribers.
    #[must_use]
    pub(crate) fn told(&self) -> GrantTerms {
        let Terms { name, may, uid, expires_at, uses, calls_per_second, until_disconnect, .. } = self.terms.clone();
        GrantTerms {
            name,
            may,
            session_keys: self.session_keys(),
            uid,
            expires_at: expires_at.secs(),
            uses_left: uses.map(|uses| uses.saturating_sub(self.state().usage.used())),
            calls_per_second,
            until_disconnect,
        }
    }

    /// What the vault's own user is told.
    #[must_use]
    pub(crate) fn entry(&self) -> GrantEntry {
        let grant = self.told();
        let state = self.state();
        GrantEntry {
            grant,
            socket: self.socket.clone(),
            created_at: self.terms.created_at.secs(),
            connections: state.connections,
            used: state.usage.used(),
            refused: state.usage.refused(),
            last_use: state.usage.last(),
        }
    }

    /// Ends it. Answers whether it had not ended before.
    pub(super) fn end(&self) -> bool {
        let was_live = !std::mem::replace(&mut self.state().has_ended, true);
        self.ended.cancel();
        was_live
    }

    /// Tells those who watch what one commit did. Answers whether the last of its sessions is gone, so that it is over.
    pub(super) fn observe(&self, announcements: &[Announcement], before: &Vault, after: &Vault) -> bool {
        let mut state = self.state();
        let part = state.part(&self.terms);
        let mut told = Vec::new();
        let mut is_over = false;
        for Announcement { kind, .. } in announcements {
            match kind {
                EventKind::SessionStored { session_key, .. } if part.has(session_key) => {
                    state.present.insert(session_key.clone());
                }
                EventKind::SessionCleared { session_key, reason } if *reason != RemovalReason::Replaced => {
                    is_over |= state.present.remove(session_key) && state.present.is_empty();
                }
                EventKind::Resync => {
                    let present = part.present(after);
                    is_over |= !state.present.is_empty() && present.is_empty();
                    state.present = present;
                    let many = part.told_of_many(before, after);
                    told.extend(many.into_iter().filter(|kind| !is_told_in(announcements, kind)));
                }
                _ => {}
            }
            told.extend(part.told(kind));
        }
        drop(state);
        // Who it was is not theirs to know.
        self.events.publish(told.into_iter().map(|kind| Announcement { kind, by: None }).collect());
        is_over && self.terms.sessions.is_some() && !self.terms.may.contains(Permission::Store)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session_keys(&self) -> Option<Vec<SessionKey>> {
        self.terms.sessions.as_ref().map(|names| names.iter().cloned().collect())
    }
}

impl State {
    fn part(&self, terms: &Terms) -> Part {
        Part { sessions: terms.sessions.clone(), active: self.active.clone(), created: Arc::clone(&self.created) }
    }
}

/// The only one of some names.
fn only(names: Option<&BTreeSet<SessionKey>>) -> Option<&SessionKey> {
    names.filter(|names| names.len() == 1)?.first()
}

/// Whether one commit tells of the same by itself: that a session is gone, or soon will be.
fn is_told_in(announcements: &[Announcement], many: &EventKind) -> bool {
    announcements.iter().any(|Announcement { kind, .. }| match (kind, many) {
        (EventKind::SessionCleared { session_key, .. }, EventKind::SessionCleared { session_key: other, .. })
        | (EventKind::SessionExpiring { session_key, .. }, EventKind::SessionExpiring { session_key: other, .. }) => {
            session_key == other
        }
        _ => false,
    })
}
