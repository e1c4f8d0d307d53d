//! Expiry over the socket: by the clock at use, and swept away durably.

use std::time::Duration;

use keyfob_tests::TestDaemon;
use keyfob_tests::login::token;
use keyfobd::clock::Timestamp;
use serde_json::json;

const START: u64 = keyfob_tests::START;

#[test]
fn an_expired_session_is_never_served_and_its_key_never_signs() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = daemon.log_in(&mut client, "a", 100);
    daemon.clock.advance(Duration::from_millis(99_999));
    assert!(client.call("getSession", json!({}))["session"].is_object());
    daemon.clock.advance(Duration::from_millis(1));
    let fault = client.fault("getSession", json!({}));
    assert_eq!(fault["data"], json!({ "code": "SESSION_EXPIRED", "sessionKey": "a", "expiry": START + 100 }));
    assert!(fault["message"].as_str().unwrap().contains("log in again"), "{fault}");
    assert_eq!(client.call("getAllSessions", json!({}))["sessions"], json!([]));
    assert_eq!(client.call("getActiveSessionKey", json!({})), json!({ "sessionKey": null }));
    assert_eq!(client.code("sign", json!({ "payload": "" })), "SESSION_EXPIRED");
    for (method, params) in [
        ("sign", json!({ "payload": "", "signer": { "sessionKey": "a" } })),
        ("stamp", json!({ "payload": "", "signer": { "sessionKey": "a" } })),
        ("getSession", json!({ "sessionKey": "a" })),
        ("setActiveSession", json!({ "sessionKey": "a" })),
    ] {
        assert_eq!(client.code(method, params), "SESSION_EXPIRED", "{method}");
    }
    assert_eq!(client.code("stamp", json!({ "payload": "", "signer": { "publicKey": key } })), "KEY_PAIR_NOT_FOUND");
    assert_eq!(client.code("clearSession", json!({ "sessionKey": "a" })), "NOT_FOUND");
    assert_eq!(client.code("clearAllSessions", json!({})), "NO_SESSION_FOUND");
}

#[test]
fn what_has_expired_is_gone_for_good_even_if_the_clock_goes_back() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "a", 100);
    let mut subscriber = daemon.connect();
    subscriber.call("subscribe", json!({}));
    daemon.clock.advance(Duration::from_secs(100));
    // The sweep is durable when it is announced.
    while subscriber.read()["params"]["reason"] != "expired" {}
    daemon.clock.set(Timestamp::from_secs(START));
    assert_eq!(client.code("getSession", json!({ "sessionKey": "a" })), "SESSION_EXPIRED");
    let daemon = daemon.restart();
    let mut client = daemon.connect();
    assert_eq!(client.code("getSession", json!({ "sessionKey": "a" })), "SESSION_EXPIRED", "it is remembered");
    assert_eq!(client.call("listApiKeyPairs", json!({}))["keyPairs"], json!([]));
}

#[test]
fn what_expires_while_the_daemon_is_down_is_swept_when_it_starts() {
    let daemon = TestDaemon::start();
    daemon.log_in(&mut daemon.connect(), "a", 100);
    let daemon = daemon.restart();
    let mut subscriber = daemon.connect();
    assert!(subscriber.call("getSession", json!({}))["session"].is_object());
    subscriber.call("subscribe", json!({}));
    daemon.clock.advance(Duration::from_secs(1_000_000));
    while subscriber.read()["params"]["reason"] != "expired" {}
    assert_eq!(subscriber.call_beside_events("status", json!({}))["counts"]["sessions"], 0);
}

#[test]
fn a_thousand_that_expire_at_once_all_go() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = daemon.log_in(&mut client, "x", 100);
    let token = token(&key, START + 100);
    let stores = (0..1200).map(|n| ("storeSession", json!({ "sessionToken": token, "sessionKey": n.to_string() })));
    client.pipeline(stores);
    let mut subscriber = daemon.connect();
    subscriber.call("subscribe", json!({}));
    daemon.clock.advance(Duration::from_secs(100));
    assert_eq!(client.call("getAllSessions", json!({}))["sessions"], json!([]));
    let mut cleared = 0;
    while cleared < 1201 {
        let event = subscriber.read()["params"].take();
        cleared += u32::from(event["type"] == "sessionCleared");
    }
    let counts = client.call("status", json!({}))["counts"].clone();
    assert_eq!((&counts["sessions"], &counts["keyPairsInUse"]), (&json!(0), &json!(0)));
}

#[test]
fn whatever_the_clock_does_nothing_expired_is_served_and_nothing_goes_while_it_jumps() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let lifetimes = [10_u64, 100, 1000, 10_000];
    for lifetime in lifetimes {
        daemon.log_in(&mut client, &lifetime.to_string(), lifetime);
    }
    // Forward, back before the start, a suspend of a quarter of an hour, back again, forward.
    for seconds in [5_i64, -1000, 50, 0, 900, -50, 99, 2000, -100_000, 1500] {
        let now = START.checked_add_signed(seconds).unwrap();
        daemon.clock.set(Timestamp::from_secs(now));
        for lifetime in lifetimes {
            let found = client.exchange("getSession", json!({ "sessionKey": lifetime.to_string() }));
            let found = found["result"]["session"].is_object();
            let signs =
                client.exchange("sign", json!({ "payload": "", "signer": { "sessionKey": lifetime.to_string() } }));
            assert_eq!(found, signs["result"].is_object());
            let lifetime = i64::try_from(lifetime).unwrap();
            assert!(!found || seconds < lifetime, "{lifetime} s were over");
            // It jumps, so it is never believed, and nothing is destroyed.
            assert_eq!(found, seconds < lifetime, "{lifetime} s");
        }
    }
}

