//! A private key goes in, or is made, and never comes out.

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use keyfob_proto::Request;
use keyfob_tests::login::{base64, fixture_key_pair, token};
use keyfob_tests::{START, TestDaemon};
use serde_json::{Value, json};

/// Parameters with which the methods that need some succeed.
fn params(method: &str, public_key: &str) -> Value {
    match method {
        "stamp" | "sign" => json!({ "signer": { "publicKey": public_key }, "payload": base64([7; 40]) }),
        "storeSession" => json!({ "sessionToken": token(public_key, START + 1000), "sessionKey": "work" }),
        "setActiveSession" | "getSession" | "describeSession" => json!({ "sessionKey": "work" }),
        "deleteApiKeyPair" => json!({ "publicKey": public_key }),
        "createGrant" => json!({ "may": ["read"] }),
        _ => json!({}),
    }
}

#[test]
fn no_answer_and_no_event_has_a_private_key() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let pair = fixture_key_pair();
    let (public_key, private_key) = (pair["publicKey"].as_str().unwrap(), pair["privateKey"].as_str().unwrap());
    let bytes = HEXLOWER.decode(private_key.as_bytes()).unwrap();
    let forms = [HEXLOWER.encode(&bytes), HEXUPPER.encode(&bytes), BASE64.encode(&bytes), BASE64URL.encode(&bytes)];
    let mut said = Vec::new();
    client.call("subscribe", json!({}));
    said.push(client.call_beside_events("createApiKeyPair", json!({ "externalKeyPair": pair })));
    // What removes comes after what reads, and what ends the daemon last.
    let is_late = |method: &&str| method.starts_with("clear") || method.starts_with("delete") || *method == "lock";
    let mut methods: Vec<&str> = Request::METHODS.to_vec();
    methods.sort_by_key(|method| (*method == "shutdown", *method != "storeSession", is_late(method)));
    for method in methods {
        client.send(format!(
            "{}\n",
            json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params(method, public_key) })
        ));
        loop {
            let line = client.read();
            let is_answer = line["id"] == 7;
            said.push(line);
            if is_answer {
                break;
            }
        }
    }
    let said: Vec<String> = said.iter().map(Value::to_string).collect();
    assert!(said.iter().filter(|line| line.contains("\"result\"")).count() > 18, "most methods answered: {said:#?}");
    for form in forms {
        let form = form.trim_end_matches('=');
        assert!(!said.iter().any(|line| line.contains(form)), "{form} came out");
    }
}
