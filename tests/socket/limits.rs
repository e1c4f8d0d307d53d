//! What somebody who is not the owner may make the daemon hold and do; here, through a grant.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use keyfob_tests::login::{base64, token, token_of};
use keyfob_tests::{RawClient, START, TestDaemon};
use serde_json::{Value, json};

/// A grant on all sessions, with every permission and no limit of its own but these.
#[allow(clippy::needless_pass_by_value, reason = "so that tests can write json!({}) in place")]
fn grant(owner: &mut RawClient, limits: Value) -> PathBuf {
    let mut params =
        json!({ "may": ["stamp", "sign", "read", "store", "clear", "watch"], "callsPerSecond": 1_000_000 });
    params.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    owner.call("createGrant", params)["socket"].as_str().unwrap().into()
}

/// Whether the daemon has said nothing yet, and has not hung up.
fn is_left_waiting(stream: &mut UnixStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream.read(&mut [0; 1]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn stuck_long_lines_of_others_do_not_make_the_owners_long_line_wait() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    daemon.log_in(&mut owner, "work", 1000);
    let socket = grant(&mut owner, json!({}));
    let mut stuck: Vec<UnixStream> = (0..100).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for stream in &mut stuck {
        stream.write_all(&b" ".repeat(70_000)).unwrap();
    }
    owner.call("sign", json!({ "payload": base64(vec![7; 100_000]) }));
    assert!(stuck.iter_mut().all(is_left_waiting), "the owner was answered before any of them lost its place");
    // Theirs wait for each other, and those that stall lose their places.
    let mut guest = RawClient::connect(&socket);
    guest.call("sign", json!({ "payload": "" }));
    let first = stuck.swap_remove(0);
    first.set_nonblocking(false).unwrap();
    let mut first = RawClient::over(first);
    drop(stuck);
    let said = first.read();
    assert_eq!(said["error"]["data"]["code"], "LINE_TIMEOUT", "{said}");
    guest.call("sign", json!({ "payload": base64(vec![7; 100_000]) }));
}

#[test]
fn pages_that_are_not_read_do_not_make_the_owner_wait() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let key = daemon.log_in(&mut owner, "work", 1000);
    let token = token(&key, START + 1000);
    owner.pipeline((0..500).map(|n| ("storeSession", json!({ "sessionToken": token, "sessionKey": n.to_string() }))));
    let socket = grant(&mut owner, json!({}));
    let ask =
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "getAllSessions", "params": { "limit": 1000 } }));
    let mut deaf: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for stream in &mut deaf {
        stream.write_all(ask.repeat(20).as_bytes()).unwrap();
    }
    for _ in 0..20 {
        let page = owner.call("getAllSessions", json!({ "limit": 1000 }));
        assert!(page["sessions"].as_array().unwrap().len() > 100);
        daemon.connect().call("status", json!({}));
    }
    // One that reads is served beside those of its kind that do not: there is room for some more pages.
    assert!(deaf.len() == 64);
}

#[test]
fn what_others_store_is_counted_and_what_they_remove_counts_no_more() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = RawClient::connect(&grant(&mut owner, json!({})));
    let create = || ("createApiKeyPair", json!({}));
    let created = guest.pipeline((0..101).map(|_| create()));
    let keys: Vec<_> = created.iter().filter_map(|answer| answer["result"]["publicKey"].as_str()).collect();
    assert_eq!((keys.len(), &created[100]["error"]["data"]["limit"]), (100, &json!("keyPairs")));
    guest.call("deleteApiKeyPair", json!({ "publicKey": keys[0] }));
    guest.call("createApiKeyPair", json!({}));

    // 1,000 sessions, which may have 2 MiB of tokens together.
    let key = keys[1];
    let stored =
        |n: usize, token: &str| ("storeSession", json!({ "sessionToken": token, "sessionKey": n.to_string() }));
    let small = token(key, START + 1000);
    let answers = guest.pipeline((0..1001).map(|n| stored(n, &small)));
    assert!(answers[..1000].iter().all(|answer| answer["result"].is_object()));
    assert_eq!(answers[1000]["error"]["data"]["limit"], "sessions");
    assert!(guest.pipeline([stored(7, &small)])[0]["result"].is_object(), "in place of one of theirs");
    assert!(guest.call("clearAllSessions", json!({}))["clearedSessions"] == 1000);
    let key = guest.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let large = token_of(&json!({
        "exp": START + 1000, "public_key": key, "session_type": "x", "user_id": "u", "organization_id": "o",
        "padding": "p".repeat(4000),
    }));
    let answers = guest.pipeline((0..500).map(|n| stored(n, &large)));
    let refused = answers.iter().find(|answer| answer["error"].is_object()).unwrap();
    assert_eq!(refused["error"]["data"]["limit"], "bytes");
    assert!(owner.pipeline([stored(501, &large)])[0]["result"].is_object(), "the owner's are not counted");
}

#[test]
fn the_vault_holds_ten_thousand_unused_key_pairs_and_others_half_of_them() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let create = |count: usize| (0..count).map(|_| ("createApiKeyPair", json!({})));
    assert!(owner.pipeline(create(5000)).iter().all(|answer| answer["result"].is_object()));
    let mut guest = RawClient::connect(&grant(&mut owner, json!({})));
    assert_eq!(guest.code("createApiKeyPair", json!({})), "LIMIT_REACHED");
    assert!(owner.pipeline(create(5000)).iter().all(|answer| answer["result"].is_object()));
    let fault = owner.fault("createApiKeyPair", json!({}));
    assert_eq!((&fault["data"]["code"], &fault["data"]["limit"]), (&json!("LIMIT_REACHED"), &json!("keyPairs")));
}

#[test]
fn who_calls_too_often_is_told_to_wait() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let mut guest = RawClient::connect(&grant(&mut owner, json!({ "callsPerSecond": 5 })));
    let answers = guest.pipeline((0..50).map(|_| ("getActiveSessionKey", json!({}))));
    let refused = answers.iter().find(|answer| answer["error"].is_object()).unwrap();
    let data = json!({ "code": "LIMIT_REACHED", "limit": "callsPerSecond", "retryAfterSeconds": 1 });
    assert_eq!(refused["error"]["data"], data);
}

#[test]
fn a_grant_has_a_quarter_of_the_connections_and_says_so() {
    let daemon = TestDaemon::start();
    let mut owner = daemon.connect();
    let most = owner.call("status", json!({}))["limits"]["connections"].as_u64().unwrap();
    let socket = grant(&mut owner, json!({}));
    let mut open: Vec<RawClient> = (0..most.div_ceil(4)).map(|_| RawClient::connect(&socket)).collect();
    // Each is counted when it is served, in no order.
    for client in &mut open {
        client.call("getActiveSessionKey", json!({}));
    }
    let mut one_more = RawClient::connect(&socket);
    assert_eq!(one_more.read()["error"]["data"]["code"], "TOO_MANY_CONNECTIONS");
    daemon.connect().call("status", json!({}));
}
