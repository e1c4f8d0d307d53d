//! What a look into the daemon's memory finds: root may have one.

use std::fs;
use std::os::unix::fs::MetadataExt;

use data_encoding::{BASE64, HEXLOWER};
use keyfob_tests::attacker::contains;
use keyfob_tests::login::{base64, named_token};
use keyfob_tests::{DaemonProcess, RawClient};
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate;
use serde_json::json;

use crate::memory_scan::mappings;
use crate::skipped;

/// All of a process's memory that can be written.
fn memory(daemon: &DaemonProcess) -> Vec<u8> {
    mappings(daemon).into_iter().flat_map(|(_, bytes)| bytes).collect()
}

/// A login, with everything of it that must not be found.
struct Login {
    name: String,
    secrets: Vec<(&'static str, Vec<u8>)>,
}

impl Login {
    /// Takes a key pair in, stores a session, and uses both in every way there is.
    fn new(client: &mut RawClient, name: &str) -> Self {
        let signing_key = SigningKey::try_generate().unwrap();
        let scalar = signing_key.to_bytes().to_vec();
        let public_key = HEXLOWER.encode(signing_key.verifying_key().to_sec1_point(true).as_bytes());
        let private_key = HEXLOWER.encode(&scalar);
        let token = named_token(name, &public_key, 4_000_000_000);
        let external = json!({ "publicKey": public_key, "privateKey": private_key });
        client.call("createApiKeyPair", json!({ "externalKeyPair": external }));
        client.call("storeSession", json!({ "sessionToken": token, "sessionKey": name }));
        for _ in 0..20 {
            client.call("getSession", json!({ "sessionKey": name }));
            client.call("getAllSessions", json!({}));
            client.call("stamp", json!({ "payload": base64("{}"), "signer": { "sessionKey": name } }));
        }
        // A request with the token that is refused.
        client.exchange("storeSession", json!({ "sessionToken": token, "more": token }));
        let mut reversed = scalar.clone();
        reversed.reverse();
        let signature_part = token.as_bytes()[token.len() - 60..].to_vec();
        let secrets = vec![
            ("the private key", scalar.clone()),
            ("the private key, the other way round", reversed),
            ("the private key in hex", private_key[..40].into()),
            ("the private key in base64", BASE64.encode(&scalar)[..30].into()),
            ("the token's beginning", token.as_bytes()[..100].to_vec()),
            ("the token's end", [name.as_bytes(), &signature_part].concat()[name.len()..].to_vec()),
        ];
        Self { name: name.to_owned(), secrets }
    }

    fn found<'a>(&'a self, memory: &'a [u8]) -> impl Iterator<Item = &'static str> + 'a {
        self.secrets.iter().filter(|(_, secret)| contains(memory, secret)).map(|(what, _)| *what)
    }
}

#[test]
fn what_was_cleared_and_what_is_locked_is_not_in_memory() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skipped("only root looks into the memory of a process that is closed to others");
    }
    let dir = tempfile::tempdir().unwrap();
    let daemon = DaemonProcess::start(dir.path());
    let mut client = daemon.connect();
    let cleared = Login::new(&mut client, "cleared");
    assert!(contains(&memory(&daemon), cleared.name.as_bytes()), "the look is a good one");

    client.call("clearSession", json!({ "sessionKey": "cleared" }));
    settle(&mut client);
    let seen = memory(&daemon);
    assert_eq!(cleared.found(&seen).collect::<Vec<_>>(), Vec::<&str>::new(), "cleared");

    let all = Login::new(&mut client, "all");
    client.call("clearAllSessions", json!({}));
    let locked = Login::new(&mut client, "locked");
    settle(&mut client);
    let seen = memory(&daemon);
    assert_eq!(all.found(&seen).collect::<Vec<_>>(), Vec::<&str>::new(), "all cleared");

    client.call("lock", json!({}));
    settle(&mut client);
    let seen = memory(&daemon);
    assert_eq!(locked.found(&seen).collect::<Vec<_>>(), Vec::<&str>::new(), "locked");
    let key_file = fs::read_dir(dir.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
    let mut key_file = key_file.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("key-"));
    assert!(!contains(&seen, &fs::read(key_file.next().unwrap()).unwrap()), "the key file's key");
}

/// A signature's numbers may lie on a thread's stack until other work is done there.
fn settle(client: &mut RawClient) {
    let pair = client.exchange("createApiKeyPair", json!({}));
    for _ in 0..50 {
        client.exchange(
            "stamp",
            json!({ "payload": base64("{}"), "signer": { "publicKey": pair["result"]["publicKey"] } }),
        );
        client.call("listSessions", json!({}));
        client.call("status", json!({}));
    }
}
