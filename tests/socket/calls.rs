//! Every row of the method table, with its faults.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use keyfob_tests::login::{base64, fixture, fixture_key_pair, token, token_of};
use keyfob_tests::{START, TestDaemon};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};

const NOBODY: &str = "02bbe5ddaa96bd1c8f8d5d7f5a0e7b0f0a8d3f6e4d1b0c5a7e9f3d2c1b0a998877";

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["sessionKey"].as_str().unwrap()).collect()
}

#[test]
fn clear_session_takes_everything_of_it_and_nothing_else() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let work = daemon.log_in(&mut client, "work", 1000);
    daemon.log_in(&mut client, "home", 1000);

    let cleared = client.call("clearSession", json!({ "sessionKey": "work" }));
    assert_eq!(cleared, json!({ "cleared": true, "sessionKey": "work", "deletedPublicKey": work, "wasActive": false }));
    let cleared = client.call("clearSession", json!({}));
    assert_eq!((&cleared["sessionKey"], &cleared["wasActive"]), (&json!("home"), &json!(true)));
    assert_eq!(client.code("clearSession", json!({})), "NO_SESSION_FOUND");
    let fault = client.fault("clearSession", json!({ "sessionKey": "work" }));
    assert_eq!((&fault["code"], &fault["data"]["code"]), (&json!(-32000), &json!("NOT_FOUND")));
    assert_eq!(fault["data"]["sessionKey"], "work");
    assert!(fault["message"].as_str().unwrap().contains("keyfob list"), "{fault}");

    let left = client.call("getAllSessions", json!({}));
    assert_eq!(left, json!({ "sessions": [], "activeSessionKey": null, "next": null }));
    assert_eq!(client.call("listApiKeyPairs", json!({}))["keyPairs"], json!([]));
}

#[test]
fn clear_all_sessions_leaves_nothing_of_them() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    assert_eq!(client.code("clearAllSessions", json!({})), "NO_SESSION_FOUND");
    let key = daemon.log_in(&mut client, "a", 1000);
    client.call("storeSession", json!({ "sessionToken": token(&key, START + 9), "sessionKey": "b" }));
    daemon.log_in(&mut client, "c", 1000);
    let unused = client.call("createApiKeyPair", json!({}))["publicKey"].clone();

    let cleared = client.call("clearAllSessions", json!({}));
    assert_eq!(cleared, json!({ "clearedSessions": 3, "deletedKeyPairs": 2 }));
    assert_eq!(client.code("clearAllSessions", json!({})), "NO_SESSION_FOUND");
    assert_eq!(client.code("clearSession", json!({})), "NO_SESSION_FOUND");
    assert_eq!(client.call("getActiveSessionKey", json!({})), json!({ "sessionKey": null }));
    assert_eq!(client.call("getAllSessions", json!({}))["sessions"], json!([]));
    let pairs = client.call("listApiKeyPairs", json!({}));
    assert_eq!(pairs["keyPairs"][0]["publicKey"], unused, "another app's login may be in flight");
    assert_eq!(pairs["keyPairs"].as_array().unwrap().len(), 1);
}

