//! The store alone: what was committed is there, and damage is refused.

use keyfob_proto::{ClearAllSessions, DeleteApiKeyPair, GetAllSessions, ListApiKeyPairs, Secret};

use std::fs;

use super::database::open_sled;
use super::record::encode_session;
use super::*;
use crate::clock::Timestamp;
use crate::vault::{Draft, KeyPair, Login, MAX_CLAIM_BYTES, MAX_TOKEN_BYTES, Mutation, NewKeyPair, Vault};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A data directory, its store, and the vault that the store should hold.
struct Disk {
    dir: tempfile::TempDir,
    open: Option<(Store, Vault)>,
}

impl Disk {
    fn new() -> Self {
        let mut disk = Self { dir: tempfile::tempdir().unwrap(), open: None };
        disk.reopen();
        disk
    }

    /// Closes the store, opens it again and compares.
    fn reopen(&mut self) {
        let before = self.open.take().map(|(_, vault)| vault);
        let (store, vault) = Store::open(self.dir.path()).unwrap();
        if let Some(before) = before {
            assert_eq!(contents(&vault), contents(&before));
        }
        self.open = Some((store, vault));
    }

    fn apply<M: Mutation>(&mut self, mutation: M) -> M::Reply {
        let (store, vault) = self.open.as_mut().unwrap();
        let mut draft = Draft::new(vault.clone(), NOW);
        let reply = mutation.apply(&mut draft).unwrap();
        store.commit(draft.changes()).unwrap();
        (*vault, _) = draft.finish();
        reply
    }

    /// What a mutation would change, and its reply.
    fn changes<M: Mutation>(&self, mutation: M) -> (M::Reply, Vec<Change>) {
        let mut draft = Draft::new(self.open.as_ref().unwrap().1.clone(), NOW);
        let reply = mutation.apply(&mut draft).unwrap();
        (reply, draft.changes().to_vec())
    }

    /// Stores sessions under numbers, a hundred in a commit.
    fn store_many(&mut self, count: usize, login: &Login) {
        let (store, vault) = self.open.as_mut().unwrap();
        for group in 0..count / 100 {
            let mut draft = Draft::new(vault.clone(), NOW);
            for n in 0..100 {
                named(&(group * 100 + n).to_string(), login).apply(&mut draft).unwrap();
            }
            store.commit(draft.changes()).unwrap();
            (*vault, _) = draft.finish();
        }
    }

    fn store(&mut self) -> &mut Store {
        &mut self.open.as_mut().unwrap().0
    }
}

/// All that a vault shows, as text.
fn contents(vault: &Vault) -> String {
    let sessions = vault.get_all_sessions(&GetAllSessions::default(), NOW);
    format!("{sessions:?} {:?}", vault.list_api_key_pairs(&ListApiKeyPairs::default(), NOW))
}

fn session(pair: &KeyPair, token_bytes: usize, scope: &str) -> Login {
    let claims = format!(
        r#"{{"exp":4102444800,"public_key":"{}","session_type":"T","user_id":"u","organization_id":"o","scope":"{scope}"}}"#,
        pair.public_key()
    );
    let token = format!("h.{}.", data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes()));
    let token = format!("{token}{}", "s".repeat(token_bytes.saturating_sub(token.len())));
    Login::read(keyfob_proto::StoreSession { session_token: Secret::new(token), session_key: None }).unwrap()
}

fn named(name: &str, login: &Login) -> Login {
    let mut login = login.clone();
    login.rename(name.parse().unwrap());
    login
}

fn pair() -> KeyPair {
    KeyPair::generate(NOW).unwrap()
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let mut disk = Disk::new();
    let (a, b) = (pair(), pair());
    let (login_a, login_b) = (session(&a, 0, "s"), session(&b, 0, "s"));
    let unused = disk.apply(NewKeyPair(pair())).public_key;
    disk.apply(NewKeyPair(a));
    disk.reopen();
    disk.apply(named("a", &login_a));
    disk.apply(NewKeyPair(b));
    disk.apply(named("b", &login_b));
    disk.reopen();
    disk.apply(named("b", &login_a));
    disk.reopen();
    disk.apply(keyfob_proto::ClearSession { session_key: None });
    disk.apply(DeleteApiKeyPair { public_key: unused });
    disk.reopen();
    assert_eq!(disk.open.as_ref().unwrap().1.session_count(), 1);
}

