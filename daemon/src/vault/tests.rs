//! The rules, one fact a test. No store, no socket, no time that passes by itself.

mod conditions;
mod keeping;

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use keyfob_proto::{
    By, ClearAllSessions, ClearSession, ClearUnusedKeyPairs, Code, DeleteApiKeyPair, EventKind, Fault, GetAllSessions,
    GetSession, Limit, ListApiKeyPairs, ListSessions, PublicKey, RemovalReason, Secret, SessionKey, SetActiveSession,
    SetLockAfter, Signer, StoreSession,
};

use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::clock::Timestamp;
use crate::limits::{MAX_ANNOUNCED, MAX_TOKEN_BYTES};
use crate::seal::tests::keys;
use crate::seal::{Scope, Slot, VaultKeys};

const START: u64 = 1_700_000_000;

/// A vault and its clock.
struct Bench {
    vault: Vault,
    keys: Option<VaultKeys>,
    now: u64,
    events: Vec<EventKind>,
}

impl Bench {
    fn new() -> Self {
        Self { vault: Vault::default(), keys: Some(keys(1)), now: START, events: Vec::new() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.now)
    }

    #[allow(clippy::needless_pass_by_value, reason = "a mutation is applied once")]
    fn apply<M: Mutation>(&mut self, mutation: M) -> Result<M::Reply, Fault> {
        let mut stock = stock();
        let mut draft = Draft::new(self.vault.clone(), self.now(), self.keys.as_ref(), &mut stock);
        let reply = mutation.apply(&mut draft);
        assert!(reply.is_ok() || draft.changes().is_empty(), "a fault changes nothing");
        let drafted = draft.finish();
        self.adopt(drafted);
        reply
    }

    fn pass_time(&mut self, seconds: u64) {
        self.now += seconds;
        let mut stock = VecDeque::new();
        let mut draft = Draft::new(self.vault.clone(), self.now(), None, &mut stock);
        draft.pass_time(true);
        let drafted = draft.finish();
        self.adopt(drafted);
    }

    fn adopt(&mut self, drafted: Drafted) {
        let Drafted { vault, announcements, .. } = drafted;
        self.vault = vault;
        self.events.extend(announcements.into_iter().map(|announcement| announcement.kind));
        self.check_invariants();
    }

    fn check_invariants(&self) {
        let Vault { sessions, active, in_use, unused, unused_by_age, by_expiry, by_key_pair, .. } = &self.vault;
        assert!(active.as_ref().is_none_or(|key| sessions.contains_key(key)), "no dangling pointer");
        assert!(in_use.keys().all(|key| sessions.values().any(|session| session.public_key() == key)));
        assert!(in_use.values().all(|pair| !pair.facts().kept));
        assert!(unused.keys().all(|key| !in_use.contains_key(key)));
        let swept = unused.values().filter(|pair| !pair.facts().kept);
        let mut swept: Vec<_> = swept.map(|pair| (pair.facts().created_at, *pair.public_key())).collect();
        assert!(swept.iter().all(|(_, key)| sessions.values().all(|session| session.public_key() != key)));
        swept.sort_unstable();
        assert!(swept.iter().eq(unused_by_age.iter()));
        for index in [by_expiry.size(), by_key_pair.size()] {
            assert_eq!(index, sessions.size());
        }
    }

    fn create_key_pair(&mut self) -> PublicKey {
        let pair = NewKeyPair::generate(self.now()).unwrap();
        self.apply(pair).unwrap().public_key
    }

    /// Creates a key pair and stores a session that names it.
    fn log_in(&mut self, name: &str, lifetime: u64) -> PublicKey {
        let public_key = self.create_key_pair();
        self.store(name, &public_key, lifetime).unwrap();
        public_key
    }

    fn store(&mut self, name: &str, key: &PublicKey, lifetime: u64) -> Result<bool, Fault> {
        self.apply(login(name, key, self.now + lifetime)).map(|stored| stored.replaced_public_key.is_some())
    }

    fn clear(&mut self, name: Option<&str>) -> Result<keyfob_proto::SessionCleared, Fault> {
        self.apply(ClearSession { session_key: name.map(key), ..ClearSession::default() })
    }

