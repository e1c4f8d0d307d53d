//! Grants: parts of the vault, each through a socket of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keyfob_tests::login::{base64, token};
use keyfob_tests::{RawClient, START, TestDaemon};
use serde_json::{Value, json};

/// Makes a grant, and answers where its socket is.
fn grant(owner: &mut RawClient, params: Value) -> PathBuf {
    owner.call("createGrant", params)["socket"].as_str().unwrap().into()
}

/// A grant on the session `work` alone, beside a session `private`.
fn on_work(daemon: &TestDaemon, owner: &mut RawClient, may: &[&str]) -> RawClient {
    daemon.log_in(owner, "private", 10_000);
    daemon.log_in(owner, "work", 10_000);
    owner.call("setActiveSession", json!({ "sessionKey": "private" }));
    RawClient::connect(&grant(owner, json!({ "may": may, "sessionKeys": ["work"], "name": "g" })))
}

#[test]
fn a_grant_on_one_session_is_a_vault_with_that_session() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["stamp", "read"]);
    assert_eq!(guest.call("getActiveSessionKey", json!({}))["sessionKey"], "work", "whatever is active elsewhere");
    let names = guest.call("listSessions", json!({}));
    assert_eq!(names["sessions"].as_array().unwrap().len(), 1, "{names}");
    assert_eq!(names["sessions"][0]["active"], true);
    assert_eq!(guest.call("listApiKeyPairs", json!({}))["keyPairs"].as_array().unwrap().len(), 1);
    assert_eq!(guest.call("stamp", json!({ "payload": base64("{}") }))["sessionKey"], "work");
    assert_eq!(guest.call("getSession", json!({}))["sessionKey"], "work");
    let other = json!({ "payload": base64("{}"), "signer": { "sessionKey": "private" } });
    assert_eq!(guest.code("stamp", other), "NOT_FOUND");
    assert_eq!(guest.call("getSession", json!({ "sessionKey": "private" }))["session"], json!(null));

    let fault = guest.fault("clearSession", json!({}));
    assert_eq!(fault["data"]["code"], "ACCESS_DENIED");
    assert_eq!(fault["data"]["granted"], json!({ "may": ["stamp", "read"], "sessionKeys": ["work"] }));
    for method in ["lock", "unlock", "shutdown", "listGrants", "revokeAllGrants", "setLockAfter", "clearAllSessions"] {
        assert_eq!(guest.code(method, json!({})), "ACCESS_DENIED", "{method}");
    }
    let status = guest.call("status", json!({}));
    assert_eq!((&status["grant"]["name"], &status["counts"]["sessions"]), (&json!("g"), &json!(1)));
    for absent in ["pid", "paths", "storage", "memory", "uptimeSeconds", "health"] {
        assert_eq!(status.get(absent), None, "{absent}");
    }
}

#[test]
fn a_login_through_a_grant_is_stored_under_its_names_and_nothing_else_is_touched() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let unused = owner.call("createApiKeyPair", json!({}))["publicKey"].clone();
    let mut guest = on_work(&daemon, &mut owner, &["store", "clear", "stamp"]);
    let private = owner.call("describeSession", json!({ "sessionKey": "private" }));

    // Key pairs that are not theirs are not there.
    let of_private = private["session"]["publicKey"].as_str().unwrap().to_owned();
    for key in [of_private.as_str(), unused.as_str().unwrap()] {
        let stored = json!({ "sessionToken": token(key, START + 100), "sessionKey": "work" });
        assert_eq!(guest.code("storeSession", stored), "KEY_PAIR_NOT_FOUND");
        assert_eq!(guest.code("deleteApiKeyPair", json!({ "publicKey": key })), "KEY_PAIR_NOT_FOUND");
        let signer = json!({ "payload": base64("{}"), "signer": { "publicKey": key } });
        assert_eq!(guest.code("stamp", signer), "KEY_PAIR_NOT_FOUND");
    }
    assert_eq!(guest.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }))["deletedPublicKeys"], json!([]));

    let key = guest.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let stored = guest.call("storeSession", json!({ "sessionToken": token(&key, START + 500), "sessionKey": "work" }));
    assert_eq!((&stored["active"], &stored["hasKeyPair"]), (&json!(true), &json!(true)));
    assert_eq!(owner.call("getActiveSessionKey", json!({}))["sessionKey"], "private", "the vault's own pointer stays");
    let elsewhere = json!({ "sessionToken": token(&key, START + 500), "sessionKey": "private" });
    assert_eq!(guest.code("storeSession", elsewhere), "ACCESS_DENIED");

    let cleared = guest.call("clearAllSessions", json!({}));
    assert_eq!(cleared, json!({ "clearedSessions": 1, "deletedKeyPairs": 1 }));
    assert_eq!(owner.call("describeSession", json!({ "sessionKey": "private" })), private);
    assert_eq!(owner.call("listApiKeyPairs", json!({}))["keyPairs"].as_array().unwrap().len(), 2);
    assert_eq!(guest.code("stamp", json!({ "payload": base64("{}") })), "NO_SESSION_FOUND");
}

