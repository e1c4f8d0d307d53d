//! Grants in use: programs, a container, another user, and what a kill leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use keyfob_tests::login::named_token;
use keyfob_tests::{DaemonProcess, PATIENCE, RawClient, programs};
use serde_json::{Value, json};

use crate::{directory, skipped};

/// A daemon with the sessions `work` and `private`, the latter the active one.
pub(crate) fn daemon(dir: &Path) -> (DaemonProcess, [String; 2]) {
    let daemon = DaemonProcess::start(dir);
    let mut client = daemon.connect();
    let keys = ["work", "private"].map(|name| {
        let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
        let token = named_token(name, &key, 4_102_444_800);
        client.call("storeSession", json!({ "sessionToken": token, "sessionKey": name }));
        key
    });
    (daemon, keys)
}

/// A command with the programs in its path and the daemon in `dir` in its environment.
pub(crate) fn command(dir: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(programs().to_owned()).chain(std::env::split_paths(&path));
    command.env_clear().env("PATH", std::env::join_paths(path).unwrap());
    command.env("KEYFOB_SOCKET", dir.join("keyfob.sock")).env("HOME", dir).stdin(Stdio::null());
    command
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn keyfob(dir: &Path, args: &[&str]) -> Output {
    command(dir, "keyfob").args(args).output().unwrap()
}

#[test]
fn a_container_with_the_socket_of_a_grant_stamps_and_finds_nothing_else() {
    let dir = directory();
    let (_daemon, [work, private]) = daemon(dir.path());
    if !can_make_namespaces() {
        return skipped("no namespaces may be made here");
    }
    let socket = keyfob(dir.path(), &["grant", "--session", "work", "--may", "stamp"]);
    let socket = String::from_utf8(socket.stdout).unwrap().trim().to_owned();
    let inside = |script: &str| {
        let mut container = command(dir.path(), concat!(env!("CARGO_MANIFEST_DIR"), "/process/container.sh"));
        container.args(["run", "-v", &format!("{socket}:/run/keyfob.sock"), "-e", "KEYFOB_SOCKET=/run/keyfob.sock"]);
        container.args(["image", "sh", "-c", script]).output().unwrap()
    };
    let stamped = inside("echo '{}' | keyfob stamp --json");
    let stamp: Value = serde_json::from_slice(&stamped.stdout).unwrap_or_else(|_| panic!("{}", said(&stamped)));
    assert_eq!((&stamp["publicKey"], &stamp["sessionKey"]), (&json!(work), &json!("work")));

    for command in [
        "list --json",
        "active",
        "status",
        "status --json",
        "key list",
        "show",
        "show work",
        "show private",
        "show private --json --reveal",
        "list --json --reveal",
        "clear private --yes",
        "clear --all --yes",
        "clear work",
        "use private",
        "key new",
        "key prune --yes --min-age 0",
        "lock",
        "unlock",
        "vault rekey key-file",
        "grants",
        "grant --session private --may stamp",
        "revoke --all",
        "watch -n 1",
        "stop",
        "sign --session private",
        &format!("sign --key {private}"),
        &format!("stamp --key {private}"),
        &format!("key rm {private} --yes"),
    ] {
        let output = inside(&format!("echo '{{}}' | keyfob --no-start {command}"));
        let names_nothing = ["list --json", "active", "status", "status --json", "key list"].contains(&command);
        let said = said(&output);
        assert_eq!(output.status.success(), names_nothing, "{command}: {said}");
        let outside = [private.as_str(), dir.path().to_str().unwrap()];
        // What was typed may be named again.
        let shown = outside.iter().any(|text| said.contains(text) && !command.contains(text));
        assert!(!shown && (command.contains("private") || !said.contains("private")), "{command}: {said}");
    }
    let files = inside("find / -xdev -type s; find / -xdev -name 'keyfob*' -not -path '/usr/*'");
    assert_eq!(said(&files).lines().collect::<Vec<_>>(), ["/run/keyfob.sock", "/opt/keyfob"]);
}

#[test]
fn a_grant_lasts_as_long_as_its_program_and_keyfob_ends_as_that_does() {
    let dir = directory();
    let (daemon, _) = daemon(dir.path());
    let script = r#"test "$KEYFOB_SOCKET" != "$0" && echo '{}' | keyfob stamp >/dev/null && ! keyfob show && exit 7"#;
    let main = dir.path().join("keyfob.sock");
    let mut watcher = daemon.connect();
    watcher.call("subscribe", json!({}));
    let mut event = || watcher.read()["params"].clone();
    let mut grant = command(dir.path(), "keyfob");
    grant.args(["grant", "--session", "work", "--may", "stamp", "--", "sh", "-c", script]).arg(main);
    let output = grant.output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert_eq!(event()["type"], "grantCreated");
    // What it was not given is told at most once a second, and may come before the end, or not.
    let ended = std::iter::repeat_with(&mut event).find(|event| event["type"] != "grantRefused").unwrap();
    assert_eq!((&ended["type"], &ended["reason"]), (&json!("grantEnded"), &json!("disconnected")));
    let missing = keyfob(dir.path(), &["grant", "--may", "stamp", "--", "/not/there"]);
    assert_eq!(missing.status.code(), Some(127), "{}", said(&missing));
    assert_eq!((&event()["type"], &event()["type"]), (&json!("grantCreated"), &json!("grantEnded")));

    // However keyfob ends: the daemon sees that it has.
    let mut grant = command(dir.path(), "keyfob");
    grant.args(["grant", "--may", "stamp", "--", "sh", "-c", "echo begun; exec cat"]);
    let mut child = grant.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let created = event();
    assert_eq!((&created["type"], &created["grant"]["untilDisconnect"]), (&json!("grantCreated"), &json!(true)));
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = event();
    assert_eq!((&ended["type"], &ended["reason"]), (&json!("grantEnded"), &json!("disconnected")));
}

#[test]
fn a_program_whose_grant_has_ended_starts_no_daemon() {
    let dir = directory();
    let mut stamp = command(dir.path(), "keyfob");
    let output = stamp.env("KEYFOB_GRANT", "gone").args(["list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(said(&output).contains("the grant gone, which this program runs with, has ended"), "{}", said(&output));
    assert!(!dir.path().join("keyfob.sock").exists());
    // Nor is a grant taken for the vault in a directory.
    let (_daemon, _) = daemon(dir.path());
    let socket = keyfob(dir.path(), &["grant", "--session", "work", "--may", "read"]);
    let socket = String::from_utf8(socket.stdout).unwrap().trim().to_owned();
    let mut list = command(dir.path(), "keyfob");
    list.env("KEYFOB_SOCKET", socket).env("KEYFOB_DATA_DIR", dir.path().join("data")).arg("list");
    let output = list.output().unwrap();
    assert!(output.status.code() == Some(69) && said(&output).contains("a part of a vault"), "{}", said(&output));
}

#[test]
fn the_sockets_of_a_daemon_that_was_killed_go_when_the_next_one_starts() {
    let dir = directory();
    let (daemon, _) = daemon(dir.path());
    let mut client = daemon.connect();
    let elsewhere = dir.path().join("elsewhere.sock");
    let mut made = vec![elsewhere.clone()];
    client.call("createGrant", json!({ "may": ["stamp"], "sessionKeys": ["work"], "socket": elsewhere }));
    for _ in 0..3 {
        let grant = client.call("createGrant", json!({ "may": ["stamp"], "sessionKeys": ["work"] }));
        made.push(grant["socket"].as_str().unwrap().into());
    }
    assert!(made.iter().all(|socket| socket.exists()));
    daemon.kill();
    let foreign = &made[1];
    fs::remove_file(foreign).unwrap();
    fs::write(foreign, "a file of somebody's").unwrap();
    let daemon = DaemonProcess::start(dir.path());
    let left: Vec<_> = made.iter().filter(|path| path.exists()).collect();
    assert_eq!(left, [foreign], "what is no socket stays");
    assert!(!dir.path().join("data/grants").exists());
    // A daemon that stops takes them with it.
    let mut client = daemon.connect();
    client.call("createGrant", json!({ "may": ["stamp"], "socket": elsewhere }));
    client.call("shutdown", json!({}));
    while client.read_line().is_some() {}
    assert!(!elsewhere.exists() && !dir.path().join("data/grants").exists());
}

const ANOTHER: u32 = 65_534;

/// Python that sends lines and prints what is answered to each.
const ASK: &str = "\
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
lines = s.makefile('rw')
for line in sys.argv[2:]:
    lines.write(line + '\\n')
    lines.flush()
    sys.stdout.write(lines.readline())";

/// How often a stranger connects.
const CONNECTS: &str = "5000";

/// Python that connects so often, is refused, and prints the last answer.
const REFUSED: &str = "\
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        said = s.recv(4096)
print(said.decode())";

#[test]
fn a_grant_with_a_user_is_for_that_user_alone() {
    if own_uid() != 0 || Command::new("python3").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skipped("only root is somebody else for a while, and it takes python3");
    }
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = DaemonProcess::start(dir.path());
    let mut owner = daemon.connect();
    for (uid, answer) in [(ANOTHER, "\"sessions\":[]"), (1, "you may not"), (ANOTHER - 7, "you may not")] {
        let call =
            json!({ "may": ["read"], "uid": ANOTHER, "socket": dir.path().join("theirs.sock"), "name": "theirs" });
        owner.call("createGrant", call);
        let program = dir.path().join("keyfob");
        assert!(Command::new("cp").arg(programs().join("keyfob")).arg(&program).status().unwrap().success());
        let list = Command::new(program)
            .args(["--no-start", "--json", "list", "--server-uid", "0", "--socket"])
            .arg(dir.path().join("theirs.sock"))
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap();
        assert!(said(&list).contains(answer), "{uid}: {}", said(&list));
        owner.call("revokeAllGrants", json!({}));
    }
}

#[test]
fn a_user_who_cannot_reach_the_socket_is_said_to_need_another_place() {
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (daemon, _) = daemon(dir.path());
    let mut owner = daemon.connect();
    let fault = owner.fault("createGrant", json!({ "may": ["read"], "uid": ANOTHER }));
    assert_eq!(fault["data"]["code"], "SOCKET_UNAVAILABLE");
    assert!(fault["message"].as_str().unwrap().contains("user 65534 cannot enter"), "{fault}");
}

#[test]
fn refused_connections_are_counted_in_the_log_and_push_nothing_out() {
    if own_uid() != 0 || Command::new("python3").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skipped("only root is somebody else for a while, and it takes python3");
    }
    let (dir, daemon) = allowing("65533");
    let mut stranger = Command::new("python3");
    stranger.arg("-c").arg(REFUSED).arg(dir.path().join("keyfob.sock")).arg(CONNECTS).uid(ANOTHER).gid(ANOTHER);
    let output = stranger.output().unwrap();
    assert!(said(&output).contains("ACCESS_DENIED"), "{}", said(&output));
    let log = dir.path().join("data/keyfobd.log");
    let told = || {
        let log = fs::read_to_string(&log).unwrap();
        let lines = log.lines().filter(|line| line.contains("connections were refused"));
        lines.filter_map(|line| line.split_once("count=")?.1.split(' ').next()?.parse::<u64>().ok()).collect::<Vec<_>>()
    };
    let begun = Instant::now();
    while told().iter().sum::<u64>() < CONNECTS.parse().unwrap() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", told());
        daemon.connect().call("status", json!({}));
    }
    assert!(told().len() < 100, "{:?}", told());
}

