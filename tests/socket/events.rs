//! Subscriptions: every change once, in order, to every subscriber.

use std::time::Duration;

use keyfob_tests::{RawClient, START, TestDaemon};
use serde_json::{Value, json};

fn subscribe(daemon: &TestDaemon) -> RawClient {
    let mut client = daemon.connect();
    client.call("subscribe", json!({}));
    client
}

/// The next event's params.
fn event(client: &mut RawClient) -> Value {
    let mut message = client.read();
    assert_eq!((&message["method"], &message["id"]), (&json!("event"), &json!(null)), "{message}");
    message["params"].take()
}

/// The next event's type and session key.
fn brief(client: &mut RawClient) -> (String, Value) {
    let mut event = event(client);
    (event["type"].as_str().unwrap().to_owned(), event["sessionKey"].take())
}

#[test]
fn a_subscriber_sees_each_change_once_and_in_order() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "before", 10_000);
    let (mut one, mut two) = (subscribe(&daemon), subscribe(&daemon));
    let key = daemon.log_in(&mut client, "a", 10_000);
    daemon.log_in(&mut client, "a", 10_000);
    client.call("setActiveSession", json!({ "sessionKey": "before" }));
    client.call("setActiveSession", json!({ "sessionKey": "before" }));
    client.call("clearSession", json!({}));
    client.call("clearAllSessions", json!({}));
    let by = json!({ "pid": std::process::id(), "uid": one_uid() });
    let first = json!({
        "sequence": 5, "type": "sessionStored", "sessionKey": "a", "publicKey": key, "expiry": START + 10_000, "by": by,
    });
    for client in [&mut one, &mut two] {
        assert_eq!(event(client)["type"], "keyPairCreated");
        assert_eq!(event(client), first);
        let expected = [
            ("activeSessionChanged", json!("a"), json!(null)),
            ("keyPairCreated", json!(null), json!(null)),
            ("sessionCleared", json!("a"), json!("replaced")),
            ("keyPairDeleted", json!(null), json!("replaced")),
            ("sessionStored", json!("a"), json!(null)),
            ("activeSessionChanged", json!("before"), json!(null)),
            ("sessionCleared", json!("before"), json!("cleared")),
            ("keyPairDeleted", json!(null), json!("cleared")),
            ("activeSessionChanged", json!(null), json!(null)),
            ("sessionCleared", json!("a"), json!("allCleared")),
            ("keyPairDeleted", json!(null), json!("allCleared")),
        ];
        for (sequence, (kind, key, reason)) in (6..).zip(expected) {
            let event = event(client);
            assert_eq!((&event["sequence"], &event["by"]), (&json!(sequence), &by));
            assert_eq!((&event["type"], &event["sessionKey"], &event["reason"]), (&json!(kind), &key, &reason));
            assert!(!event.to_string().contains("eyJ"), "never a token");
        }
    }
}

fn one_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn faults_and_reads_make_no_event() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let mut subscriber = subscribe(&daemon);
    assert_eq!(client.code("clearSession", json!({})), "NO_SESSION_FOUND");
    client.call("getAllSessions", json!({}));
    assert_eq!(client.call("clearSession", json!({ "ifExists": true }))["cleared"], false);
    assert_eq!(client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }))["more"], false);
    client.call("createApiKeyPair", json!({ "keep": true, "label": "CI" }));
    let created = event(&mut subscriber);
    assert_eq!((&created["type"], &created["kept"]), (&json!("keyPairCreated"), &json!(true)));
    assert_eq!(created["label"], "CI");
}

#[test]
fn when_an_event_comes_the_change_is_visible() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let mut subscriber = subscribe(&daemon);
    let key = daemon.log_in(&mut client, "a", 1000);
    for _ in ["the key pair", "the session"] {
        assert_eq!(event(&mut subscriber)["publicKey"], key);
    }
    event(&mut subscriber);
    subscriber.request("getSession", &json!({ "sessionKey": "a" }));
    assert_eq!(subscriber.read()["result"]["session"]["publicKey"], key, "calls go on beside events");
}

