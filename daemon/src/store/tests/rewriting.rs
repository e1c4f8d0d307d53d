//! Rewriting the records into a fresh database.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyfob_proto::{ClearAllSessions, ClearSession, SessionKey};

use super::*;

/// The database that a vault is rewritten into.
fn rewritten(rewrite: Rewrite, vault: &Vault) -> Result<Option<Rewritten>, StoreError> {
    let vault = Arc::new(vault.clone());
    rewrite.write(|| Arc::clone(&vault))
}

fn databases(data_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(data_dir.join("store")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("records.")).collect();
    names.sort();
    names
}

#[test]
fn clear_all_writes_nothing_for_each_session_and_a_rewriting_takes_the_rest_away() {
    let mut disk = Disk::new();
    let kept = disk.apply(pair()).public_key;
    let used = pair();
    let login = session(&used, 1500, "s");
    disk.apply(used);
    disk.store_many(3000, &login);
    assert!(!disk.open().store.is_wasteful(3001, 1));
    let before = disk.open().store.bytes();
    disk.apply(ClearAllSessions::default());
    assert_eq!(disk.open().store.bytes(), before, "the database is not even told");
    disk.reopen();
    assert!(disk.open().store.is_wasteful(1, 1), "{before} bytes for a key pair");

    let vault = disk.vault().clone();
    let new = rewritten(disk.open().store.rewrite(), &vault).unwrap().unwrap();
    // Meanwhile the vault changes.
    let mut meanwhile = HashSet::new();
    for name in ["next", "again", "gone"] {
        let changes = disk.open().group(1, |draft| drop(named(name, &login).apply(draft).unwrap())).1;
        meanwhile.extend(changes.iter().filter_map(Change::name));
    }
    let clear = ClearSession::from("gone".parse::<SessionKey>().unwrap());
    let changes = disk.open().group(1, |draft| drop(clear.apply(draft).unwrap())).1;
    meanwhile.extend(changes.iter().filter_map(Change::name));
    let vault = disk.vault().clone();
    let old = disk.open().store.switch_to(new, meanwhile.iter(), &vault).unwrap();
    old.remove().unwrap();
    assert!(disk.open().store.bytes() <= 2 * 1024 * 1024);
    disk.reopen_killed();
    disk.apply(ClearSession::from("again".parse::<SessionKey>().unwrap()));
    disk.reopen();
    let vault = disk.vault();
    assert_eq!((vault.session_count(), vault.key_pair(&kept, NOW).unwrap().public_key()), (1, &kept));
    assert_eq!(databases(disk.dir.path()), ["records.2"]);
}

#[test]
fn a_rewriting_that_was_cut_short_leaves_the_vault_as_it_was() {
    let mut disk = Disk::new();
    disk.apply(pair());
    let vault = disk.vault().clone();
    let rewrite = disk.open().store.rewrite();
    rewrite.cancelled().store(true, Ordering::Relaxed);
    assert!(rewritten(rewrite, &vault).unwrap().is_none());
    let finished = disk.open().store.rewrite();
    disk.open().store.remove_unfinished().unwrap();
    drop(rewritten(finished, &vault).unwrap());
    assert_eq!(databases(disk.dir.path()), ["records.1", "records.2"]);
    disk.reopen();
    assert_eq!(databases(disk.dir.path()), ["records.1"]);
}

#[test]
fn a_rewriting_never_builds_on_what_another_has_left() {
    let mut disk = Disk::new();
    disk.apply(session(&pair(), 0, "s"));
    let vault = disk.vault().clone();
    drop(rewritten(disk.open().store.rewrite(), &vault).unwrap());
    disk.apply(ClearAllSessions::default());
    // What is left of the first holds a session that was cleared since.
    let vault = disk.vault().clone();
    assert!(rewritten(disk.open().store.rewrite(), &vault).is_err());
    disk.open().store.remove_unfinished().unwrap();
    assert!(rewritten(disk.open().store.rewrite(), &vault).unwrap().is_some());
}

#[test]
fn a_rewriting_holds_nothing_of_what_is_cleared_while_it_is_written() {
    let mut disk = Disk::new();
    let used = pair();
    let login = session(&used, 0, "s");
    disk.apply(used);
    disk.store_many(1200, &login);
    let before = Arc::new(disk.vault().clone());
    disk.open().group(1, |draft| {
        for n in 0..100 {
            ClearSession::from(n.to_string().parse::<SessionKey>().unwrap()).apply(draft).unwrap();
        }
    });
    let after = Arc::new(disk.vault().clone());
    let asked = std::cell::Cell::new(0);
    let vault = || {
        asked.set(asked.get() + 1);
        Arc::clone(if asked.get() == 1 { &before } else { &after })
    };
    disk.open().store.rewrite().write(vault).unwrap().unwrap();
    assert!(asked.get() >= 3, "it looks again for each part");
    assert_eq!(Arc::strong_count(&before), 1, "and lets go of what it saw");
}