#[test]
fn an_allowed_user_has_the_sessions_and_key_pairs_and_not_the_vault() {
    if own_uid() != 0 || Command::new("python3").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skipped("only root is somebody else for a while, and it takes python3");
    }
    let (dir, daemon) = allowing("65534");
    let ask = |calls: &[(&str, Value)]| {
        let line = |(method, params): &(&str, Value)| {
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
        };
        let mut python = Command::new("python3");
        python.arg("-c").arg(ASK).arg(dir.path().join("keyfob.sock")).args(calls.iter().map(line));
        let output = python.uid(ANOTHER).gid(ANOTHER).output().unwrap();
        let code = |line: &str| {
            let answer: Value = serde_json::from_str(line).unwrap();
            answer["error"]["data"]["code"].as_str().unwrap_or("ok").to_owned()
        };
        said(&output).lines().map(code).collect::<Vec<_>>()
    };
    let denied = ["lock", "unlock", "setLockAfter", "shutdown", "listGrants", "revokeAllGrants"]
        .map(|method| (method, json!({})));
    let more = [("rekey", json!({ "keySource": "keyFile" })), ("createGrant", json!({ "may": ["stamp"] }))];
    let codes = ask(&[&denied[..], &more[..]].concat());
    assert!(codes.len() == 8 && codes.iter().all(|code| code == "ACCESS_DENIED"), "{codes:?}");
    let allowed = ["createApiKeyPair", "listApiKeyPairs", "listSessions", "getAllSessions", "status", "subscribe"];
    let codes = ask(&allowed.map(|method| (method, json!({}))));
    assert_eq!(codes, ["ok"; 6]);
    // What they may have is counted.
    let codes = ask(&vec![("createApiKeyPair", json!({})); 105]);
    assert_eq!(codes.iter().filter(|code| *code == "ok").count(), 99, "one was created before");
    assert_eq!(codes.last().unwrap(), "LIMIT_REACHED");
    let mut owner: RawClient = daemon.connect();
    owner.call("createApiKeyPair", json!({}));
}

/// A daemon that serves a user too, in a directory that others can enter.
fn allowing(uid: &str) -> (tempfile::TempDir, DaemonProcess) {
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut start = DaemonProcess::command(dir.path());
    start.args(["--allow-uid", uid]);
    let daemon = DaemonProcess::spawn(start, dir.path()).unwrap();
    (dir, daemon)
}

pub(crate) fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid()
}

pub(crate) fn can_make_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "true"]).status().is_ok_and(|status| status.success())
}