#[test]
fn a_session_is_announced_a_minute_before_it_expires_and_when_it_has() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "a", 100);
    let mut subscriber = subscribe(&daemon);
    daemon.clock.advance(Duration::from_secs(39));
    daemon.log_in(&mut client, "b", 10_000);
    brief(&mut subscriber);
    assert_eq!(brief(&mut subscriber), ("sessionStored".to_owned(), json!("b")), "not a second early");
    brief(&mut subscriber);
    daemon.clock.advance(Duration::from_secs(1));
    let expiring = event(&mut subscriber);
    assert_eq!((&expiring["type"], &expiring["expiry"]), (&json!("sessionExpiring"), &json!(START + 100)));
    daemon.clock.advance(Duration::from_secs(60));
    let cleared = event(&mut subscriber);
    assert_eq!((&cleared["type"], &cleared["reason"]), (&json!("sessionCleared"), &json!("expired")), "once");
    assert_eq!((&cleared["sessionKey"], cleared.get("by")), (&json!("a"), None), "nobody asked for it");
}

#[test]
fn a_stalled_subscriber_delays_nobody_and_is_told_to_read_again() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let mut stalled = subscribe(&daemon);
    let mut live = subscribe(&daemon);
    let name = "k".repeat(500);
    daemon.log_in(&mut client, &name, 10_000);
    daemon.log_in(&mut client, "other", 10_000);
    // More than the socket's buffer and the daemon's backlog together hold.
    let mut sequence = 0;
    for batch in 1..=15 {
        let keys = (0..400).map(|round| if round % 2 == 0 { &name } else { "other" });
        client.pipeline(keys.map(|key| ("setActiveSession", json!({ "sessionKey": key }))));
        while sequence < 4 + 400 * batch {
            sequence += 1;
            assert_eq!(event(&mut live)["sequence"], sequence, "the other subscriber misses nothing");
        }
    }
    let mut last = 0;
    let mut resynced = false;
    while last < sequence {
        let event = event(&mut stalled);
        let next = event["sequence"].as_u64().unwrap();
        resynced |= event["type"] == "resync";
        assert!(next == last + 1 || event["type"] == "resync", "a gap is announced: {event} after {last}");
        last = next;
    }
    assert!(resynced, "this test should overflow the backlog");
}

#[test]
fn clearing_more_than_can_be_told_one_by_one_is_a_resync() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = daemon.log_in(&mut client, "a", 1000);
    let token = keyfob_tests::login::token(&key, START + 1000);
    let stores = (0..600).map(|n| ("storeSession", json!({ "sessionToken": token, "sessionKey": n.to_string() })));
    client.pipeline(stores);
    let mut subscriber = subscribe(&daemon);
    client.call("clearAllSessions", json!({}));
    assert_eq!(event(&mut subscriber)["type"], "resync");
    daemon.log_in(&mut client, "b", 1000);
    assert_eq!(brief(&mut subscriber).0, "keyPairCreated");
    assert_eq!(brief(&mut subscriber), ("sessionStored".to_owned(), json!("b")));
}

#[test]
fn a_subscription_may_be_to_some_events_and_the_next_one_takes_its_place() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let mut subscriber = daemon.connect();
    let wanted = json!({ "types": ["sessionStored", "sessionCleared"], "sessionKeys": ["a"] });
    subscriber.call("subscribe", wanted);
    daemon.log_in(&mut client, "b", 1000);
    daemon.log_in(&mut client, "a", 1000);
    client.call("clearAllSessions", json!({}));
    assert_eq!(brief(&mut subscriber), ("sessionStored".to_owned(), json!("a")));
    assert_eq!(brief(&mut subscriber), ("sessionCleared".to_owned(), json!("a")));

    subscriber.call("subscribe", json!({ "types": ["keyPairDeleted"] }));
    let pair = client.call("createApiKeyPair", json!({}))["publicKey"].clone();
    client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }));
    let deleted = event(&mut subscriber);
    assert_eq!((&deleted["publicKey"], &deleted["reason"]), (&pair, &json!("pruned")));
    let many = vec!["x"; 101];
    let fault = subscriber.fault("subscribe", json!({ "sessionKeys": many }));
    assert_eq!(fault["data"]["field"], "sessionKeys");
    client.call("lock", json!({}));
    client.call("unlock", json!({}));
    daemon.log_in(&mut client, "a", 1000);
    client.call("clearSession", json!({}));
    assert_eq!(event(&mut subscriber)["reason"], "cleared", "what was subscribed to before still comes");
}
