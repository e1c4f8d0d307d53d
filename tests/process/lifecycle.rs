//! Starting, stopping, and getting out of each other's way.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use keyfob_proto::MAX_SOCKET_PATH_BYTES;
use keyfob_tests::{DaemonProcess, programs};
use serde_json::json;

use crate::directory;

/// Sends a signal by its name.
fn signal(daemon: &DaemonProcess, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(daemon.child.id().to_string()).status().unwrap();
    assert!(status.success());
}

#[test]
fn signals_drain_the_daemon() {
    for name in ["TERM", "INT"] {
        let dir = directory();
        let mut daemon = DaemonProcess::start(dir.path());
        let mut client = daemon.connect();
        client.call("createApiKeyPair", json!({}));
        signal(&daemon, name);
        assert_eq!(client.read_line(), None);
        assert!(daemon.child.wait().unwrap().success(), "{name}");
        assert!(!dir.path().join("keyfob.sock").exists(), "{name}");
        let daemon = DaemonProcess::start(dir.path());
        let pairs = daemon.connect().call("listApiKeyPairs", json!({}));
        assert_eq!(pairs["keyPairs"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn what_was_sent_before_a_signal_and_read_is_answered() {
    let dir = directory();
    let mut daemon = DaemonProcess::start(dir.path());
    let mut client = daemon.connect();
    let ids: Vec<u64> = (0..50).map(|_| client.request("createApiKeyPair", &json!({}))).collect();
    client.read_reply(ids[0]);
    signal(&daemon, "TERM");
    let mut answered = 1;
    while let Some(line) = client.read_line() {
        assert!(line.contains("publicKey"), "{line}");
        answered += 1;
    }
    assert!(daemon.child.wait().unwrap().success());
    let daemon = DaemonProcess::start(dir.path());
    let pairs = daemon.connect().call("listApiKeyPairs", json!({}))["keyPairs"].as_array().unwrap().len();
    assert_eq!(pairs, answered, "what was taken was answered, and nothing else was done");
}

#[test]
fn a_second_daemon_names_the_one_that_holds_the_vault() {
    let dir = directory();
    let first = DaemonProcess::start(dir.path());
    let other_socket = directory();
    let mut command = Command::new(programs().join("keyfobd"));
    command.arg("--detached").arg("--socket").arg(other_socket.path().join("s"));
    command.arg("--data-dir").arg(dir.path().join("data"));
    let (line, status) = DaemonProcess::spawn(command, other_socket.path()).err().unwrap();
    assert_eq!(status.code(), Some(75));
    assert!(line.contains(&format!("pid {}", first.child.id())) && line.contains("held by another"), "{line}");
    first.connect().call("status", json!({}));
}

#[test]
fn a_second_daemon_leaves_a_live_socket_alone() {
    let dir = directory();
    let first = DaemonProcess::start(dir.path());
    let other_data = directory();
    let mut command = Command::new(programs().join("keyfobd"));
    command.arg("--detached").arg("--socket").arg(dir.path().join("keyfob.sock"));
    command.arg("--data-dir").arg(other_data.path().join("data"));
    let (line, status) = DaemonProcess::spawn(command, dir.path()).err().unwrap();
    assert_eq!(status.code(), Some(75));
    assert!(line.contains(&format!("pid {}", first.child.id())) && line.contains("listens on"), "{line}");
    first.connect().call("status", json!({}));
}

#[test]
fn a_stale_socket_is_replaced() {
    let dir = directory();
    DaemonProcess::start(dir.path()).kill();
    let socket = dir.path().join("keyfob.sock");
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket(), "a killed daemon leaves it behind");
    let daemon = DaemonProcess::start(dir.path());
    daemon.connect().call("status", json!({}));
}

#[test]
fn a_file_in_the_sockets_place_is_left_alone() {
    let dir = directory();
    let socket = dir.path().join("keyfob.sock");
    fs::write(&socket, "precious").unwrap();
    let (line, status) = DaemonProcess::spawn(DaemonProcess::command(dir.path()), dir.path()).err().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(line.contains("is not a socket"), "{line}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn a_socket_path_that_is_too_long_is_refused_with_the_limit() {
    let dir = directory();
    let mut command = Command::new(programs().join("keyfobd"));
    command.arg("--detached").arg("--socket").arg(dir.path().join("x".repeat(MAX_SOCKET_PATH_BYTES)));
    command.arg("--data-dir").arg(dir.path().join("data"));
    let (line, status) = DaemonProcess::spawn(command, dir.path()).err().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(line.contains(&format!("limit is {MAX_SOCKET_PATH_BYTES}")), "{line}");
}

#[test]
fn everything_is_private_to_the_user() {
    let dir = directory();
    let _daemon = DaemonProcess::start(dir.path());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut directories = vec![dir.path().join("data")];
    assert_eq!(mode(&dir.path().join("keyfob.sock")), 0o600);
    while let Some(directory) = directories.pop() {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
}

#[test]
fn another_user_is_refused_unless_allowed() {
    const NOBODY: u32 = 65_534;
    if !is_root() {
        return crate::skipped("only root is somebody else for a while");
    }
    for (flags, expected) in [
        (&[][..], "you may not connect to"),
        (&["--allow-uid", "65534"], "\"health\":\"ok\""),
        (&["--allow-uid", "65533"], "ACCESS_DENIED"),
    ] {
        let dir = directory();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = dir.path().join("keyfob");
        copy(&programs().join("keyfob"), &program);
        let mut command = DaemonProcess::command(dir.path());
        command.args(flags);
        let _daemon = DaemonProcess::spawn(command, dir.path()).unwrap();
        let socket = dir.path().join("keyfob.sock");
        let output = Command::new(program)
            .args(["--no-start", "--json", "status", "--socket"])
            .arg(socket)
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
}

/// Copies a program. Had this process the copy open, another thread's child could have it too, and it would not run.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// Only root can become somebody else.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn a_reader_of_the_one_line_is_not_kept_waiting_for_more() {
    let dir = directory();
    let daemon = DaemonProcess::command(dir.path());
    // A shell waits for the end of what it substitutes.
    let output = Command::new("sh")
        .arg("-c")
        .arg("said=$(\"$0\" \"$@\" & ) && printf %s \"$said\"")
        .arg(daemon.get_program())
        .args(daemon.get_args())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("listening"), "{output:?}");
    let mut client = keyfob_tests::RawClient::connect(&dir.path().join("keyfob.sock"));
    client.call("shutdown", json!({}));
    assert_eq!(client.read_line(), None);
}
