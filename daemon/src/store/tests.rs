//! The store alone: what was committed is there, and damage is refused.

use keyfob_proto::{ClearAllSessions, Code, DeleteApiKeyPair, GetAllSessions, GetSession, ListApiKeyPairs, Secret};

use std::fs;

use super::database::open_sled;
use super::record::SessionRecord;
use super::*;
use crate::clock::Timestamp;
use crate::vault::{Draft, Finished, Login, MAX_CLAIM_BYTES, MAX_TOKEN_BYTES, Mutation, NewKeyPair, Vault};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A data directory, its store, and the vault that the store should hold.
struct Disk {
    dir: tempfile::TempDir,
    open: Option<Open>,
}

struct Open {
    store: Store,
    vault: Vault,
    supply: Supply,
}

impl Open {
    fn new(dir: &Path) -> Result<Self, StoreError> {
        let (mut store, vault) = Store::open(dir)?;
        store.unlock_by_itself().unwrap();
        let supply = store.supply();
        Ok(Self { store, vault, supply })
    }

    /// Applies mutations as one group, and commits it.
    fn group<T>(&mut self, mutations: usize, apply: impl FnOnce(&mut Draft) -> T) -> T {
        self.store.replenish(&mut self.supply, 2 * mutations).unwrap();
        let mut draft = Draft::new(self.vault.clone(), NOW, std::mem::take(&mut self.supply));
        let reply = apply(&mut draft);
        let (changes, erased, supply) = draft.to_commit();
        self.store.commit(changes, erased, supply).unwrap();
        Finished { vault: self.vault, supply: self.supply, .. } = draft.finish();
        reply
    }
}

impl Disk {
    fn new() -> Self {
        let mut disk = Self { dir: tempfile::tempdir().unwrap(), open: None };
        disk.reopen();
        disk
    }

    /// Closes the store, opens it again and compares.
    fn reopen(&mut self) {
        let before = self.open.take().map(|open| contents(&open.vault));
        let open = Open::new(self.dir.path()).unwrap();
        if let Some(before) = before {
            assert_eq!(contents(&open.vault), before);
        }
        self.open = Some(open);
    }

    fn apply<M: Mutation>(&mut self, mutation: M) -> M::Reply {
        self.open.as_mut().unwrap().group(1, |draft| mutation.apply(draft).unwrap())
    }

    fn vault(&self) -> &Vault {
        &self.open.as_ref().unwrap().vault
    }

    /// Stores sessions under numbers, a hundred in a commit.
    fn store_many(&mut self, count: usize, login: &Login) {
        for group in 0..count / 100 {
            self.open.as_mut().unwrap().group(100, |draft| {
                for n in 0..100 {
                    named(&(group * 100 + n).to_string(), login).apply(draft).unwrap();
                }
            });
        }
    }

    fn store(&mut self) -> &mut Store {
        &mut self.open.as_mut().unwrap().store
    }
}

/// All that a vault shows, as text.
fn contents(vault: &Vault) -> String {
    let sessions = vault.get_all_sessions(&GetAllSessions::default(), NOW).unwrap();
    format!("{sessions:?} {:?}", vault.list_api_key_pairs(&ListApiKeyPairs::default(), NOW))
}

