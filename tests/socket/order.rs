//! Pipelining: many requests on their way, answers in order, flushes shared.

use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon};
use serde_json::json;

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let rounds = (0..200).flat_map(|round| {
        let store = json!({ "sessionToken": token(&key, START + 1000), "sessionKey": round.to_string() });
        [
            ("storeSession", store),
            ("getActiveSessionKey", json!({})),
            ("noSuchMethod", json!({})),
            ("sign", json!({ "payload": "" })),
        ]
    });
    for (round, answers) in client.pipeline(rounds).chunks(4).enumerate() {
        let active = &answers[1]["result"]["sessionKey"];
        assert_eq!(*active, round.to_string(), "a read sees the mutations before it on its connection");
    }
}

#[test]
fn a_later_request_sees_what_an_earlier_one_did() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "a", 1000);
    let clear = client.request("clearSession", &json!({ "sessionKey": "a" }));
    let again = client.request("clearSession", &json!({ "sessionKey": "a" }));
    let list = client.request("getAllSessions", &json!({}));
    assert!(client.read_reply(clear)["result"].is_object());
    assert_eq!(client.read_reply(again)["error"]["data"]["code"], "NOT_FOUND");
    assert_eq!(client.read_reply(list)["result"]["sessions"], json!([]));
}

#[test]
fn pipelined_mutations_share_flushes() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let token = token(&key, START + 1000);
    let stores = (0..2000).map(|n| ("storeSession", json!({ "sessionToken": token, "sessionKey": n.to_string() })));
    let answers = client.pipeline(stores);
    assert!(answers.iter().all(|answer| answer["result"].is_object()));
    let counts = client.call("status", json!({}))["counts"].clone();
    assert_eq!(counts["sessions"], 2000);
    let flushes = counts["flushes"].as_u64().unwrap();
    assert!(flushes < 1000, "{flushes} flushes for 2000 stores");
}

#[test]
fn a_client_that_never_reads_delays_nobody_else() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "a", 1000);
    let mut deaf = daemon.connect();
    // Far more answers than the socket's buffer takes: the daemon stops reading from this one.
    let line = |id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"getAllSessions\"}}\n");
    deaf.send((1..=1000).map(line).collect::<String>());
    for _ in 0..100 {
        assert!(client.call("getSession", json!({}))["session"].is_object());
    }
    assert_eq!(client.call("clearSession", json!({}))["sessionKey"], "a");
    for id in 1..=1000 {
        deaf.read_reply(id);
    }
}