#[test]
fn clear_all_is_one_small_record_and_a_rewriting_takes_the_rest_away() {
    let mut disk = Disk::new();
    let kept = disk.apply(NewKeyPair(pair())).public_key;
    let used = pair();
    let login = session(&used, 1500, "s");
    disk.apply(NewKeyPair(used));
    disk.store_many(3000, &login);
    assert!(!disk.store().is_wasteful(3001));
    let before = disk.store().bytes();
    disk.apply(ClearAllSessions {});
    assert!(disk.store().bytes() < before + 1024 * 1024, "not a record for each session");
    disk.reopen();
    assert!(disk.store().is_wasteful(1), "{before} bytes for a key pair");

    let vault = disk.open.as_ref().unwrap().1.clone();
    let mut new = disk.store().rewrite().write(&vault).unwrap().unwrap();
    // Meanwhile the vault changes.
    disk.apply(named("next", &login));
    let (_, mut changes) = disk.changes(named("again", &login));
    changes.extend(disk.changes(named("next", &login)).1);
    new.catch_up(&changes).unwrap();
    disk.apply(named("again", &login));
    let old = disk.store().switch_to(new).unwrap();
    old.remove().unwrap();
    assert!(disk.store().bytes() <= 2 * 1024 * 1024);
    disk.reopen();
    disk.apply(keyfob_proto::ClearSession { session_key: None });
    disk.reopen();
    let vault = &disk.open.as_ref().unwrap().1;
    assert_eq!((vault.session_count(), vault.key_pair(&kept, NOW).unwrap().public_key()), (1, &kept));
    assert_eq!(databases(disk.dir.path()), ["sled.2"]);
}

#[test]
fn a_rewriting_that_was_cut_short_leaves_the_vault_as_it_was() {
    let mut disk = Disk::new();
    disk.apply(NewKeyPair(pair()));
    let vault = disk.open.as_ref().unwrap().1.clone();
    let rewrite = disk.store().rewrite();
    rewrite.cancelled().store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(rewrite.write(&vault).unwrap().is_none());
    let finished = disk.store().rewrite();
    disk.store().remove_unfinished().unwrap();
    drop(finished.write(&vault).unwrap());
    assert_eq!(databases(disk.dir.path()), ["sled.1", "sled.2"]);
    disk.reopen();
    assert_eq!(databases(disk.dir.path()), ["sled.1"]);
}

#[test]
fn a_rewriting_never_builds_on_what_another_has_left() {
    let mut disk = Disk::new();
    disk.apply(session(&pair(), 0, "s"));
    let vault = disk.open.as_ref().unwrap().1.clone();
    drop(disk.store().rewrite().write(&vault).unwrap());
    disk.apply(ClearAllSessions {});
    // What is left of the first holds a session that was cleared since.
    let vault = disk.open.as_ref().unwrap().1.clone();
    assert!(disk.store().rewrite().write(&vault).is_err());
    disk.store().remove_unfinished().unwrap();
    assert!(disk.store().rewrite().write(&vault).unwrap().is_some());
}

fn databases(data_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(data_dir.join("store")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("sled.")).collect();
    names.sort();
    names
}

#[test]
fn a_group_with_a_clear_all_in_its_middle_keeps_what_comes_after() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    let (store, vault) = disk.open.as_mut().unwrap();
    let mut draft = Draft::new(vault.clone(), NOW);
    named("before", &login).apply(&mut draft).unwrap();
    ClearAllSessions {}.apply(&mut draft).unwrap();
    named("after", &login).apply(&mut draft).unwrap();
    store.commit(draft.changes()).unwrap();
    (*vault, _) = draft.finish();
    disk.reopen();
    assert_eq!(disk.open.as_ref().unwrap().1.session_count(), 1);
}

