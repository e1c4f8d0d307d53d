//! The program itself: it starts its daemon, and tells why when it cannot.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use keyfob_tests::login::token;
use keyfob_tests::{PATIENCE, programs};
use serde_json::Value;

pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(programs().join("keyfob"));
    command.env("KEYFOB_SOCKET", dir.join("keyfob.sock")).env("KEYFOB_DATA_DIR", dir.join("data"));
    command.stdin(Stdio::null());
    command
}

pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir).args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Stops the daemon that a test started.
pub(crate) struct Stop<'a>(pub(crate) &'a Path);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        run(self.0, &["stop"]);
    }
}

#[test]
fn the_first_command_starts_the_daemon_and_the_next_ones_find_it() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    assert_eq!(run(dir.path(), &["--no-start", "list"]).status.code(), Some(69));
    let first: Value = serde_json::from_slice(&run(dir.path(), &["status", "--json"]).stdout).unwrap();
    let second: Value = serde_json::from_slice(&run(dir.path(), &["status", "--json"]).stdout).unwrap();
    assert_eq!(first["pid"], second["pid"]);
    // A line waits a moment before it is written.
    let begun = Instant::now();
    let mut log = String::new();
    while !log.contains("the vault is open") && begun.elapsed() < PATIENCE {
        log = fs::read_to_string(dir.path().join("data/keyfobd.log")).unwrap();
    }
    assert!(log.contains("the vault is open"), "{log}");
}

#[test]
fn without_any_setting_the_daemon_makes_the_default_places_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let keyfob = |args: &[&str]| {
        let mut command = Command::new(programs().join("keyfob"));
        command.env_clear().env("XDG_RUNTIME_DIR", dir.path()).env("HOME", dir.path());
        // Empty is absent.
        command.env("KEYFOB_SOCKET", "").args(args).output().unwrap()
    };
    let output = keyfob(&["status", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let socket_dir = dir.path().join("keyfob");
    assert_eq!(status["paths"]["socket"], socket_dir.join("keyfob.sock").to_str().unwrap());
    assert!(status["paths"]["dataDir"].as_str().unwrap().starts_with(dir.path().to_str().unwrap()));
    assert_eq!(fs::metadata(&socket_dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(keyfob(&["stop"]).status.success());
}

#[test]
fn commands_that_start_at_once_reach_one_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    let _built = programs();
    let pids: Vec<Value> = thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| run(dir.path(), &["status", "--json"]))).collect();
        let outputs = runs.into_iter().map(|run| run.join().unwrap());
        outputs
            .map(|output| {
                assert!(output.status.success(), "{}", text(&output.stderr));
                serde_json::from_slice::<Value>(&output.stdout).unwrap()["pid"].clone()
            })
            .collect()
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}

#[test]
fn a_stopped_daemon_can_be_started_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    let key = text(&run(dir.path(), &["key", "new"]).stdout).trim().to_owned();
    for _ in 0..5 {
        assert_eq!(text(&run(dir.path(), &["stop"]).stdout), "stopped\n");
        let list = run(dir.path(), &["key", "list"]);
        assert!(text(&list.stdout).contains(&key), "{}", text(&list.stderr));
    }
}

#[test]
fn the_daemons_own_error_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data/store")).unwrap();
    fs::set_permissions(dir.path().join("data"), fs::Permissions::from_mode(0o700)).unwrap();
    let output = run(dir.path(), &["list"]);
    assert_eq!(output.status.code(), Some(69));
    let error = text(&output.stderr);
    assert!(error.contains("keyfobd did not start") && error.contains("is damaged"), "{error}");
}

#[test]
fn a_missing_daemon_program_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("keyfob");
    // Had this process the copy open, another thread's child could have it too, and it would not run.
    assert!(Command::new("cp").arg(programs().join("keyfob")).arg(&alone).status().unwrap().success());
    let mut command = Command::new(alone);
    command.env("KEYFOB_SOCKET", dir.path().join("s")).env("PATH", dir.path()).arg("list");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("Install keyfobd beside keyfob"), "{}", text(&output.stderr));
}

#[test]
fn a_token_can_come_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    let key = text(&run(dir.path(), &["key", "new"]).stdout).trim().to_owned();
    let mut store = command(dir.path());
    store.args(["store", "work", "--env", "LOGIN_TOKEN"]).env("LOGIN_TOKEN", token(&key, 4_102_444_800));
    let output = store.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&run(dir.path(), &["active"]).stdout), "work\n");
}

#[test]
fn a_reader_that_left_early_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    let mut child = command(dir.path())
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn the_tour_goes_well_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let tour = |args: &[&str]| {
        let output = command(temp.path()).env("TMPDIR", temp.path()).arg("tour").args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "nothing is left");
        text(&output.stdout).to_owned()
    };
    let out = tour(&[]);
    for part in ["wallet logs in", "verified with the public key", "sessions: agent\n", "NO_SESSION_FOUND", "removed"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let out = tour(&["--wire"]);
    assert!(out.contains(r#""method":"createApiKeyPair","params":{}}"#), "{out}");
    let out = tour(&["--json"]);
    assert!(out.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["step"].is_string()));
}

#[test]
fn stdin_is_read_to_the_last_byte() {
    let dir = tempfile::tempdir().unwrap();
    let _stop = Stop(dir.path());
    let key = text(&run(dir.path(), &["key", "new"]).stdout).trim().to_owned();
    let sign = |payload: &[u8]| {
        let mut child = command(dir.path())
            .args(["sign", "--key", &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(payload).unwrap();
        child.wait_with_output().unwrap().stdout
    };
    assert_ne!(sign(b"a"), sign(b"a\n"));
    assert_eq!(sign(b"a\0\xff"), sign(b"a\0\xff"));
}
