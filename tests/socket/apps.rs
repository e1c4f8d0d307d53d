//! Several apps on one vault: the cases in which an SDK that sweeps and lists by itself fails.

use std::sync::Barrier;
use std::thread;

use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon};
use serde_json::{Value, json};

#[test]
fn apps_that_store_in_parallel_all_stay_listed_and_keep_their_keys() {
    let daemon = TestDaemon::start();
    thread::scope(|scope| {
        for app in 0..16 {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut client = daemon.connect();
                for round in 0..10 {
                    daemon.log_in(&mut client, &format!("{app}-{round}"), 1000);
                }
            });
        }
    });
    let mut client = daemon.connect();
    let (mut sessions, mut page) = (Vec::new(), client.call("getAllSessions", json!({})));
    loop {
        sessions.extend(page["sessions"].as_array().unwrap().clone());
        if page["next"].is_null() {
            break;
        }
        page = client.call("getAllSessions", json!({ "after": page["next"] }));
    }
    assert_eq!(sessions.len(), 160);
    for entry in sessions {
        client.call("sign", json!({ "payload": "", "signer": { "sessionKey": entry["sessionKey"] } }));
    }
}

#[test]
fn a_store_never_deletes_the_key_pair_of_a_login_in_flight() {
    let daemon = TestDaemon::start();
    let (mut slow, mut quick) = (daemon.connect(), daemon.connect());
    let pending = slow.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    for round in 0..20 {
        daemon.log_in(&mut quick, "quick", 1000);
        quick.call("clearUnusedKeyPairs", json!({}));
        if round % 5 == 0 {
            quick.call("clearAllSessions", json!({}));
        }
    }
    slow.call("storeSession", json!({ "sessionToken": token(&pending, START + 1000), "sessionKey": "slow" }));
    assert_eq!(slow.call("sign", json!({ "payload": "", "signer": { "sessionKey": "slow" } }))["publicKey"], pending);
}

#[test]
fn clear_all_racing_with_a_store_leaves_all_of_the_new_session_or_nothing() {
    let daemon = TestDaemon::start();
    let barrier = Barrier::new(2);
    for _ in 0..100 {
        let mut app = daemon.connect();
        let mut other = daemon.connect();
        daemon.log_in(&mut other, "old", 1000);
        let key = app.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
        let params = json!({ "sessionToken": token(&key, START + 1000), "sessionKey": "new" });
        let cleared = thread::scope(|scope| {
            let store = scope.spawn(|| {
                barrier.wait();
                app.call("storeSession", params)
            });
            barrier.wait();
            let cleared = other.call("clearAllSessions", json!({}));
            store.join().unwrap();
            cleared
        });
        let session = other.call("getSession", json!({ "sessionKey": "new" }))["session"].clone();
        let active = other.call("getActiveSessionKey", json!({}))["sessionKey"].clone();
        let signed = other.exchange("sign", json!({ "payload": "", "signer": { "publicKey": key } }));
        if cleared["clearedSessions"] == 1 {
            assert_eq!((&session["publicKey"], active), (&json!(key), json!("new")));
            assert!(signed["result"].is_object(), "the new session has its key: {signed}");
            other.call("clearAllSessions", json!({}));
        } else {
            assert_eq!((session, active), (json!(null), json!(null)));
            assert_eq!(signed["error"]["data"]["code"], "KEY_PAIR_NOT_FOUND", "nothing of it is left");
        }
    }
}

#[test]
fn a_cleared_sessions_key_never_signs_again() {
    let daemon = TestDaemon::start();
    for _ in 0..20 {
        let mut client = daemon.connect();
        let key = daemon.log_in(&mut client, "a", 1000);
        thread::scope(|scope| {
            let signers: Vec<_> = (0..4)
                .map(|_| {
                    let (daemon, key) = (&daemon, &key);
                    scope.spawn(move || {
                        let mut client = daemon.connect();
                        // Until it is refused; from then on for good.
                        while
                            client.exchange("sign", json!({ "payload": "", "signer": { "publicKey": key } }))["result"]
                                .is_object()
                        {}
                        for _ in 0..20 {
                            assert_eq!(
                                client.code("sign", json!({ "payload": "", "signer": { "publicKey": key } })),
                                "KEY_PAIR_NOT_FOUND"
                            );
                        }
                    })
                })
                .collect();
            client.call("clearSession", json!({ "sessionKey": "a" }));
            assert_eq!(
                client.code("stamp", json!({ "payload": "", "signer": { "publicKey": key } })),
                "KEY_PAIR_NOT_FOUND"
            );
            for signer in signers {
                signer.join().unwrap();
            }
        });
    }
}

#[test]
fn the_pointer_never_dangles() {
    let daemon = TestDaemon::start();
    thread::scope(|scope| {
        for app in 0..4 {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut client = daemon.connect();
                let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
                for round in 0..50 {
                    let name = format!("{}", (app + round) % 3);
                    let session_token = token(&key, START + 1000);
                    let bare = json!({ "sessionToken": session_token, "sessionKey": name, "withoutKeyPair": true });
                    client.call("storeSession", bare);
                    client.exchange("setActiveSession", json!({ "sessionKey": "0" }));
                    client.exchange(
                        "clearSession",
                        if round % 2 == 0 { json!({}) } else { json!({ "sessionKey": name }) },
                    );
                    if round % 10 == 0 {
                        client.exchange("clearAllSessions", json!({}));
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut client = daemon.connect();
            for _ in 0..500 {
                // One answer is one snapshot: what it says is active is in it.
                let page = client.call("getAllSessions", json!({}));
                let names: Vec<&Value> =
                    page["sessions"].as_array().unwrap().iter().map(|entry| &entry["sessionKey"]).collect();
                let active = &page["activeSessionKey"];
                assert!(active.is_null() || names.contains(&active), "{page}");
                let found = client.call("getSession", json!({}));
                assert_eq!(found["sessionKey"].is_null(), found["session"].is_null());
            }
        });
    });
}
