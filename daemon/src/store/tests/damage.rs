//! Stores that are not what they should be.

use keyfob_proto::{ClearSession, Code, GetSession, SessionKey};

use super::*;
use crate::store::records::open_sled;

#[test]
fn a_store_of_a_future_format_is_refused_and_left_as_it_is() {
    let Disk { dir, open } = Disk::new();
    drop(open);
    fs::write(dir.path().join("store/format"), "2\n").unwrap();
    let before = fs::read(dir.path().join("store/records.1/db")).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Future { .. }));
    assert!(error.to_string().contains("has format 2") && error.to_string().contains("newer keyfobd"), "{error}");
    assert!(fs::read(dir.path().join("store/records.1/db")).unwrap() == before);
}

#[test]
fn a_store_that_lost_a_part_is_damaged_and_not_taken_for_a_new_one() {
    let Disk { dir, open } = Disk::new();
    drop(open);
    let files = [("format", None), ("format", Some("")), ("format", Some("one")), ("records.1/db", None)];
    let files = files.into_iter().chain([None, Some(""), Some("keyfob 1")].map(|left| ("keys", left)));
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

/// Where a slot is in the file.
fn slot_at(slot: u32) -> usize {
    let slot = slot as usize;
    (3 + slot / 63) * 4096 + (1 + slot % 63) * 64
}

#[test]
fn a_file_of_keys_that_was_cut_off_or_altered_is_damage() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    disk.store_many(1000, &login);
    let before = disk.open.take().unwrap().contents();
    let path = disk.file("keys");
    let whole = fs::read(&path).unwrap();
    let altered = |at: &[usize]| {
        let mut bytes = whole.clone();
        for at in at {
            bytes[*at] ^= 1;
        }
        bytes
    };
    let page = 4096;
    let both_states = altered(&[page + 64 + 20, 2 * page + 64 + 20]);
    for bad in [
        &whole[..8000],
        &whole[..3 * page],
        &whole[..10 * page],
        &whole[..10 * page + 7],
        &altered(&[0]),
        &altered(&[30]),
        &both_states,
    ] {
        fs::write(&path, bad).unwrap();
        let error = Store::open(disk.dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(fs::read(&path).unwrap() == bad, "left as it was");
    }
    for copy in [1, 2] {
        fs::write(&path, altered(&[copy * page + 64 + 20])).unwrap();
        assert_eq!(Open::new(disk.dir.path()).unwrap().contents(), before, "one copy of the state will do");
        assert_eq!(fs::read(&path).unwrap()[page + 64..][..64], fs::read(&path).unwrap()[2 * page + 64..][..64]);
    }
}

#[test]
fn a_slot_that_was_altered_is_a_fault_of_its_record_when_it_is_used_and_can_be_cleared() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    disk.store_many(100, &login);
    let slot = disk.vault().slot_of(&Name::Session("70".parse().unwrap())).unwrap();
    drop(disk.open.take());
    let path = disk.file("keys");
    let mut bytes = fs::read(&path).unwrap();
    for at in [0, 10, 40, 57, 62] {
        let mut bytes = bytes.clone();
        bytes[slot_at(slot) + at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let open = Open::new(disk.dir.path()).unwrap();
        let get = |n: usize| GetSession::from(n.to_string().parse::<SessionKey>().unwrap());
        let got = (0..100).filter_map(|n| open.vault.get_session(&get(n), NOW, Some(&open.keys)).err());
        let broken: Vec<_> = got.collect();
        assert_eq!(broken.len(), 1);
        assert_eq!(broken[0].data.code, Code::InternalError);
        assert!(broken[0].message.contains("damaged") && broken[0].data.session_key.is_some(), "{}", broken[0].message);
    }
    bytes[slot_at(slot)] ^= 1;
    fs::write(&path, bytes).unwrap();
    disk.open = Some(Open::new(disk.dir.path()).unwrap());
    // Another root key neither mends it nor takes it for cleared.
    let data_dir = disk.dir.path().to_owned();
    let Open { store, vault, keys } = disk.open();
    let (origin, wrapping) = Origin::new(keyfob_proto::KeySource::KeyFile, None, &data_dir).unwrap();
    (*vault, *keys) = store.rekey(vault, Some(keys), (&origin, &wrapping), &RekeyProgress::default()).unwrap();
    drop(disk.open.take());
    disk.open = Some(Open::new(disk.dir.path()).unwrap());
    let get = GetSession::from("70".parse::<SessionKey>().unwrap());
    let Open { vault, keys, .. } = disk.open();
    assert!(vault.get_session(&get, NOW, Some(keys)).unwrap_err().message.contains("damaged"));
    disk.apply(ClearSession::from("70".parse::<SessionKey>().unwrap()));
    disk.reopen_killed();
    assert_eq!(disk.vault().session_count(), 99, "and it can be cleared");
}

#[test]
fn halves_of_different_copies_are_refused_and_left_as_they_are() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    let (mut copies, mut past) = (Vec::new(), Vec::new());
    disk.store_many(100, &login);
    for n in 0..4 {
        if n % 2 == 0 {
            disk.apply(named("more", &login));
        } else {
            disk.apply(ClearSession::from("more".parse::<SessionKey>().unwrap()));
        }
        let copy = tempfile::tempdir().unwrap();
        copy_dir(disk.dir.path(), copy.path());
        copies.push(copy);
        past.push(disk.open().contents());
    }
    let mut refused = 0;
    for keys in &copies {
        for database in &copies {
            let mixed = tempfile::tempdir().unwrap();
            copy_dir(keys.path(), mixed.path());
            let records = mixed.path().join("store/records.1");
            fs::remove_dir_all(&records).unwrap();
            fs::create_dir(&records).unwrap();
            copy_dir(&database.path().join("store/records.1"), &records);
            let before = fs::read(records.join("db")).unwrap();
            match Open::new(mixed.path()) {
                // As a crash in between would have left them.
                Ok(open) => assert!(past.contains(&open.contents())),
                Err(error) => {
                    assert!(error.to_string().contains("older than the rest"), "{error}");
                    assert!(fs::read(records.join("db")).unwrap() == before, "left as it was");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!(refused, 4, "of 16: newer keys with older records, and the other way round");
}

#[test]
fn keys_of_another_vault_are_refused() {
    let (disk, other) = (Disk::new(), Disk::new());
    let (Disk { dir, open }, other) = (disk, other);
    drop(open);
    fs::copy(other.file("keys"), dir.path().join("store/keys")).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("another vault"), "{error}");
}

#[test]
fn records_that_are_cut_or_too_long_are_damage() {
    let mut disk = Disk::new();
    disk.apply(session(&pair(), 0, "s"));
    disk.open = None;
    let key = [&b"g\0\0\0\0\0\0\0\0s"[..], b"@turnkey/session/v3"].concat();
    let path = disk.file("records.1");
    let sled = || {
        // sled's threads may keep its lock for a moment after it was dropped.
        let db = fs::File::open(path.join("db")).unwrap();
        db.lock().and_then(|()| db.unlock()).unwrap();
        open_sled(&path).unwrap()
    };
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
    let before = disk.open.take().unwrap().contents();
    let path = disk.file("records.1/db");
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut unharmed) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(disk.dir.path(), copy.path());
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(copy.path().join("store/records.1/db"), &bytes).unwrap();
        match Open::new(copy.path()) {
            Ok(open) => {
                assert_eq!(open.contents(), before, "byte {at}: it opens, so nothing is missing");
                unharmed += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
                assert!(fs::read(copy.path().join("store/records.1/db")).unwrap() == bytes, "left as it was");
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