    fn active(&self) -> Option<&str> {
        self.vault.active(self.now()).map(SessionKey::as_str)
    }

    fn names(&self) -> Vec<String> {
        let page = self.vault.get_all_sessions(&GetAllSessions::default(), self.now(), self.keys.as_ref()).unwrap();
        page.sessions.iter().map(|entry| entry.session_key.to_string()).collect()
    }

    fn holds(&self, key: &PublicKey) -> bool {
        self.vault.key_pair(key, self.now()).is_some()
    }
}

/// Slots to seal with.
fn stock() -> VecDeque<Slot> {
    Slot::fresh_all(0..8).collect()
}

/// A session as a vault keeps it.
fn sealed(name: &str, session: &keyfob_proto::Session) -> Arc<StoredSession> {
    Arc::new(StoredSession::seal(&key(name), session, &keys(1), Slot::fresh(0)))
}

fn key(name: &str) -> SessionKey {
    name.parse().unwrap()
}

fn login(name: &str, public_key: &PublicKey, expiry: u64) -> Login {
    let claims = format!(
        r#"{{"exp":{expiry},"public_key":"{public_key}","session_type":"T","user_id":"u","organization_id":"o"}}"#
    );
    let session_token = Secret::new(format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes())));
    let call =
        StoreSession { session_key: Some(key(name)), without_key_pair: true, ..StoreSession::new(session_token) };
    Login::read(call).unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> Code {
    result.unwrap_err().data.code
}

#[test]
fn clearing_takes_the_session_its_key_pair_and_the_pointer() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    let b = bench.log_in("b", 1000);
    let cleared = bench.clear(Some("b")).unwrap();
    assert_eq!(cleared.deleted_public_key, Some(b));
    assert!(cleared.was_active);
    assert_eq!(bench.active(), None, "no other session is promoted");
    assert!(!bench.holds(&b) && bench.holds(&a));
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn clearing_without_a_name_clears_the_active_session() {
    let mut bench = Bench::new();
    bench.log_in("a", 1000);
    bench.log_in("b", 1000);
    bench.apply(SetActiveSession { session_key: key("a") }).unwrap();
    assert_eq!(bench.clear(None).unwrap().session_key, Some(key("a")));
    assert_eq!(code(bench.clear(None)), Code::NoSessionFound);
    assert_eq!(bench.names(), ["b"]);
}

#[test]
fn clearing_another_session_leaves_the_pointer() {
    let mut bench = Bench::new();
    bench.log_in("a", 1000);
    bench.log_in("b", 1000);
    assert!(!bench.clear(Some("a")).unwrap().was_active);
    assert_eq!(bench.active(), Some("b"));
}

#[test]
fn clearing_twice_answers_not_found() {
    let mut bench = Bench::new();
    bench.log_in("a", 1000);
    bench.clear(Some("a")).unwrap();
    let fault = bench.clear(Some("a")).unwrap_err();
    assert_eq!(fault.data.code, Code::NotFound);
    assert_eq!(fault.data.session_key, Some(key("a")));
}

#[test]
fn a_key_pair_that_two_sessions_name_stays_until_the_last_of_them_goes() {
    let mut bench = Bench::new();
    let shared = bench.log_in("a", 1000);
    bench.store("b", &shared, 1000).unwrap();
    assert_eq!(bench.clear(Some("a")).unwrap().deleted_public_key, None);
    assert!(bench.holds(&shared));
    assert_eq!(bench.clear(Some("b")).unwrap().deleted_public_key, Some(shared));
    assert!(!bench.holds(&shared));
}

#[test]
fn clearing_a_session_whose_key_pair_is_elsewhere_deletes_none() {
    let mut bench = Bench::new();
    let elsewhere = *NewKeyPair::generate(bench.now()).unwrap().public_key();
    bench.store("a", &elsewhere, 1000).unwrap();
    assert_eq!(bench.clear(Some("a")).unwrap().deleted_public_key, None);
}

