//! Sockets that were bound before the daemon started, and daemons that give way to others.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_tests::{DaemonProcess, RawClient, programs};
use serde_json::json;

use crate::{directory, skipped};

/// Binds sockets and runs a program with them, as systemd does.
const PASS_ON: &str = "\
import os, socket, sys
paths = sys.argv[1].split(':')
sockets = [socket.socket(socket.AF_UNIX) for _ in paths]
for at, (listener, path) in enumerate(zip(sockets, paths)):
    listener.bind(path)
    listener.listen()
    os.dup2(listener.fileno(), 20 + at)
for at, path in enumerate(paths):
    os.dup2(20 + at, 3 + at)
    os.set_inheritable(3 + at, True)
os.environ.update(LISTEN_FDS=str(len(paths)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])";

/// The command that starts a daemon in `dir` with sockets of these names, or none where there is no Python.
fn passing(dir: &Path, names: &[&str]) -> Option<Command> {
    if Command::new("python3").arg("-V").stdout(Stdio::null()).status().is_err() {
        skipped("there is no python3 to pass a socket on");
        return None;
    }
    let paths: Vec<_> = names.iter().map(|name| dir.join(name).display().to_string()).collect();
    let mut python = Command::new("python3");
    python.arg("-c").arg(PASS_ON).arg(paths.join(":"));
    python.arg(programs().join("keyfobd")).arg("--data-dir").arg(dir.join("data"));
    Some(python)
}

#[test]
fn a_socket_that_was_passed_on_is_served_and_left() {
    let dir = directory();
    let Some(mut command) = passing(dir.path(), &["keyfob.sock"]) else { return };
    command.arg("--detached");
    let mut daemon = DaemonProcess::spawn(command, dir.path()).unwrap();
    daemon.connect().call("createApiKeyPair", json!({}));
    let status = daemon.connect().call("status", json!({}));
    assert_eq!(status["startedBy"], "systemd");
    assert_eq!(status["paths"]["socket"], dir.path().join("keyfob.sock").to_str().unwrap());
    daemon.connect().call("shutdown", json!({}));
    assert!(daemon.child.wait().unwrap().success());
    assert!(dir.path().join("keyfob.sock").exists(), "it is not the daemon's to remove");
    assert!(!dir.path().join("keyfob.sock.lock").exists());
}

