//! What each call that only reads answers. Every read takes the time: a session past its expiry is
//! never served, whether or not it was already swept away.

use std::ops::Bound;
use std::sync::Arc;

use keyfob_proto::{
    ActiveSessionKey, ApiKeyPairEntry, ApiKeyPairPage, Code, DescribeSession, Fault, GetAllSessions, GetSession, Limit,
    ListApiKeyPairs, ListSessions, PublicKey, Session, SessionDescribed, SessionEntry, SessionFound, SessionKey,
    SessionList, SessionPage, SessionSummary, Signer,
};

use super::chosen::Chosen;
use super::contents::Vault;
use super::facts::KeyPairFacts;
use super::key_pair::KeyPair;
use super::missing::no_key_pair;
use super::session::StoredSession;
use crate::clock::Timestamp;
use crate::limits::PAGE_BYTES;
use crate::seal::{Scope, VaultKeys};

impl Vault {
    /// A session that has not expired.
    #[must_use]
    pub fn session(&self, key: &SessionKey, now: Timestamp) -> Option<&Arc<StoredSession>> {
        self.sessions.get(key).filter(|session| is_live(session, now))
    }

    /// The active session's name, unless it has expired.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> Option<&SessionKey> {
        self.active.as_ref().filter(|key| self.session(key, now).is_some())
    }

    /// A key pair, in use or not, unless it goes with sessions which have all expired.
    #[must_use]
    pub fn key_pair(&self, key: &PublicKey, now: Timestamp) -> Option<&Arc<KeyPair>> {
        let in_use = || self.in_use.get(key).filter(|_| self.naming(key, now).next().is_some());
        self.unused.get(key).or_else(in_use)
    }

    /// The sessions that name a key pair and have not expired, the soonest to expire first.
    pub(super) fn naming(&self, key: &PublicKey, now: Timestamp) -> impl Iterator<Item = &SessionKey> {
        self.by_key_pair
            .range((*key, now.secs() + 1, None)..(*key, u64::MAX, None))
            .filter_map(|(_, _, key)| key.as_ref())
    }

    /// Whether there is a session of that name, expired or not.
    #[must_use]
    pub fn has_session(&self, key: &SessionKey) -> bool {
        self.sessions.contains_key(key)
    }

    /// How many sessions there are, expired or not.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.size()
    }

    /// Whether the vault has the key pair of a session that has not expired.
    fn has_key_pair_of(&self, session: &StoredSession) -> bool {
        self.key_pair_of(session).is_some()
    }

    /// The key pair of a session that has not expired, and the scope that it is sealed in.
    fn key_pair_of(&self, session: &StoredSession) -> Option<(&Arc<KeyPair>, Scope)> {
        let kept = || self.unused.get(session.public_key()).map(|pair| (pair, Scope::Unused));
        self.in_use.get(session.public_key()).map(|pair| (pair, Scope::InUse)).or_else(kept)
    }

    /// Whether a key pair is there that no session names, or that is kept.
    #[must_use]
    pub fn is_unused(&self, key: &PublicKey) -> bool {
        self.unused.contains_key(key)
    }

    /// How many key pairs go with the sessions that name them.
    #[must_use]
    pub fn in_use_count(&self) -> usize {
        self.in_use.size()
    }

    /// How many key pairs no session names, but for kept ones.
    #[must_use]
    pub fn unused_count(&self) -> usize {
        self.unused_by_age.size()
    }

    /// How many key pairs are kept.
    #[must_use]
    pub fn kept_count(&self) -> usize {
        self.unused.size() - self.unused_by_age.size()
    }

    /// Answers `getSession`. Call it in [`on_wiped_stack`](crate::seal::on_wiped_stack).
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED`; `VAULT_LOCKED`; `INTERNAL_ERROR` when the record is not what was stored.
    pub fn get_session(
        &self,
        call: &GetSession,
        now: Timestamp,
        keys: Option<&VaultKeys>,
    ) -> Result<SessionFound, Fault> {
        let Some((key, stored)) = self.find(call.session_key.as_ref(), now)? else {
            return Ok(SessionFound { session_key: None, session: None, has_key_pair: false });
        };
        let session = open(key, stored, keys)?;
        let has_key_pair = self.has_key_pair_of(stored);
        Ok(SessionFound { session_key: Some(key.clone()), session: Some(session), has_key_pair })
    }

    /// Answers `describeSession`.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED`.
    pub fn describe_session(&self, call: &DescribeSession, now: Timestamp) -> Result<SessionDescribed, Fault> {
        let found = self.find(call.session_key.as_ref(), now)?;
        Ok(SessionDescribed { session: found.map(|(key, session)| self.summary(key, session)) })
    }

    /// The session of a name, or the active one; `None` where there never was one.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED`.
    fn find<'a>(
        &'a self,
        key: Option<&'a SessionKey>,
        now: Timestamp,
    ) -> Result<Option<(&'a SessionKey, &'a Arc<StoredSession>)>, Fault> {
        let meant = key.or(self.active.as_ref());
        if let Some(found) = meant.and_then(|key| Some((key, self.session(key, now)?))) {
            return Ok(Some(found));
        }
        let fault = key.map_or_else(|| self.none_active(now), |key| self.no_session(key, now));
        if fault.data.code == Code::SessionExpired { Err(fault) } else { Ok(None) }
    }

    /// What is known of a session without opening it.
    fn summary(&self, key: &SessionKey, session: &StoredSession) -> SessionSummary {
        SessionSummary {
            session_key: key.clone(),
            public_key: *session.public_key(),
            expiry: session.expiry(),
            active: self.active.as_ref() == Some(key),
            has_key_pair: self.has_key_pair_of(session),
        }
    }

    /// Answers `getActiveSessionKey`.
    #[must_use]
    pub fn get_active_session_key(&self, now: Timestamp) -> ActiveSessionKey {
        ActiveSessionKey { session_key: self.active(now).cloned() }
    }

    /// Answers `getAllSessions`. Call it in [`on_wiped_stack`](crate::seal::on_wiped_stack).
    ///
    /// # Errors
    ///
    /// As [`Vault::get_session`].
    pub fn get_all_sessions(
        &self,
        call: &GetAllSessions,
        now: Timestamp,
        keys: Option<&VaultKeys>,
    ) -> Result<SessionPage, Fault> {
        let entries = self.live_after(call.after.as_ref(), now).map(|(key, stored)| {
            let (session, has_key_pair) = (open(key, stored, keys)?, self.has_key_pair_of(stored));
            Ok(SessionEntry { session_key: key.clone(), session, has_key_pair })
        });
        let bytes = |entry: &Result<_, _>| entry.as_ref().map_or(0, session_bytes);
        let (sessions, has_more) = page(entries, call.limit, bytes);
        let sessions = sessions.into_iter().collect::<Result<Vec<_>, Fault>>()?;
        let next = if has_more { sessions.last().map(|entry| entry.session_key.clone()) } else { None };
        Ok(SessionPage { sessions, active_session_key: self.active(now).cloned(), next })
    }

    /// Answers `listSessions`.
    #[must_use]
    pub fn list_sessions(&self, call: &ListSessions, now: Timestamp) -> SessionList {
        let entries = self.live_after(call.after.as_ref(), now).map(|(key, session)| self.summary(key, session));
        let (sessions, has_more) = page(entries, call.limit, summary_bytes);
        let next = if has_more { sessions.last().map(|entry| entry.session_key.clone()) } else { None };
        SessionList { sessions, active_session_key: self.active(now).cloned(), next }
    }

    /// The sessions after a name that have not expired, in the order of their names.
    fn live_after(
        &self,
        after: Option<&SessionKey>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&SessionKey, &Arc<StoredSession>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sessions = self.sessions.range::<SessionKey, _>((from, Bound::Unbounded));
        sessions.filter(move |(_, session)| is_live(session, now))
    }

    /// Answers `listApiKeyPairs`.
    #[must_use]
    pub fn list_api_key_pairs(&self, call: &ListApiKeyPairs, now: Timestamp) -> ApiKeyPairPage {
        let from = call.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let bounds = (from, Bound::Unbounded);
        let mut in_use = self.in_use.range::<PublicKey, _>(bounds).peekable();
        let mut unused = self.unused.range::<PublicKey, _>(bounds).peekable();
        let merged = std::iter::from_fn(|| match (in_use.peek(), unused.peek()) {
            (Some((a, _)), Some((b, _))) if b < a => unused.next(),
            (None, _) => unused.next(),
            _ => in_use.next(),
        });
        let entries =
            merged.filter(|(key, _)| self.key_pair(key, now).is_some()).map(|(_, pair)| self.key_pair_entry(pair, now));
        let (key_pairs, has_more) = page(entries, call.limit, key_pair_bytes);
        let next = if has_more { key_pairs.last().map(|entry| entry.public_key) } else { None };
        ApiKeyPairPage { key_pairs, next }
    }

    fn key_pair_entry(&self, pair: &KeyPair, now: Timestamp) -> ApiKeyPairEntry {
        let public_key = *pair.public_key();
        let listed = self.naming(&public_key, now).take(ApiKeyPairEntry::MAX_LISTED_SESSIONS);
        let session_keys = listed.cloned().collect();
        let session_count = self.naming(&public_key, now).count() as u64;
        let KeyPairFacts { created_at, kept, label, .. } = pair.facts().clone();
        ApiKeyPairEntry { public_key, created_at, session_keys, session_count, kept, label }
    }

    /// The key pair that signs. One that goes with sessions which have all expired never does.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`; `KEY_PAIR_NOT_FOUND`; `NO_SESSION_FOUND` for [`Signer::Active`] when no session is;
    /// `SESSION_EXPIRED`.
    pub fn signer<'a>(&'a self, signer: &'a Signer, now: Timestamp) -> Result<Chosen<'a>, Fault> {
        let session_key = match signer {
            Signer::KeyPair(key) => {
                let pair = self.key_pair(key, now).ok_or_else(|| no_key_pair(key))?;
                let scope = if self.unused.contains_key(key) { Scope::Unused } else { Scope::InUse };
                return Ok(Chosen { pair, scope, session_key: None });
            }
            Signer::Session(key) => key,
            Signer::Active => self.active(now).ok_or_else(|| self.none_active(now))?,
        };
        let session = self.session(session_key, now).ok_or_else(|| self.no_session(session_key, now))?;
        let public_key = session.public_key();
        let no_pair = || no_key_pair(public_key).on_session(session_key);
        let (pair, scope) = self.key_pair_of(session).ok_or_else(no_pair)?;
        Ok(Chosen { pair, scope, session_key: Some(session_key) })
    }
}