fn session(pair: &NewKeyPair, token_bytes: usize, scope: &str) -> Login {
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

fn pair() -> NewKeyPair {
    NewKeyPair::generate(NOW).unwrap()
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let mut disk = Disk::new();
    let (a, b) = (pair(), pair());
    let (login_a, login_b) = (session(&a, 0, "s"), session(&b, 0, "s"));
    let unused = disk.apply(pair()).public_key;
    disk.apply(a);
    disk.reopen();
    disk.apply(named("a", &login_a));
    disk.apply(b);
    disk.apply(named("b", &login_b));
    disk.reopen();
    disk.apply(named("b", &login_a));
    disk.reopen();
    disk.apply(keyfob_proto::ClearSession { session_key: None });
    disk.apply(DeleteApiKeyPair { public_key: unused });
    disk.reopen();
    assert_eq!(disk.vault().session_count(), 1);
}

#[test]
fn clear_all_is_one_small_record_and_a_rewriting_takes_the_rest_away() {
    let mut disk = Disk::new();
    let kept = disk.apply(pair()).public_key;
    let used = pair();
    let login = session(&used, 1500, "s");
    disk.apply(used);
    disk.store_many(3000, &login);
    assert!(!disk.store().is_wasteful(3001));
    let before = disk.store().bytes();
    disk.apply(ClearAllSessions {});
    assert!(disk.store().bytes() < before + 1024 * 1024, "not a record for each session");
    disk.reopen();
    assert!(disk.store().is_wasteful(1), "{before} bytes for a key pair");

    let vault = disk.vault().clone();
    let mut new = disk.store().rewrite().write(&vault).unwrap().unwrap();
    // Meanwhile the vault changes.
    let since = disk.open.as_mut().unwrap().group(1, |draft| {
        named("next", &login).apply(draft).unwrap();
        draft.changes().to_vec()
    });
    let changes = disk.open.as_mut().unwrap().group(2, |draft| {
        named("again", &login).apply(draft).unwrap();
        draft.changes().to_vec()
    });
    new.catch_up(&since).unwrap();
    new.catch_up(&changes).unwrap();
    let old = disk.store().switch_to(new).unwrap();
    old.remove().unwrap();
    assert!(disk.store().bytes() <= 2 * 1024 * 1024);
    disk.reopen();
    disk.apply(keyfob_proto::ClearSession { session_key: None });
    disk.reopen();
    let vault = disk.vault();
    assert_eq!((vault.session_count(), vault.key_pair(&kept, NOW).unwrap().public_key()), (1, &kept));
    assert_eq!(databases(disk.dir.path()), ["sled.2"]);
}

#[test]
fn a_rewriting_that_was_cut_short_leaves_the_vault_as_it_was() {
    let mut disk = Disk::new();
    disk.apply(pair());
    let vault = disk.vault().clone();
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
    let vault = disk.vault().clone();
    drop(disk.store().rewrite().write(&vault).unwrap());
    disk.apply(ClearAllSessions {});
    // What is left of the first holds a session that was cleared since.
    let vault = disk.vault().clone();
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
    disk.open.as_mut().unwrap().group(5, |draft| {
        named("before", &login).apply(draft).unwrap();
        ClearAllSessions {}.apply(draft).unwrap();
        named("between", &login).apply(draft).unwrap();
        ClearAllSessions {}.apply(draft).unwrap();
        named("after", &login).apply(draft).unwrap();
    });
    disk.reopen();
    assert_eq!(disk.vault().session_count(), 1);
}

#[test]
fn the_largest_records_and_names_stay_out_of_sleds_unsynced_blobs() {
    let mut disk = Disk::new();
    let largest = session(&pair(), MAX_TOKEN_BYTES, &"s".repeat(MAX_CLAIM_BYTES - 3));
    let size = disk.open.as_mut().unwrap().group(1, |draft| {
        named(&"k".repeat(512), &largest).apply(draft).unwrap();
        let Change::PutSession(_, stored) = &draft.changes()[0] else { panic!("a session") };
        SessionRecord::of(stored).encode().len()
    });
    assert!((MAX_RECORD_BYTES - 600..=MAX_RECORD_BYTES).contains(&size), "{size}");
    for n in 0..50 {
        disk.apply(named(&n.to_string(), &largest));
    }
    // Very many names that differ at their ends only make the largest nodes of the index: with segments
    // of half the size, this many put some of them into blobs.
    let small = session(&pair(), 0, "");
    for group in 0..100 {
        disk.open.as_mut().unwrap().group(100, |draft| {
            for n in 0..100 {
                named(&format!("{:k>512}", group * 100 + n), &small).apply(draft).unwrap();
            }
        });
    }
    disk.reopen();
    assert_eq!(disk.vault().session_count(), 10_051);
    let blobs = fs::read_dir(disk.dir.path().join("store/sled.1/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

#[test]
fn an_unfinished_snapshot_does_not_lock_the_vault_out() {
    let mut disk = Disk::new();
    disk.apply(pair());
    let vault = disk.open.take().unwrap().vault;
    let unfinished = disk.dir.path().join("store/sled.1/snap.0000000000000001.generating");
    fs::write(&unfinished, "half").unwrap();
    assert_eq!(contents(&Open::new(disk.dir.path()).unwrap().vault), contents(&vault));
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
    let files = files.into_iter().chain([None, Some(""), Some("keyfob 1")].map(|left| ("keys", left)));
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
fn a_file_of_keys_that_was_cut_off_or_altered_is_damage() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    disk.store_many(1000, &login);
    let before = contents(&disk.open.take().unwrap().vault);
    let path = disk.dir.path().join("store/keys");
    let whole = fs::read(&path).unwrap();
    let altered = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for bad in [&whole[..8000], &whole[..8192 + 64 * 500], &whole[..8192 + 64 * 500 + 7], &altered(0), &altered(30)] {
        fs::write(&path, bad).unwrap();
        let error = Store::open(disk.dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(fs::read(&path).unwrap() == bad, "left as it was");
    }
    // A record whose key was altered is found out when it is opened, and the others are well.
    fs::write(&path, altered(8192 + 64 * 700)).unwrap();
    let open = Open::new(disk.dir.path()).unwrap();
    let get = |n: usize| GetSession { session_key: Some(n.to_string().parse().unwrap()) };
    let broken: Vec<_> = (0..1000).filter_map(|n| open.vault.get_session(&get(n), NOW).err()).collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].data.code, Code::InternalError);
    assert!(broken[0].message.contains("damaged") && broken[0].data.session_key.is_some(), "{}", broken[0].message);
    drop(open);
    fs::write(&path, whole).unwrap();
    assert_eq!(contents(&Open::new(disk.dir.path()).unwrap().vault), before);
}

#[test]
fn no_two_records_share_a_key_and_a_start_overwrites_what_none_has() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    disk.store_many(600, &login);
    disk.apply(NewKeyPair::generate(NOW).unwrap());
    disk.apply(ClearAllSessions {});
    disk.store_many(200, &login);
    disk.reopen();
    let slots: Vec<u32> = disk.vault().sealed().map(|(sealed, _)| sealed.slot()).collect();
    let distinct: std::collections::HashSet<_> = slots.iter().collect();
    assert_eq!((slots.len(), distinct.len()), (201, 201));

    let path = disk.dir.path().join("store/keys");
    let slot = |bytes: &[u8], number: usize| bytes[8192 + 64 * number..][..64].to_vec();
    let before = fs::read(&path).unwrap();
    disk.reopen();
    let after = fs::read(&path).unwrap();
    for number in 0..(after.len() - 8192) / 64 {
        let is_used = slots.contains(&u32::try_from(number).unwrap());
        assert_eq!(slot(&before, number) == slot(&after, number), is_used, "slot {number}");
    }
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
    let before = contents(&disk.open.take().unwrap().vault);
    let path = disk.dir.path().join("store/sled.1/db");
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut unharmed) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(disk.dir.path(), copy.path());
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(copy.path().join("store/sled.1/db"), &bytes).unwrap();
        match Open::new(copy.path()) {
            Ok(Open { vault, .. }) => {
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
