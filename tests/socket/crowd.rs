//! Many at once: connections, sessions, clears.

use std::time::Instant;

use keyfob_tests::login::token;
use keyfob_tests::{PATIENCE, RawClient, START, TestDaemon};
use serde_json::json;

/// Stores sessions `0` to `count - 1`, all with one key pair.
fn store_many(daemon: &TestDaemon, count: u64) {
    let mut client = daemon.connect();
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let token = token(&key, START + 1000);
    let store = |n| ("storeSession", json!({ "sessionToken": token, "sessionKey": format!("{n:08}") }));
    for from in (0..count).step_by(10_000) {
        let answers = client.pipeline((from..count.min(from + 10_000)).map(store));
        assert!(answers.iter().all(|answer| answer["result"].is_object()));
    }
}

#[test]
fn a_thousand_connections_at_once_are_all_served() {
    let daemon = TestDaemon::start();
    let mut clients: Vec<RawClient> = (0..1000).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.request("createApiKeyPair", &json!({}));
    }
    for client in &mut clients {
        assert!(client.read()["result"]["publicKey"].is_string());
    }
    let counts = clients[0].call("status", json!({}))["counts"].clone();
    assert_eq!((&counts["connections"], &counts["keyPairsUnused"]), (&json!(1000), &json!(1000)));
    let flushes = counts["flushes"].as_u64().unwrap();
    assert!(flushes < 1000, "{flushes} flushes for 1000 mutations at once");
}

#[test]
fn sixty_four_clients_that_clear_at_once_share_flushes() {
    let daemon = TestDaemon::start();
    store_many(&daemon, 64 * 20);
    let mut clients: Vec<RawClient> = (0..64).map(|_| daemon.connect()).collect();
    let before = clients[0].call("status", json!({}))["counts"]["flushes"].as_u64().unwrap();
    for round in 0..20 {
        for (n, client) in clients.iter_mut().enumerate() {
            client.request("clearSession", &json!({ "sessionKey": format!("{:08}", round * 64 + n) }));
        }
        for client in &mut clients {
            assert!(client.read()["result"].is_object());
        }
    }
    let counts = clients[0].call("status", json!({}))["counts"].clone();
    let flushes = counts["flushes"].as_u64().unwrap() - before;
    assert_eq!((&counts["sessions"], &counts["keyPairsInUse"]), (&json!(0), &json!(0)));
    assert!(flushes < 640, "{flushes} flushes for 1280 clears");
}

#[test]
fn a_hundred_thousand_sessions_are_cleared_in_one_step_and_removed_afterwards() {
    const COUNT: u64 = 100_000;
    let daemon = TestDaemon::start();
    store_many(&daemon, COUNT);
    let mut client = daemon.connect();
    let (mut count, mut after) = (0, json!({}));
    loop {
        let page = client.call("getAllSessions", after);
        count += page["sessions"].as_array().unwrap().len();
        if page["next"].is_null() {
            break;
        }
        after = json!({ "after": page["next"] });
    }
    assert_eq!(count as u64, COUNT);
    let flushes = client.call("status", json!({}))["counts"]["flushes"].as_u64().unwrap();

    let cleared = client.call("clearAllSessions", json!({}));
    assert_eq!(cleared, json!({ "clearedSessions": COUNT, "deletedKeyPairs": 1 }));
    let counts = client.call("status", json!({}))["counts"].clone();
    assert_eq!(counts["flushes"], flushes + 1, "one step");
    assert_eq!((&counts["sessions"], &counts["keyPairsInUse"]), (&json!(0), &json!(0)));

    daemon.log_in(&mut client, "next", 1000);
    let daemon = daemon.restart();
    let mut client = daemon.connect();
    let page = client.call("getAllSessions", json!({}));
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1, "the old ones stay gone, the new one is there");
    assert_eq!(page["activeSessionKey"], "next");
    // What was cleared leaves the disk too, and the vault serves meanwhile.
    let begun = Instant::now();
    while client.call("status", json!({}))["counts"]["storeBytes"].as_u64().unwrap() > 8 * 1024 * 1024 {
        assert!(begun.elapsed() < PATIENCE, "the vault is rewritten");
        client.call("setActiveSession", json!({ "sessionKey": "next" }));
    }
    let daemon = daemon.restart();
    let page = daemon.connect().call("getAllSessions", json!({}));
    assert_eq!((page["sessions"].as_array().unwrap().len(), &page["activeSessionKey"]), (1, &json!("next")));
}