#[test]
fn clearing_all_leaves_nothing_but_unused_key_pairs() {
    let mut bench = Bench::new();
    let pending = bench.create_key_pair();
    let a = bench.log_in("a", 1000);
    bench.store("b", &a, 1000).unwrap();
    bench.log_in("c", 1000);
    let cleared = bench.apply(ClearAllSessions::default()).unwrap();
    assert_eq!((cleared.cleared_sessions, cleared.deleted_key_pairs), (3, 2));
    assert_eq!((bench.names().len(), bench.active(), bench.vault.in_use_count()), (0, None, 0));
    assert!(bench.holds(&pending), "another app's login is in flight");
    assert_eq!(code(bench.apply(ClearAllSessions::default())), Code::NoSessionFound);
}

#[test]
fn storing_makes_active_and_replaces_only_its_own_name() {
    let mut bench = Bench::new();
    let pending = bench.create_key_pair();
    let a = bench.log_in("a", 1000);
    let b = bench.log_in("b", 1000);
    assert_eq!(bench.active(), Some("b"));
    let next = bench.create_key_pair();
    assert!(bench.store("a", &next, 1000).unwrap(), "replaced");
    assert_eq!(bench.active(), Some("a"));
    assert!(!bench.holds(&a), "the replaced session's key pair goes");
    assert!(bench.holds(&b) && bench.holds(&pending) && bench.holds(&next), "no other does");
}

#[test]
fn refreshing_a_session_keeps_its_key_pair() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    assert!(bench.store("a", &a, 2000).unwrap());
    assert!(bench.holds(&a));
    assert!(bench.vault.signer(&Signer::KeyPair(a), bench.now()).is_ok());
}

#[test]
fn an_expired_token_is_not_stored() {
    let mut bench = Bench::new();
    let a = bench.create_key_pair();
    assert_eq!(code(bench.store("a", &a, 0)), Code::SessionExpired);
    assert!(bench.store("a", &a, 1).is_ok());
}

#[test]
fn an_imported_key_pair_of_a_session_is_in_use_at_once() {
    let mut bench = Bench::new();
    let pair = NewKeyPair::generate(bench.now()).unwrap();
    let public_key = *pair.public_key();
    bench.store("a", &public_key, 1000).unwrap();
    assert_eq!(code(bench.vault.signer(&Signer::Active, bench.now()).map(drop)), Code::KeyPairNotFound);
    bench.apply(pair).unwrap();
    assert_eq!(code(bench.apply(DeleteApiKeyPair::new(public_key))), Code::KeyPairInUse);
    assert!(bench.vault.signer(&Signer::Active, bench.now()).is_ok());
}

#[test]
fn taking_in_a_key_pair_twice_changes_nothing() {
    let mut bench = Bench::new();
    let public_key = bench.log_in("a", 1000);
    bench.now += 10;
    let again = NewKeyPair::named(public_key, bench.now());
    let mut stock = stock();
    let mut draft = Draft::new(bench.vault.clone(), bench.now(), bench.keys.as_ref(), &mut stock);
    again.apply(&mut draft).unwrap();
    assert!(draft.changes().is_empty());
}

#[test]
fn a_locked_vault_keeps_what_has_expired_when_its_key_pair_cannot_be_taken_in_again() {
    let mut bench = Bench::new();
    let public_key = bench.log_in("a", 100);
    bench.now += 100;
    let keys = bench.keys.take();
    assert_eq!(code(bench.apply(NewKeyPair::named(public_key, bench.now()))), Code::VaultLocked);
    bench.keys = keys;
    bench.apply(NewKeyPair::named(public_key, bench.now())).unwrap();
    assert!(bench.vault.unused.contains_key(&public_key) && !bench.vault.sessions.contains_key(&key("a")));
}

#[test]
fn only_what_is_there_can_be_made_active() {
    let mut bench = Bench::new();
    bench.log_in("a", 1000);
    assert_eq!(code(bench.apply(SetActiveSession { session_key: key("b") })), Code::NotFound);
    assert_eq!(bench.active(), Some("a"));
}

#[test]
fn deleting_a_key_pair_needs_it_to_be_there_and_unused() {
    let mut bench = Bench::new();
    let unused = bench.create_key_pair();
    let used = bench.log_in("a", 1000);
    assert_eq!(code(bench.apply(DeleteApiKeyPair::new(used))), Code::KeyPairInUse);
    assert!(bench.apply(DeleteApiKeyPair::new(unused)).is_ok());
    assert_eq!(code(bench.apply(DeleteApiKeyPair::new(unused))), Code::KeyPairNotFound);
}