#[test]
fn store_session_reads_tokens_as_the_sdk_does_or_better() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    client.call("createApiKeyPair", json!({ "externalKeyPair": fixture_key_pair() }));
    let stored = client.call("storeSession", json!({ "sessionToken": fixture("read-write") }));
    assert_eq!(stored["sessionKey"], "@turnkey/session/v3", "the default session key");
    assert_eq!(stored["replacedPublicKey"], json!(null));
    assert_eq!((&stored["hasKeyPair"], &stored["active"]), (&json!(true), &json!(true)));
    assert_eq!(
        stored["session"],
        json!({
            "sessionType": "SESSION_TYPE_READ_WRITE",
            "userId": "6912b819-f4df-40f4-a192-20ee43090974",
            "organizationId": "c75ecb07-c84a-4dd5-932c-539dfafc6864",
            "expiry": 4_102_444_800_u64,
            "expirationSeconds": (4_102_444_800 - START).to_string(),
            "publicKey": fixture_key_pair()["publicKey"],
            "token": fixture("read-write"),
        })
    );
    let good = ["read-only", "profile+scope", "base64url - and _", "std base64 padded", "utf-8 scope", "bad signature"];
    for name in good {
        let stored = client.call("storeSession", json!({ "sessionToken": fixture(name) }));
        assert_eq!(stored["replacedPublicKey"], fixture_key_pair()["publicKey"], "{name}");
        match name {
            "profile+scope" => {
                assert_eq!(stored["session"]["scope"], "wallets:read transactions:sign");
                assert_eq!(stored["session"]["sessionProfileId"], "b1b2c3d4-0000-4000-8000-000000000001");
            }
            "utf-8 scope" => assert_eq!(stored["session"]["scope"], "café"),
            _ => {}
        }
    }
    assert_eq!(client.call("listApiKeyPairs", json!({}))["keyPairs"][0]["sessionCount"], 1, "the same key pair");
}

#[test]
fn store_session_refuses_tokens_that_are_none() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "kept", 1000);
    for (name, part) in [
        ("missing exp", "`exp`"),
        ("missing public_key", "`public_key`"),
        ("missing session_type", "`session_type`"),
        ("missing user_id", "`user_id`"),
        ("missing organization_id", "`organization_id`"),
        ("no dots", "three parts"),
        ("two parts", "three parts"),
        ("empty payload", "not a JSON object"),
        ("not json", "not a JSON object"),
        ("json null", "not a JSON object"),
    ] {
        let token = fixture(name);
        let fault = client.fault("storeSession", json!({ "sessionToken": token, "sessionKey": "x" }));
        assert_eq!(fault["data"]["code"], "INVALID_TOKEN", "{name}");
        assert_eq!(fault["data"]["sessionKey"], "x");
        let message = fault["message"].as_str().unwrap();
        assert!(message.contains(part) && !message.contains(&token), "{name}: {message}");
    }
    for name in ["expired", "real-expired"] {
        assert_eq!(client.code("storeSession", json!({ "sessionToken": fixture(name) })), "SESSION_EXPIRED", "{name}");
    }
    let long = format!("e30.{}.c2ln", "A".repeat(6 * 1024));
    let off_curve = format!("02{}07", "0".repeat(62));
    for wrong in
        [long, "e30.%%%.c2ln".to_owned(), token(&off_curve, START + 9), token("03ab", START + 9), String::new()]
    {
        assert_eq!(client.code("storeSession", json!({ "sessionToken": wrong })), "INVALID_TOKEN");
    }
    assert_eq!(names(&client.call("getAllSessions", json!({}))["sessions"]), ["kept"], "all else still stands");
}

#[test]
fn a_stored_session_replaces_its_namesake_with_its_key_pair() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let old = daemon.log_in(&mut client, "work", 1000);
    let new = daemon.log_in(&mut client, "work", 1000);
    let pairs = client.call("listApiKeyPairs", json!({}));
    assert_eq!(pairs["keyPairs"].as_array().unwrap().len(), 1);
    assert_eq!(pairs["keyPairs"][0]["publicKey"], new);
    assert_eq!(client.code("sign", json!({ "payload": "", "signer": { "publicKey": old } })), "KEY_PAIR_NOT_FOUND");
}

#[test]
fn get_session_answers_null_where_there_is_none() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let nothing = json!({ "sessionKey": null, "session": null, "hasKeyPair": false });
    assert_eq!(client.call("getSession", json!({})), nothing);
    daemon.log_in(&mut client, "a", 1000);
    assert_eq!(client.call("getSession", json!({ "sessionKey": "b" })), nothing);
    let active = client.call("getSession", json!({}));
    assert_eq!(active["sessionKey"], "a");
    assert_eq!(active["session"]["expiry"], START + 1000);
    assert_eq!(client.call("getSession", json!({ "sessionKey": "a" })), active);
}