#[test]
fn a_clock_that_was_set_ahead_destroys_nothing_until_it_was_steady_for_ten_minutes() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = daemon.log_in(&mut client, "a", 900);
    daemon.clock.set(Timestamp::from_secs(START + 1200));
    assert_eq!(client.code("stamp", json!({ "payload": "" })), "SESSION_EXPIRED");
    assert_eq!(client.call("listSessions", json!({}))["sessions"], json!([]));
    daemon.clock.advance(Duration::from_secs(17));
    daemon.clock.set(Timestamp::from_secs(START + 17));
    assert_eq!(client.call("sign", json!({ "payload": "" }))["publicKey"], key, "nothing is lost");
    daemon.clock.set(Timestamp::from_secs(START + 1200));
    daemon.clock.advance(Duration::from_secs(599));
    let mut subscriber = daemon.connect();
    subscriber.call("subscribe", json!({}));
    assert_eq!(client.call("clearUnusedKeyPairs", json!({}))["more"], false);
    daemon.clock.advance(Duration::from_secs(1));
    while subscriber.read()["params"]["reason"] != "expired" {}
    daemon.clock.set(Timestamp::from_secs(START));
    assert_eq!(client.code("getSession", json!({ "sessionKey": "a" })), "SESSION_EXPIRED");
}

#[test]
fn what_has_expired_and_is_not_destroyed_yet_can_be_cleared_replaced_and_imported_again() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let expire = |name: &str| {
        daemon.clock.set(Timestamp::from_secs(START));
        let key = daemon.log_in(&mut daemon.connect(), name, 900);
        daemon.clock.set(Timestamp::from_secs(START + 1200));
        key
    };
    let key = expire("a");
    let cleared = client.call("clearSession", json!({ "sessionKey": "a" }));
    assert_eq!(cleared["deletedPublicKey"], key);
    assert_eq!(client.call("getSession", json!({ "sessionKey": "a" }))["session"], json!(null), "cleared, not expired");

    expire("b");
    assert_eq!(client.call("clearAllSessions", json!({})), json!({ "clearedSessions": 1, "deletedKeyPairs": 1 }));

    let key = expire("c");
    assert_eq!(client.call("deleteApiKeyPair", json!({ "publicKey": key }))["publicKey"], key);
    assert_eq!(client.code("getSession", json!({ "sessionKey": "c" })), "SESSION_EXPIRED");

    let pair = keyfob_tests::login::fixture_key_pair();
    let login = token(pair["publicKey"].as_str().unwrap(), START + 900);
    daemon.clock.set(Timestamp::from_secs(START));
    client.call("createApiKeyPair", json!({ "externalKeyPair": pair }));
    client.call("storeSession", json!({ "sessionToken": login, "sessionKey": "d" }));
    daemon.clock.set(Timestamp::from_secs(START + 1200));
    client.call("createApiKeyPair", json!({ "externalKeyPair": pair }));
    let signed = client.call("sign", json!({ "payload": "", "signer": { "publicKey": pair["publicKey"] } }));
    assert_eq!(signed["publicKey"], pair["publicKey"], "what was taken in is there");
    daemon.clock.advance(Duration::from_secs(600));
    client.call("sign", json!({ "payload": "", "signer": { "publicKey": pair["publicKey"] } }));
}

#[test]
fn a_session_without_its_key_pair_is_stored_only_where_the_caller_says_so() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let pair = keyfob_tests::login::fixture_key_pair();
    let login = token(pair["publicKey"].as_str().unwrap(), START + 900);
    daemon.log_in(&mut client, "@turnkey/session/v3", 1000);
    let before = client.call("getAllSessions", json!({}));
    let fault = client.fault("storeSession", json!({ "sessionToken": login }));
    assert_eq!(fault["data"]["code"], "KEY_PAIR_NOT_FOUND", "{fault}");
    assert_eq!(client.call("getAllSessions", json!({})), before, "nothing was changed");
    client.call("stamp", json!({ "payload": "" }));
    let stored = client.call("storeSession", json!({ "sessionToken": login, "withoutKeyPair": true }));
    assert_eq!(stored["hasKeyPair"], false);
    assert_eq!(client.call("getSession", json!({}))["hasKeyPair"], false);
    assert_eq!(client.call("listSessions", json!({}))["sessions"][0]["hasKeyPair"], false);
    assert_eq!(client.call("describeSession", json!({}))["session"]["hasKeyPair"], false);
    client.call("createApiKeyPair", json!({ "externalKeyPair": pair }));
    assert_eq!(client.call("storeSession", json!({ "sessionToken": login }))["hasKeyPair"], true);
}
