use std::fs;
use std::path::PathBuf;

use keyfob_cli::Exit;
use keyfob_tests::TestDaemon;
use keyfob_tests::login::{fixture, fixture_key_pair, token};
use serde_json::{Value, json};

use crate::{Ran, keyfob, keyfob_asking};

/// A daemon and its command line.
struct Vault {
    daemon: TestDaemon,
    socket: PathBuf,
}

impl Vault {
    fn new() -> Self {
        let daemon = TestDaemon::start();
        let socket = daemon.endpoint.path().to_owned();
        Self { daemon, socket }
    }

    /// A command that must succeed; answers what it printed.
    fn done(&self, stdin: &str, args: &[&str]) -> String {
        let Ran { exit, out, err } = keyfob(&self.socket, stdin, args);
        assert_eq!(exit, Exit::Done, "{args:?}: {err}");
        out
    }

    fn json(&self, stdin: &str, args: &[&str]) -> Value {
        let out = self.done(stdin, &[args, &["--json"]].concat());
        assert_eq!(out.lines().count(), 1, "one object: {out}");
        serde_json::from_str(&out).unwrap()
    }

    fn log_in(&self, name: &str) -> String {
        self.daemon.log_in(&mut self.daemon.connect(), name, 1_000_000_000)
    }
}

#[test]
fn a_session_goes_through_its_life() {
    let vault = Vault::new();
    let key = vault.done("", &["key", "new"]).trim().to_owned();
    let token = token(&key, 4_102_444_800);
    let out = vault.done(&format!("{token}\n"), &["store", "work"]);
    assert!(out.starts_with("stored work, now active") && out.contains(&key), "{out}");
    assert_eq!(vault.done("", &["active"]), "work\n");
    let list = vault.done("", &["list"]);
    assert!(list.contains("* work") && list.contains(&key), "{list}");
    let out = vault.done("", &["clear", "work"]);
    assert!(out.contains(&key) && out.contains("no session is active now"), "{out}");
    assert_eq!(vault.done("", &["list"]), "");
    assert_eq!(vault.done("", &["active"]), "");
}

#[test]
fn clear_without_a_name_clears_the_active_session() {
    let vault = Vault::new();
    vault.log_in("a");
    vault.log_in("b");
    vault.done("", &["use", "a"]);
    assert_eq!(vault.json("", &["clear"])["sessionKey"], "a");
    let ran = keyfob(&vault.socket, "", &["clear"]);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("(NO_SESSION_FOUND)") && ran.err.contains("keyfob use"), "{}", ran.err);
}

#[test]
fn clear_all_says_how_many_and_twice_is_an_error() {
    let vault = Vault::new();
    vault.log_in("a");
    vault.log_in("b");
    assert_eq!(vault.done("", &["clear", "--all", "--yes"]), "cleared 2 sessions and 2 key pairs\n");
    let ran = keyfob(&vault.socket, "", &["clear", "--all", "--json", "--yes"]);
    assert_eq!((ran.exit, &*ran.out), (Exit::Failed, ""));
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["data"]["code"], "NO_SESSION_FOUND");
    assert_eq!(keyfob(&vault.socket, "", &["clear", "a", "--all"]).exit, Exit::Usage);
}

#[test]
fn clearing_what_is_not_there_is_an_error() {
    let vault = Vault::new();
    let ran = keyfob(&vault.socket, "", &["clear", "nope"]);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.starts_with("keyfob: no session \"nope\"") && ran.err.contains("(NOT_FOUND)"), "{}", ran.err);
}