#[test]
fn a_key_pair_that_is_shared_with_something_outside_is_gone_there_and_lives_on() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["clear"]);
    let key = owner.call("describeSession", json!({ "sessionKey": "work" }))["session"]["publicKey"].clone();
    let shared = json!({ "sessionToken": token(key.as_str().unwrap(), START + 9), "sessionKey": "private" });
    owner.call("storeSession", shared);
    assert_eq!(guest.call("listApiKeyPairs", json!({}))["keyPairs"][0]["sessionCount"], 1, "it sees one session of it");
    let cleared = guest.call("clearSession", json!({}));
    assert_eq!((&cleared["deletedPublicKey"], &cleared["wasActive"]), (&key, &json!(true)));
    let payload = json!({ "payload": base64("x"), "signer": { "sessionKey": "private" } });
    assert_eq!(owner.call("sign", payload)["publicKey"], key);
}

#[test]
fn of_several_sessions_the_one_last_stored_or_chosen_there_is_the_active_one() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    for name in ["a", "b", "outside"] {
        daemon.log_in(&mut owner, name, 1000);
    }
    let call = json!({ "may": ["store", "clear"], "sessionKeys": ["a", "b"] });
    let mut guest = RawClient::connect(&grant(&mut owner, call));
    assert_eq!(guest.call("getActiveSessionKey", json!({}))["sessionKey"], json!(null));
    assert_eq!(guest.code("clearSession", json!({})), "NO_SESSION_FOUND");
    guest.call("setActiveSession", json!({ "sessionKey": "b" }));
    assert_eq!(guest.code("setActiveSession", json!({ "sessionKey": "outside" })), "NOT_FOUND");
    assert_eq!(owner.call("getActiveSessionKey", json!({}))["sessionKey"], "outside");
    // Sent together, they take effect in order.
    let answers = guest.pipeline([("clearSession", json!({})), ("clearSession", json!({ "ifExists": true }))]);
    assert_eq!((&answers[0]["result"]["sessionKey"], &answers[0]["result"]["wasActive"]), (&json!("b"), &json!(true)));
    assert_eq!(answers[1]["result"]["cleared"], false);
}

#[test]
fn who_watches_through_a_grant_is_told_of_its_sessions_without_gaps_and_not_by_whom() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["watch"]);
    assert_eq!(guest.call("subscribe", json!({})), json!({ "sequence": 0 }));
    for _ in 0..3 {
        daemon.log_in(&mut owner, "private", 1000);
    }
    let key = daemon.log_in(&mut owner, "work", 1000);
    owner.call("clearSession", json!({ "sessionKey": "private" }));
    owner.call("lock", json!({}));
    let cleared = json!({ "sequence": 1, "type": "sessionCleared", "sessionKey": "work", "reason": "replaced" });
    let stored = json!({
        "sequence": 2, "type": "sessionStored", "sessionKey": "work", "publicKey": key, "expiry": START + 1000,
    });
    for event in [cleared, stored, json!({ "sequence": 3, "type": "vaultLocked" })] {
        assert_eq!(guest.read()["params"], event);
    }
}

