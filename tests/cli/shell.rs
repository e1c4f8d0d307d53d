//! What a shell has of the command: a session of its own, completions, manual pages, events, advice.

use std::fs;
use std::process::{Command, Stdio};

use keyfob_tests::login::token;
use serde_json::Value;

use crate::program::{Stop, command, run, text};

#[test]
fn the_manual_has_a_page_for_each_command_and_for_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    assert!(run(dir.path(), &["man", "--dir", pages.to_str().unwrap()]).status.success());
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap();
    for section in ["ENVIRONMENT", "FILES", "EXIT STATUS"] {
        assert!(
            page("keyfob.1").contains(&format!(".SH \"{section}\""))
                || page("keyfob.1").contains(&format!(".SH {section}"))
        );
    }
    assert!(page("keyfobd.1").contains("lock\\-after"));
    assert!(page("keyfob-vault-set-lock-after.1").contains("DURATION"));
}

#[test]
fn one_shell_can_have_a_session_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    for name in ["a", "b"] {
        let key = text(&run(dir.path(), &["key", "new"]).stdout).trim().to_owned();
        let mut store = command(dir.path());
        store.args(["store", name, "--env", "LOGIN_TOKEN"]).env("LOGIN_TOKEN", token(&key, 4_102_444_800));
        assert!(store.output().unwrap().status.success());
    }
    let with =
        |session: &str, args: &[&str]| command(dir.path()).env("KEYFOB_SESSION", session).args(args).output().unwrap();
    let shown = |session: &str, args: &[&str]| {
        let output = with(session, &[args, &["--json"]].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["sessionKey"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown("a", &["show"]), "a");
    assert_eq!(shown("", &["show"]), "b", "empty is absent");
    assert_eq!(shown("a", &["show", "b"]), "b", "what is named decides");
    let key_of = |session: &str| {
        let output = with(session, &["sign", "--json"]);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["publicKey"].clone()
    };
    assert_ne!(key_of("a"), key_of("b"));
    assert!(text(&with("nope", &["stamp"]).stderr).contains("\"nope\""), "the message names it");
    assert_eq!(with(&"x".repeat(513), &["stamp"]).status.code(), Some(2));
    assert_eq!(text(&run(dir.path(), &["active"]).stdout), "b\n", "for everybody else nothing has changed");
    assert!(text(&with("a", &["clear"]).stdout).contains("cleared a"));
    assert_eq!(shown("", &["show"]), "b");
    assert!(with("b", &["clear", "--all", "--yes"]).status.success(), "the variable does not get in the way");
}

#[test]
fn a_watch_ends_with_the_daemon_or_goes_on_with_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    run(dir.path(), &["status"]);
    let watch = |args: &[&str]| {
        let mut child =
            command(dir.path()).arg("watch").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut err, &mut line).unwrap();
        assert!(line.contains("watching"), "{line}");
        (child, err)
    };
    let (mut child, mut err) = watch(&[]);
    run(dir.path(), &["stop"]);
    assert_eq!(child.wait().unwrap().code(), Some(69));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut err, &mut said).unwrap();
    assert!(said.contains("the daemon has stopped"), "{said}");

    // However it goes.
    let status = run(dir.path(), &["status", "--json"]);
    let pid = serde_json::from_slice::<Value>(&status.stdout).unwrap()["pid"].to_string();
    let (mut child, _err) = watch(&[]);
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(69));

    run(dir.path(), &["status"]);
    let (child, _err) = watch(&["--reconnect", "-n", "2"]);
    run(dir.path(), &["stop"]);
    let mut reader = std::io::BufReader::new(child.stdout.unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert!(line.contains("resync"), "{line}");
    run(dir.path(), &["lock"]);
    line.clear();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert!(line.contains("the vault is locked"), "{line}");
}

#[test]
fn a_shell_is_offered_the_names_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    let key = text(&run(dir.path(), &["key", "new"]).stdout).trim().to_owned();
    let mut store = command(dir.path());
    store.args(["store", "work", "--env", "LOGIN_TOKEN"]).env("LOGIN_TOKEN", token(&key, 4_102_444_800));
    assert!(store.output().unwrap().status.success());
    let offered = |words: &[&str]| {
        let mut ask = command(dir.path());
        ask.env("KEYFOB_COMPLETE", "fish").args(["--", "keyfob"]).args(words);
        text(&ask.output().unwrap().stdout).to_owned()
    };
    assert!(offered(&["clear", "w"]).contains("work"));
    assert!(offered(&["use", ""]).contains("work"));
    let mut store = command(dir.path());
    store.args(["store", "q$(touch pwned)", "--env", "LOGIN_TOKEN"]).env("LOGIN_TOKEN", token(&key, 4_102_444_800));
    assert!(store.output().unwrap().status.success());
    assert!(!offered(&["use", "q"]).contains("pwned"), "what a shell would run is not offered");
    assert!(offered(&["sign", "--key", &key[..4]]).contains(&key));
    assert!(offered(&["key", "pr"]).contains("prune"));
    run(dir.path(), &["stop"]);
    assert!(!offered(&["clear", "w"]).contains("work"));
    assert_eq!(
        run(dir.path(), &["--no-start", "list"]).status.code(),
        Some(69),
        "a key that is pressed starts no daemon"
    );
}

#[test]
fn a_doctor_says_whether_a_daemon_would_start_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let doctor = |variable: &str, value: &str| {
        let output = command(dir.path()).env(variable, value).arg("doctor").output().unwrap();
        (output.status.code(), text(&output.stdout).to_owned())
    };
    let (code, said) = doctor("KEYFOB_LOG", "info");
    assert!(code == Some(0) && said.contains("the next command starts one"), "{said}");
    for (variable, value) in [("KEYFOB_LOG", "loud"), ("KEYFOB_LOCK_AFTER", "soon"), ("KEYFOB_SOCKET", "/etc")] {
        let (code, said) = doctor(variable, value);
        assert!(code == Some(1) && said.contains("none starts: "), "{variable}: {said}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (code, said) = doctor("KEYFOB_DATA_DIR", file.to_str().unwrap());
    assert!(code == Some(1) && said.contains("is not a directory"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing was made");
}
