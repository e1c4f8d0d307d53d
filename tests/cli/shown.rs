//! What a person is shown: nothing that drives the terminal, no row that wraps, and what really happened.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use keyfob_cli::Exit;
use keyfob_tests::login::{token, token_of};
use keyfob_tests::{START, TestDaemon};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Ran, keyfob, keyfob_on};

const EXPIRY: u64 = 4_102_444_800;

/// What no terminal may get from outside.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Characters that names are made of, the odd ones often.
fn odd() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        '\u{1b}', '\u{7}', '\r', '\n', '\t', '\0', '\u{7f}', '\u{9b}', '\u{85}', '\u{202e}', '\u{2066}', '\u{200b}',
        '\u{200d}', '\u{feff}', '\u{2028}', '"', '\\', ' ', 'é', '日', '🦀',
    ]);
    proptest::collection::vec(prop_oneof![odd, any::<char>(), prop::char::range('a', 'z')], 1..40)
        .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_from_outside_reaches_a_terminal_unescaped(name in odd(), claim in odd()) {
        let daemon = TestDaemon::start();
        let socket = daemon.endpoint.path();
        let mut client = daemon.connect();
        let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
        let claims = json!({ "exp": EXPIRY, "public_key": key, "session_type": claim, "user_id": claim,
            "organization_id": claim, "scope": claim, "session_profile_id": claim });
        client.call("storeSession", json!({ "sessionToken": token_of(&claims), "sessionKey": name }));
        let commands: &[&[&str]] = &[
            &["list"], &["show"], &["active"], &["status"], &["key", "list"], &["list", "--json"], &["show", "--json"],
            &["active", "--json"], &["status", "--json"], &["use", "not there"], &["clear", "not there", "--json"],
        ];
        for args in commands {
            let Ran { out, err, .. } = keyfob_on(Some(80), socket, "", args, false);
            prop_assert!(!out.chars().chain(err.chars()).any(is_hidden), "{:?}: {:?} {:?}", args, out, err);
        }
        let list = keyfob(socket, "", &["list", "--json"]).out;
        let list: Value = serde_json::from_str(&list).unwrap();
        prop_assert_eq!(list["sessions"][0]["sessionKey"].as_str(), Some(&*name), "the data is what it was");
        // Commands repeat the name of what they did.
        if !name.starts_with('-') {
            let ran = keyfob_on(Some(80), socket, "", &["clear", &name], true);
            prop_assert!(!ran.err.chars().any(is_hidden), "{:?}", ran.err);
            let ran = keyfob_on(Some(80), socket, "", &["clear", &name], false);
            prop_assert!(!ran.out.chars().chain(ran.err.chars()).any(is_hidden), "{:?} {:?}", ran.out, ran.err);
        }
    }
}

/// A vault with sessions of these names.
fn vault(names: &[&str]) -> (TestDaemon, PathBuf) {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    for (at, name) in names.iter().enumerate() {
        let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
        let token = token(&key, EXPIRY - at as u64);
        client.call("storeSession", json!({ "sessionToken": token, "sessionKey": name }));
    }
    let socket = daemon.endpoint.path().to_owned();
    (daemon, socket)
}

#[test]
fn no_row_of_a_list_wraps() {
    let long = "x".repeat(512);
    let wide = "日本語".repeat(30);
    let (_daemon, socket) = vault(&["work", &long, &wide]);
    for args in [&["list"][..], &["key", "list"]] {
        for width in [80, 60, 132] {
            let out = keyfob_on(Some(width), &socket, "", args, false).out;
            for line in out.lines() {
                let cells: usize = line.chars().map(|c| if c.is_ascii() || c == '…' { 1 } else { 2 }).sum();
                assert!(cells <= width, "{width}: {line}");
            }
        }
        assert!(keyfob(&socket, "", args).out.contains(&long), "into a pipe all is whole");
    }
}

#[test]
fn a_list_is_sorted_and_filtered_as_asked() {
    let (_daemon, socket) = vault(&["a", "b", "c"]);
    let names = |args: &[&str]| {
        let out = keyfob(&socket, "", &[&["list", "--json"], args].concat()).out;
        let list: Value = serde_json::from_str(&out).unwrap();
        let names = list["sessions"].as_array().unwrap().iter().map(|session| session["sessionKey"].as_str().unwrap());
        names.collect::<String>()
    };
    assert_eq!(names(&[]), "abc");
    assert_eq!(names(&["--sort", "expiry"]), "cba");
    assert_eq!(names(&["--expiring", "10m"]), "");
    assert_eq!(names(&["--expiring", "100000d"]), "abc");
}