pub(super) fn is_live(session: &StoredSession, now: Timestamp) -> bool {
    session.expiry() > now.secs()
}

fn open(key: &SessionKey, session: &StoredSession, keys: Option<&VaultKeys>) -> Result<Session, Fault> {
    session.open(key, keys).map_err(|error| Fault::from(error).on_session(key))
}

/// The entries up to the limit or to [`PAGE_BYTES`], and whether there are more.
fn page<T>(mut entries: impl Iterator<Item = T>, limit: Option<Limit>, bytes: impl Fn(&T) -> usize) -> (Vec<T>, bool) {
    let limit = limit.unwrap_or(Limit::DEFAULT).entries();
    let (mut taken, mut size) = (Vec::new(), 0);
    while taken.len() < limit && size < PAGE_BYTES {
        let Some(entry) = entries.next() else { return (taken, false) };
        size += bytes(&entry);
        taken.push(entry);
    }
    (taken, entries.next().is_some())
}

/// The most bytes that an entry takes as JSON. A character of a free text may be escaped to six; a
/// token has no character that becomes more than two.
fn session_bytes(entry: &SessionEntry) -> usize {
    const FRAME: usize = 400;
    let Session { session_type, user_id, organization_id, session_profile_id, scope, token, .. } = &entry.session;
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let free = entry.session_key.as_str().len()
        + session_type.len()
        + user_id.len()
        + organization_id.len()
        + optional(session_profile_id)
        + optional(scope);
    FRAME + 6 * free + 2 * token.expose().len()
}

/// As [`session_bytes`].
fn summary_bytes(entry: &SessionSummary) -> usize {
    const FRAME: usize = 200;
    FRAME + 6 * entry.session_key.as_str().len()
}

/// As [`session_bytes`].
fn key_pair_bytes(entry: &ApiKeyPairEntry) -> usize {
    const FRAME: usize = 250;
    let label = entry.label.as_ref().map_or(0, |label| 6 * label.as_str().len());
    FRAME + label + entry.session_keys.iter().map(|key| 3 + 6 * key.as_str().len()).sum::<usize>()
}