#[test]
fn a_person_is_asked_before_something_is_destroyed() {
    let vault = Vault::new();
    vault.log_in("a");
    let unused = vault.done("", &["key", "new"]).trim().to_owned();
    for (args, question) in [
        (&["clear"][..], "Clear session a and its key pair?"),
        (&["clear", "a"], "Clear session a and its key pair?"),
        (&["clear", "--all"], "Clear 1 session and 1 key pair?"),
        (&["key", "rm", &unused], "Delete the key pair 0"),
        (&["key", "prune", "--min-age", "0"], "Delete 1 unused key pair?"),
    ] {
        let ran = keyfob_asking(&vault.socket, "n\n", args, true);
        assert_eq!(ran.exit, Exit::Failed, "{args:?}");
        assert!(ran.err.contains(question) && ran.err.contains("[y/N]"), "{}", ran.err);
        assert!(ran.err.contains("nothing was done"), "{}", ran.err);
    }
    // What is not there is not asked about.
    let ran = keyfob_asking(&vault.socket, "", &["clear", "nope"], true);
    assert!(ran.err.contains("(NOT_FOUND)") && !ran.err.contains("[y/N]"), "{}", ran.err);
    // What destroys much is not taken for meant where nobody can be asked.
    for args in [&["clear", "--all"][..], &["key", "prune", "--min-age", "0"]] {
        let ran = keyfob(&vault.socket, "", args);
        assert!(ran.exit == Exit::Usage && ran.err.contains("--yes"), "{args:?}: {}", ran.err);
    }
    assert_eq!(vault.json("", &["list"])["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(keyfob_asking(&vault.socket, "", &["clear"], true).exit, Exit::Failed, "no answer is no");
    assert_eq!(keyfob_asking(&vault.socket, "y\n", &["clear", "a"], true).exit, Exit::Done);
    let ran = keyfob_asking(&vault.socket, "", &["key", "rm", &unused, "--yes"], true);
    assert_eq!((ran.exit, ran.err.contains("[y/N]")), (Exit::Done, false));
}

#[test]
fn tokens_are_shown_only_when_asked_for() {
    let vault = Vault::new();
    vault.daemon.connect().call(
        "storeSession",
        json!({ "sessionToken": fixture("profile+scope"), "sessionKey": "a", "withoutKeyPair": true }),
    );
    let secret = fixture("profile+scope");
    let stored = vault.done(&secret, &["store", "b", "--without-key-pair", "--json"]);
    for args in [&["show"][..], &["show", "a"], &["list"], &["show", "a", "--json"], &["list", "--json"]] {
        let out = vault.done("", args);
        assert!(!out.contains(&secret) && !stored.contains(&secret), "{args:?}: {out}");
    }
    assert!(vault.done("", &["show", "a"]).contains("wallets:read transactions:sign"));
    assert!(vault.done("", &["show", "a", "--reveal"]).contains(&secret));
    assert_eq!(vault.json("", &["show", "a", "--reveal"])["session"]["token"], secret);
    assert_eq!(vault.json("", &["list", "--reveal"])["sessions"][0]["session"]["token"], secret);
}

#[test]
fn show_of_what_is_not_there_is_an_error() {
    let vault = Vault::new();
    let ran = keyfob(&vault.socket, "", &["show", "x"]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("(NOT_FOUND)"), "{}", ran.err);
    let ran = keyfob(&vault.socket, "", &["show"]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("(NO_SESSION_FOUND)"), "{}", ran.err);
}

#[test]
fn secrets_come_from_stdin_a_file_or_the_environment() {
    let vault = Vault::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    let private_key = fixture_key_pair()["privateKey"].as_str().unwrap().to_owned();
    let public_key = fixture_key_pair()["publicKey"].as_str().unwrap().to_owned();
    assert_eq!(vault.done(&format!(" {private_key}\n"), &["key", "import"]).trim(), public_key);
    fs::write(&file, fixture("read-write")).unwrap();
    vault.done("", &["store", "from-file", "--file", file.to_str().unwrap()]);
    assert_eq!(vault.json("", &["list"])["sessions"][0]["sessionKey"], "from-file");

    let missing = keyfob(&vault.socket, "", &["store", "--env", "KEYFOB_TEST_NO_SUCH_VARIABLE"]);
    assert!(missing.exit == Exit::Usage && missing.err.contains("the variable that --env names"), "{}", missing.err);
    let missing = keyfob(&vault.socket, "", &["store", "--file", "/nonexistent/token"]);
    assert!(missing.exit == Exit::Failed && missing.err.contains("/nonexistent/token"), "{}", missing.err);
    assert_eq!(keyfob(&vault.socket, " \n", &["store"]).exit, Exit::Usage, "empty");
    let terminal = keyfob_asking(&vault.socket, "", &["store"], true);
    assert!(terminal.exit == Exit::Usage && terminal.err.contains("no terminal to ask on"), "{}", terminal.err);
    let argument = keyfob(&vault.socket, "", &["key", "import", &private_key]);
    assert_eq!(argument.exit, Exit::Usage, "never an argument");
    let other = "02c192ea4fc7caf746dbbbead5923a40143617cd431084fc06244ae9a4df0ed928";
    let ran = keyfob(&vault.socket, &private_key, &["key", "import", "--public-key", other]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("(INVALID_KEY_PAIR)") && !ran.err.contains(&private_key));
    let ran = keyfob(&vault.socket, "not hex", &["key", "import"]);
    assert!(ran.exit == Exit::Usage && !ran.err.contains("not hex\n"), "{}", ran.err);
}

#[test]
fn bad_tokens_are_refused_by_their_claim() {
    let vault = Vault::new();
    let ran = keyfob(&vault.socket, &fixture("missing exp"), &["store"]);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("`exp`") && ran.err.contains("(INVALID_TOKEN)"), "{}", ran.err);
    let ran = keyfob(&vault.socket, &fixture("expired"), &["store"]);
    assert!(ran.err.contains("(SESSION_EXPIRED)"), "{}", ran.err);
}

#[test]
fn key_pairs_are_listed_deleted_and_pruned() {
    let vault = Vault::new();
    let used = vault.log_in("a");
    let unused = vault.done("", &["key", "new"]).trim().to_owned();
    let list = vault.done("", &["key", "list"]);
    assert!(
        list.contains(&format!("{used}  0 s         a")) && list.contains(&format!("{unused}  0 s         (unused)")),
        "{list}"
    );
    assert_eq!(vault.json("", &["key", "list"])["keyPairs"].as_array().unwrap().len(), 2);
    let ran = keyfob(&vault.socket, "", &["key", "rm", &used]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("(KEY_PAIR_IN_USE)"), "{}", ran.err);
    let ran = keyfob(&vault.socket, "", &["key", "prune", "--yes"]);
    assert_eq!(ran.out, "deleted 0 unused key pairs\n", "a login may be in flight");
    assert!(ran.err.contains("1 unused key pair younger than that"), "{}", ran.err);
    assert_eq!(vault.json("", &["key", "prune", "--min-age", "0", "--yes"])["deletedPublicKeys"], json!([unused]));
    assert_eq!(keyfob(&vault.socket, "", &["key", "rm", "03zz"]).exit, Exit::Usage);
}

#[test]
fn stamps_and_signatures_are_those_of_the_vault() {
    let vault = Vault::new();
    let key = vault.log_in("a");
    let stamp = vault.done("{}", &["stamp"]);
    assert!(stamp.starts_with("X-Stamp: ey") && stamp.ends_with('\n'), "{stamp}");
    let object = vault.json("{}", &["stamp", "--session", "a"]);
    assert_eq!(stamp.trim_end(), format!("X-Stamp: {}", object["stampHeaderValue"].as_str().unwrap()));
    let raw = vault.done("{}", &["sign", "--raw", "--key", &key]);
    assert_eq!(raw.trim_end().len(), 128);
    assert_eq!(vault.json("{}", &["sign"])["publicKey"], key);
    assert_eq!(keyfob(&vault.socket, "", &["sign", "--key", &key, "--session", "a"]).exit, Exit::Usage);
    let large = "x".repeat(3 * 1024 * 1024);
    assert_eq!(keyfob(&vault.socket, &large, &["sign"]).exit, Exit::Usage, "over what a line takes");
    vault.done(&large[..3_139_000], &["sign"]);
}

#[test]
fn status_and_watch_show_what_goes_on() {
    let vault = Vault::new();
    vault.log_in("a");
    let status = vault.done("", &["status"]);
    assert!(status.contains("health        ok") && status.contains("active        a"), "{status}");
    assert_eq!(vault.json("", &["status"])["counts"]["sessions"], 1);

    let (said, watching) = std::sync::mpsc::channel();
    let socket = vault.socket.clone();
    let watcher = std::thread::spawn(move || crate::keyfob_telling(&socket, &["watch", "-n", "3"], said));
    watching.recv().unwrap();
    vault.done("", &["clear", "a"]);
    let Ran { exit, out, .. } = watcher.join().unwrap();
    assert_eq!(exit, Exit::Done);
    assert!(out.contains("cleared a (cleared) (by pid") && out.contains("no session is active now"), "{out}");
}

#[test]
fn stop_stops_the_daemon_and_starts_none() {
    let mut vault = Vault::new();
    assert_eq!(vault.done("", &["stop"]), "stopped\n");
    vault.daemon.wait();
    let ran = keyfob(&vault.socket, "", &["stop"]);
    assert_eq!((ran.exit, &*ran.err), (Exit::Done, "no daemon is running\n"));
}

#[test]
fn without_a_daemon_the_exit_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ran = keyfob(&dir.path().join("s"), "", &["list"]);
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(ran.err.contains("no keyfobd listens on"), "{}", ran.err);
    let ran = keyfob(&dir.path().join("x".repeat(200)), "", &["list"]);
    assert!(ran.exit == Exit::Unreachable && ran.err.contains("limit is 107"), "{}", ran.err);
}

