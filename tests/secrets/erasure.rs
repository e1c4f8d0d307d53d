//! After the reply to whatever removes a session or key pair, nobody opens it any more: not with every byte that was
//! ever written, the key file, and the keys as they are now.

use std::fs;
use std::path::Path;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use keyfob_tests::attacker::{Keys, Loot, contains};
use keyfob_tests::login::{named_token, token};
use keyfob_tests::model::KeyPair;
use keyfob_tests::{RawClient, START, TestDaemon};
use serde_json::json;

/// A session that is stored, and what an attacker wants of it.
struct Target {
    name: &'static str,
    pair: KeyPair,
    token: String,
}

impl Target {
    fn all() -> Vec<Self> {
        let names = ["a", "b", "c"];
        let target = |(name, pair): (_, KeyPair)| {
            let lifetime = if name == "b" { 100 } else { 10_000 };
            // Each has a token of its own, which begins differently.
            let token = named_token(name, &pair.public_key, START + lifetime);
            Self { name, pair, token }
        };
        names.into_iter().map(|name| target((name, KeyPair::random()))).collect()
    }

    fn store(&self, client: &mut RawClient) {
        self.create(client);
        client.call("storeSession", json!({ "sessionToken": self.token, "sessionKey": self.name }));
    }

    fn create(&self, client: &mut RawClient) {
        let KeyPair { public_key, private_key } = &self.pair;
        let external = json!({ "publicKey": public_key, "privateKey": private_key });
        client.call("createApiKeyPair", json!({ "externalKeyPair": external }));
    }

    fn private_key(&self) -> Vec<u8> {
        HEXLOWER.decode(self.pair.private_key.as_bytes()).unwrap()
    }

    /// Whether the token, and whether the private key, can be opened.
    fn opens(&self, loot: &Loot, keys: &Keys) -> (bool, bool) {
        (loot.gives_away(keys, &[self.token.as_bytes()]), loot.gives_away(keys, &[&self.private_key()]))
    }
}

/// Everything that was in a data directory so far.
struct Attacker<'a> {
    daemon: &'a TestDaemon,
    loot: Loot,
    files: Vec<u8>,
}

impl<'a> Attacker<'a> {
    fn of(daemon: &'a TestDaemon) -> Self {
        Self { daemon, loot: Loot::default(), files: Vec::new() }
    }

    /// Takes a copy, and answers the keys as they are now.
    fn look(&mut self) -> Keys {
        let data_dir = self.daemon.data_dir();
        self.loot.search_files(&data_dir);
        append_files(&data_dir, &mut self.files);
        Keys::of(&data_dir).unwrap()
    }
}

fn append_files(directory: &Path, all: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { append_files(&path, all) } else { all.extend(fs::read(path).unwrap()) }
    }
}

const OPEN: (bool, bool) = (true, true);
const GONE: (bool, bool) = (false, false);

/// Stores three sessions, removes one in some way, and answers what of the three opens afterwards.
fn after(remove: impl FnOnce(&TestDaemon, &mut RawClient, &[Target])) -> Vec<(bool, bool)> {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let targets = Target::all();
    for target in &targets {
        target.store(&mut client);
    }
    let mut attacker = Attacker::of(&daemon);
    let keys = attacker.look();
    for target in &targets {
        assert_eq!(target.opens(&attacker.loot, &keys), OPEN, "what is there opens, so the attack is a good one");
    }
    remove(&daemon, &mut client, &targets);
    let keys = attacker.look();
    for target in &targets {
        let (token, key) = (target.token.as_bytes(), target.private_key());
        for secret in [token, &key, target.pair.private_key.as_bytes()] {
            for form in [secret.to_vec(), HEXLOWER.encode(secret).into(), BASE64.encode(secret).into()] {
                assert!(!contains(&attacker.files, &form), "not even what is there lies about in the clear");
            }
        }
        assert!(!contains(&attacker.files, BASE64URL_NOPAD.encode(&key).as_bytes()));
    }
    targets.iter().map(|target| target.opens(&attacker.loot, &keys)).collect()
}

#[test]
fn what_was_cleared_opens_for_nobody() {
    let left = after(|_, client, _| drop(client.call("clearSession", json!({ "sessionKey": "a" }))));
    assert_eq!(left, [GONE, OPEN, OPEN]);
}

#[test]
fn what_was_replaced_opens_for_nobody() {
    let left = after(|_, client, targets| {
        let other = token(&targets[2].pair.public_key, START + 20_000);
        client.call("storeSession", json!({ "sessionToken": other, "sessionKey": "a" }));
    });
    assert_eq!(left, [GONE, OPEN, OPEN]);
}

#[test]
fn what_expired_opens_for_nobody() {
    let left = after(|daemon, client, _| {
        daemon.clock.advance(Duration::from_secs(100));
        // The next change waits for the sweep.
        client.call("setActiveSession", json!({ "sessionKey": "a" }));
    });
    assert_eq!(left, [OPEN, GONE, OPEN]);
}

#[test]
fn what_a_clear_all_removed_opens_for_nobody() {
    let left = after(|_, client, _| drop(client.call("clearAllSessions", json!({}))));
    assert_eq!(left, [GONE, GONE, GONE]);
}

#[test]
fn a_locked_vault_erases_too() {
    let left = after(|_, client, _| {
        client.call("lock", json!({}));
        client.call("clearSession", json!({ "sessionKey": "a" }));
    });
    assert_eq!(left, [GONE, OPEN, OPEN]);
    let left = after(|_, client, _| {
        client.call("lock", json!({}));
        client.call("clearAllSessions", json!({}));
    });
    assert_eq!(left, [GONE, GONE, GONE]);
}

#[test]
fn an_unused_key_pair_that_was_deleted_or_pruned_opens_for_nobody() {
    for prune in [false, true] {
        let daemon = TestDaemon::start();
        let mut client = daemon.connect();
        let targets = Target::all();
        targets[0].create(&mut client);
        let mut attacker = Attacker::of(&daemon);
        let keys = attacker.look();
        assert_eq!(targets[0].opens(&attacker.loot, &keys), (false, true));
        if prune {
            client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }));
        } else {
            client.call("deleteApiKeyPair", json!({ "publicKey": targets[0].pair.public_key }));
        }
        let keys = attacker.look();
        assert_eq!(targets[0].opens(&attacker.loot, &keys), GONE);
    }
}

#[test]
fn a_key_pair_that_came_into_use_has_one_place_and_a_clear_all_spares_the_unused() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let targets = Target::all();
    targets[1].create(&mut client);
    let mut attacker = Attacker::of(&daemon);
    targets[0].create(&mut client);
    attacker.look();
    targets[0].store(&mut client);
    client.call("clearAllSessions", json!({}));
    let keys = attacker.look();
    assert_eq!(targets[0].opens(&attacker.loot, &keys), GONE, "nor from where it was while it was unused");
    assert_eq!(targets[1].opens(&attacker.loot, &keys), (false, true));
    client.call("sign", json!({ "payload": "", "signer": { "publicKey": targets[1].pair.public_key } }));
}