#[test]
fn whoever_waits_for_a_daemon_that_does_not_start_is_told_why() {
    let dir = directory();
    DaemonProcess::start(dir.path()).kill();
    fs::write(dir.path().join("data/store/format"), "99\n").unwrap();
    // They wait before there is anybody to tell them.
    let socket = dir.path().join("passed.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut clients: Vec<_> = (0..5).map(|_| RawClient::connect(&socket)).collect();
    let mut command = Command::new(programs().join("keyfobd"));
    command.arg("--successor").arg("--socket").arg(&socket).arg("--data-dir").arg(dir.path().join("data"));
    command.stdin(OwnedFd::from(listener.try_clone().unwrap())).stderr(Stdio::null());
    let begun = Instant::now();
    let mut daemon = command.spawn().unwrap();
    for client in &mut clients {
        let line = client.read_line().unwrap();
        assert!(line.contains("NOT_STARTED") && line.contains("has format 99"), "{line}");
        assert_eq!(client.read_line(), None);
    }
    assert_eq!(daemon.wait().unwrap().code(), Some(65));
    assert!(begun.elapsed() > Duration::from_secs(2), "systemd gives a unit up that is started too often");
}

#[test]
fn a_wrong_argument_in_a_unit_is_told_to_whoever_waits() {
    let dir = directory();
    let Some(mut command) = passing(dir.path(), &["keyfob.sock"]) else { return };
    let mut daemon = command.arg("--no-such-option").stderr(Stdio::null()).spawn().unwrap();
    let line = RawClient::connect(&wait_for(&dir.path().join("keyfob.sock"))).read_line().unwrap();
    assert!(line.contains("NOT_STARTED") && line.contains("no such option"), "{line}");
    assert_eq!(daemon.wait().unwrap().code(), Some(2));
}

#[test]
fn a_daemon_that_was_to_give_way_and_is_told_to_stop_stops() {
    let dir = directory();
    let mut daemon = DaemonProcess::start(dir.path());
    let (mut first, mut second) = (daemon.connect(), daemon.connect());
    first.call("shutdown", json!({ "restart": true }));
    // It goes on hearing those who ask.
    second.call("shutdown", json!({}));
    assert_eq!(second.read_line(), None);
    assert!(daemon.child.wait().unwrap().success());
    assert!(!dir.path().join("keyfob.sock").exists());
}

/// A socket's path, once somebody has bound it.
fn wait_for(socket: &Path) -> std::path::PathBuf {
    let end = Instant::now() + Duration::from_secs(60);
    while UnixStream::connect(socket).is_err() {
        assert!(Instant::now() < end, "nobody listens on {}", socket.display());
        thread::yield_now();
    }
    socket.to_owned()
}

#[test]
fn a_second_socket_that_was_passed_on_is_refused_and_answered() {
    let dir = directory();
    let Some(mut command) = passing(dir.path(), &["keyfob.sock", "second.sock"]) else { return };
    let mut daemon = command.stderr(Stdio::null()).spawn().unwrap();
    let waiting = ["second.sock", "keyfob.sock"].map(|name| RawClient::connect(&wait_for(&dir.path().join(name))));
    for mut client in waiting {
        let line = client.read_line().unwrap();
        assert!(line.contains("NOT_STARTED") && line.contains("leave one `ListenStream=`"), "{line}");
    }
    assert_eq!(daemon.wait().unwrap().code(), Some(2));
}

#[test]
fn the_journal_is_told_how_much_a_line_matters_and_not_what_time_it_is() {
    let dir = directory();
    let log = fs::File::create(dir.path().join("journal")).unwrap();
    let metadata = log.metadata().unwrap();
    let run = |stream: String| {
        let mut command = Command::new(programs().join("keyfobd"));
        command.arg("--socket").arg(dir.path().join("keyfob.sock")).arg("--data-dir").arg(dir.path().join("data"));
        command.env("JOURNAL_STREAM", stream).stderr(log.try_clone().unwrap());
        let mut daemon = command.spawn().unwrap();
        RawClient::connect(&wait_for(&dir.path().join("keyfob.sock"))).call("shutdown", json!({}));
        assert!(daemon.wait().unwrap().success());
        fs::read_to_string(dir.path().join("journal")).unwrap()
    };
    let text = run(format!("{}:{}", metadata.dev(), metadata.ino()));
    assert!(text.lines().count() > 1 && text.lines().all(|line| line.starts_with("<6> INFO ")), "{text}");
    let after = run("1:1".to_owned());
    assert!(after[text.len()..].lines().all(|line| line.starts_with("20")), "another standard error: {after}");
}

#[test]
fn a_daemon_gives_way_to_the_program_that_is_installed_and_no_attempt_to_connect_is_lost() {
    let dir = directory();
    let program = dir.path().join("keyfobd");
    let install = || {
        // Had this process the copy open, another thread's child could have it too, and it would not run.
        let unfinished = dir.path().join("keyfobd.new");
        assert!(Command::new("cp").arg(programs().join("keyfobd")).arg(&unfinished).status().unwrap().success());
        fs::rename(unfinished, &program).unwrap();
        fs::metadata(&program).unwrap().ino()
    };
    let first = install();
    let command = DaemonProcess::command(dir.path());
    let mut installed = Command::new(&program);
    installed.args(command.get_args());
    let daemon = DaemonProcess::spawn(installed, dir.path()).unwrap();
    daemon.connect().call("createApiKeyPair", json!({}));
    let socket = dir.path().join("keyfob.sock");
    let is_done = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (socket, is_done) = (socket.clone(), Arc::clone(&is_done));
            thread::spawn(move || {
                let mut asked = 0;
                while !is_done.load(Ordering::Relaxed) {
                    RawClient::connect(&socket).call("status", json!({}));
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for _ in 0..3 {
        let second = install();
        let mut client = daemon.connect();
        client.call("shutdown", json!({ "restart": true }));
        while client.read_line().is_some() {}
        let status = daemon.connect().call("status", json!({}));
        assert_eq!(status["pid"], daemon.child.id());
        assert_eq!(status["startedBy"], "client");
        assert_eq!(status["counts"]["keyPairsUnused"], 1);
        if cfg!(target_os = "linux") {
            let running = fs::metadata(format!("/proc/{}/exe", daemon.child.id())).unwrap().ino();
            assert!(running == second && running != first, "the program that is there now");
        }
    }
    is_done.store(true, Ordering::Relaxed);
    let asked: Vec<i32> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
    let _ = writeln!(std::io::stderr(), "asked meanwhile: {asked:?}");
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    let mut daemon = daemon;
    daemon.connect().call("shutdown", json!({}));
    assert!(daemon.child.wait().unwrap().success());
    assert!(!socket.exists(), "it is the last one's to remove");
}

#[test]
fn a_daemon_whose_program_is_gone_goes_on() {
    let dir = directory();
    let program = dir.path().join("keyfobd");
    assert!(Command::new("cp").arg(programs().join("keyfobd")).arg(&program).status().unwrap().success());
    let command = DaemonProcess::command(dir.path());
    let mut installed = Command::new(&program);
    installed.args(command.get_args());
    let daemon = DaemonProcess::spawn(installed, dir.path()).unwrap();
    fs::remove_file(&program).unwrap();
    let mut client = daemon.connect();
    let fault = client.fault("shutdown", json!({ "restart": true }));
    assert_eq!(fault["data"]["code"], "NOT_STARTED");
    client.call("createApiKeyPair", json!({}));
}

#[test]
fn stop_does_not_connect_where_nobody_holds_the_vault() {
    let dir = directory();
    let data = dir.path().join("data");
    DaemonProcess::start(dir.path()).kill();
    // Where systemd listens, to connect would start one.
    let listener = UnixListener::bind(data.join("keyfob.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let output = Command::new(programs().join("keyfob")).arg("stop").arg("--data-dir").arg(&data).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no daemon is running"));
    assert!(listener.accept().is_err(), "nobody connected");
}
