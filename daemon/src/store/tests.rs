//! The store alone: what was committed is there, and damage is refused.

use keyfob_proto::{ClearAllSessions, DeleteApiKeyPair, GetAllSessions, ListApiKeyPairs, Secret};

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
        let (store, stored) = Store::open(self.dir.path()).unwrap();
        let vault = Vault::restore(stored).unwrap();
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
fn clear_all_is_durable_at_once_and_its_records_go_later() {
    let mut disk = Disk::new();
    let kept = disk.apply(NewKeyPair(pair())).public_key;
    let used = pair();
    let login = session(&used, 0, "s");
    disk.apply(NewKeyPair(used));
    for n in 0..(REMOVED_PER_STEP + 10) {
        disk.apply(named(&n.to_string(), &login));
    }
    disk.apply(ClearAllSessions {});
    assert_eq!(disk.store().pending_removals(), 1);
    let records = |store: &Store| store.db.range(b"g".as_slice()..b"h").count();
    assert_eq!(records(disk.store()), REMOVED_PER_STEP + 12, "sessions, the pointer, the key pair");

    disk.apply(named("next", &login));
    disk.store().remove_step().unwrap();
    disk.reopen();
    assert_eq!(disk.store().pending_removals(), 1, "a start resumes the removal");
    while disk.store().pending_removals() > 0 {
        disk.store().remove_step().unwrap();
    }
    assert_eq!(records(disk.store()), 2, "the new session and the pointer");
    disk.reopen();
    assert_eq!(disk.open.as_ref().unwrap().1.key_pair(&kept, NOW).unwrap().public_key(), &kept);
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
    let blobs = fs::read_dir(disk.dir.path().join("store/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

#[test]
fn an_unfinished_snapshot_does_not_lock_the_vault_out() {
    let mut disk = Disk::new();
    disk.apply(NewKeyPair(pair()));
    let (_, vault) = disk.open.take().unwrap();
    let unfinished = disk.dir.path().join("store/snap.0000000000000001.generating");
    fs::write(&unfinished, "half").unwrap();
    let (_, stored) = Store::open(disk.dir.path()).unwrap();
    assert_eq!(contents(&Vault::restore(stored).unwrap()), contents(&vault));
    assert!(!unfinished.exists());
}

#[test]
fn a_store_of_a_future_format_is_refused_and_left_as_it_is() {
    let disk = Disk::new();
    let dir = disk.dir;
    drop(disk.open);
    fs::write(dir.path().join("store/format"), "2\n").unwrap();
    let before = fs::read(dir.path().join("store/db")).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Future { .. }));
    assert!(error.to_string().contains("has format 2") && error.to_string().contains("newer keyfobd"), "{error}");
    assert!(fs::read(dir.path().join("store/db")).unwrap() == before);
}

#[test]
fn a_store_that_lost_a_part_is_damaged_and_not_taken_for_a_new_one() {
    let disk = Disk::new();
    let dir = disk.dir;
    drop(disk.open);
    for (file, left) in [("format", None), ("format", Some("")), ("format", Some("one")), ("db", None)] {
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
    let (_, stored) = Store::open(dir.path()).unwrap();
    assert!(stored.sessions.is_empty());
    assert!(!dir.path().join("store.new").exists());
}

#[test]
fn records_that_are_cut_or_too_long_are_damage() {
    let mut disk = Disk::new();
    disk.apply(session(&pair(), 0, "s"));
    let record = |store: &Store| store.db.scan_prefix(generation_prefix(0)).nth(1).unwrap().unwrap();
    let (key, good) = record(disk.store());
    for bad in [&good[..good.len() - 1], &[&good[..], b"x"].concat(), b""] {
        disk.store().db.insert(&key, bad).unwrap();
        disk.open = None;
        assert!(matches!(Store::open(disk.dir.path()), Err(StoreError::Damaged { .. })));
        // Put it back by hand: the store does not open.
        let db = open_engine(&disk.dir.path().join("store")).unwrap();
        db.insert(&key, &good).unwrap();
        drop(db);
        disk.reopen();
    }
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
    let path = disk.dir.path().join("store/db");
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut unharmed) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(disk.dir.path(), copy.path());
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(copy.path().join("store/db"), bytes).unwrap();
        match Store::open(copy.path()) {
            Ok((_, stored)) => {
                let vault = Vault::restore(stored).unwrap();
                assert_eq!(contents(&vault), before, "byte {at}: it opens, so nothing is missing");
                unharmed += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
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
