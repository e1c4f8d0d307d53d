//! `kill -9`: what was acknowledged is there, and nothing is half there.

use keyfob_tests::login::token;
use keyfob_tests::{DaemonProcess, RawClient};
use serde_json::{Value, json};

use crate::directory;

/// Far in the future: a process has the system's clock.
const EXPIRY: u64 = 4_102_444_800;

fn log_in(client: &mut RawClient, name: &str) -> String {
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    client.call("storeSession", json!({ "sessionToken": token(&key, EXPIRY), "sessionKey": name }));
    key
}

/// Checks that session, key pair and pointer agree, and answers whether the session is there.
fn is_whole(client: &mut RawClient, name: &str, key: &str) -> bool {
    let found = client.call("getSession", json!({ "sessionKey": name }))["session"].is_object();
    let signed =
        client.exchange("sign", json!({ "payload": "", "signer": { "publicKey": key } }))["result"].is_object();
    assert_eq!(found, signed, "a session has its key pair, and a key pair its session");
    let active = client.call("getActiveSessionKey", json!({}))["sessionKey"].clone();
    assert!(found || active != name, "no dangling pointer");
    found
}

#[test]
fn a_clear_that_was_answered_is_durable_and_a_killed_one_is_whole_or_not_at_all() {
    let dir = directory();
    for round in 0..24 {
        let daemon = DaemonProcess::start(dir.path());
        let mut client = daemon.connect();
        let key = log_in(&mut client, "a");
        let clear: (&str, Value) = match round % 3 {
            0 => ("clearSession", json!({})),
            1 => ("clearSession", json!({ "sessionKey": "a" })),
            _ => ("clearAllSessions", json!({})),
        };
        // Killed before the answer is read, or after.
        let is_answered = round % 2 == 0;
        client.request(clear.0, &clear.1);
        if is_answered {
            assert!(client.read()["result"].is_object());
        }
        daemon.kill();
        let daemon = DaemonProcess::start(dir.path());
        let is_there = is_whole(&mut daemon.connect(), "a", &key);
        assert!(!(is_answered && is_there), "acknowledged means durable");
        if is_there {
            daemon.connect().call("clearAllSessions", json!({}));
        }
    }
}

#[test]
fn stores_that_were_answered_survive_a_kill_in_the_middle_of_others() {
    let dir = directory();
    for round in 0..8 {
        let daemon = DaemonProcess::start(dir.path());
        let mut client = daemon.connect();
        let key = log_in(&mut client, "first");
        let token = token(&key, EXPIRY);
        for n in 0..200 {
            client.request("storeSession", &json!({ "sessionToken": token, "sessionKey": n.to_string() }));
        }
        let acknowledged = round * 20;
        for _ in 0..acknowledged {
            assert!(client.read()["result"].is_object());
        }
        daemon.kill();
        let daemon = DaemonProcess::start(dir.path());
        let mut client = daemon.connect();
        for n in 0..acknowledged {
            assert!(is_whole(&mut client, &n.to_string(), &key), "session {n} was acknowledged");
        }
        client.call("clearAllSessions", json!({}));
        assert!(!is_whole(&mut client, "first", &key));
    }
}