#[test]
fn get_all_sessions_pages_in_key_order() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    for name in ["b", "é", "a", "Z", "c"] {
        daemon.log_in(&mut client, name, 1000);
    }
    let page = client.call("getAllSessions", json!({ "limit": 2 }));
    assert_eq!((names(&page["sessions"]), &page["next"]), (vec!["Z", "a"], &json!("a")));
    assert_eq!(page["activeSessionKey"], "c");
    let page = client.call("getAllSessions", json!({ "limit": 2, "after": "a" }));
    assert_eq!((names(&page["sessions"]), &page["next"]), (vec!["b", "c"], &json!("c")));
    let page = client.call("getAllSessions", json!({ "limit": 2, "after": "c" }));
    assert_eq!((names(&page["sessions"]), &page["next"]), (vec!["é"], &json!(null)));
    let page = client.call("getAllSessions", json!({ "after": "aa" }));
    assert_eq!(names(&page["sessions"]), ["b", "c", "é"], "`after` need not exist");
}

#[test]
fn set_active_session_moves_the_pointer_to_what_is_there() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "a", 1000);
    daemon.log_in(&mut client, "b", 1000);
    assert_eq!(client.call("setActiveSession", json!({ "sessionKey": "a" })), json!({ "sessionKey": "a" }));
    assert_eq!(client.code("setActiveSession", json!({ "sessionKey": "c" })), "NOT_FOUND");
    assert_eq!(client.call("getActiveSessionKey", json!({})), json!({ "sessionKey": "a" }));
}

#[test]
fn key_pairs_are_created_imported_listed_and_deleted() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let created = client.call("createApiKeyPair", json!({}))["publicKey"].clone();
    let imported = client.call("createApiKeyPair", json!({ "externalKeyPair": fixture_key_pair() }));
    assert_eq!(imported["publicKey"], fixture_key_pair()["publicKey"]);
    client.call("createApiKeyPair", json!({ "externalKeyPair": fixture_key_pair() }));
    client.call("storeSession", json!({ "sessionToken": fixture("read-write"), "sessionKey": "s" }));

    let pairs = client.call("listApiKeyPairs", json!({}))["keyPairs"].as_array().unwrap().clone();
    assert_eq!(pairs.len(), 2, "taken in twice, there once");
    for pair in &pairs {
        let is_created = pair["publicKey"] == created;
        let sessions = if is_created { json!([]) } else { json!(["s"]) };
        assert_eq!((&pair["sessionKeys"], &pair["createdAt"]), (&sessions, &json!(START)));
        let fields: Vec<&String> = pair.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["createdAt", "kept", "publicKey", "sessionCount", "sessionKeys"], "no private key");
    }
    let page = client.call("listApiKeyPairs", json!({ "limit": 1 }));
    assert_eq!(page["next"], page["keyPairs"][0]["publicKey"]);
    let page = client.call("listApiKeyPairs", json!({ "limit": 1, "after": page["next"] }));
    assert_eq!(page["next"], json!(null));

    let in_use = &imported["publicKey"];
    let fault = client.fault("deleteApiKeyPair", json!({ "publicKey": in_use }));
    assert_eq!((&fault["data"]["code"], &fault["data"]["publicKey"]), (&json!("KEY_PAIR_IN_USE"), in_use));
    let deleted = client.call("deleteApiKeyPair", json!({ "publicKey": created }));
    assert_eq!(deleted, json!({ "deleted": true, "publicKey": created }));
    assert_eq!(client.code("deleteApiKeyPair", json!({ "publicKey": created })), "KEY_PAIR_NOT_FOUND");
}