#[test]
fn who_watches_through_a_grant_is_told_that_its_session_went_with_a_thousand_others() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["watch", "store"]);
    let call = json!({ "may": ["watch", "store"], "sessionKeys": ["not there"], "name": "other" });
    let mut stranger = RawClient::connect(&grant(&mut owner, call));
    let key = daemon.log_in(&mut owner, "private", 10_000);
    let many = (0..1000)
        .map(|n| ("storeSession", json!({ "sessionToken": token(&key, START + 99), "sessionKey": n.to_string() })));
    owner.pipeline(many);
    guest.call("subscribe", json!({}));
    stranger.call("subscribe", json!({}));
    owner.call("clearAllSessions", json!({}));
    owner.call("lock", json!({}));
    let event = guest.read()["params"].clone();
    assert_eq!((&event["type"], &event["reason"]), (&json!("sessionCleared"), &json!("allCleared")));
    assert_eq!(guest.read()["params"]["type"], "vaultLocked");
    let first = stranger.read()["params"].clone();
    assert_eq!(
        (&first["type"], &first["sequence"]),
        (&json!("vaultLocked"), &json!(1)),
        "of the rest it hears nothing"
    );
}

/// Waits for the end of a connection.
fn end(guest: &mut RawClient) {
    while guest.read_line().is_some() {}
}

/// Waits for the event that a grant has ended; answers why.
fn why_ended(watcher: &mut RawClient) -> Value {
    loop {
        let event = watcher.read()["params"].clone();
        if event["type"] == "grantEnded" {
            return event["reason"].clone();
        }
    }
}

#[test]
fn a_grant_ends_in_every_way_it_can_and_its_socket_goes_with_it() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    daemon.log_in(&mut owner, "work", 100_000);
    let mut watcher = daemon.connect();
    watcher.call("subscribe", json!({}));
    let mut second = Some(daemon.connect());
    let ways: [(&str, Value); 6] = [
        ("expired", json!({ "seconds": 60 })),
        ("revoked", json!({})),
        ("revoked", json!({ "name": "all" })),
        ("usedUp", json!({ "uses": 2 })),
        ("disconnected", json!({ "untilDisconnect": true })),
        ("sessionsGone", json!({})),
    ];
    for (reason, mut params) in ways {
        params["may"] = json!(["stamp"]);
        params["sessionKeys"] = json!(["work"]);
        let maker = if reason == "disconnected" { second.as_mut().unwrap() } else { &mut owner };
        let made = maker.call("createGrant", params.clone());
        let socket = Path::new(made["socket"].as_str().unwrap()).to_owned();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        let mut guest = RawClient::connect(&socket);
        let stamp = json!({ "payload": base64("{}") });
        guest.call("stamp", stamp.clone());
        match reason {
            "expired" => daemon.clock.set(keyfobd::clock::Timestamp::from_secs(START + 60)),
            "revoked" if params["name"] == "all" => drop(owner.call("revokeAllGrants", json!({}))),
            "revoked" => drop(owner.call("revokeGrant", json!({ "name": made["name"] }))),
            "usedUp" => drop(guest.call("stamp", stamp)),
            "disconnected" => drop(second.take()),
            _ => drop(owner.call("clearSession", json!({ "sessionKey": "work" }))),
        }
        end(&mut guest);
        assert_eq!(why_ended(&mut watcher), reason);
        assert!(!socket.exists(), "{reason}");
        assert_eq!(owner.call("listGrants", json!({})), json!({ "grants": [] }));
    }
}

#[test]
fn a_socket_that_took_the_place_of_a_grants_stays_when_the_grant_ends() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let socket = grant(&mut owner, json!({ "may": ["stamp"] }));
    std::fs::remove_file(&socket).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    owner.call("revokeAllGrants", json!({}));
    assert!(socket.exists());
}

