//! What was removed is gone, whether or not the database was told.

use std::collections::HashSet;

use keyfob_proto::{ClearAllSessions, ClearSession, ClearUnusedKeyPairs, SessionKey};

use super::*;

#[test]
fn what_was_removed_is_gone_after_a_kill_though_the_database_was_not_told() {
    let mut disk = Disk::new();
    let (a, spare) = (pair(), pair());
    let key = *spare.public_key();
    let login = session(&a, 0, "s");
    disk.apply(a);
    disk.apply(spare);
    disk.store_many(100, &login);
    let db = fs::read(disk.file("records.1/db")).unwrap();
    disk.apply(DeleteApiKeyPair::new(key));
    for n in 0..99 {
        disk.apply(ClearSession::from(n.to_string().parse::<SessionKey>().unwrap()));
    }
    assert!(fs::read(disk.file("records.1/db")).unwrap() == db, "it was not told");
    assert_eq!(disk.open().store.owes(), 100);
    disk.reopen_killed();
    assert_eq!((disk.vault().session_count(), disk.vault().in_use_count(), disk.vault().unused_count()), (1, 1, 0));
    assert_eq!(disk.open().store.owes(), 100, "a start finds out what the database has to be told");
    disk.apply(ClearSession::default());
    disk.reopen_killed();
    assert!(disk.vault().is_empty());
    let vault = disk.vault().clone();
    disk.open().store.tell(&vault).unwrap();
    assert_eq!(disk.open().store.owes(), 0);
    disk.reopen();
    assert!(disk.vault().is_empty());
}

#[test]
fn a_name_that_is_used_again_is_told_with_the_next_batch() {
    let mut disk = Disk::new();
    let a = pair();
    let login = session(&a, 0, "s");
    disk.apply(a);
    disk.apply(named("a", &login));
    disk.apply(named("b", &login));
    disk.apply(ClearSession::from("a".parse::<SessionKey>().unwrap()));
    disk.apply(ClearSession::from("b".parse::<SessionKey>().unwrap()));
    disk.apply(named("a", &login));
    assert_eq!(disk.open().store.owes(), 0, "the batch told what was owed too");
    disk.reopen_killed();
    assert_eq!(disk.vault().session_count(), 1);
}

#[test]
fn a_clear_all_ends_what_is_in_use_and_spares_the_rest() {
    let mut disk = Disk::new();
    let used = pair();
    let login = session(&used, 0, "s");
    let kept = disk.apply(pair()).public_key;
    disk.apply(used);
    disk.store_many(600, &login);
    disk.apply(ClearAllSessions::default());
    disk.reopen_killed();
    assert_eq!((disk.vault().record_count(), disk.vault().unused_count()), (1, 1));
    // What comes now is of the next generation, in slots of the last one.
    disk.store_many(600, &login);
    disk.reopen_killed();
    assert_eq!(disk.vault().session_count(), 600);
    disk.apply(ClearAllSessions::default());
    disk.reopen();
    disk.apply(ClearUnusedKeyPairs { min_age_seconds: Some(0) });
    disk.reopen_killed();
    assert!(disk.vault().key_pair(&kept, NOW).is_none() && disk.vault().is_empty());
}

#[test]
fn no_two_records_share_a_slot_and_a_start_overwrites_what_none_has() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    disk.store_many(600, &login);
    disk.apply(pair());
    disk.apply(ClearAllSessions::default());
    disk.store_many(200, &login);
    disk.reopen();
    let slots: Vec<u32> = disk.vault().slots().collect();
    let distinct: HashSet<_> = slots.iter().collect();
    assert_eq!((slots.len(), distinct.len()), (201, 201));

    let slot = |bytes: &[u8], number: usize| bytes[(3 + number / 63) * 4096 + (1 + number % 63) * 64..][..64].to_vec();
    let before = fs::read(disk.file("keys")).unwrap();
    disk.reopen();
    let after = fs::read(disk.file("keys")).unwrap();
    let proof = disk.open().store.proof.sealed().unwrap().slot();
    for number in 0..(after.len() / 4096 - 3) * 63 {
        let named = u32::try_from(number).unwrap();
        let is_used = slots.contains(&named) || named == proof;
        assert_eq!(slot(&before, number) == slot(&after, number), is_used, "slot {number}");
    }
}