#[test]
fn a_key_pair_is_named_by_the_beginning_of_its_name() {
    let (daemon, socket) = vault(&["a"]);
    let key = daemon.connect().call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    for name in
        [&key[..8], &key[..40], &key, &key.to_uppercase(), &key[..12].to_uppercase(), &format!("0x{}", &key[..10])]
    {
        let ran = keyfob(&socket, "{}", &["sign", "--key", name, "--json"]);
        assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["publicKey"], key);
    }
    for name in [&key[..7], "zzzzzzzz", ""] {
        assert_eq!(keyfob(&socket, "{}", &["sign", "--key", name]).exit, Exit::Usage, "{name}");
    }
    let ran = keyfob(&socket, "{}", &["stamp", "--key", "00000000"]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("no key pair begins with that"), "{}", ran.err);
    assert!(keyfob(&socket, "", &["key", "rm", &key[..8]]).out.contains(&key));
}

#[test]
fn what_people_pipe_is_stored_clean_and_a_missing_key_pair_is_told() {
    let (_daemon, socket) = vault(&[]);
    let key = keyfob_tests::login::fixture_key_pair()["publicKey"].as_str().unwrap().to_owned();
    let token = token(&key, EXPIRY);
    let answer = json!({ "activity": { "result": { "stampLoginResult": { "session": token } } } }).to_string();
    for (piped, note) in [
        (format!("{token}\r\n"), ""),
        (format!("\u{feff}{token}"), ""),
        (format!("\"{token}\"\n"), "quotes"),
        (answer, "`session`"),
    ] {
        let ran = keyfob(&socket, &piped, &["store", "work"]);
        assert!(ran.exit == Exit::Failed && ran.err.contains("(KEY_PAIR_NOT_FOUND)"), "{}", ran.err);
        assert!(ran.err.contains("`keyfob key import`") && ran.err.contains("--without-key-pair"), "{}", ran.err);
        let ran = keyfob(&socket, &piped, &["store", "work", "--without-key-pair"]);
        assert!(ran.exit == Exit::Done && ran.err.contains(note), "{}", ran.err);
        assert!(ran.out.contains("(not in the vault)") && ran.err.contains("`keyfob key import`"), "{}", ran.err);
        let shown = keyfob(&socket, "", &["show", "work", "--reveal", "--json"]).out;
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["session"]["token"], token);
    }
    let private_key = keyfob_tests::login::fixture_key_pair()["privateKey"].as_str().unwrap().to_owned();
    assert_eq!(keyfob(&socket, &format!("{private_key}:p256\n"), &["key", "import"]).out.trim(), key);
    assert!(!keyfob(&socket, &token, &["store", "work"]).out.contains("(not in the vault)"));
    for piped in ["{}", "{\"session\":7}", "not a token", &format!("Bearer {token}")] {
        assert_ne!(keyfob(&socket, piped, &["store"]).exit, Exit::Done, "{piped}");
    }
}

#[test]
fn what_is_not_there_can_be_cleared_without_an_error() {
    let (_daemon, socket) = vault(&["a"]);
    assert!(keyfob(&socket, "", &["clear", "a", "--if-exists"]).out.contains("cleared a"));
    for args in
        [&["clear", "a", "--if-exists"][..], &["clear", "--if-exists"], &["clear", "--all", "--yes", "--if-exists"]]
    {
        let ran = keyfob(&socket, "", args);
        assert_eq!((ran.exit, &*ran.err), (Exit::Done, "there was nothing to clear\n"), "{args:?}");
        let ran = keyfob(&socket, "", &[args, &["--json"]].concat());
        let cleared: Value = serde_json::from_str(&ran.out).unwrap();
        assert!(cleared["cleared"] == false || cleared["clearedSessions"] == 0, "{cleared}");
    }
}