#[test]
fn a_grant_that_may_store_outlives_its_sessions() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["store", "stamp"]);
    owner.call("clearSession", json!({ "sessionKey": "work" }));
    daemon.log_in(&mut owner, "work", 1000);
    guest.call("stamp", json!({ "payload": base64("{}") }));
    assert_eq!(guest.code("getSession", json!({})), "ACCESS_DENIED");
}

#[test]
fn a_grant_sleeps_while_the_vault_is_locked() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["stamp"]);
    owner.call("lock", json!({}));
    assert_eq!(guest.code("stamp", json!({ "payload": base64("{}") })), "VAULT_LOCKED");
    assert_eq!(guest.call("status", json!({}))["lock"], json!({ "locked": true }));
    owner.call("unlock", json!({}));
    guest.call("stamp", json!({ "payload": base64("{}") }));
}

#[test]
fn the_owner_sees_who_uses_a_grant_and_what_was_refused() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut watcher = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["stamp"]);
    watcher.call("subscribe", json!({ "types": ["grantRefused"] }));
    for _ in 0..5 {
        guest.call("stamp", json!({ "payload": base64("{}") }));
        guest.code("clearAllSessions", json!({}));
    }
    guest.code("stamp", json!({ "payload": base64("{}"), "signer": { "sessionKey": "private" } }));
    let entry = owner.call("listGrants", json!({}))["grants"][0].clone();
    assert_eq!((&entry["used"], &entry["refused"], &entry["connections"]), (&json!(5), &json!(5), &json!(1)));
    assert_eq!((&entry["lastUse"]["method"], &entry["lastUse"]["pid"]), (&json!("stamp"), &json!(std::process::id())));
    let own = std::env::current_exe().unwrap().canonicalize().unwrap();
    assert_eq!(entry["lastUse"]["program"], own.to_str().unwrap());
    let mut told = 0;
    while told < 5 {
        let event = watcher.read()["params"].clone();
        assert_eq!((&event["name"], &event["method"]), (&json!("g"), &json!("clearAllSessions")));
        told += event["count"].as_u64().unwrap();
    }
    assert_eq!(told, 5);
}

#[test]
fn what_cannot_be_granted_is_refused_and_leaves_nothing() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    daemon.log_in(&mut owner, "work", 1000);
    let dir = daemon.data_dir();
    std::fs::write(dir.join("plain"), "x").unwrap();
    grant(&mut owner, json!({ "may": ["stamp"], "name": "taken" }));
    let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    for (params, code) in [
        (json!({ "may": [] }), "INVALID_PARAMS"),
        (json!({ "may": ["lock"] }), "INVALID_PARAMS"),
        (json!({ "may": ["stamp"], "sessionKeys": [] }), "INVALID_PARAMS"),
        (json!({ "may": ["store"], "sessionKeys": many }), "INVALID_PARAMS"),
        (json!({ "may": ["stamp"], "seconds": 0 }), "INVALID_PARAMS"),
        (json!({ "may": ["stamp"], "seconds": 31 * 24 * 3600 }), "INVALID_PARAMS"),
        (json!({ "may": ["stamp"], "name": "../up" }), "INVALID_PARAMS"),
        (json!({ "may": ["stamp"], "uid": -1 }), "INVALID_PARAMS"),
        (json!({ "may": ["stamp"], "sessionKeys": ["nobody"] }), "NOT_FOUND"),
        (json!({ "may": ["stamp"], "name": "taken" }), "GRANT_EXISTS"),
        (json!({ "may": ["stamp"], "socket": "here" }), "SOCKET_UNAVAILABLE"),
        (json!({ "may": ["stamp"], "socket": "/not/there/s" }), "SOCKET_UNAVAILABLE"),
        (json!({ "may": ["stamp"], "socket": format!("/tmp/{}", "x".repeat(200)) }), "SOCKET_UNAVAILABLE"),
        (json!({ "may": ["stamp"], "socket": dir.join("plain") }), "SOCKET_UNAVAILABLE"),
        (json!({ "may": ["stamp"], "socket": daemon.endpoint.path() }), "SOCKET_UNAVAILABLE"),
    ] {
        assert_eq!(owner.code("createGrant", params.clone()), code, "{params}");
    }
    assert_eq!(std::fs::read_to_string(dir.join("plain")).unwrap(), "x");
    assert_eq!(owner.call("listGrants", json!({}))["grants"].as_array().unwrap().len(), 1);
    assert_eq!(owner.code("revokeGrant", json!({ "name": "nobody" })), "GRANT_NOT_FOUND");
    assert_eq!(owner.call("revokeGrant", json!({ "name": "nobody", "ifExists": true }))["revoked"], false);
    for n in 1..100 {
        grant(&mut owner, json!({ "may": ["stamp"], "name": n.to_string() }));
    }
    let fault = owner.fault("createGrant", json!({ "may": ["stamp"] }));
    assert_eq!((&fault["data"]["code"], &fault["data"]["limit"]), (&json!("LIMIT_REACHED"), &json!("grants")));
}

