//! A file system without room: nothing is stored, and all else goes on.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use keyfob_tests::login::token;
use keyfob_tests::{DaemonProcess, PATIENCE, RawClient};
use serde_json::{Value, json};

use crate::{directory, skipped};

const EXPIRY: u64 = 4_102_444_800;

/// A small file system of its own.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    /// One of so many MiB; `None` where the system lets nobody make one.
    fn new(mib: usize) -> Option<Self> {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            return None;
        }
        let dir = directory();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "keyfob-test"]).arg(dir.path());
        mount.status().is_ok_and(|status| status.success()).then_some(Self { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Stores sessions until there is no room, and answers how many there are and the fault.
fn store_until_full(client: &mut RawClient) -> (usize, Value) {
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let token = format!("{}{}", token(&key, EXPIRY), "s".repeat(4000));
    for stored in 0..20_000 {
        let mut answer =
            client.exchange("storeSession", json!({ "sessionToken": token, "sessionKey": stored.to_string() }));
        if answer["error"].is_object() {
            return (stored, answer["error"].take());
        }
    }
    panic!("it should be full by now");
}

#[test]
fn on_a_full_disk_clearing_and_starting_work_and_storing_does_again_when_there_is_room() {
    let Some(small) = Small::new(40) else { return skipped("no file system can be made here") };
    let mut daemon = DaemonProcess::start(small.path());
    let mut client = daemon.connect();
    let (stored, fault) = store_until_full(&mut client);
    assert!(stored > 100, "{stored}");
    assert_eq!(fault["data"]["code"], "STORAGE_ERROR");
    let message = fault["message"].as_str().unwrap();
    for part in ["ENOSPC", "tmpfs", "KiB free", "nothing was changed", "keyfob status"] {
        assert!(message.contains(part), "{message}");
    }
    let filler = small.fill();
    let status = client.call("status", json!({}));
    assert_eq!((&status["health"], &status["storage"]["fileSystem"]), (&json!("storageFull"), &json!("tmpfs")));
    assert!(status["storage"]["fault"].as_str().unwrap().contains("ENOSPC"), "{status}");
    assert!(status["storage"]["freeBytes"].as_u64().unwrap() < 4096, "{status}");

    let clear = |client: &mut RawClient, n: usize| client.call("clearSession", json!({ "sessionKey": n.to_string() }));
    clear(&mut client, 0);
    client.call("lock", json!({}));
    clear(&mut client, 1);
    client.call("unlock", json!({}));
    let group = [
        ("clearSession", json!({ "sessionKey": "2" })),
        ("createApiKeyPair", json!({})),
        ("clearSession", json!({ "sessionKey": "3" })),
    ];
    let answers = client.pipeline(group);
    assert!(answers[0]["result"].is_object() && answers[2]["result"].is_object(), "{answers:?}");
    assert_eq!(answers[1]["error"]["data"]["code"], "STORAGE_ERROR", "{answers:?}");
    assert_eq!(client.code("rekey", json!({ "keySource": "keyFile" })), "STORAGE_ERROR");

    // It starts again and again, after a kill and after a stop.
    for round in 0..4 {
        if round % 2 == 0 {
            daemon.kill();
        } else {
            daemon.connect().call("shutdown", json!({}));
            assert!(daemon.child.wait().unwrap().success());
        }
        daemon = DaemonProcess::start(small.path());
        let mut client = daemon.connect();
        let sessions = client.call("status", json!({}))["counts"]["sessions"].as_u64().unwrap();
        assert_eq!(sessions, (stored - 4 - round) as u64, "round {round}");
        client.call("stamp", json!({ "payload": "", "signer": { "sessionKey": "50" } }));
        clear(&mut client, 4 + round);
    }
    let mut client = daemon.connect();
    client.call("clearAllSessions", json!({}));

    fs::remove_file(filler).unwrap();
    client.call("createApiKeyPair", json!({}));
    assert_eq!(client.call("status", json!({}))["health"], "ok", "without a restart");
    // What was cleared leaves the disk as soon as the daemon is idle.
    let begun = Instant::now();
    while client.call("status", json!({}))["counts"]["storeBytes"].as_u64().unwrap() > 8 * 1024 * 1024 {
        assert!(begun.elapsed() < PATIENCE, "the vault is rewritten");
    }
    daemon.connect().call("shutdown", json!({}));
    daemon.child.wait().unwrap();
    let daemon = DaemonProcess::start(small.path());
    assert_eq!(daemon.connect().call("status", json!({}))["counts"]["keyPairsUnused"], 1);
    let begun = Instant::now();
    while !small.path().join("data/store/reserve").exists() {
        assert!(begun.elapsed() < PATIENCE, "the reserve is made anew");
        daemon.connect().call("status", json!({}));
    }
}
