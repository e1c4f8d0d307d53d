//! Disks that fill up, and stores that are not what they should be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob_tests::login::token;
use keyfob_tests::{DaemonProcess, programs};
use serde_json::json;

use crate::directory;

const EXPIRY: u64 = 4_102_444_800;

/// Starts a daemon whose files cannot grow beyond this many blocks of 512 bytes: to the daemon, a
/// disk that fills up.
fn start_on_a_small_disk(dir: &Path, blocks: u32) -> DaemonProcess {
    let daemon = DaemonProcess::command(dir);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -f {blocks}; exec \"$0\" \"$@\""));
    shell.arg0("sh").arg(daemon.get_program()).args(daemon.get_args());
    DaemonProcess::spawn(shell, dir).unwrap()
}

#[test]
fn a_file_that_cannot_grow_refuses_stores_loses_nothing_and_lets_clears_through() {
    let dir = directory();
    let daemon = start_on_a_small_disk(dir.path(), 12_000);
    let mut client = daemon.connect();
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let spare = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let token = format!("{}{}", token(&key, EXPIRY), "s".repeat(4000));
    let mut stored = 0;
    let fault = loop {
        let params = json!({ "sessionToken": token, "sessionKey": stored.to_string() });
        let mut answer = client.exchange("storeSession", params);
        if answer["error"].is_object() {
            break answer["error"].take();
        }
        stored += 1;
        assert!(stored < 5000, "the disk should be full by now");
    };
    assert!(stored > 10);
    assert_eq!(fault["data"]["code"], "STORAGE_ERROR");
    assert!(fault["message"].as_str().unwrap().contains("next start"), "{fault}");

    assert!(client.call("getSession", json!({ "sessionKey": "0" }))["session"].is_object(), "reads go on");
    client.call("sign", json!({ "payload": "" }));
    let unseen = client.call("getSession", json!({ "sessionKey": stored.to_string() }));
    assert!(unseen["session"].is_null(), "what could not be written is not seen");
    let status = client.call("status", json!({}));
    assert_eq!(status["health"], "storageFailed");
    assert!(status["storage"]["fault"].as_str().unwrap().contains("FileTooLarge"), "{status}");
    let mut keyfob = Command::new(programs().join("keyfob"));
    let said = keyfob.args(["status", "--socket"]).arg(dir.path().join("keyfob.sock")).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8(said.stdout).unwrap().contains("the disk failed"), "it is printed all the same");
    for (method, params) in [
        ("createApiKeyPair", json!({})),
        ("setActiveSession", json!({ "sessionKey": "0" })),
        ("storeSession", json!({ "sessionToken": token, "sessionKey": "0" })),
        ("rekey", json!({ "keySource": "keyFile" })),
    ] {
        assert_eq!(client.code(method, params), "STORAGE_ERROR", "{method}");
    }
    // Clearing goes on, also of what may come back with the batch that failed, and in a group with what is refused.
    client.call("clearSession", json!({ "sessionKey": "0" }));
    client.call("deleteApiKeyPair", json!({ "publicKey": spare }));
    let group = [
        ("clearSession", json!({ "sessionKey": "1" })),
        ("createApiKeyPair", json!({})),
        ("clearSession", json!({ "sessionKey": "2" })),
    ];
    let answers = client.pipeline(group);
    assert!(answers[0]["result"].is_object() && answers[2]["result"].is_object(), "{answers:?}");
    assert_eq!(answers[1]["error"]["data"]["code"], "STORAGE_ERROR");
    daemon.kill();

    let daemon = DaemonProcess::start(dir.path());
    let mut client = daemon.connect();
    for n in 0..stored {
        let found = client.call("getSession", json!({ "sessionKey": n.to_string() }));
        assert_eq!(found["session"].is_object(), n > 2, "session {n} of {stored}");
    }
    let pairs = client.call("listApiKeyPairs", json!({}))["keyPairs"].as_array().unwrap().len();
    assert_eq!(pairs, 1, "the spare one is gone");
    assert_eq!(client.call("status", json!({}))["health"], "ok");
    client.call("clearAllSessions", json!({}));
}

/// Every file under a directory, with what is in it.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() { contents(&path) } else { BTreeMap::from([(path.clone(), fs::read(&path).unwrap())]) }
        })
        .collect()
}

/// Starts a daemon on a store that someone tampered with; it must refuse and leave it as it is.
fn refused(tamper: impl FnOnce(&Path)) -> (String, Option<i32>) {
    let dir = directory();
    let mut daemon = DaemonProcess::start(dir.path());
    daemon.connect().call("createApiKeyPair", json!({}));
    daemon.connect().call("shutdown", json!({}));
    daemon.child.wait().unwrap();
    let store = dir.path().join("data/store");
    tamper(&store);
    let before = contents(&store);
    let (line, status) = DaemonProcess::spawn(DaemonProcess::command(dir.path()), dir.path()).err().unwrap();
    assert!(contents(&store) == before, "nothing was changed");
    assert!(!dir.path().join("keyfob.sock").exists());
    (line, status.code())
}