#[test]
fn nothing_takes_effect_through_a_grant_after_it_was_revoked() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    for round in 0..20 {
        daemon.log_in(&mut owner, "work", 10_000);
        let call = json!({ "may": ["store", "clear"], "sessionKeys": ["work"], "name": format!("r{round}") });
        let mut guest = RawClient::connect(&grant(&mut owner, call));
        let mut sender = guest.duplicate();
        let sending = std::thread::spawn(move || {
            for _ in 0..200 {
                sender.request("clearSession", &json!({ "ifExists": true }));
            }
            sender
        });
        assert!(guest.read_line().is_some());
        owner.call("revokeGrant", json!({ "name": format!("r{round}") }));
        daemon.log_in(&mut owner, "work", 10_000);
        end(&mut guest);
        // The connection may have been closed before all was written.
        drop(sending.join());
        assert!(owner.call("describeSession", json!({ "sessionKey": "work" }))["session"].is_object(), "{round}");
    }
}

#[test]
fn the_audit_has_a_line_for_each_change_and_each_use_of_a_grant() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = on_work(&daemon, &mut owner, &["stamp", "clear"]);
    guest.call("stamp", json!({ "payload": base64("{}") }));
    guest.code("lock", json!({}));
    guest.call("clearSession", json!({}));
    end(&mut guest);
    let dir = daemon.stop();
    let read = |name: &str| {
        let text = std::fs::read_to_string(dir.path().join("data").join(name)).unwrap();
        assert!(!text.contains("eyJ"), "no token, no payload");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let types =
        |lines: &[Value]| lines.iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let login = ["keyPairCreated", "sessionStored", "activeSessionChanged"];
    let rest = ["activeSessionChanged", "grantCreated", "grantEnded"];
    assert_eq!(types(&read("audit.jsonl")), [&["daemonStarted"][..], &login, &login, &rest].concat());
    let lines = read("audit-shared.jsonl");
    let mut shared = types(&lines);
    shared.retain(|kind| kind != "grantRefused");
    assert_eq!(shared, ["grantUsed", "sessionCleared", "keyPairDeleted", "grantUsed"]);
    let used = lines.iter().find(|line| line["type"] == "grantUsed").unwrap();
    assert_eq!(
        (&used["method"], &used["sessionKey"], &used["by"]["grant"]),
        (&json!("stamp"), &json!("work"), &json!("g"))
    );
    assert_eq!(used["by"]["pid"], std::process::id());
    assert!(used["program"].is_string() && used["time"].as_str().unwrap().starts_with("2027-01-15T"), "{used}");
    let cleared = lines.iter().find(|line| line["type"] == "sessionCleared").unwrap();
    assert_eq!((&cleared["sessionKey"], &cleared["by"]["grant"]), (&json!("work"), &json!("g")));
}