#[test]
fn pruning_spares_pending_key_pairs_unless_told_otherwise() {
    let mut bench = Bench::new();
    let old = bench.create_key_pair();
    bench.now += 1;
    let pending = bench.create_key_pair();
    let used = bench.log_in("a", 10_000);
    bench.now += 899;
    let pruned = bench.apply(ClearUnusedKeyPairs::default()).unwrap();
    assert_eq!((pruned.deleted_public_keys, pruned.more), (vec![old], false));
    let all = bench.apply(ClearUnusedKeyPairs { min_age_seconds: Some(0) }).unwrap();
    assert_eq!(all.deleted_public_keys, [pending]);
    assert!(bench.holds(&used));
}

#[test]
fn a_clock_that_went_back_makes_no_key_pair_old() {
    let mut bench = Bench::new();
    bench.create_key_pair();
    bench.now -= 100_000;
    assert!(bench.apply(ClearUnusedKeyPairs::default()).unwrap().deleted_public_keys.is_empty());
}

#[test]
fn an_expired_session_is_not_served_even_before_it_is_swept() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 100);
    let shared = bench.log_in("b", 200);
    bench.store("c", &shared, 100).unwrap();
    bench.now += 100;
    assert_eq!(bench.names(), ["b"]);
    assert_eq!(bench.active(), None);
    let call = GetSession::from(key("a"));
    assert_eq!(code(bench.vault.get_session(&call, bench.now(), bench.keys.as_ref())), Code::SessionExpired);
    let code_of = |signer: &Signer| code(bench.vault.signer(signer, bench.now()).map(drop));
    assert_eq!(code_of(&Signer::KeyPair(a)), Code::KeyPairNotFound);
    assert_eq!(code_of(&Signer::Session(key("a"))), Code::SessionExpired);
    assert_eq!(code_of(&Signer::Session(key("never"))), Code::NotFound);
    assert_eq!(code_of(&Signer::Active), Code::SessionExpired, "c was active");
    assert!(bench.vault.signer(&Signer::KeyPair(shared), bench.now()).is_ok(), "b lives and names it");
    assert_eq!(code(bench.apply(SetActiveSession { session_key: key("a") })), Code::SessionExpired);
    assert!(bench.clear(Some("a")).is_ok(), "clearing always works");
    assert_eq!(code(bench.clear(Some("a"))), Code::NotFound);
}

#[test]
fn clearing_all_takes_what_has_expired_and_is_not_destroyed_yet() {
    let mut bench = Bench::new();
    bench.log_in("a", 100);
    bench.now += 100;
    assert_eq!(bench.apply(ClearAllSessions::default()).unwrap().cleared_sessions, 1);
    assert!(bench.vault.is_empty());
    assert_eq!(code(bench.apply(ClearAllSessions::default())), Code::NoSessionFound);
}

#[test]
fn the_last_thousand_that_expired_are_remembered_and_the_active_one_until_another_is() {
    let mut bench = Bench::new();
    let pair = bench.log_in("first", 10);
    for n in 0..crate::limits::MAX_EXPIRED_NAMES {
        bench.store(&format!("{n}"), &pair, 20).unwrap();
    }
    bench.store("active", &pair, 30).unwrap();
    bench.now += 30;
    for _ in 0..3 {
        bench.pass_time(0);
    }
    let missing = |bench: &Bench, name: &str| bench.vault.no_session(&key(name), bench.now()).data.code;
    assert_eq!(missing(&bench, "first"), Code::NotFound, "pushed out");
    assert_eq!(missing(&bench, "999"), Code::SessionExpired);
    let none = bench.vault.none_active(bench.now());
    assert_eq!((none.data.code, none.data.session_key), (Code::SessionExpired, Some(key("active"))));
    bench.log_in("next", 100);
    bench.apply(ClearSession::default()).unwrap();
    assert_eq!(bench.vault.none_active(bench.now()).data.code, Code::NoSessionFound);
    bench.log_in("again", 100);
    bench.apply(ClearAllSessions::default()).unwrap();
    assert_eq!(missing(&bench, "999"), Code::NotFound, "a clear-all forgets them");
}

