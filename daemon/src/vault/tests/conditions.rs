//! What a caller may make a condition: that a session is still the one that it knows, that its key pair is there, that
//! there is something at all.

use super::*;
use keyfob_proto::{DescribeSession, Expected};

/// The call that stores a session, as a caller would have it.
fn call(name: &str, public_key: &PublicKey, expiry: u64, change: impl FnOnce(&mut Login)) -> Login {
    let mut login = login(name, public_key, expiry);
    login.without_key_pair = false;
    change(&mut login);
    login
}

#[test]
fn a_session_whose_key_pair_is_not_there_is_not_stored_and_changes_nothing() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    bench.log_in("b", 1000);
    let elsewhere = *NewKeyPair::generate(bench.now()).unwrap().public_key();
    let fault = bench.apply(call("a", &elsewhere, START + 500, |_| ())).unwrap_err();
    assert_eq!((fault.data.code, fault.data.public_key), (Code::KeyPairNotFound, Some(elsewhere)));
    assert_eq!(fault.data.session_key, Some(key("a")));
    assert_eq!((bench.active(), bench.holds(&a)), (Some("b"), true));
    let stored = bench.apply(call("a", &elsewhere, START + 500, |login| login.without_key_pair = true)).unwrap();
    assert_eq!((stored.replaced_public_key, stored.has_key_pair, stored.active), (Some(a), false, true));
}

#[test]
fn a_key_pair_that_has_expired_is_not_there_for_a_new_session() {
    for sweeps in [false, true] {
        let mut bench = Bench::new();
        let a = bench.log_in("a", 10);
        bench.now += 10;
        if sweeps {
            bench.pass_time(0);
        }
        assert_eq!(code(bench.apply(call("a", &a, START + 500, |_| ()))), Code::KeyPairNotFound);
        let stored = bench.apply(call("a", &a, START + 500, |login| login.without_key_pair = true)).unwrap();
        assert_eq!((stored.replaced_public_key, stored.has_key_pair), (None, false), "swept: {sweeps}");
        assert!(!bench.holds(&a));
    }
}

#[test]
fn a_store_that_expects_another_session_changes_nothing() {
    let mut bench = Bench::new();
    let (a, next) = (bench.log_in("a", 1000), bench.create_key_pair());
    let expecting = |expected| move |login: &mut Login| login.expected = Some(expected);
    let conflict = |bench: &mut Bench, name, expected| {
        let fault = bench.apply(call(name, &next, START + 500, expecting(expected))).unwrap_err();
        assert_eq!(fault.data.code, Code::Conflict);
        fault.data.public_key
    };
    assert_eq!(conflict(&mut bench, "a", Expected::Nothing), Some(a));
    assert_eq!(conflict(&mut bench, "a", Expected::KeyPair(next)), Some(a));
    assert_eq!(conflict(&mut bench, "b", Expected::KeyPair(a)), None, "there is none");
    assert!(bench.holds(&a) && bench.holds(&next));
    bench.apply(call("a", &next, START + 500, expecting(Expected::KeyPair(a)))).unwrap();
    assert!(!bench.holds(&a));
    let other = bench.create_key_pair();
    bench.apply(call("b", &other, START + 500, expecting(Expected::Nothing))).unwrap();
    bench.now += 500;
    let late = bench.create_key_pair();
    let stored = bench.apply(call("b", &late, START + 900, expecting(Expected::Nothing))).unwrap();
    assert_eq!(stored.replaced_public_key, None, "one that has expired is none");
}

#[test]
fn a_refresh_in_flight_brings_nothing_back() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    let next = bench.create_key_pair();
    bench.apply(ClearAllSessions::default()).unwrap();
    let refresh = call("a", &next, START + 500, |login| login.expected = Some(Expected::KeyPair(a)));
    assert_eq!(code(bench.apply(refresh)), Code::Conflict);
    assert!(bench.names().is_empty());
}

#[test]
fn a_clear_that_expects_another_session_changes_nothing() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    let next = bench.log_in("a", 1000);
    let clear = |if_public_key| ClearSession { if_public_key, ..ClearSession::from(key("a")) };
    let fault = bench.apply(clear(Some(a))).unwrap_err();
    assert_eq!((fault.data.code, fault.data.public_key), (Code::Conflict, Some(next)));
    assert_eq!(code(bench.apply(ClearSession { session_key: None, ..clear(Some(a)) })), Code::Conflict);
    assert_eq!(bench.apply(clear(Some(next))).unwrap().deleted_public_key, Some(next));
    assert_eq!(code(bench.apply(clear(Some(next)))), Code::NotFound);
}