#[test]
fn help_names_every_command_and_each_has_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let help = keyfob(dir.path(), "", &["--help"]).out;
    assert!(help.lines().count() <= 50, "fits a screen");
    // There is a manual page for each, made from the same definitions.
    let pages = tempfile::tempdir().unwrap();
    keyfob(dir.path(), "", &["man", "--dir", pages.path().to_str().unwrap()]);
    let pages = fs::read_dir(pages.path()).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap());
    let pages = pages.filter_map(|page| Some(page.strip_prefix("keyfob-")?.strip_suffix(".1")?.to_owned()));
    let (subcommands, commands): (Vec<_>, Vec<_>) = pages.partition(|page| page.contains('-'));
    assert!(commands.len() > 15 && !subcommands.is_empty(), "{commands:?} {subcommands:?}");
    for command in &subcommands {
        // The last word may have hyphens of its own.
        let depth = if command.starts_with("vault-set-") { 3 } else { 2 };
        let words: Vec<_> = command.splitn(depth, '-').chain(["--help"]).collect();
        let ran = keyfob(dir.path(), "", &words);
        assert!(ran.exit == Exit::Done && ran.out.contains("Example: "), "{command}: {}", ran.out);
    }
    for command in &commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        let ran = keyfob(dir.path(), "", &[command, "--help"]);
        assert!(ran.exit == Exit::Done && ran.out.contains("Example: "), "{command}: {}", ran.out);
    }
    for command in ["new", "import", "list", "rm", "prune"] {
        assert!(keyfob(dir.path(), "", &["key", command, "--help"]).out.contains("Example: "), "{command}");
    }
}