#[test]
fn a_damaged_store_is_refused_and_not_touched() {
    let (line, code) = refused(|store| fs::write(store.join("records.1/db"), vec![0x5a; 300_000]).unwrap());
    assert_eq!(code, Some(65), "{line}");
    assert!(line.contains("damaged") && line.contains("backup"), "{line}");
    let (line, code) = refused(|store| fs::remove_file(store.join("records.1/db")).unwrap());
    assert_eq!(code, Some(65), "{line}");
    let (line, code) = refused(|store| fs::remove_file(store.join("format")).unwrap());
    assert_eq!(code, Some(65), "{line}");
}

#[test]
fn a_store_of_a_later_release_is_refused_and_not_touched() {
    let (line, code) = refused(|store| fs::write(store.join("format"), "2\n").unwrap());
    assert_eq!(code, Some(65), "{line}");
    assert!(line.contains("has format 2") && line.contains("newer keyfobd"), "{line}");
}

/// Starts a daemon whose calls of one kind fail from some call of each thread on, as on a disk that breaks. `None` where
/// `strace`, which makes them fail, is not installed.
fn start_on_a_breaking_disk(dir: &Path, call: &str, from: u32) -> Option<DaemonProcess> {
    let daemon = DaemonProcess::command(dir);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    strace.arg(format!("inject={call}:error=EIO:when={from}+"));
    strace.arg(daemon.get_program()).args(daemon.get_args());
    let is_there = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    is_there.then(|| DaemonProcess::spawn(strace, dir).unwrap())
}

#[test]
fn a_write_or_a_sync_that_fails_refuses_mutations_and_loses_nothing() {
    for (call, from) in [("fdatasync", 12), ("pwrite64", 20), ("sync_file_range", 8)] {
        let dir = directory();
        let Some(mut daemon) = start_on_a_breaking_disk(dir.path(), call, from) else {
            return crate::skipped("strace is not installed");
        };
        let mut client = daemon.connect();
        let mut created = Vec::new();
        let fault = loop {
            let mut answer = client.exchange("createApiKeyPair", json!({}));
            if answer["error"].is_object() {
                break answer["error"].take();
            }
            created.push(answer["result"]["publicKey"].take());
            assert!(created.len() < 1000, "{call} should have failed by now");
        };
        assert_eq!(fault["data"]["code"], "STORAGE_ERROR", "{call}");
        assert!(created.len() > 3, "{call}");
        let listed = client.call("listApiKeyPairs", json!({}));
        assert_eq!(listed["keyPairs"].as_array().unwrap().len(), created.len(), "{call}: nothing else is seen");
        client.call("sign", json!({ "payload": "", "signer": { "publicKey": created[0] } }));
        assert_eq!(client.code("createApiKeyPair", json!({})), "STORAGE_ERROR", "{call}");
        let status = client.call("status", json!({}));
        assert_eq!(status["health"], "storageFailed", "{call}");
        let pid = status["pid"].to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        // strace ends when the daemon has.
        daemon.child.wait().unwrap();

        let daemon = DaemonProcess::start(dir.path());
        let mut client = daemon.connect();
        for key in created {
            client.call("sign", json!({ "payload": "", "signer": { "publicKey": key } }));
        }
        client.call("createApiKeyPair", json!({}));
    }
}

#[test]
fn a_data_directory_that_cannot_be_written_or_is_not_ours_is_refused() {
    const NOBODY: u32 = 65_534;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return crate::skipped("only root is somebody else for a while");
    }
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let refusal = || {
        let mut command = DaemonProcess::command(dir.path());
        command.uid(NOBODY).gid(NOBODY);
        DaemonProcess::spawn(command, dir.path()).err().unwrap()
    };
    let (line, status) = refusal();
    assert!(line.contains("belongs to user 0, and you are user 65534"), "{line}");
    assert_eq!(status.code(), Some(1));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);

    std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).unwrap();
    let (line, status) = refusal();
    assert!(line.contains("Permission denied") && line.contains("data"), "{line}");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_file_that_was_cut_short_is_refused_and_not_touched() {
    for left in [0, 30, 200] {
        let (line, code) = refused(|store| {
            let db = fs::OpenOptions::new().write(true).open(store.join("records.1/db")).unwrap();
            db.set_len(left).unwrap();
            for snapshot in fs::read_dir(store.join("records.1")).unwrap() {
                let path = snapshot.unwrap().path();
                if left == 0 && path.file_name().unwrap().to_string_lossy().starts_with("snap") {
                    fs::remove_file(path).unwrap();
                }
            }
        });
        assert_eq!(code, Some(65), "{left} bytes: {line}");
        assert!(line.contains("damaged"), "{line}");
    }
}
