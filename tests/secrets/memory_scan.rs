//! What a blind look into the daemon's memory finds: every 32 bytes of it are tried as every key there is.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use data_encoding::HEXLOWER;
use keyfob_tests::attacker::{Header, Keys, Target};
use keyfob_tests::login::{base64, token};
use keyfob_tests::model::KeyPair;
use keyfob_tests::{DaemonProcess, RawClient};
use serde_json::json;

use crate::{PASSPHRASE, skipped};

const KEY_BYTES: usize = 32;

/// Random bytes have more different values than this among 32 of them, but for one time in 10^12. Text, numbers and
/// addresses have fewer.
const DIFFERENT: usize = 20;

/// Each mapping of a process's memory that can be written: what it is called, and its bytes.
pub(crate) fn mappings(daemon: &DaemonProcess) -> Vec<(String, Vec<u8>)> {
    let pid = daemon.child.id();
    let mut maps = String::new();
    File::open(format!("/proc/{pid}/maps")).unwrap().read_to_string(&mut maps).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (from, to) = words[0].split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        if words[1].starts_with("rw") {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // Some pages are reserved and not there.
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                all.push((words.get(5).unwrap_or(&"anonymous").to_string(), bytes));
            }
        }
    }
    all
}

/// Tries every 32 bytes, wherever they begin, and answers what opens something.
fn scan(daemon: &DaemonProcess, data_dir: &Path, targets: &[Target], private_keys: &[Vec<u8>]) -> Vec<String> {
    let file = fs::read(data_dir.join("store/keys")).unwrap();
    let header = Header::of(&file).unwrap();
    let mut found = Vec::new();
    let mut tried = 0;
    for (name, bytes) in mappings(daemon) {
        let mut counts = [0_u8; 256];
        let mut different = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let count = &mut counts[usize::from(*byte)];
            different += usize::from(*count == 0);
            *count += 1;
            if let Some(left) = at.checked_sub(KEY_BYTES) {
                let count = &mut counts[usize::from(bytes[left])];
                *count -= 1;
                different -= usize::from(*count == 0);
            }
            if different <= DIFFERENT || at + 1 < KEY_BYTES {
                continue;
            }
            tried += 1;
            let window: &[u8; KEY_BYTES] = bytes[at + 1 - KEY_BYTES..=at].try_into().unwrap();
            let mut note = |what: &str| found.push(format!("{what} at {:#x} of {name}", at + 1 - KEY_BYTES));
            if header.root_key(window).is_some() {
                note("the wrapping key");
            }
            for target in targets {
                if let Some(what) = target.opened_by(window) {
                    note(what);
                }
            }
            if private_keys.iter().any(|key| key == window) {
                note("a private key");
            }
        }
    }
    assert!(tried > 1000, "{tried} were worth a try");
    found
}

/// Takes key pairs in and stores sessions, signs with each of them and reads it. Answers the private keys.
fn log_in(client: &mut RawClient, count: usize) -> Vec<Vec<u8>> {
    let pairs: Vec<_> = (0..count).map(|_| KeyPair::random()).collect();
    for (number, KeyPair { public_key, private_key }) in pairs.iter().enumerate() {
        let external = json!({ "publicKey": public_key, "privateKey": private_key });
        client.call("createApiKeyPair", json!({ "externalKeyPair": external }));
        client.call("stamp", json!({ "payload": base64("{}"), "signer": { "publicKey": public_key } }));
        let token = token(public_key, 4_000_000_000);
        client.call("storeSession", json!({ "sessionToken": token, "sessionKey": number.to_string() }));
        client.call("stamp", json!({ "payload": base64("{}") }));
        client.call("getSession", json!({}));
    }
    client.call("getAllSessions", json!({}));
    pairs.iter().map(|pair| HEXLOWER.decode(pair.private_key.as_bytes()).unwrap()).collect()
}

#[test]
fn a_locked_vault_has_no_key_of_any_kind_in_memory() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skipped("only root looks into the memory of a process that is closed to others");
    }
    let dir = tempfile::tempdir().unwrap();
    let daemon = DaemonProcess::start(dir.path());
    let data_dir = dir.path().join("data");
    let mut client = daemon.connect();
    let private_keys = log_in(&mut client, 30);
    let targets = |keys: &Keys| keys.targets(&data_dir);
    let seen = targets(&Keys::of(&data_dir).unwrap());
    let found = scan(&daemon, &data_dir, &seen, &private_keys);
    assert!(found.iter().any(|what| what.contains("root key")), "the look is a good one: {found:?}");

    client.call("lock", json!({}));
    assert_eq!(scan(&daemon, &data_dir, &seen, &private_keys), Vec::<String>::new(), "after 30 logins");

    client.call("unlock", json!({}));
    client.call("rekey", json!({ "keySource": "keyFile" }));
    client.call("clearSession", json!({ "sessionKey": "1" }));
    let seen = targets(&Keys::of(&data_dir).unwrap());
    client.call("rekey", json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }));
    client.call("stamp", json!({ "payload": base64("{}") }));
    client.call("lock", json!({}));
    assert_eq!(scan(&daemon, &data_dir, &seen, &private_keys), Vec::<String>::new(), "after a rekeying");

    client.call("unlock", json!({ "passphrase": PASSPHRASE }));
    client.call("stamp", json!({ "payload": base64("{}") }));
    client.call("lock", json!({}));
    assert_eq!(scan(&daemon, &data_dir, &[], &private_keys), Vec::<String>::new(), "after one signature");
}