#[test]
fn imports_that_are_no_key_pair_are_refused() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let good = fixture_key_pair();
    let off_curve = format!("02{}07", "0".repeat(62));
    for (public, private, code) in [
        (good["publicKey"].as_str().unwrap(), "11".repeat(32), "INVALID_KEY_PAIR"),
        (good["publicKey"].as_str().unwrap(), "00".repeat(32), "INVALID_KEY_PAIR"),
        (good["publicKey"].as_str().unwrap(), "xy".repeat(32), "INVALID_KEY_PAIR"),
        (&off_curve, "11".repeat(32), "INVALID_KEY_PAIR"),
        ("02ab", "11".repeat(32), "INVALID_PARAMS"),
    ] {
        let fault = client
            .fault("createApiKeyPair", json!({ "externalKeyPair": { "publicKey": public, "privateKey": private } }));
        assert_eq!(fault["data"]["code"], code, "{public}");
        assert!(!fault.to_string().contains(&private), "{fault}");
    }
    assert_eq!(client.call("listApiKeyPairs", json!({}))["keyPairs"], json!([]));
}

#[test]
fn clear_unused_key_pairs_spares_pending_ones() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let old = client.call("createApiKeyPair", json!({}))["publicKey"].clone();
    daemon.clock.advance(std::time::Duration::from_secs(900));
    let pending = client.call("createApiKeyPair", json!({}))["publicKey"].clone();
    daemon.log_in(&mut client, "a", 1000);
    let cleared = client.call("clearUnusedKeyPairs", json!({}));
    assert_eq!(cleared, json!({ "deletedPublicKeys": [old], "more": false }));
    let cleared = client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }));
    assert_eq!(cleared["deletedPublicKeys"], json!([pending]));
}

/// Checks a signature as whoever receives it would.
fn verify(public_key: &Value, payload: &[u8], signature: &Signature) {
    let point = HEXLOWER.decode(public_key.as_str().unwrap().as_bytes()).unwrap();
    VerifyingKey::from_sec1_bytes(&point).unwrap().verify(payload, signature).unwrap();
}

#[test]
fn signatures_and_stamps_verify_whatever_the_payload() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let pair = json!(daemon.log_in(&mut client, "a", 1000));
    let large = vec![0xa5; 3_000_000];
    for payload in [&b""[..], b"{}", b"\0\xff\xed\xa0\x80", &large] {
        for (by, session) in [
            (None, json!("a")),
            (Some(json!({ "sessionKey": "a" })), json!("a")),
            (Some(json!({ "publicKey": pair })), json!(null)),
        ] {
            let mut params = json!({ "payload": base64(payload) });
            if let Some(by) = by {
                params["signer"] = by;
            }
            let signed = client.call("sign", params.clone());
            assert_eq!((&signed["publicKey"], &signed["sessionKey"]), (&pair, &session));
            let der = HEXLOWER.decode(signed["signature"].as_str().unwrap().as_bytes()).unwrap();
            verify(&pair, payload, &Signature::from_der(&der).unwrap());

            let stamped = client.call("stamp", params.clone());
            assert_eq!(stamped["stampHeaderName"], "X-Stamp");
            assert_eq!((&stamped["publicKey"], &stamped["sessionKey"]), (&pair, &session));
            let stamp = BASE64URL_NOPAD.decode(stamped["stampHeaderValue"].as_str().unwrap().as_bytes()).unwrap();
            let signature = signed["signature"].as_str().unwrap();
            let pair = pair.as_str().unwrap();
            let expected = format!(
                r#"{{"publicKey":"{pair}","scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":"{signature}"}}"#
            );
            assert_eq!(String::from_utf8(stamp).unwrap(), expected);

            params["format"] = json!("raw");
            let raw = HEXLOWER.decode(client.call("sign", params)["signature"].as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(Signature::from_slice(&raw).unwrap(), Signature::from_der(&der).unwrap());
        }
    }
}

