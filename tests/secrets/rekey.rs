//! Another key: all or nothing, and of no use to whoever has the old one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fastrand::Rng;
use keyfob_tests::attacker::{Keys, Loot};
use keyfob_tests::{DaemonProcess, RawClient, TestDaemon, login};
use serde_json::json;

use crate::PASSPHRASE;

fn key_files(data_dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("key-")).collect()
}

#[test]
fn a_rekeyed_vault_holds_what_it_held_and_goes_on() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let work = daemon.log_in(&mut client, "work", 10_000);
    let before = client.call("getAllSessions", json!({}));
    let steps = [
        json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }),
        json!({ "keySource": "passphrase", "passphrase": "another passphrase", "currentPassphrase": PASSPHRASE }),
        json!({ "keySource": "keyFile", "currentPassphrase": "another passphrase" }),
        json!({ "keySource": "keyFile" }),
    ];
    for step in steps {
        let rekeyed = client.call("rekey", step.clone());
        assert_eq!((&rekeyed["keySource"], &rekeyed["records"]), (&step["keySource"], &json!(2)));
        assert_eq!(client.call("getAllSessions", json!({})), before);
        client.call("stamp", json!({ "payload": "", "signer": { "publicKey": work } }));
        daemon.log_in(&mut client, "more", 10_000);
        client.call("clearSession", json!({ "sessionKey": "more" }));
        client.call("setActiveSession", json!({ "sessionKey": "work" }));
        let is_file = step["keySource"] == "keyFile";
        assert_eq!(key_files(&daemon.data_dir()).len(), usize::from(is_file), "no old key is left");
    }
    let daemon = daemon.restart();
    assert_eq!(daemon.connect().call("getAllSessions", json!({})), before);
}

#[test]
fn only_the_new_passphrase_opens_a_rekeyed_vault() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    client.call("rekey", json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }));
    let another =
        json!({ "keySource": "passphrase", "passphrase": "another passphrase", "currentPassphrase": PASSPHRASE });
    client.call("rekey", another);
    client.call("lock", json!({}));
    assert_eq!(client.code("unlock", json!({ "passphrase": PASSPHRASE })), "WRONG_PASSPHRASE");
    daemon.clock.advance(std::time::Duration::from_secs(1));
    client.call("unlock", json!({ "passphrase": "another passphrase" }));
    client.call("stamp", json!({ "payload": "" }));
}

#[test]
fn what_was_kept_under_the_old_key_opens_nothing_in_the_new_file() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    let data_dir = daemon.data_dir();
    let old_key = fs::read(&key_files(&data_dir)[0]).unwrap();
    let mut loot = Loot::default();
    loot.search_files(&data_dir);
    client.call("rekey", json!({ "keySource": "keyFile" }));
    let token = client.call("getSession", json!({}))["session"]["token"].as_str().unwrap().to_owned();
    assert!(loot.gives_away(&Keys::of(&data_dir).unwrap(), &[token.as_bytes()]), "the new key file opens it");
    let new_key = key_files(&data_dir).remove(0);
    assert_ne!(fs::read(&new_key).unwrap(), old_key);
    fs::write(&new_key, old_key).unwrap();
    assert!(Keys::of(&data_dir).is_none(), "the old key does not unwrap the new root key");
}

#[test]
fn rekeying_is_refused_where_it_makes_no_sense_and_changes_nothing() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    let before = key_files(&daemon.data_dir());
    for (params, code) in [
        (json!({}), "INVALID_PARAMS"),
        (json!({ "keySource": "passphrase" }), "INVALID_PARAMS"),
        (json!({ "keySource": "passphrase", "passphrase": "7 chars" }), "INVALID_PARAMS"),
        (json!({ "keySource": "keyFile", "passphrase": PASSPHRASE }), "INVALID_PARAMS"),
        (json!({ "keySource": "moon" }), "INVALID_PARAMS"),
        (json!({ "keySource": "credential" }), "KEY_UNAVAILABLE"),
        (json!({ "keySource": "keyring" }), "KEY_UNAVAILABLE"),
    ] {
        assert_eq!(client.code("rekey", params.clone()), code, "{params}");
    }
    client.call("stamp", json!({ "payload": "" }));
    client.call("lock", json!({}));
    assert_eq!(client.code("rekey", json!({ "keySource": "keyFile" })), "VAULT_LOCKED");
    assert_eq!(key_files(&daemon.data_dir()), before);
}

