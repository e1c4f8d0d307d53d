//! Nothing secret in the logs, however much is logged.

use std::fs;

use keyfob_tests::login::{base64, fixture_key_pair, token};
use keyfob_tests::{DaemonProcess, RawClient};
use serde_json::json;

use crate::directory;

fn provoke(client: &mut RawClient) -> Vec<String> {
    let pair = fixture_key_pair();
    let token = token(pair["publicKey"].as_str().unwrap(), 4_102_444_800);
    let payload = base64("a body that is nobody's business");
    client.call("createApiKeyPair", json!({ "externalKeyPair": pair }));
    client.call("storeSession", json!({ "sessionToken": token, "sessionKey": "work" }));
    client.call("stamp", json!({ "payload": payload }));
    client.exchange("storeSession", json!({ "sessionToken": format!("x{token}") }));
    client.exchange("storeSession", json!({ "sessionToken": token, "unknown": token }));
    client.exchange("storeSession", json!({ token.clone(): 1 }));
    client.exchange(&token, json!({}));
    client.exchange("createApiKeyPair", json!({ "externalKeyPair": { "privateKey": pair["privateKey"] } }));
    client.send(format!("{token}\n"));
    client.read();
    client.send(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":\"{}\",\"method\":\"status\"}}\n",
        pair["privateKey"].as_str().unwrap()
    ));
    client.read();
    vec![token, payload, pair["privateKey"].as_str().unwrap().to_owned()]
}

#[test]
fn no_secret_is_logged_at_any_level() {
    for format in ["text", "json"] {
        let dir = directory();
        let mut command = DaemonProcess::command(dir.path());
        command.args(["--log", "trace", "--log-format", format]);
        let mut daemon = DaemonProcess::spawn(command, dir.path()).unwrap();
        let secrets = provoke(&mut daemon.connect());
        daemon.connect().call("shutdown", json!({}));
        assert!(daemon.child.wait().unwrap().success());
        let log = fs::read_to_string(dir.path().join("data/keyfobd.log")).unwrap();
        for secret in secrets {
            assert!(!log.contains(&secret), "{log}");
        }
        let mutation = log.lines().find(|line| line.contains("storeSession")).unwrap();
        assert!(mutation.contains(&std::process::id().to_string()), "who asked for what is logged: {mutation}");
        if format == "json" {
            assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
    }
}