#[test]
fn an_expired_session_is_told_from_one_that_never_was() {
    let daemon = TestDaemon::start();
    let socket = daemon.endpoint.path();
    daemon.log_in(&mut daemon.connect(), "soon", 100);
    daemon.clock.advance(Duration::from_secs(160));
    for args in
        [&["stamp"][..], &["stamp", "--session", "soon"], &["sign"], &["show"], &["show", "soon"], &["use", "soon"]]
    {
        let ran = keyfob(socket, "{}", args);
        assert!(ran.exit == Exit::Failed && ran.err.contains("(SESSION_EXPIRED)"), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("\"soon\" expired at 2027-01-15 08:01:40 UTC, 60 s ago: log in again"), "{}", ran.err);
    }
}

#[test]
fn the_vault_keeps_after_how_long_it_locks_itself() {
    let daemon = TestDaemon::start();
    let set =
        |daemon: &TestDaemon, value: &str| keyfob(daemon.endpoint.path(), "", &["vault", "set", "lock-after", value]);
    assert!(set(&daemon, "15m").out.contains("not used for 15 min"));
    let daemon = daemon.restart();
    let lock = |daemon: &TestDaemon| daemon.connect().call("status", json!({}))["lock"].take();
    assert_eq!(lock(&daemon)["lockAfterSeconds"], 900);
    daemon.log_in(&mut daemon.connect(), "a", 1_000_000);
    let mut watcher = daemon.connect();
    watcher.call("subscribe", json!({}));
    daemon.clock.advance(Duration::from_secs(800));
    // Polling for what is not there is no use of it.
    let mut client = daemon.connect();
    client.exchange("sign", json!({ "payload": "", "signer": { "sessionKey": "nosuch" } }));
    client.exchange("getSession", json!({ "sessionKey": "nosuch" }));
    client.exchange("storeSession", json!({ "sessionToken": token(&"03".repeat(33), START - 5) }));
    client.exchange("createApiKeyPair", json!({ "externalKeyPair": { "publicKey": "03", "privateKey": "x" } }));
    daemon.clock.advance(Duration::from_secs(100));
    assert_eq!(watcher.read()["params"]["type"], "vaultLocked");
    assert!(lock(&daemon)["locked"] == true);
    assert!(set(&daemon, "never").out.contains("does not lock itself"), "a locked vault takes it too");
    assert!(lock(&daemon).get("lockAfterSeconds").is_none());
    for value in ["0", "soon", "-1h", ""] {
        assert_eq!(set(&daemon, value).exit, Exit::Usage, "{value}");
    }
}

#[test]
fn a_doctor_finds_what_is_wrong_and_nothing_where_all_is_well() {
    let (daemon, _) = vault(&["a"]);
    let socket = daemon.endpoint.path().to_str().unwrap().to_owned();
    let data = daemon.data_dir();
    let doctor = || {
        let args = ["--data-dir", data.to_str().unwrap(), "doctor", "--json"];
        let ran = keyfob(socket.as_ref(), "", &args);
        (ran.exit, serde_json::from_str::<Value>(&ran.out).unwrap()["findings"].take())
    };
    let is_ok = |findings: &Value, about: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["about"] == about);
        found.unwrap_or_else(|| panic!("{about}: {findings}"))["ok"] == true
    };
    let (_, findings) = doctor();
    for about in ["socket", "data", "permissions", "daemon", "serves", "lock", "disk", "limits", "clock", "log"] {
        assert!(is_ok(&findings, about), "{about}: {findings}");
    }
    fs::write(data.join("keyfobd.log"), "2026-01-01T00:00:00Z ERROR the disk failed\n").unwrap();
    let (exit, findings) = doctor();
    assert!(exit == Exit::Failed && !is_ok(&findings, "log"), "{findings}");
}

#[test]
fn the_log_is_shown_from_its_end() {
    let (daemon, socket) = vault(&[]);
    let lines = (0..100).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    fs::write(daemon.data_dir().join("keyfobd.log"), lines + "\n\u{1b}[2J\n").unwrap();
    let data = daemon.data_dir();
    let log = |args: &[&str]| keyfob(&socket, "", &[&["--data-dir", data.to_str().unwrap(), "log"], args].concat()).out;
    assert_eq!(log(&["-n", "2"]), "line 99\n\\u{1b}[2J\n");
    assert_eq!(log(&[]).lines().count(), 50);
}