#[test]
fn a_setting_is_kept_when_all_is_cleared() {
    let mut bench = Bench::new();
    let seconds = std::num::NonZeroU64::new(900);
    bench.apply(SetLockAfter { lock_after_seconds: seconds }).unwrap();
    bench.log_in("a", 100);
    bench.apply(ClearAllSessions::default()).unwrap();
    assert_eq!(bench.vault.lock_after(), Some(Duration::from_secs(900)));
    bench.apply(SetLockAfter { lock_after_seconds: None }).unwrap();
    assert_eq!(bench.vault.lock_after(), None);
}

#[test]
fn expiry_clears_like_a_clear() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 100);
    bench.log_in("b", 200);
    bench.apply(SetActiveSession { session_key: key("a") }).unwrap();
    bench.pass_time(0);
    bench.events.clear();
    assert_eq!(bench.vault.next_due(Timestamp::default()), Some(Timestamp::from_secs(START + 40)));
    bench.pass_time(40);
    assert_eq!(bench.events, [EventKind::SessionExpiring { session_key: key("a"), expiry: START + 100 }]);
    assert_eq!(
        bench.vault.next_due(Timestamp::default()),
        Some(Timestamp::from_secs(START + 100)),
        "the warning comes once"
    );
    bench.events.clear();
    bench.pass_time(60);
    assert_eq!(
        bench.events,
        [
            EventKind::SessionCleared { session_key: key("a"), reason: RemovalReason::Expired },
            EventKind::KeyPairDeleted { public_key: a, reason: RemovalReason::Expired },
            EventKind::ActiveSessionChanged { session_key: None, previous_session_key: Some(key("a")) },
        ]
    );
    assert!(!bench.holds(&a));
    assert_eq!(bench.vault.session_count(), 1);
}

#[test]
fn a_session_stored_in_its_last_minute_is_announced_as_expiring_at_once() {
    let mut bench = Bench::new();
    bench.pass_time(0);
    bench.log_in("a", 60);
    assert!(bench.events.contains(&EventKind::SessionExpiring { session_key: key("a"), expiry: START + 60 }));
}

#[test]
fn a_clock_that_jumps_back_revives_nothing_and_clears_nothing_early() {
    let mut bench = Bench::new();
    bench.log_in("a", 100);
    bench.pass_time(200);
    bench.now -= 200;
    assert_eq!(bench.names(), Vec::<String>::new());
    bench.log_in("b", 100);
    bench.pass_time(99);
    assert_eq!(bench.names(), ["b"]);
}

#[test]
fn many_expire_in_steps() {
    let mut bench = Bench::new();
    let shared = bench.create_key_pair();
    let session = sealed("x", &login("x", &shared, START + 100).session_at(bench.now()).unwrap());
    for n in 0..=MAX_ANNOUNCED {
        bench.vault.insert_session(key(&n.to_string()), Arc::clone(&session));
    }
    let pair = bench.vault.remove_unused(&shared).unwrap();
    bench.vault.in_use.insert_mut(shared, pair);
    bench.pass_time(100);
    assert_eq!(bench.vault.session_count(), 1);
    assert!(bench.vault.next_due(Timestamp::default()).unwrap() <= bench.now(), "there is more to do");
    bench.pass_time(0);
    assert_eq!((bench.vault.session_count(), bench.holds(&shared)), (0, false));
}

#[test]
fn a_key_pair_whose_sessions_have_expired_is_gone_even_before_they_are_swept() {
    let mut bench = Bench::new();
    let expired = bench.log_in("a", 100);
    let shared = bench.log_in("b", 100);
    bench.store("c", &shared, 200).unwrap();
    bench.now += 100;
    assert!(!bench.holds(&expired) && bench.holds(&shared));
    let page = bench.vault.list_api_key_pairs(&ListApiKeyPairs::default(), bench.now());
    assert_eq!(page.key_pairs.len(), 1);
    assert_eq!((&page.key_pairs[0].session_keys, page.key_pairs[0].session_count), (&vec![key("c")], 1));
    bench.apply(DeleteApiKeyPair::new(expired)).unwrap();
    assert!(!bench.vault.in_use.contains_key(&expired) && !bench.vault.sessions.contains_key(&key("a")), "destroyed");
    assert_eq!(code(bench.apply(DeleteApiKeyPair::new(expired))), Code::KeyPairNotFound);
}