#[test]
fn completions_and_manual_pages_follow_from_the_flags() {
    let vault = Vault::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(vault.done("", &["completions", shell]).contains("KEYFOB_COMPLETE"), "{shell}");
    }
    assert!(vault.done("", &["man"]).contains("keyfob"));
    let dir = tempfile::tempdir().unwrap();
    vault.done("", &["man", "--dir", dir.path().to_str().unwrap()]);
    assert!(dir.path().join("keyfob-clear.1").exists() && dir.path().join("keyfob-key-prune.1").exists());
}

#[test]
fn a_vault_is_locked_unlocked_and_rekeyed() {
    let vault = Vault::new();
    vault.log_in("work");
    let rekeyed = vault.done("a new passphrase\n", &["vault", "rekey", "passphrase", "--passphrase-fd", "0"]);
    assert!(rekeyed.contains("under the passphrase now"), "{rekeyed}");
    assert_eq!(vault.done("", &["lock"]), "locked\n");
    assert_eq!(vault.json("", &["lock"]), json!({ "wasLocked": true }));
    let status = vault.done("", &["status"]);
    assert!(status.contains("locked, wrapping key from a passphrase"), "{status}");

    let list = vault.done("", &["list"]);
    assert!(list.contains("* work"), "a locked vault tells names: {list}");
    let ran = keyfob(&vault.socket, "", &["list", "--reveal", "--json"]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("VAULT_LOCKED"), "{}", ran.err);
    let ran = keyfob(&vault.socket, "{}", &["stamp"]);
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("keyfob unlock") && ran.err.contains("(VAULT_LOCKED)"), "{}", ran.err);

    let ran = keyfob(&vault.socket, "", &["unlock"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("--passphrase-fd"), "{}", ran.err);
    let ran = keyfob(&vault.socket, "not that one\n", &["unlock", "--passphrase-fd", "0"]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("(WRONG_PASSPHRASE)"), "{}", ran.err);
    vault.daemon.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(vault.done("a new passphrase\n", &["unlock", "--passphrase-fd", "0"]), "unlocked\n");
    assert_eq!(vault.done("", &["unlock"]), "it was unlocked already\n");
    vault.done("{}", &["stamp"]);
    let ran = keyfob(&vault.socket, "", &["vault", "rekey", "key-file"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("--current-passphrase-fd"), "{}", ran.err);
    let ran = keyfob(&vault.socket, "a guess\n", &["vault", "rekey", "key-file", "--current-passphrase-fd", "0"]);
    assert!(ran.exit == Exit::Failed && ran.err.contains("(WRONG_PASSPHRASE)"), "{}", ran.err);
    vault.daemon.clock.advance(std::time::Duration::from_secs(1));
    vault.done("a new passphrase\n", &["vault", "rekey", "key-file", "--current-passphrase-fd", "0"]);
    assert_eq!(vault.json("", &["status"])["lock"]["keySource"], "keyFile");
    let ran = keyfob(&vault.socket, "x", &["vault", "rekey", "key-file", "--current-passphrase-fd", "0"]);
    assert!(ran.exit == Exit::Usage && ran.err.contains("has no passphrase"), "{}", ran.err);
    let ran = keyfob(&vault.socket, "x", &["vault", "rekey", "key-file", "--passphrase-fd", "0"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert_eq!(keyfob(&vault.socket, "", &["vault", "rekey"]).exit, Exit::Usage);
}