#[test]
fn signing_without_a_signer_is_a_fault() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    for method in ["sign", "stamp"] {
        assert_eq!(client.code(method, json!({ "payload": "" })), "NO_SESSION_FOUND");
        let by = |signer| json!({ "payload": "", "signer": signer });
        assert_eq!(client.code(method, by(json!({ "sessionKey": "a" }))), "NOT_FOUND");
        assert_eq!(client.code(method, by(json!({ "publicKey": NOBODY }))), "KEY_PAIR_NOT_FOUND");
        assert_eq!(client.code(method, by(json!({ "publicKey": NOBODY.to_uppercase() }))), "KEY_PAIR_NOT_FOUND");
        let both = by(json!({ "publicKey": NOBODY, "sessionKey": "a" }));
        assert_eq!(client.code(method, both), "INVALID_PARAMS");
    }
    let elsewhere = json!({ "sessionToken": fixture("read-write"), "sessionKey": "elsewhere", "withoutKeyPair": true });
    client.call("storeSession", elsewhere);
    let fault = client.fault("stamp", json!({ "payload": "" }));
    assert_eq!(fault["data"]["publicKey"], fixture_key_pair()["publicKey"], "the vault never had it: {fault}");
}

#[test]
fn status_tells_the_state_of_the_daemon() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "a", 1000);
    client.call("createApiKeyPair", json!({}));
    let status = client.call("status", json!({}));
    assert_eq!((&status["protocolVersion"], &status["health"]), (&json!(1), &json!("ok")));
    assert_eq!((&status["pid"], &status["activeSessionKey"]), (&json!(std::process::id()), &json!("a")));
    let counts = json!({
        "sessions": 1, "keyPairsInUse": 1, "keyPairsKept": 0, "keyPairsUnused": 1, "connections": 1,
        "mutations": 3, "flushes": 3, "storeBytes": status["counts"]["storeBytes"],
    });
    assert_eq!(status["counts"], counts);
    assert!(status["counts"]["storeBytes"].as_u64().unwrap() > 0);
    assert_eq!(status["limits"]["lineBytes"], 4 * 1024 * 1024);
    assert_eq!(status["paths"]["dataDir"], daemon.data_dir().to_str().unwrap());
}

#[test]
fn shutdown_answers_and_drains() {
    let mut daemon = TestDaemon::start();
    let (mut client, mut other) = (daemon.connect(), daemon.connect());
    daemon.log_in(&mut other, "a", 1000);
    assert_eq!(client.call("shutdown", json!({})), json!({}));
    daemon.wait();
    assert_eq!(client.read_line(), None);
    assert_eq!(other.read_line(), None);
    assert!(!daemon.endpoint.path().exists(), "the socket is gone");
    let daemon = daemon.restart();
    assert_eq!(names(&daemon.connect().call("getAllSessions", json!({}))["sessions"]), ["a"]);
}

#[test]
fn the_vault_survives_a_restart_to_the_letter() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    for name in ["a", "b\0\u{1f511}", "__proto__", "@turnkey/all-session-keys", &"é".repeat(256)] {
        daemon.log_in(&mut client, name, 1000);
    }
    client.call("createApiKeyPair", json!({}));
    let claims = json!({
        "exp": START + 5, "public_key": fixture_key_pair()["publicKey"], "session_type": "T", "user_id": "u",
        "organization_id": "o", "scope": "café", "session_profile_id": "p",
    });
    client.call("createApiKeyPair", json!({ "externalKeyPair": fixture_key_pair(), "keep": true, "label": "café" }));
    client.call("storeSession", json!({ "sessionToken": token_of(&claims) }));
    client.call("setActiveSession", json!({ "sessionKey": "__proto__" }));
    let before = (client.call("getAllSessions", json!({})), client.call("listApiKeyPairs", json!({})));
    let signed = client.call("sign", json!({ "payload": "" }));
    let daemon = daemon.restart();
    let mut client = daemon.connect();
    assert_eq!((client.call("getAllSessions", json!({})), client.call("listApiKeyPairs", json!({}))), before);
    assert_eq!(client.call("sign", json!({ "payload": "" })), signed, "the private keys too");
}