#[test]
fn what_is_not_there_is_no_fault_where_the_caller_says_so() {
    let mut bench = Bench::new();
    let clear = |name: Option<&str>| ClearSession { session_key: name.map(key), if_exists: true, if_public_key: None };
    let cleared = bench.apply(clear(Some("a"))).unwrap();
    assert_eq!((cleared.cleared, cleared.session_key), (false, Some(key("a"))));
    let cleared = bench.apply(clear(None)).unwrap();
    assert_eq!((cleared.cleared, cleared.session_key), (false, None));
    let all = bench.apply(ClearAllSessions { if_exists: true }).unwrap();
    assert_eq!((all.cleared_sessions, all.deleted_key_pairs), (0, 0));
    let public_key = *NewKeyPair::generate(bench.now()).unwrap().public_key();
    let delete = DeleteApiKeyPair { public_key, if_exists: true };
    assert!(!bench.apply(delete).unwrap().deleted);

    let a = bench.log_in("a", 1000);
    assert_eq!(code(bench.apply(DeleteApiKeyPair { public_key: a, if_exists: true })), Code::KeyPairInUse);
    let other = ClearSession { if_public_key: Some(public_key), ..clear(Some("a")) };
    assert_eq!(code(bench.apply(other)), Code::Conflict, "another one is there");
    assert!(bench.apply(clear(None)).unwrap().cleared);
    assert!(bench.events.contains(&EventKind::KeyPairDeleted { public_key: a, reason: RemovalReason::Cleared }));
}

#[test]
fn a_session_that_is_not_to_become_active_leaves_the_pointer() {
    let mut bench = Bench::new();
    bench.log_in("a", 1000);
    let (b, again) = (bench.create_key_pair(), bench.create_key_pair());
    let quietly = |login: &mut Login| login.activates = false;
    assert!(!bench.apply(call("b", &b, START + 500, quietly)).unwrap().active);
    assert_eq!(bench.active(), Some("a"));
    assert!(bench.apply(call("a", &again, START + 500, quietly)).unwrap().active, "the active one stays so");
    assert_eq!(bench.active(), Some("a"));
}

#[test]
fn a_session_is_described_without_being_opened() {
    let mut bench = Bench::new();
    let a = bench.log_in("a", 1000);
    let elsewhere = *NewKeyPair::generate(bench.now()).unwrap().public_key();
    bench
        .apply(call("b", &elsewhere, START + 10, |login| (login.without_key_pair, login.activates) = (true, false)))
        .unwrap();
    bench.keys = None;
    let describe = |call: DescribeSession, now| bench.vault.describe_session(&call, Timestamp::from_secs(now));
    let active = describe(DescribeSession::default(), START).unwrap().session.unwrap();
    assert_eq!((active.session_key.as_str(), active.public_key, active.expiry), ("a", a, START + 1000));
    assert!(active.active && active.has_key_pair);
    let b = describe(key("b").into(), START).unwrap().session.unwrap();
    assert!(!b.active && !b.has_key_pair);
    assert_eq!(describe(key("c").into(), START).unwrap().session, None);
    assert_eq!(code(describe(key("b").into(), START + 10)), Code::SessionExpired);
    let listed = bench.vault.list_sessions(&ListSessions::default(), Timestamp::from_secs(START)).sessions;
    assert_eq!(listed, [active, b]);
}

#[test]
fn a_session_that_has_expired_is_none_for_the_one_that_takes_its_name() {
    for sweeps in [false, true] {
        let mut bench = Bench::new();
        bench.log_in("a", 10);
        bench.now += 10;
        if sweeps {
            bench.pass_time(0);
        }
        let next = bench.create_key_pair();
        bench.events.clear();
        let stored = bench.apply(call("a", &next, START + 500, |login| login.activates = false)).unwrap();
        assert_eq!((stored.replaced_public_key, stored.active, bench.active()), (None, false, None), "swept: {sweeps}");
        let replaced =
            |event: &EventKind| matches!(event, EventKind::SessionCleared { reason: RemovalReason::Replaced, .. });
        assert!(!bench.events.iter().any(replaced), "{:?}", bench.events);
    }
}

#[test]
fn a_key_pair_that_is_taken_in_when_its_session_has_expired_is_there() {
    let mut bench = Bench::new();
    let pair = NewKeyPair::generate(bench.now()).unwrap();
    let public_key = *pair.public_key();
    bench.apply(login("a", &public_key, START + 10)).unwrap();
    bench.now += 10;
    assert!(bench.apply(pair).unwrap().created);
    assert!(bench.holds(&public_key) && bench.vault.unused_count() == 1);
    bench.pass_time(0);
    assert!(bench.holds(&public_key));
}