#[test]
fn events_tell_what_happened_in_order() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    let next = bench.log_in("a", 1000);
    bench.apply(ClearAllSessions::default()).unwrap();
    let stored = |public_key| EventKind::SessionStored { session_key: key("a"), public_key, expiry: START + 1000 };
    let cleared = |reason| EventKind::SessionCleared { session_key: key("a"), reason };
    let created = |public_key| EventKind::KeyPairCreated { public_key, kept: false, label: None };
    let deleted = |public_key, reason| EventKind::KeyPairDeleted { public_key, reason };
    let active = |name: Option<&str>, previous: Option<&str>| EventKind::ActiveSessionChanged {
        session_key: name.map(key),
        previous_session_key: previous.map(key),
    };
    assert_eq!(
        bench.events,
        [
            created(a),
            stored(a),
            active(Some("a"), None),
            created(next),
            cleared(RemovalReason::Replaced),
            deleted(a, RemovalReason::Replaced),
            stored(next),
            cleared(RemovalReason::AllCleared),
            deleted(next, RemovalReason::AllCleared),
            active(None, Some("a")),
        ]
    );
}

#[test]
fn an_event_says_who_asked_and_expiry_says_nobody() {
    let by = Some(By { pid: Some(7), uid: 1000, grant: None });
    let (mut stock, keys) = (stock(), keys(1));
    let mut draft = Draft::new(Vault::default(), Timestamp::from_secs(START), Some(&keys), &mut stock);
    draft.set_by(by);
    let elsewhere = *NewKeyPair::generate(draft.now()).unwrap().public_key();
    login("a", &elsewhere, START + 10).apply(&mut draft).unwrap();
    let Drafted { vault, announcements, .. } = draft.finish();
    assert!(announcements.iter().all(|announcement| announcement.by == by));
    let mut draft = Draft::new(vault, Timestamp::from_secs(START + 10), None, &mut stock);
    draft.pass_time(true);
    let announcements = draft.finish().announcements;
    assert!(announcements.len() == 2 && announcements.iter().all(|announcement| announcement.by.is_none()));
}