#[test]
fn nothing_that_is_read_from_the_file_is_ever_sealed_with() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    // Somebody fills every free slot, and every one that will be freed, with what they know.
    let poison = |disk: &Disk| {
        let named: HashSet<u32> = disk.vault().slots().collect();
        let path = disk.file("keys");
        let mut bytes = fs::read(&path).unwrap();
        let slots = (bytes.len() / 4096 - 3) * 63;
        for number in (1..slots).filter(|number| !named.contains(&u32::try_from(*number).unwrap())) {
            bytes[(3 + number / 63) * 4096 + (1 + number % 63) * 64..][..64].fill(7);
        }
        fs::write(&path, bytes).unwrap();
    };
    for round in 0..8 {
        poison(&disk);
        disk.store_many(300, &login);
        disk.apply(pair());
        if round % 2 == 0 {
            disk.apply(ClearAllSessions::default());
        } else {
            disk.apply(ClearSession::default());
        }
        poison(&disk);
    }
    disk.store_many(300, &login);
    let ids: Vec<_> = disk.vault().sealed().map(|(sealed, _)| sealed.id()).collect();
    let nonces: HashSet<_> = disk.vault().sealed().map(|(sealed, _)| sealed.nonce()).collect();
    let distinct: HashSet<_> = ids.iter().collect();
    assert!(distinct.len() == ids.len() && nonces.len() == ids.len() && !ids.contains(&[7; 8]));
    // What was overwritten in the file is damaged from the next start on, and opens nothing else.
    drop(disk.open.take());
    let open = Open::new(disk.dir.path()).unwrap();
    let mut damaged = 0;
    for n in 0..300 {
        let get = keyfob_proto::GetSession::from(n.to_string().parse::<SessionKey>().unwrap());
        match open.vault.get_session(&get, NOW, Some(&open.keys)) {
            Ok(found) => assert!(found.session.is_some(), "session {n}"),
            Err(fault) => {
                assert!(fault.message.contains("damaged"), "{}", fault.message);
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "somebody who writes to the file destroys what is there, and no more");
}

#[test]
fn what_was_removed_stays_away_when_the_vault_is_rekeyed_before_the_database_is_told() {
    let mut disk = Disk::new();
    let spare = disk.apply(pair()).public_key;
    let login = session(&pair(), 0, "s");
    disk.store_many(1000, &login);
    // All but the first ones, so that the new file could be shorter.
    disk.open().group(1, |draft| {
        for n in 100..1000 {
            ClearSession::from(n.to_string().parse::<SessionKey>().unwrap()).apply(draft).unwrap();
        }
    });
    disk.apply(DeleteApiKeyPair::new(spare));
    let data_dir = disk.dir.path().to_owned();
    let Open { store, vault, keys } = disk.open();
    let (origin, wrapping) = Origin::new(keyfob_proto::KeySource::KeyFile, None, &data_dir).unwrap();
    let rekeyed = store.rekey(vault, Some(keys), (&origin, &wrapping), &RekeyProgress::default()).unwrap();
    (*vault, *keys) = rekeyed;
    assert_eq!(disk.open().store.owes(), 901 + usize::from(disk.vault().active(NOW).is_none()));
    disk.reopen_killed();
    assert_eq!((disk.vault().session_count(), disk.vault().unused_count()), (100, 0));
}

#[test]
fn a_start_after_very_much_was_removed_can_be_killed_before_the_database_is_told() {
    let mut disk = Disk::new();
    let login = session(&pair(), 0, "s");
    disk.store_many(1000, &login);
    for from in (0..1000).step_by(500) {
        disk.open().group(1, |draft| {
            for n in from..from + 500 {
                ClearSession::from(n.to_string().parse::<SessionKey>().unwrap()).apply(draft).unwrap();
            }
        });
    }
    let length = |disk: &Disk| fs::metadata(disk.file("keys")).unwrap().len();
    let before = length(&disk);
    for _ in 0..3 {
        disk.reopen_killed();
        assert!(disk.vault().is_empty() && disk.open().store.owes() == 1001);
    }
    assert_eq!(length(&disk), before, "what the database still names is there");
    disk.reopen();
    disk.reopen();
    assert!(length(&disk) < before, "and given back afterwards");
}
