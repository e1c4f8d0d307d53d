//! What is no request, or not quite: each gets a clear fault, and the connection goes on.

use keyfob_tests::login::{base64, token};
use keyfob_tests::{RawClient, START, TestDaemon};
use serde_json::{Value, json};

const LINE_CAP: usize = 4 * 1024 * 1024;

/// Sends a line that is no good request, and checks that the connection and the vault are well.
fn refused(client: &mut RawClient, line: &[u8]) -> Value {
    client.send(line);
    client.send("\n");
    let message = client.read();
    assert_eq!(message["jsonrpc"], "2.0");
    assert_eq!(client.call("getActiveSessionKey", json!({})), json!({ "sessionKey": "kept" }));
    message
}

fn prepared() -> (TestDaemon, RawClient) {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "kept", 1000);
    (daemon, client)
}

#[test]
fn lines_that_are_no_request_are_refused_and_not_repeated() {
    let (_daemon, mut client) = prepared();
    let cases: [(&[u8], i32, &str, Value); 12] = [
        (b"s3cret", -32700, "PARSE_ERROR", json!(null)),
        (b"{\"s3cret\"", -32700, "PARSE_ERROR", json!(null)),
        (b"\xff\xfe s3cret", -32700, "PARSE_ERROR", json!(null)),
        (b"{} {}", -32700, "PARSE_ERROR", json!(null)),
        (b"\0", -32700, "PARSE_ERROR", json!(null)),
        (b"[]", -32600, "INVALID_REQUEST", json!(null)),
        (b"\"s3cret\"", -32600, "INVALID_REQUEST", json!(null)),
        (br#"{"jsonrpc":"2.0","id":7,"method":"status","s3cret":1}"#, -32600, "INVALID_REQUEST", json!(7)),
        (br#"{"jsonrpc":"3.0","id":7,"method":"status"}"#, -32600, "INVALID_REQUEST", json!(7)),
        (br#"{"jsonrpc":"2.0","id":{"s3cret":1},"method":"status"}"#, -32600, "INVALID_REQUEST", json!(null)),
        (br#"{"jsonrpc":"2.0","id":"x","method":"s3cret"}"#, -32601, "METHOD_NOT_FOUND", json!("x")),
        (br#"{"jsonrpc":"2.0","id":1,"method":"__proto__"}"#, -32601, "METHOD_NOT_FOUND", json!(1)),
    ];
    for (line, number, code, id) in cases {
        let message = refused(&mut client, line);
        let shown = line.escape_ascii();
        assert_eq!(
            (&message["error"]["code"], &message["error"]["data"]["code"]),
            (&json!(number), &json!(code)),
            "{shown}"
        );
        assert_eq!(message["id"], id, "{shown}");
        assert!(!message.to_string().contains("s3cret"), "{message}");
    }
}

#[test]
fn params_that_do_not_fit_are_refused_by_method_and_field() {
    let (_daemon, mut client) = prepared();
    let long = "k".repeat(513);
    let cases = [
        ("clearSession", json!({ "sessionKey": 7 }), Some("sessionKey")),
        ("clearSession", json!({ "sessionKey": null }), Some("sessionKey")),
        ("clearSession", json!({ "sessionKey": "" }), Some("sessionKey")),
        ("clearSession", json!({ "sessionKey": long }), Some("sessionKey")),
        ("clearSession", json!({ "s3cret": 1 }), None),
        ("clearSession", json!(["kept"]), None),
        ("clearAllSessions", json!({ "sessionKey": "kept" }), None),
        ("storeSession", json!({}), Some("sessionToken")),
        ("storeSession", json!({ "sessionToken": ["s3cret"] }), Some("sessionToken")),
        ("setActiveSession", json!({}), Some("sessionKey")),
        ("getAllSessions", json!({ "limit": 0 }), Some("limit")),
        ("getAllSessions", json!({ "limit": "10" }), Some("limit")),
        ("getAllSessions", json!({ "after": 1 }), Some("after")),
        ("deleteApiKeyPair", json!({ "publicKey": "s3cret" }), Some("publicKey")),
        (
            "createApiKeyPair",
            json!({ "externalKeyPair": { "privateKey": "s3cret" } }),
            Some("externalKeyPair.publicKey"),
        ),
        ("clearUnusedKeyPairs", json!({ "minAgeSeconds": -1 }), Some("minAgeSeconds")),
        ("sign", json!({ "payload": "s3cret!" }), Some("payload")),
        ("sign", json!({ "payload": "", "format": "pem" }), Some("format")),
        ("stamp", json!({}), Some("payload")),
        ("stamp", json!({ "payload": "", "signer": { "publicKey": "03" } }), Some("signer.publicKey")),
        ("status", json!({ "verbose": true }), None),
    ];
    for (method, params, field) in cases {
        let fault = client.fault(method, params.clone());
        assert_eq!(
            (&fault["code"], &fault["data"]["code"]),
            (&json!(-32602), &json!("INVALID_PARAMS")),
            "{method} {params}"
        );
        assert_eq!(
            (fault["data"]["method"].as_str(), fault["data"]["field"].as_str()),
            (Some(method), field),
            "{params}"
        );
        assert!(!fault.to_string().contains("s3cret"), "{fault}");
    }
    assert_eq!(client.call("getActiveSessionKey", json!({})), json!({ "sessionKey": "kept" }));
}

#[test]
fn a_lone_surrogate_is_no_session_key_and_a_nul_is_one() {
    let (daemon, mut client) = prepared();
    let message =
        refused(&mut client, br#"{"jsonrpc":"2.0","id":1,"method":"clearSession","params":{"sessionKey":"\ud800"}}"#);
    assert_eq!(message["error"]["data"]["field"], "sessionKey");
    daemon.log_in(&mut client, "a\0b", 1000);
    assert_eq!(client.call("clearSession", json!({ "sessionKey": "a\0b" }))["sessionKey"], "a\0b");
}

#[test]
fn a_line_over_4_mib_is_skipped_and_the_connection_goes_on() {
    let (_daemon, mut client) = prepared();
    let line = vec![b'x'; LINE_CAP + 1];
    let message = refused(&mut client, &line);
    assert_eq!((&message["id"], &message["error"]["data"]["code"]), (&json!(null), &json!("PARSE_ERROR")));
    assert!(message["error"]["message"].as_str().unwrap().contains("4194304"), "{message}");
}

#[test]
fn a_line_of_4_mib_is_served() {
    let (_daemon, mut client) = prepared();
    let frame = r#"{"jsonrpc":"2.0","id":1,"method":"sign","params":{"payload":""}}"#.len();
    let payload = base64(vec![0; (LINE_CAP - frame) / 4 * 3]);
    client.send(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"sign","params":{{"payload":"{payload}"}}}}"#));
    client.send("\n");
    assert!(client.read()["result"]["signature"].is_string());
}

#[test]
fn a_line_without_its_end_is_not_served() {
    let (daemon, mut client) = prepared();
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"clearSession"}"#);
    client.end_input();
    let message = client.read();
    assert_eq!(message["error"]["data"]["code"], "PARSE_ERROR");
    assert!(message["error"]["message"].as_str().unwrap().contains("line feed"));
    assert_eq!(client.read_line(), None);
    assert_eq!(daemon.connect().call("getActiveSessionKey", json!({}))["sessionKey"], "kept");
}

#[test]
fn half_a_line_and_silence_delays_nobody_else() {
    let (daemon, mut silent) = prepared();
    silent.send(r#"{"jsonrpc":"2.0","id":99,"method":"#);
    let mut client = daemon.connect();
    assert_eq!(client.call("clearSession", json!({}))["sessionKey"], "kept");
    silent.send("\"status\"}\n");
    assert_eq!(silent.read()["id"], 99, "and it may still be finished in time");
}

#[test]
fn blank_lines_are_passed_over() {
    let (_daemon, mut client) = prepared();
    client.send("\n  \r\n\n");
    assert_eq!(client.call("getActiveSessionKey", json!({}))["sessionKey"], "kept");
    client.send("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"getActiveSessionKey\"}\r\n");
    assert_eq!(client.read()["id"], 5, "a carriage return is white space");
}

#[test]
fn a_request_without_an_id_takes_effect_and_is_not_answered() {
    let (_daemon, mut client) = prepared();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"clearSession\"}\n");
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"noSuchMethod\"}\n");
    assert_eq!(client.call("getActiveSessionKey", json!({})), json!({ "sessionKey": null }));
}

#[test]
fn ids_come_back_to_the_letter() {
    let (_daemon, mut client) = prepared();
    for id in ["0", "-7", "1.0e2", "\"\\u0061\"", "null", "18446744073709551616"] {
        client.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"getActiveSessionKey\"}}\n"));
        let line = client.read_line().unwrap();
        assert!(line.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)), "{line}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let (_daemon, mut client) = prepared();
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"clearSession","params":{}}}"#, "[".repeat(100_000));
    assert_eq!(refused(&mut client, deep.as_bytes())["error"]["data"]["code"], "PARSE_ERROR");
    let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"storeSession","params":{{"sessionToken":{closed}}}}}"#);
    let message = refused(&mut client, line.as_bytes());
    assert!(message["error"].is_object(), "{message}");
}

#[test]
fn a_client_that_dies_mid_request_harms_nobody() {
    let (daemon, mut client) = prepared();
    for _ in 0..50 {
        let mut dying = daemon.connect();
        dying.send(r#"{"jsonrpc":"2.0","id":1,"method":"clearAllSess"#);
        drop(dying);
        let mut dying = daemon.connect();
        let token = token("03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1", START + 9);
        dying.request("storeSession", &json!({ "sessionToken": token, "sessionKey": "orphan" }));
        drop(dying);
    }
    assert!(client.call("getSession", json!({ "sessionKey": "kept" }))["session"].is_object());
}

#[test]
fn a_flood_of_garbage_is_answered_line_by_line() {
    let (_daemon, mut client) = prepared();
    let mut writer = client.duplicate();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.send("x\n".repeat(20_000)));
        for _ in 0..20_000 {
            assert_eq!(client.read()["error"]["code"], -32700);
        }
    });
    assert_eq!(client.call("getActiveSessionKey", json!({}))["sessionKey"], "kept");
}