#[test]
fn clearing_very_many_announces_a_resync() {
    let mut bench = Bench::new();
    let elsewhere = *NewKeyPair::generate(bench.now()).unwrap().public_key();
    let session = sealed("x", &login("x", &elsewhere, START + 100).session_at(bench.now()).unwrap());
    for n in 0..=MAX_ANNOUNCED {
        bench.vault.insert_session(key(&n.to_string()), Arc::clone(&session));
    }
    bench.apply(ClearAllSessions::default()).unwrap();
    assert_eq!(bench.events, [EventKind::Resync]);
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let mut bench = Bench::new();
    let mut public_keys = Vec::new();
    for name in ["d", "a", "c", "b", "e"] {
        public_keys.push(bench.log_in(name, 1000));
    }
    public_keys.push(bench.create_key_pair());
    public_keys.sort();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = bench
            .vault
            .get_all_sessions(&GetAllSessions { after, limit: Limit::new(2) }, bench.now(), bench.keys.as_ref())
            .unwrap();
        names.extend(page.sessions.into_iter().map(|entry| entry.session_key.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = bench.vault.list_api_key_pairs(&ListApiKeyPairs { after, limit: Limit::new(2) }, bench.now());
        listed.extend(page.key_pairs.into_iter().map(|entry| entry.public_key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, public_keys);
}

#[test]
fn a_page_of_the_largest_sessions_fits_a_line() {
    let mut bench = Bench::new();
    let elsewhere = *NewKeyPair::generate(bench.now()).unwrap().public_key();
    let claims = format!(
        r#"{{"exp":{},"public_key":"{elsewhere}","session_type":"T","user_id":"u","organization_id":"o","scope":"{}"}}"#,
        START + 100,
        r"\u0001".repeat(700),
    );
    let token = format!("e30.{}.", BASE64URL_NOPAD.encode(claims.as_bytes()));
    let token = format!("{token}{}", "s".repeat((MAX_TOKEN_BYTES - token.len()) / 4 * 4));
    let call = StoreSession { session_key: None, ..StoreSession::new(Secret::new(token)) };
    let session = Login::read(call).unwrap().session_at(bench.now()).unwrap();
    for n in 0..1000 {
        let name = format!("{n:\u{1}>512}");
        let session = sealed(&name, &session);
        bench.vault.insert_session(key(&name), session);
    }
    let (mut count, mut after) = (0, None);
    loop {
        let page = bench
            .vault
            .get_all_sessions(&GetAllSessions { after, limit: None }, bench.now(), bench.keys.as_ref())
            .unwrap();
        let line = serde_json::to_vec(&page).unwrap();
        assert!(line.len() + 1000 < keyfob_proto::MAX_LINE_BYTES, "{} bytes", line.len());
        count += page.sessions.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(count, 1000);
}

#[test]
fn the_active_session_signs_unless_another_is_named() {
    let mut bench = Bench::new();
    assert_eq!(code(bench.vault.signer(&Signer::Active, bench.now()).map(drop)), Code::NoSessionFound);
    let a = bench.log_in("a", 1000);
    assert_eq!(code(bench.vault.signer(&Signer::Session(key("b")), bench.now()).map(drop)), Code::NotFound);
    assert_eq!(bench.vault.signer(&Signer::Active, bench.now()).unwrap().pair.public_key(), &a);
}

#[test]
fn what_contradicts_itself_is_not_restored() {
    let now = Timestamp::from_secs(START);
    let pair = NewKeyPair::generate(now).unwrap();
    let session = login("a", pair.public_key(), START + 10).session_at(now).unwrap();
    let sessions = vec![(key("a"), sealed("a", &session))];
    let in_use = vec![Arc::new(pair.seal(pair.facts().clone(), &keys(1), Scope::InUse, Slot::fresh(1)))];
    let dangling = Stored { active: Some(key("b")), sessions: sessions.clone(), ..Stored::default() };
    assert_eq!(Vault::restore(dangling).unwrap_err(), Inconsistent::DanglingPointer);
    let unnamed = Stored { in_use: in_use.clone(), ..Stored::default() };
    assert_eq!(Vault::restore(unnamed).unwrap_err(), Inconsistent::KeyPairUse);
    let named = Stored { unused: in_use.clone(), sessions: sessions.clone(), ..Stored::default() };
    assert_eq!(Vault::restore(named).unwrap_err(), Inconsistent::KeyPairUse);
    let good = Stored { in_use, sessions, active: Some(key("a")), ..Stored::default() };
    assert!(Vault::restore(good).is_ok());
}

#[test]
fn time_is_finer_than_seconds_and_expiry_is_not() {
    let mut bench = Bench::new();
    let (clock, hand) = crate::clock::Clock::manual(Timestamp::from_secs(START));
    bench.log_in("a", 1);
    hand.advance(Duration::from_millis(999));
    assert!(bench.vault.session(&key("a"), clock.now()).is_some());
    hand.advance(Duration::from_millis(1));
    assert!(bench.vault.session(&key("a"), clock.now()).is_none());
}

#[test]
fn an_old_vault_is_dropped_in_steps_and_the_next_one_keeps_what_it_has() {
    let mut bench = Bench::new();
    let unused = bench.create_key_pair();
    for n in 0..10 {
        bench.log_in(&n.to_string(), 1000);
    }
    let mut old = bench.vault.clone();
    bench.apply(ClearAllSessions::default()).unwrap();
    assert!(old.shed(4) && old.shed(4));
    assert_eq!((old.session_count(), old.in_use_count()), (2, 2));
    assert!(!old.shed(4));
    assert!(bench.holds(&unused));
}

#[test]
fn a_locked_vault_tells_names_and_clears_and_nothing_else() {
    let mut bench = Bench::new();
    let (a, spare) = (bench.log_in("a", 1000), bench.create_key_pair());
    bench.log_in("b", 50);
    bench.keys = None;

    let names = bench.vault.list_sessions(&ListSessions::default(), bench.now());
    assert_eq!(names.sessions.iter().map(|entry| entry.session_key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((names.sessions[0].public_key, names.sessions[0].expiry), (a, START + 1000));
    assert_eq!(bench.vault.list_api_key_pairs(&ListApiKeyPairs::default(), bench.now()).key_pairs.len(), 3);
    let get = |name| GetSession::from(key(name));
    assert_eq!(code(bench.vault.get_session(&get("a"), bench.now(), None)), Code::VaultLocked);
    assert_eq!(bench.vault.get_session(&get("c"), bench.now(), None).unwrap().session, None);
    assert_eq!(code(bench.vault.get_all_sessions(&GetAllSessions::default(), bench.now(), None)), Code::VaultLocked);
    for signer in [Signer::Session(key("a")), Signer::KeyPair(spare)] {
        let chosen = bench.vault.signer(&signer, bench.now()).unwrap();
        assert_eq!(code(chosen.stamp(None, b"")), Code::VaultLocked);
    }
    let pair = NewKeyPair::generate(bench.now()).unwrap();
    assert_eq!(code(bench.apply(pair)), Code::VaultLocked);
    assert_eq!(code(bench.store("c", &spare, 1000)), Code::VaultLocked);
    assert_eq!(code(bench.store("a", &a, 1000)), Code::VaultLocked);

    bench.apply(SetActiveSession { session_key: key("a") }).unwrap();
    bench.apply(DeleteApiKeyPair::new(spare)).unwrap();
    bench.pass_time(50);
    assert_eq!(bench.vault.session_count(), 1, "expiry goes on");
    assert!(bench.clear(None).unwrap().was_active);
}

#[test]
fn what_was_removed_is_told_once_with_its_slot() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    let before = bench.vault.clone();
    let slot = |name| before.slot_of(&name).unwrap();
    let mut stock = stock();
    let mut draft = Draft::new(before.clone(), bench.now(), None, &mut stock);
    ClearSession::default().apply(&mut draft).unwrap();
    let changes = draft.finish().changes;
    let removed: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Removed(name, slot) => Some((name.clone(), *slot)),
            _ => None,
        })
        .collect();
    let (session, pair) = (Name::Session(key("a")), Name::InUse(a));
    assert_eq!(removed, [(session.clone(), slot(session)), (pair.clone(), slot(pair))]);
    assert!(!changes.iter().any(Change::is_put));
}

#[test]
fn a_key_pair_that_came_into_use_has_another_slot_and_its_old_one_is_told() {
    let mut bench = Bench::new();
    let a = bench.create_key_pair();
    let old = bench.vault.slot_of(&Name::Unused(a)).unwrap();
    let mut stock = stock();
    let mut draft = Draft::new(bench.vault.clone(), bench.now(), bench.keys.as_ref(), &mut stock);
    login("a", &a, START + 10).apply(&mut draft).unwrap();
    let Drafted { vault, changes, .. } = draft.finish();
    assert!(changes.iter().any(|change| matches!(change, Change::Moved(key, slot) if (*key, *slot) == (a, old))));
    assert_eq!(vault.slot_of(&Name::Unused(a)), None);
    assert!(vault.slot_of(&Name::InUse(a)).is_some() && stock.len() == 6);
}

#[test]
fn a_removal_is_repeated_as_far_as_it_applies() {
    let mut bench = Bench::new();
    bench.log_in("a", 1000);
    let spare = bench.create_key_pair();
    let mut stock = VecDeque::new();
    let mut draft = Draft::new(bench.vault.clone(), bench.now(), None, &mut stock);
    for removal in [Removal::Session(key("b")), Removal::Session(key("a")), Removal::KeyPair(spare)] {
        draft.repeat(&removal);
        draft.repeat(&removal);
    }
    assert!(draft.finish().vault.is_empty());
}

#[test]
fn names_follow_each_other_without_gap_or_overlap() {
    let mut bench = Bench::new();
    for name in ["d", "a", "c"] {
        bench.log_in(name, 1000);
    }
    bench.create_key_pair();
    bench.create_key_pair();
    let all = bench.vault.names_after(None, 100);
    assert_eq!((all.len(), all.last()), (9, Some(&Name::Active)));
    for step in 1..=all.len() {
        let (mut found, mut last) = (Vec::new(), None);
        loop {
            let names = bench.vault.names_after(last.as_ref(), step);
            let Some(end) = names.last().cloned() else { break };
            found.extend(names);
            last = Some(end);
        }
        assert_eq!(found, all, "{step} at once");
    }
}
