//! Locking and unlocking, over the socket.

use std::fs;
use std::time::Duration;

use keyfob_tests::{RawClient, TestDaemon};
use serde_json::{Value, json};

use crate::PASSPHRASE;

/// A vault with a session and an unused key pair, whose key comes from a passphrase.
fn vault() -> (TestDaemon, RawClient, String) {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    let unused = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    client.call("rekey", json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }));
    (daemon, client, unused)
}

fn is_locked(client: &mut RawClient) -> bool {
    client.call("status", json!({}))["lock"]["locked"].as_bool().unwrap()
}

#[test]
fn a_locked_vault_tells_names_and_clears_and_refuses_the_rest() {
    let (_daemon, mut client, unused) = vault();
    client.call("stamp", json!({ "payload": "" }));
    assert_eq!(client.call("lock", json!({})), json!({ "wasLocked": false }));
    assert_eq!(client.call("lock", json!({})), json!({ "wasLocked": true }));
    assert!(is_locked(&mut client));

    let names = client.call("listSessions", json!({}));
    assert_eq!((&names["sessions"][0]["sessionKey"], &names["activeSessionKey"]), (&json!("work"), &json!("work")));
    assert!(names["sessions"][0].get("token").is_none() && names["sessions"][0]["expiry"].is_u64());
    assert_eq!(client.call("listApiKeyPairs", json!({}))["keyPairs"].as_array().unwrap().len(), 2);
    let token = keyfob_tests::login::token(&unused, 2_000_000_000);
    let refused: [(&str, Value); 7] = [
        ("getSession", json!({})),
        ("getAllSessions", json!({})),
        ("sign", json!({ "payload": "" })),
        ("stamp", json!({ "payload": "" })),
        ("stamp", json!({ "payload": "", "signer": { "publicKey": unused } })),
        ("storeSession", json!({ "sessionToken": token })),
        ("createApiKeyPair", json!({})),
    ];
    for (method, params) in refused {
        let fault = client.fault(method, params);
        assert_eq!(fault["data"]["code"], "VAULT_LOCKED", "{method}");
        assert!(fault["message"].as_str().unwrap().contains("keyfob unlock"), "{fault}");
    }
    client.call("setActiveSession", json!({ "sessionKey": "work" }));
    client.call("deleteApiKeyPair", json!({ "publicKey": unused }));
    assert_eq!(client.call("clearSession", json!({}))["sessionKey"], "work");
    assert_eq!(client.code("clearAllSessions", json!({})), "NO_SESSION_FOUND");

    client.call("unlock", json!({ "passphrase": PASSPHRASE }));
    client.call("createApiKeyPair", json!({}));
}

#[test]
fn what_is_cleared_while_locked_leaves_the_rest_to_be_unlocked() {
    let (daemon, mut client, unused) = vault();
    daemon.log_in(&mut client, "home", 10_000);
    client.call("lock", json!({}));
    client.call("clearSession", json!({ "sessionKey": "home" }));
    let daemon = daemon.restart();
    let mut client = daemon.connect();
    assert!(is_locked(&mut client), "nobody gave the passphrase");
    assert_eq!(client.call("unlock", json!({ "passphrase": PASSPHRASE })), json!({ "wasLocked": true }));
    client.call("stamp", json!({ "payload": "", "signer": { "sessionKey": "work" } }));
    client.call("stamp", json!({ "payload": "", "signer": { "publicKey": unused } }));
    daemon.log_in(&mut client, "home", 10_000);
    client.call("lock", json!({}));
    client.call("clearAllSessions", json!({}));
    client.call("unlock", json!({ "passphrase": PASSPHRASE }));
    daemon.log_in(&mut client, "new", 10_000);
    let daemon = daemon.restart();
    let mut client = daemon.connect();
    client.call("unlock", json!({ "passphrase": PASSPHRASE }));
    client.call("stamp", json!({ "payload": "", "signer": { "sessionKey": "new" } }));
}

#[test]
fn wrong_passphrases_are_slowed_down() {
    let (daemon, mut client, _) = vault();
    client.call("lock", json!({}));
    let unlock = |passphrase: &str| json!({ "passphrase": passphrase });
    assert_eq!(client.code("unlock", unlock("wrong horse")), "WRONG_PASSPHRASE");
    let fault = client.fault("unlock", unlock(PASSPHRASE));
    assert_eq!((&fault["data"]["code"], &fault["data"]["retryAfterSeconds"]), (&json!("UNLOCK_DELAYED"), &json!(1)));
    daemon.clock.advance(Duration::from_secs(1));
    assert_eq!(client.code("unlock", unlock("wrong again")), "WRONG_PASSPHRASE");
    daemon.clock.advance(Duration::from_secs(1));
    assert_eq!(client.fault("unlock", unlock(PASSPHRASE))["data"]["retryAfterSeconds"], 1, "two seconds this time");
    daemon.clock.advance(Duration::from_secs(1));
    client.call("unlock", unlock(PASSPHRASE));
    client.call("lock", json!({}));
    client.call("unlock", unlock(PASSPHRASE));
}

