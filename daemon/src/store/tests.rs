//! The store alone: what was put is there, what was removed is not, and damage is refused.

mod damage;
mod removal;
mod rewriting;

use std::fs;

use keyfob_proto::{DeleteApiKeyPair, GetAllSessions, ListApiKeyPairs, Secret};

use super::record::SessionRecord;
use super::*;
use crate::clock::Timestamp;
use crate::limits::{MAX_CLAIM_BYTES, MAX_RECORD_BYTES, MAX_TOKEN_BYTES};
use crate::seal::VaultKeys;
use crate::vault::{Draft, Drafted, Login, Mutation, NewKeyPair};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A data directory, its store, and the vault that the store should hold.
struct Disk {
    dir: tempfile::TempDir,
    open: Option<Open>,
}

struct Open {
    store: Store,
    vault: Vault,
    keys: VaultKeys,
}

impl Open {
    fn new(dir: &Path) -> Result<Self, StoreError> {
        let (store, vault) = Store::open(dir)?;
        let keys = store.unlock(&store.wrapping_key().unwrap(), &vault).unwrap();
        Ok(Self { store, vault, keys })
    }

    /// Applies mutations as one group, and commits it as the actor does.
    fn group<T>(&mut self, mutations: usize, apply: impl FnOnce(&mut Draft<'_>) -> T) -> (T, Vec<Change>) {
        self.store.refill(2 * mutations).unwrap();
        let mut draft = Draft::new(self.vault.clone(), NOW, Some(&self.keys), self.store.stock());
        let reply = apply(&mut draft);
        let Drafted { vault, changes, .. } = draft.finish();
        if changes.iter().any(Change::is_put) {
            self.store.put(&changes, &vault).unwrap();
        } else if changes.iter().any(|change| matches!(change, Change::ClearedAll)) {
            self.store.clear_all(&vault).unwrap();
            self.keys.begin_generation(self.store.generation_secret());
        } else {
            self.store.remove(&changes, changes.iter().filter_map(removed_slot).collect()).unwrap();
        }
        self.vault = vault;
        (reply, changes)
    }

    /// All that it shows, as text.
    fn contents(&self) -> String {
        contents(&self.vault, &self.keys)
    }
}

impl Disk {
    fn new() -> Self {
        let mut disk = Self { dir: tempfile::tempdir().unwrap(), open: None };
        disk.reopen();
        disk
    }

    /// Stops with the store, opens it again and compares.
    fn reopen(&mut self) {
        let before = self.open.take().map(|open| {
            let contents = open.contents();
            open.store.close(&open.vault);
            contents
        });
        self.open_again(before);
    }

    /// As [`Disk::reopen`], as after a kill: the database was not told what it is owed.
    fn reopen_killed(&mut self) {
        let before = self.open.take().map(|open| open.contents());
        self.open_again(before);
    }

    fn open_again(&mut self, before: Option<String>) {
        let open = Open::new(self.dir.path()).unwrap();
        if let Some(before) = before {
            assert_eq!(open.contents(), before);
        }
        self.open = Some(open);
    }

    #[allow(clippy::needless_pass_by_value, reason = "a mutation is applied once")]
    fn apply<M: Mutation>(&mut self, mutation: M) -> M::Reply {
        self.open().group(1, |draft| mutation.apply(draft).unwrap()).0
    }

    fn open(&mut self) -> &mut Open {
        self.open.as_mut().unwrap()
    }

    fn vault(&self) -> &Vault {
        &self.open.as_ref().unwrap().vault
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    /// Stores sessions under numbers, a hundred in a commit.
    fn store_many(&mut self, count: usize, login: &Login) {
        for group in 0..count / 100 {
            self.open().group(100, |draft| {
                for n in 0..100 {
                    named(&(group * 100 + n).to_string(), login).apply(draft).unwrap();
                }
            });
        }
    }
}

/// All that a vault shows, as text.
fn contents(vault: &Vault, keys: &VaultKeys) -> String {
    let sessions = vault.get_all_sessions(&GetAllSessions::default(), NOW, Some(keys)).unwrap();
    format!("{sessions:?} {:?}", vault.list_api_key_pairs(&ListApiKeyPairs::default(), NOW))
}

fn session(pair: &NewKeyPair, token_bytes: usize, scope: &str) -> Login {
    let claims = format!(
        r#"{{"exp":4102444800,"public_key":"{}","session_type":"T","user_id":"u","organization_id":"o","scope":"{scope}"}}"#,
        pair.public_key()
    );
    let token = format!("e30.{}.", data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes()));
    let token = format!("{token}{}", "s".repeat(token_bytes.saturating_sub(token.len()).max(4) / 4 * 4));
    Login::read(keyfob_proto::StoreSession {
        without_key_pair: true,
        session_key: None,
        ..keyfob_proto::StoreSession::new(Secret::new(token))
    })
    .unwrap()
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
    disk.apply(keyfob_proto::ClearSession::default());
    disk.apply(DeleteApiKeyPair::new(unused));
    disk.reopen();
    assert_eq!(disk.vault().session_count(), 1);
}

#[test]
fn the_largest_records_and_names_stay_out_of_sleds_unsynced_blobs() {
    let mut disk = Disk::new();
    let largest = session(&pair(), MAX_TOKEN_BYTES, &"s".repeat(MAX_CLAIM_BYTES - 3));
    let size = disk.open().group(1, |draft| {
        named(&"k".repeat(512), &largest).apply(draft).unwrap();
        let Change::PutSession(_, stored) = &draft.changes()[0] else { panic!("a session") };
        SessionRecord::of(stored).encode().len()
    });
    let size = size.0;
    assert!((MAX_RECORD_BYTES - 700..=MAX_RECORD_BYTES).contains(&size), "{size}");
    for n in 0..50 {
        disk.apply(named(&n.to_string(), &largest));
    }
    // Very many names that differ at their ends only make the largest nodes of the index: with segments
    // of half the size, this many put some of them into blobs.
    let small = session(&pair(), 0, "");
    for group in 0..100 {
        disk.open().group(100, |draft| {
            for n in 0..100 {
                named(&format!("{:k>512}", group * 100 + n), &small).apply(draft).unwrap();
            }
        });
    }
    disk.reopen();
    assert_eq!(disk.vault().session_count(), 10_051);
    let blobs = fs::read_dir(disk.dir.path().join("store/records.1/blobs")).unwrap().count();
    assert_eq!(blobs, 0);
}

#[test]
fn an_unfinished_snapshot_does_not_lock_the_vault_out() {
    let mut disk = Disk::new();
    disk.apply(pair());
    let before = disk.open.take().unwrap().contents();
    let unfinished = disk.dir.path().join("store/records.1/snap.0000000000000001.generating");
    fs::write(&unfinished, "half").unwrap();
    assert_eq!(Open::new(disk.dir.path()).unwrap().contents(), before);
    assert!(!unfinished.exists());
}

#[test]
fn a_first_start_that_was_cut_short_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("store.new")).unwrap();
    fs::write(dir.path().join("store.new/db"), "half").unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().1.session_count(), 0);
    assert!(!dir.path().join("store.new").exists());
}
