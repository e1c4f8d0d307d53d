//! The examples of the client, run as programs over a daemon of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon, workspace};
use keyfob_turnkey_tests::Api;
use serde_json::json;

/// The directory of the examples, built.
fn examples() -> &'static Path {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLES.get_or_init(|| {
        let mut directory = None;
        for message in workspace().examples().exec().expect("the examples build") {
            let message = message.expect("cargo speaks JSON");
            if let Ok(escargot::format::Message::CompilerArtifact(artifact)) = message.decode()
                && let Some(program) = artifact.executable
                && artifact.target.name == "turnkey"
            {
                directory = program.parent().map(Path::to_owned);
            }
        }
        directory.expect("the example `turnkey`")
    })
}

fn ended(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_turnkey_example_logs_in_stamps_refreshes_and_logs_out() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let mut client = daemon.connect();
    let key = client.call("createApiKeyPair", json!({ "keep": true }))["publicKey"].as_str().unwrap().to_owned();
    let run = |command: &str| {
        let mut program = Command::new(examples().join("turnkey"));
        program.arg(command).env("KEYFOB_SOCKET", daemon.endpoint.path()).env("TURNKEY_API_BASE_URL", api.url());
        program.env("TURNKEY_API_KEY", &key).env("TURNKEY_ORGANIZATION_ID", "o").output().unwrap()
    };
    assert_eq!(ended(&run("login")), "logged in\n");
    assert_eq!(api.last_login().stamped_by, key);
    let session = client.call("describeSession", json!({}))["session"]["publicKey"].clone();
    assert_eq!(ended(&run("whoami")).trim(), session);
    assert_eq!(ended(&run("refresh")), "refreshed\n");
    assert_ne!(ended(&run("whoami")).trim(), session);
    assert_eq!(ended(&run("logout")), "logged out\n");
    let pairs = client.call("listApiKeyPairs", json!({}))["keyPairs"].clone();
    assert_eq!((pairs[0]["publicKey"].as_str(), pairs.as_array().unwrap().len()), (Some(&*key), 1), "only the API key");
    assert!(!run("whoami").status.success() && !run("fly").status.success());
}

#[test]
fn the_session_example_stores_stamps_and_clears() {
    let daemon = TestDaemon::start();
    let key = daemon.connect().call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, token(&key, START + 900)).unwrap();
    let mut program = Command::new(examples().join("session"));
    program.env("KEYFOB_SOCKET", daemon.endpoint.path()).stdin(std::fs::File::open(&file).unwrap());
    let said = ended(&program.output().unwrap());
    assert!(said.contains("X-Stamp: ") && said.ends_with(&format!("cleared, and with it {key}\n")), "{said}");
}