#[test]
fn stopping_the_daemon_does_not_shorten_the_wait_after_wrong_passphrases() {
    let (mut daemon, mut client, _) = vault();
    let unlock = |passphrase: &str| json!({ "passphrase": passphrase });
    client.call("lock", json!({}));
    for expected in [1, 2, 4] {
        assert_eq!(client.code("unlock", unlock("wrong horse")), "WRONG_PASSPHRASE");
        daemon = daemon.restart();
        client = daemon.connect();
        let wait = client.fault("unlock", unlock(PASSPHRASE))["data"]["retryAfterSeconds"].as_u64().unwrap();
        // The clock of a test begins anew with its daemon.
        assert!(wait >= expected, "{wait} s after {expected}");
        daemon.clock.advance(Duration::from_secs(wait));
    }
    client.call("unlock", unlock(PASSPHRASE));
    let daemon = daemon.restart();
    daemon.connect().call("unlock", unlock(PASSPHRASE));
}

#[test]
fn unlocking_without_a_passphrase_or_with_a_bad_one_is_refused_by_field() {
    let (_daemon, mut client, _) = vault();
    client.call("lock", json!({}));
    let long = "p".repeat(1025);
    for params in [json!({}), json!({ "passphrase": long }), json!({ "passphrase": 7 }), json!({ "passphrase": null })]
    {
        let fault = client.fault("unlock", params);
        assert_eq!((&fault["data"]["code"], &fault["data"]["field"]), (&json!("INVALID_PARAMS"), &json!("passphrase")));
    }
    assert!(is_locked(&mut client));
}

#[test]
fn a_vault_with_a_key_file_unlocks_itself_and_can_be_locked() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    client.call("lock", json!({}));
    assert_eq!(client.code("stamp", json!({ "payload": "" })), "VAULT_LOCKED");
    client.call("unlock", json!({}));
    client.call("stamp", json!({ "payload": "" }));
    let daemon = daemon.restart();
    daemon.connect().call("stamp", json!({ "payload": "" }));
}

#[test]
fn a_vault_whose_key_file_is_gone_or_another_tells_names_and_clears() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    let dir = daemon.stop();
    let data = dir.path().join("data");
    let is_key = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("key-");
    let key_file = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).find(is_key).unwrap();
    let key = fs::read(&key_file).unwrap();
    fs::remove_file(&key_file).unwrap();

    let daemon = TestDaemon::start_in(dir);
    let mut client = daemon.connect();
    assert_eq!(client.code("stamp", json!({ "payload": "" })), "VAULT_LOCKED");
    let fault = client.fault("unlock", json!({}));
    assert_eq!(fault["data"]["code"], "KEY_UNAVAILABLE");
    assert!(fault["message"].as_str().unwrap().contains("backup"), "{fault}");
    fs::write(&key_file, [7; 32]).unwrap();
    assert_eq!(client.code("unlock", json!({})), "KEY_UNAVAILABLE");
    fs::write(&key_file, key).unwrap();
    client.call("unlock", json!({}));
    client.call("stamp", json!({ "payload": "" }));
}

#[test]
fn an_idle_vault_locks_itself_and_use_keeps_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = TestDaemon::start_locking(dir, Some(Duration::from_secs(100)));
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    let mut watcher = daemon.connect();
    watcher.call("subscribe", json!({}));
    daemon.clock.advance(Duration::from_secs(99));
    client.call("stamp", json!({ "payload": "" }));
    daemon.clock.advance(Duration::from_secs(99));
    assert!(!is_locked(&mut client));
    assert_eq!(client.call("status", json!({}))["lock"]["lockAfterSeconds"], 100);
    daemon.clock.advance(Duration::from_secs(1));
    let event = watcher.read();
    assert_eq!(event["params"]["type"], "vaultLocked");
    assert!(event["params"].get("by").is_none());
    assert!(is_locked(&mut client));
    client.call("unlock", json!({}));
    let event = watcher.read();
    assert_eq!(event["params"]["type"], "vaultUnlocked");
    assert!(event["params"]["by"]["uid"].is_u64());
}

#[test]
fn a_clock_that_was_put_back_does_not_keep_an_idle_vault_open() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = TestDaemon::start_locking(dir, Some(Duration::from_secs(100)));
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000_000);
    let mut watcher = daemon.connect();
    watcher.call("subscribe", json!({}));
    daemon.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(watcher.read()["params"]["type"], "vaultLocked");
    client.call("unlock", json!({}));
    assert_eq!(watcher.read()["params"]["type"], "vaultUnlocked");
    daemon.clock.set(keyfobd::clock::Timestamp::from_secs(keyfob_tests::START));
    client.call("stamp", json!({ "payload": "" }));
    daemon.clock.advance(Duration::from_secs(100));
    assert_eq!(watcher.read()["params"]["type"], "vaultLocked");
}