#[test]
fn nobody_takes_a_vault_away_from_its_passphrase_without_it() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    let mut watcher = daemon.connect();
    watcher.call("subscribe", json!({}));
    client.call("rekey", json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }));
    let event = watcher.read();
    assert_eq!(
        (&event["params"]["type"], &event["params"]["keySource"]),
        (&json!("vaultRekeyed"), &json!("passphrase"))
    );
    assert!(event["params"]["by"]["pid"].is_u64(), "{event}");

    // It is unlocked, and any program of the user may ask.
    for target in
        [json!({ "keySource": "keyFile" }), json!({ "keySource": "passphrase", "passphrase": "mine, all mine" })]
    {
        let with = |current: &str| {
            let mut target = target.clone();
            target["currentPassphrase"] = json!(current);
            target
        };
        let fault = client.fault("rekey", target.clone());
        assert_eq!(
            (&fault["data"]["code"], &fault["data"]["field"]),
            (&json!("INVALID_PARAMS"), &json!("currentPassphrase"))
        );
        assert_eq!(client.code("rekey", with(&"p".repeat(1025))), "INVALID_PARAMS");
        assert_eq!(client.code("rekey", with("a guess")), "WRONG_PASSPHRASE");
        let fault = client.fault("rekey", with("another guess"));
        assert_eq!(
            (&fault["data"]["code"], &fault["data"]["retryAfterSeconds"]),
            (&json!("UNLOCK_DELAYED"), &json!(1))
        );
        assert_eq!(client.code("rekey", with(PASSPHRASE)), "UNLOCK_DELAYED", "the right one waits too");
        assert!(key_files(&daemon.data_dir()).is_empty(), "nothing was made for it");
        daemon.clock.advance(std::time::Duration::from_secs(1));
        client.call("unlock", json!({}));
        daemon.clock.advance(std::time::Duration::from_secs(300));
        client.call(
            "rekey",
            json!({ "keySource": "passphrase", "passphrase": PASSPHRASE, "currentPassphrase": PASSPHRASE }),
        );
        assert_eq!(watcher.read()["params"]["type"], "vaultRekeyed");
    }
    // The wait after wrong ones is that of `unlock`.
    client.call("lock", json!({}));
    assert_eq!(watcher.read()["params"]["type"], "vaultLocked");
    assert_eq!(client.code("unlock", json!({ "passphrase": "a guess" })), "WRONG_PASSPHRASE");
    assert_eq!(client.code("unlock", json!({ "passphrase": PASSPHRASE })), "UNLOCK_DELAYED");
    daemon.clock.advance(std::time::Duration::from_secs(1));
    client.call("unlock", json!({ "passphrase": PASSPHRASE }));
    client.call("stamp", json!({ "payload": "" }));

    client.call("rekey", json!({ "keySource": "keyFile", "currentPassphrase": PASSPHRASE }));
    let fault = client.fault("rekey", json!({ "keySource": "keyFile", "currentPassphrase": PASSPHRASE }));
    assert_eq!(fault["data"]["field"], "currentPassphrase", "it has none any more");
}

#[test]
fn a_vault_whose_passphrase_is_lost_can_be_emptied_and_rekeyed() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    daemon.log_in(&mut client, "work", 10_000);
    client.call("createApiKeyPair", json!({}));
    client.call("rekey", json!({ "keySource": "passphrase", "passphrase": PASSPHRASE }));
    client.call("lock", json!({}));
    client.call("clearAllSessions", json!({}));
    assert_eq!(client.code("rekey", json!({ "keySource": "keyFile" })), "VAULT_LOCKED", "a key pair is there");
    client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }));
    client.call("rekey", json!({ "keySource": "keyFile" }));
    assert_eq!(client.call("status", json!({}))["lock"], json!({ "locked": false, "keySource": "keyFile" }));
    daemon.log_in(&mut client, "new", 10_000);
    daemon.restart().connect().call("stamp", json!({ "payload": "" }));
}

#[test]
fn a_locked_vault_that_refuses_takes_no_room() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    let key = daemon.log_in(&mut client, "work", 10_000);
    client.call("lock", json!({}));
    let length = || fs::metadata(daemon.data_dir().join("store/keys")).unwrap().len();
    let store = json!({ "sessionToken": login::token(&key, 2_000_000_000) });
    let mut refuse = || {
        for answer in client.pipeline((0..2000).map(|_| ("storeSession", store.clone()))) {
            assert_eq!(answer["error"]["data"]["code"], "VAULT_LOCKED");
        }
        assert_eq!(client.pipeline((0..2000).map(|_| ("createApiKeyPair", json!({})))).len(), 2000);
        length()
    };
    let before = length();
    for _ in 0..5 {
        assert_eq!(refuse(), before);
    }
}

#[test]
fn a_rekeying_that_fails_changes_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = DaemonProcess::start(dir.path());
    let mut client = daemon.connect();
    fill(&mut client, 20);
    let data_dir = dir.path().join("data");
    let before = key_files(&data_dir);
    // In the way of the new file.
    fs::create_dir(data_dir.join("store/keys.new")).unwrap();
    assert_eq!(client.code("rekey", json!({ "keySource": "keyFile" })), "STORAGE_ERROR");
    assert_eq!(key_files(&data_dir), before);
    fs::remove_dir(data_dir.join("store/keys.new")).unwrap();
    client.call("stamp", json!({ "payload": "", "signer": { "sessionKey": "1" } }));
    daemon.kill();
    DaemonProcess::start(dir.path()).connect().call("stamp", json!({ "payload": "", "signer": { "sessionKey": "1" } }));
}

