//! What somebody brings about who can write to the data directory, and has no key: they destroy what is there, and
//! learn nothing.

use std::fs;
use std::path::Path;

use data_encoding::HEXLOWER;
use keyfob_tests::attacker::{Keys, Loot, Slots};
use keyfob_tests::login::token;
use keyfob_tests::model::KeyPair;
use keyfob_tests::{RawClient, START, TestDaemon};
use serde_json::{Value, json};

use crate::PASSPHRASE;

/// Takes a key pair in and stores a session that names it. Answers the private key and the token.
fn log_in(client: &mut RawClient, name: &str) -> (Vec<u8>, String) {
    let KeyPair { public_key, private_key } = KeyPair::random();
    let external = json!({ "publicKey": public_key, "privateKey": private_key });
    client.call("createApiKeyPair", json!({ "externalKeyPair": external }));
    let token = token(&public_key, START + 10_000);
    client.call("storeSession", json!({ "sessionToken": token, "sessionKey": name }));
    (HEXLOWER.decode(private_key.as_bytes()).unwrap(), token)
}

fn passphrase_vault() -> (TestDaemon, RawClient) {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    log_in(&mut client, "before");
    client.call("rekey", json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }));
    (daemon, client)
}

/// Whether a private key falls out of two records that share a keystream: every token begins with the same bytes.
fn falls_out(data_dir: &Path, private_key: &[u8], token: &str) -> bool {
    let mut loot = Loot::default();
    loot.search_files(data_dir);
    assert!(loot.len() >= 2, "there are records to try");
    // A session begins with the length of its token, in two bytes.
    let length = u16::try_from(token.len()).unwrap();
    let known = [&[u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()], token.as_bytes()];
    loot.sharing_a_keystream_with(&known.concat()).any(|plain| plain.starts_with(private_key))
}

#[test]
fn slots_that_somebody_wrote_over_seal_nothing() {
    for is_whole in [false, true] {
        let (daemon, client) = passphrase_vault();
        drop(client);
        // Locked, after a start.
        let daemon = daemon.restart();
        let data_dir = daemon.data_dir();
        Slots::of(&data_dir).fill(is_whole);
        let mut client = daemon.connect();
        client.call("unlock", json!({ "passphrase": PASSPHRASE }));
        let (private_key, token) = log_in(&mut client, "after");
        assert!(!falls_out(&data_dir, &private_key, &token), "whole slots: {is_whole}");
        client.call("stamp", json!({ "payload": "", "signer": { "sessionKey": "after" } }));

        // While it runs, again and again.
        for round in 0..4 {
            Slots::of(&data_dir).fill(is_whole);
            let (private_key, token) = log_in(&mut client, &round.to_string());
            assert!(!falls_out(&data_dir, &private_key, &token), "whole slots: {is_whole}, round {round}");
            client.call("clearSession", json!({ "sessionKey": round.to_string() }));
        }
        let (private_key, token) = log_in(&mut client, "last");
        drop(client);
        let daemon = daemon.restart();
        let mut client = daemon.connect();
        client.exchange("unlock", json!({ "passphrase": PASSPHRASE }));
        assert!(!falls_out(&daemon.data_dir(), &private_key, &token));
    }
}

#[test]
fn what_was_cleared_does_not_come_back_with_slots_that_were_written_over() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = daemon.log_in(&mut client, "work", 10_000);
    // Nothing of before is known: no slot as it was.
    client.call("clearSession", json!({ "sessionKey": "work" }));
    Slots::of(&daemon.data_dir()).fill(true);
    drop(client);
    let daemon = daemon.restart();
    let mut client = daemon.connect();
    assert_eq!(client.code("stamp", json!({ "payload": "", "signer": { "sessionKey": "work" } })), "NOT_FOUND");
    assert_eq!(client.code("sign", json!({ "payload": "", "signer": { "publicKey": key } })), "KEY_PAIR_NOT_FOUND");
}

/// A header of another vault, whose key file the attacker has, in the place of the vault's own.
fn plant(data_dir: &Path, of: &Path) {
    let page = |path: &Path| fs::read(path.join("store/keys")).unwrap();
    let mut file = page(data_dir);
    file[..4096].copy_from_slice(&page(of)[..4096]);
    fs::write(data_dir.join("store/keys"), file).unwrap();
    for entry in fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_str().unwrap().starts_with("key-") {
            fs::copy(&entry, data_dir.join(entry.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn a_header_that_was_planted_is_not_the_vaults() {
    // Of another vault altogether.
    let (daemon, client) = passphrase_vault();
    let other = TestDaemon::start();
    drop(client);
    let dir = daemon.stop();
    plant(&dir.path().join("data"), &other.data_dir());
    let refused = std::panic::catch_unwind(|| keyfobd::store::Store::open(&dir.path().join("data")).unwrap_err());
    assert!(refused.unwrap().to_string().contains("another vault"));

    // Of this vault's id, which can be read, with a root key of the attacker's own.
    for is_empty in [false, true] {
        let (daemon, mut client) = passphrase_vault();
        if is_empty {
            client.call("clearAllSessions", json!({}));
        }
        drop(client);
        let dir = daemon.stop();
        let data_dir = dir.path().join("data");
        let mut file = fs::read(data_dir.join("store/keys")).unwrap();
        let vault = file[10..26].try_into().unwrap();
        let (page, key_file) = keyfob_tests::attacker::header_of_ones_own(vault);
        file[..4096].copy_from_slice(&page);
        fs::write(data_dir.join("store/keys"), &file).unwrap();
        fs::write(data_dir.join(key_file.0), key_file.1).unwrap();
        let daemon = TestDaemon::start_in(dir);
        let mut client = daemon.connect();
        let status = client.call("status", json!({}));
        assert_eq!(status["lock"], json!({ "locked": true, "keySource": "keyFile" }), "empty: {is_empty}");
        let fault: Value = client.fault("unlock", json!({}));
        assert_eq!(fault["data"]["code"], "KEY_UNAVAILABLE", "empty: {is_empty}");
        assert!(fault["message"].as_str().unwrap().contains("is not that of the vault's records"), "{fault}");
        assert_eq!(client.code("createApiKeyPair", json!({})), "VAULT_LOCKED", "nothing is sealed for the attacker");
        assert!(Keys::of(&daemon.data_dir()).is_some(), "the attack is a good one: the header opens");
    }
}
