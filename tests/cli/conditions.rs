//! What a command may be made conditional on, key pairs that are kept, and events that are picked out.

use keyfob_cli::Exit;
use keyfob_tests::login::{fixture_key_pair, token};
use keyfob_tests::{START, TestDaemon};
use serde_json::{Value, json};

use crate::{Ran, keyfob};

struct Vault {
    daemon: TestDaemon,
}

impl Vault {
    fn run(&self, input: &str, args: &[&str]) -> Ran {
        keyfob(self.daemon.endpoint.path(), input, args)
    }

    fn json(&self, input: &str, args: &[&str]) -> Value {
        let ran = self.run(input, &[args, &["--json"]].concat());
        assert_eq!(ran.exit, Exit::Done, "{args:?}: {}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }

    fn new_key(&self) -> String {
        self.run("", &["key", "new"]).out.trim().to_owned()
    }

    fn store(&self, name: &str, key: &str, flags: &[&str]) -> Ran {
        self.run(&token(key, START + 1000), &[&["store", name], flags].concat())
    }
}

fn vault() -> Vault {
    Vault { daemon: TestDaemon::start() }
}

#[test]
fn a_session_is_stored_without_activating_it() {
    let vault = vault();
    let (a, b) = (vault.new_key(), vault.new_key());
    assert!(vault.store("a", &a, &[]).out.contains("now active"));
    let stored = vault.store("b", &b, &["--no-activate"]);
    assert!(stored.exit == Exit::Done && !stored.out.contains("active"), "{}", stored.out);
    assert_eq!(vault.run("", &["active"]).out, "a\n");
}

#[test]
fn a_store_or_clear_takes_effect_only_on_the_session_that_is_meant() {
    let vault = vault();
    let (old, new) = (vault.new_key(), vault.new_key());
    vault.store("work", &old, &["--if-key", "none"]);
    let late = vault.store("work", &new, &["--if-key", "none"]);
    assert!(late.exit == Exit::Failed && late.err.contains("(CONFLICT)"), "{}", late.err);
    let refreshed = vault.store("work", &new, &["--if-key", &old.to_uppercase(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&refreshed.out).unwrap()["replacedPublicKey"], old, "{}", refreshed.err);
    let late = vault.run("", &["clear", "work", "--if-key", &old]);
    assert!(late.exit == Exit::Failed && late.err.contains("(CONFLICT)"), "{}", late.err);
    assert_eq!(vault.run("", &["clear", "--all", "--if-key", &old, "--yes"]).exit, Exit::Usage);
    assert_eq!(vault.run("", &["clear", "work", "--if-key", "03"]).exit, Exit::Usage);
    assert_eq!(vault.json("", &["clear", "work", "--if-key", &new])["deletedPublicKey"], new);
}

#[test]
fn an_imported_key_is_kept_and_a_new_one_only_if_that_is_said() {
    let vault = vault();
    let pair = fixture_key_pair();
    let (public_key, private_key) = (pair["publicKey"].as_str().unwrap(), pair["privateKey"].as_str().unwrap());
    assert_eq!(vault.json(private_key, &["key", "import", "--no-keep"])["kept"], false);
    let imported = vault.json(private_key, &["key", "import", "--label", "CI"]);
    assert_eq!(imported, json!({ "publicKey": public_key, "created": false, "kept": true, "label": "CI" }));
    let kept = vault.json("", &["key", "new", "--keep", "--label", "deploy\u{1b}[2J"]);
    let swept = vault.new_key();
    let pruned = vault.json("", &["key", "prune", "--min-age", "0", "--yes"]);
    assert_eq!(pruned["deletedPublicKeys"], json!([swept]));
    let list = vault.run("", &["key", "list"]).out;
    assert!(list.contains("CI") && list.contains("(kept)") && !list.contains('\u{1b}'), "{list}");
    assert_eq!(vault.run("", &["key", "new", "--label", &"x".repeat(129)]).exit, Exit::Usage);
    let misplaced = vault.run("", &["key", "new", "--label", private_key]);
    assert!(misplaced.exit == Exit::Usage && !misplaced.err.contains(private_key), "{}", misplaced.err);

    vault.store("ci", public_key, &[]);
    assert!(vault.run("", &["key", "list"]).out.contains("(kept) ci"));
    assert!(vault.run("", &["clear", "ci"]).out.contains("no key pair was deleted"));
    vault.store("ci", public_key, &["--adopt-key-pair"]);
    assert_eq!(vault.json("", &["clear", "ci"])["deletedPublicKey"], public_key);
    let status = vault.run("", &["status"]).out;
    assert!(status.contains("0 in use, 0 unused, 1 kept"), "{status}");

    let kept = kept["publicKey"].as_str().unwrap();
    assert_eq!(vault.json("", &["key", "rm", kept, "--if-exists", "--yes"])["deleted"], true);
    for name in [kept, &kept[..12]] {
        assert_eq!(vault.json("", &["key", "rm", name, "--if-exists"])["deleted"], false);
        let ran = vault.run("", &["key", "rm", name]);
        assert!(ran.exit == Exit::Failed && ran.err.contains("(KEY_PAIR_NOT_FOUND)"), "{}", ran.err);
    }
}

#[test]
fn a_missing_key_pair_shows_wherever_its_session_does() {
    let vault = vault();
    let key = fixture_key_pair()["publicKey"].as_str().unwrap().to_owned();
    assert_eq!(vault.store("a", &key, &["--without-key-pair"]).exit, Exit::Done);
    assert!(vault.run("", &["list"]).out.contains(&format!("(missing) {key}")));
    assert!(vault.run("", &["show", "a"]).out.contains("(not in the vault)"));
    assert_eq!(vault.json("", &["list"])["sessions"][0]["hasKeyPair"], false);
    assert_eq!(vault.json("", &["show", "a"])["hasKeyPair"], false);
}

#[test]
fn only_events_that_are_asked_for_are_shown() {
    let vault = vault();
    let (watching, is_watching) = std::sync::mpsc::channel();
    let socket = vault.daemon.endpoint.path().to_owned();
    let watcher = std::thread::spawn(move || {
        let args = ["watch", "--type", "sessionCleared", "--type", "keyPairDeleted", "--session", "b", "-n", "1"];
        crate::keyfob_telling(&socket, &args, watching)
    });
    is_watching.recv().unwrap();
    for name in ["a", "b"] {
        let key = vault.new_key();
        vault.store(name, &key, &[]);
        vault.run("", &["clear", name]);
    }
    let ran = watcher.join().unwrap();
    assert!(ran.exit == Exit::Done && ran.out.contains("cleared b (cleared)"), "{}", ran.out);
    assert_eq!(vault.run("", &["watch", "--type", "tooHot"]).exit, Exit::Usage);
}

#[test]
fn a_session_whose_name_looks_like_a_secret_is_handled_if_it_is_there() {
    let vault = vault();
    let name = "5f".repeat(32);
    let mut client = vault.daemon.connect();
    vault.daemon.log_in(&mut client, &name, 1000);
    vault.daemon.log_in(&mut client, "other", 1000);
    assert!(vault.run("", &["show", &name]).out.contains(&name));
    assert_eq!(vault.run("", &["use", &name]).exit, Exit::Done);
    assert_eq!(vault.run("{}", &["stamp", "--session", &name]).exit, Exit::Done);
    assert_eq!(vault.run("", &["clear", &name]).exit, Exit::Done);
    for args in [["show", &name], ["use", &name], ["clear", &name]] {
        let ran = vault.run("", &args);
        assert!(
            ran.exit == Exit::Usage && !ran.err.contains(&name) && ran.err.contains("looks like a secret"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn secrets_of_other_shapes_are_known_where_a_name_is_expected() {
    let vault = vault();
    let hex = fixture_key_pair()["privateKey"].as_str().unwrap().to_owned();
    let scalar = "0l2xLwSqH_ShJAnvseGeXLvJBLCsG6ACGpBZRcjGaSc";
    for secret in [format!("0x{hex}"), format!(r#"{{"kty":"EC","crv":"P-256","d":"{scalar}"}}"#), scalar.to_owned()] {
        for args in [&["show", &secret][..], &["store", &secret], &["key", "new", "--label", &secret]] {
            let ran = vault.run("", args);
            assert!(ran.exit == Exit::Usage && !ran.err.contains(&secret), "{args:?}: {}", ran.err);
        }
    }
}

#[test]
fn a_kept_key_pair_is_not_deleted_by_the_way() {
    let vault = vault();
    let kept = vault.json("", &["key", "new", "--keep"])["publicKey"].as_str().unwrap().to_owned();
    let ran = vault.run("", &["key", "rm", &kept[..10]]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("--yes"), "{}", ran.err);
    assert!(vault.run("", &["key", "rm", &kept[..10], "--yes"]).out.contains("deleted"));
    let imported = vault.run(fixture_key_pair()["privateKey"].as_str().unwrap(), &["key", "import"]);
    let again = vault.run(fixture_key_pair()["privateKey"].as_str().unwrap(), &["key", "import", "--no-keep"]);
    assert!(imported.err.is_empty() && again.err.contains("keeps it"), "{}", again.err);
}