#[test]
fn a_daemon_killed_while_it_rekeys_has_the_old_key_or_the_new_one() {
    let seed = Rng::new().u64(..);
    let mut rng = Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let sessions = 300;
    let mut daemon = DaemonProcess::start(dir.path());
    fill(&mut daemon.connect(), sessions);
    for round in 0..15 {
        let (mut client, mut watcher) = (daemon.connect(), daemon.connect());
        client.request("rekey", &json!({ "keySource": "keyFile" }));
        // Killed after so many looks at how far it is: as many as the machine has time for, whatever its speed.
        let looks = rng.usize(0..20);
        for _ in 0..looks {
            watcher.call("getActiveSessionKey", json!({}));
        }
        daemon.kill();
        daemon = DaemonProcess::start(dir.path());
        let mut client = daemon.connect();
        let at = format!("seed {seed}, round {round}, {looks} looks");
        assert_eq!(client.call("status", json!({}))["lock"]["locked"], false, "{at}");
        let stamps = (0..sessions)
            .map(|number| ("stamp", json!({ "payload": "", "signer": { "sessionKey": number.to_string() } })));
        for answer in client.pipeline(stamps) {
            assert!(answer["result"].is_object(), "{at}: {answer}");
        }
        assert!(!dir.path().join("data/store/keys.new").exists(), "{at}");
    }
}

#[test]
fn whoever_reads_and_signs_meanwhile_notices_nothing() {
    let daemon = TestDaemon::start();
    let mut client = daemon.connect();
    fill(&mut client, 200);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for method in ["getSession", "stamp"] {
            let (mut other, is_done) = (daemon.connect(), &is_done);
            scope.spawn(move || {
                let params = match method {
                    "stamp" => json!({ "payload": "", "signer": { "sessionKey": "7" } }),
                    _ => json!({ "sessionKey": "7" }),
                };
                while !is_done.load(Ordering::Relaxed) {
                    let answer = other.exchange(method, params.clone());
                    assert!(answer["result"].is_object(), "{answer}");
                }
            });
        }
        for _ in 0..20 {
            assert_eq!(client.call("rekey", json!({ "keySource": "keyFile" }))["records"], 400);
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

fn fill(client: &mut RawClient, sessions: usize) {
    let created = client.pipeline((0..sessions).map(|_| ("createApiKeyPair", json!({}))));
    let stores = created.iter().enumerate().map(|(number, answer)| {
        let token = login::token(answer["result"]["publicKey"].as_str().unwrap(), 4_000_000_000);
        ("storeSession", json!({ "sessionToken": token, "sessionKey": number.to_string() }))
    });
    client.pipeline(stores.collect::<Vec<_>>());
}

#[test]
fn a_credential_of_systemd_opens_the_vault_and_without_it_the_vault_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let start = |credential: Option<&[u8]>| {
        let credentials = dir.path().join("credentials");
        fs::create_dir_all(&credentials).unwrap();
        fs::write(credentials.join("keyfob"), credential.unwrap_or_default()).unwrap();
        let mut command = DaemonProcess::command(dir.path());
        command.env("CREDENTIALS_DIRECTORY", credentials);
        DaemonProcess::spawn(command, dir.path()).unwrap()
    };
    let daemon = start(Some(b"too short"));
    let mut client = daemon.connect();
    fill(&mut client, 2);
    let fault = client.fault("rekey", json!({ "keySource": "credential" }));
    assert_eq!(fault["data"]["code"], "KEY_UNAVAILABLE");
    assert!(fault["message"].as_str().unwrap().contains("too short"), "{fault}");
    daemon.kill();

    let secret: &[u8] = b"a secret of more than thirty-two bytes";
    let daemon = start(Some(secret));
    daemon.connect().call("rekey", json!({ "keySource": "credential" }));
    assert!(key_files(&dir.path().join("data")).is_empty());
    daemon.kill();
    let daemon = start(Some(secret));
    daemon.connect().call("stamp", json!({ "payload": "", "signer": { "sessionKey": "1" } }));
    daemon.kill();
    let daemon = start(Some(b"another secret of more than thirty-two bytes"));
    let mut client = daemon.connect();
    assert_eq!(client.code("stamp", json!({ "payload": "", "signer": { "sessionKey": "1" } })), "VAULT_LOCKED");
    assert_eq!(client.code("unlock", json!({})), "KEY_UNAVAILABLE");
    client.call("clearSession", json!({ "sessionKey": "1" }));
}