#[test]
fn the_largest_records_and_names_stay_out_of_sleds_unsynced_blobs() {
    let mut disk = Disk::new();
    let largest = session(&pair(), MAX_TOKEN_BYTES, &"s".repeat(MAX_CLAIM_BYTES - 3));
    let stored = disk.apply(named(&"k".repeat(512), &largest)).session;
    let size = encode_session(&stored).len();
    assert!((MAX_RECORD_BYTES - 600..=MAX_RECORD_BYTES).contains(&size), "{size}");
    for n in 0..50 {
        disk.apply(named(&n.to_string(), &largest));
    }
    // Very many names that differ at their ends only make the largest nodes of the index: with segments
    // of half the size, this many put some of them into blobs.
    let small = session(&pair(), 0, "");
    let (store, vault) = disk.open.as_mut().unwrap();
    for group in 0..100 {
        let mut draft = Draft::new(vault.clone(), NOW);
        for n in 0..100 {
            named(&format!("{:k>512}", group * 100 + n), &small).apply(&mut draft).unwrap();
        }
        store.commit(draft.changes()).unwrap();
        (*vault, _) = draft.finish();
    }
    disk.reopen();
    assert_eq!(disk.open.as_ref().unwrap().1.session_count(), 10_051);
    let blobs = fs::read_dir(disk.dir.path().join("store/sled.1/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

#[test]
fn an_unfinished_snapshot_does_not_lock_the_vault_out() {
    let mut disk = Disk::new();
    disk.apply(NewKeyPair(pair()));
    let (_, vault) = disk.open.take().unwrap();
    let unfinished = disk.dir.path().join("store/sled.1/snap.0000000000000001.generating");
    fs::write(&unfinished, "half").unwrap();
    assert_eq!(contents(&Store::open(disk.dir.path()).unwrap().1), contents(&vault));
    assert!(!unfinished.exists());
}

#[test]
fn a_store_of_a_future_format_is_refused_and_left_as_it_is() {
    let disk = Disk::new();
    let dir = disk.dir;
    drop(disk.open);
    fs::write(dir.path().join("store/format"), "2\n").unwrap();
    let before = fs::read(dir.path().join("store/sled.1/db")).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Future { .. }));
    assert!(error.to_string().contains("has format 2") && error.to_string().contains("newer keyfobd"), "{error}");
    assert!(fs::read(dir.path().join("store/sled.1/db")).unwrap() == before);
}

#[test]
fn a_store_that_lost_a_part_is_damaged_and_not_taken_for_a_new_one() {
    let disk = Disk::new();
    let dir = disk.dir;
    drop(disk.open);
    let files = [("format", None), ("format", Some("")), ("format", Some("one")), ("sled.1/db", None)];
    let files = files.into_iter().chain([None, Some(""), Some("1 0"), Some("2 0\n")].map(|left| ("current", left)));
    for (file, left) in files {
        let path = dir.path().join("store").join(file);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        if let Some(text) = left {
            fs::write(&path, text).unwrap();
        }
        assert!(matches!(Store::open(dir.path()).unwrap_err(), StoreError::Damaged { .. }), "{file} {left:?}");
        fs::write(&path, whole).unwrap();
    }
    assert!(Store::open(dir.path()).is_ok());
}

#[test]
fn a_first_start_that_was_cut_short_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("store.new")).unwrap();
    fs::write(dir.path().join("store.new/db"), "half").unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().1.session_count(), 0);
    assert!(!dir.path().join("store.new").exists());
}

#[test]
fn records_that_are_cut_or_too_long_are_damage() {
    let mut disk = Disk::new();
    disk.apply(session(&pair(), 0, "s"));
    disk.open = None;
    let key = [&b"g\0\0\0\0\0\0\0\0s"[..], b"@turnkey/session/v3"].concat();
    let sled = || open_sled(&disk.dir.path().join("store/sled.1")).unwrap();
    let good = sled().get(&key).unwrap().unwrap();
    for bad in [&good[..good.len() - 1], &[&good[..], b"x"].concat(), b""] {
        sled().insert(&key, bad).unwrap();
        assert!(matches!(Store::open(disk.dir.path()), Err(StoreError::Damaged { .. })));
    }
    sled().insert(&key, good).unwrap();
    assert_eq!(Store::open(disk.dir.path()).unwrap().1.session_count(), 1);
}

#[test]
fn a_flipped_byte_is_never_taken_for_an_empty_vault() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    for n in 0..100 {
        disk.apply(named(&n.to_string(), &login));
    }
    disk.reopen();
    let before = contents(&disk.open.take().unwrap().1);
    let path = disk.dir.path().join("store/sled.1/db");
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut unharmed) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(disk.dir.path(), copy.path());
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(copy.path().join("store/sled.1/db"), &bytes).unwrap();
        match Store::open(copy.path()) {
            Ok((_, vault)) => {
                assert_eq!(contents(&vault), before, "byte {at}: it opens, so nothing is missing");
                unharmed += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
                assert!(fs::read(copy.path().join("store/sled.1/db")).unwrap() == bytes, "left as it was");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && unharmed > 0, "{refused} refused, {unharmed} unharmed");
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
