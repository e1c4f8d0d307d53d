//! Vaults of format 1 as they were first written: every later version opens them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyfob_tests::{TestDaemon, login};
use serde_json::{Value, json};

use crate::PASSPHRASE;

/// A daemon on a copy of a vault, and what was in it when it was written.
fn open(name: &str) -> (TestDaemon, Value) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format-1").join(name);
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture, &dir.path().join("data"));
    let contents = fs::read_to_string(fixture.join("contents.json")).unwrap();
    (TestDaemon::start_in(dir), serde_json::from_str(&contents).unwrap())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Compares all that can be read, and uses all that can be used.
fn check(daemon: &TestDaemon, contents: &Value) {
    let mut client = daemon.connect();
    assert_eq!(client.call("getAllSessions", json!({})), contents["sessions"]);
    assert_eq!(client.call("listApiKeyPairs", json!({}))["keyPairs"], contents["keyPairs"]);
    assert_eq!(client.call("getActiveSessionKey", json!({}))["sessionKey"], "work");
    for pair in contents["keyPairs"].as_array().unwrap() {
        client.call("stamp", json!({ "payload": "", "signer": { "publicKey": pair["publicKey"] } }));
    }
    let signed = client.call("sign", json!({ "payload": "", "signer": { "sessionKey": "🔑" } }));
    assert_eq!(signed["publicKey"], login::fixture_key_pair()["publicKey"]);
}

#[test]
fn a_vault_of_format_1_with_a_key_file_opens_and_goes_on() {
    let (daemon, contents) = open("key-file");
    check(&daemon, &contents);
    let daemon = daemon.restart();
    check(&daemon, &contents);
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "new", 1000);
    client.call("clearSession", json!({ "sessionKey": "work" }));
    let daemon = daemon.restart();
    assert_eq!(daemon.connect().call("clearAllSessions", json!({}))["clearedSessions"], 2);
}

#[test]
fn a_vault_of_format_1_with_a_passphrase_opens() {
    let (daemon, contents) = open("passphrase");
    daemon.connect().call("unlock", json!({ "passphrase": PASSPHRASE }));
    check(&daemon, &contents);
}
