//! Bad neighbours cost a bounded amount of memory and no descriptor, and nobody else waits for them.

use std::fs;
use std::time::Instant;

use keyfob_tests::{Crowd, DaemonProcess, PATIENCE};
use serde_json::json;

use crate::directory;

/// What a client may make the daemon hold while it does not read: its answers up to a bound, one line, and
/// the buffers around them.
const KIB_EACH: usize = 256;

#[test]
fn bad_neighbours_cost_bounded_memory_and_leave_nothing_open() {
    let dir = directory();
    let daemon = DaemonProcess::start(dir.path());
    let mut client = daemon.connect();
    let key = client.call("createApiKeyPair", json!({}))["publicKey"].as_str().unwrap().to_owned();
    let token = keyfob_tests::login::token(&key, 4_000_000_000);
    let store = |number: usize| ("storeSession", json!({ "sessionToken": token, "sessionKey": number.to_string() }));
    client.pipeline((0..100).map(store));
    let (files, memory) = (open_files(&daemon), resident_kib(&daemon));

    let crowd = Crowd { silent: 100, half_a_line: 100, long_line: 0, stalled_subscribers: 50, deaf: 50 };
    let crowd = crowd.gather(&dir.path().join("keyfob.sock"));
    // More events than a subscriber may leave unread, and none of the others is kept waiting.
    for answer in client.pipeline((0..6000).map(|number| store(number % 100))) {
        assert!(answer["result"].is_object(), "{answer}");
    }
    let more = resident_kib(&daemon).saturating_sub(memory);
    assert!(more < crowd.len() * KIB_EACH, "{more} KiB for {} clients", crowd.len());

    // Others that die in the middle of a request.
    for _ in 0..2000 {
        drop(
            Crowd { silent: 0, half_a_line: 1, long_line: 0, stalled_subscribers: 0, deaf: 0 }
                .gather(&dir.path().join("keyfob.sock")),
        );
    }
    drop(crowd);
    let begun = Instant::now();
    while open_files(&daemon) > files {
        assert!(begun.elapsed() < PATIENCE, "{} files are open, and {files} were", open_files(&daemon));
        client.call("status", json!({}));
    }
}

#[test]
fn long_lines_share_a_bounded_amount_of_memory_and_short_ones_do_not_wait() {
    /// What those may take together that the daemon lets in at once: the line, and its copy while it grows.
    const KIB_TOGETHER: usize = 16 * 12 * 1024;
    let dir = directory();
    let daemon = DaemonProcess::start(dir.path());
    let mut client = daemon.connect();
    let memory = resident_kib(&daemon);
    let crowd = Crowd { silent: 0, half_a_line: 0, long_line: 150, stalled_subscribers: 0, deaf: 0 };
    let crowd = crowd.gather(&dir.path().join("keyfob.sock"));
    client.call("status", json!({}));
    let more = resident_kib(&daemon).saturating_sub(memory);
    assert!(more < KIB_TOGETHER, "{more} KiB for {} clients", crowd.len());
    drop(crowd);
    // Their places are free again.
    let long = " ".repeat(3_000_000);
    client.send(format!("{long}{}\n", json!({ "jsonrpc": "2.0", "id": 7, "method": "status" })));
    assert_eq!(client.read()["id"], 7);
}

fn open_files(daemon: &DaemonProcess) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.child.id())).unwrap().count()
}

fn resident_kib(daemon: &DaemonProcess) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
