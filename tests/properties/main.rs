//! The properties of `keyfob_tests::properties`, for the seeds of the fuzzers, for mutations of them, and
//! for random bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;

use keyfob_tests::properties::{
    a_file_of_keys_is_read_or_refused, a_record_is_read_or_refused, a_request_is_read_or_refused_without_an_echo,
    a_slot_is_read_or_damaged, a_token_is_read_and_stored_or_refused_without_an_echo,
    lines_are_cut_the_same_however_they_arrive,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

#[test]
fn lines_hold() {
    hold("codec", 300, lines_are_cut_the_same_however_they_arrive);
}

#[test]
fn requests_hold() {
    hold("envelope", 20_000, a_request_is_read_or_refused_without_an_echo);
}

#[test]
fn tokens_hold() {
    hold("token", 20_000, a_token_is_read_and_stored_or_refused_without_an_echo);
}

#[test]
fn records_hold() {
    hold("record", 20_000, a_record_is_read_or_refused);
}

#[test]
fn slots_hold() {
    hold("slot", 20_000, a_slot_is_read_or_damaged);
}

#[test]
fn files_of_keys_hold() {
    hold("keys", 60, a_file_of_keys_is_read_or_refused);
}

#[test]
fn the_seeds_of_slots_are_slots() {
    use keyfobd::seal::{Slot, StoredSlot};
    let seed = fs::read(Path::new(SEEDS).join("slot/whole")).unwrap();
    assert!(matches!(Slot::read(7, &seed.try_into().unwrap()), StoredSlot::Whole(_)));
}

#[test]
fn the_seeds_of_records_are_records() {
    use keyfobd::store::record::{KeyPairRecord, SessionRecord, VaultRecord};
    let seed = |name: &str| fs::read(Path::new(SEEDS).join("record").join(name)).unwrap();
    let (session, pair) = (seed("session"), seed("key-pair"));
    let (session, _) = SessionRecord::decode(&session).unwrap();
    assert_eq!((session.expiry, session.sealed.slot, session.sealed.ciphertext.len()), (1_893_456_000, 7, 40));
    assert!(VaultRecord::decode(&seed("vault")).unwrap().proof.is_some());
    let pair = KeyPairRecord::decode(&pair).unwrap();
    assert_eq!((pair.sealed.slot, pair.kept, pair.label), (4096, true, Some("CI")));
}

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");

/// Tries a property on every seed, and on `cases` inputs made of them.
fn hold(seeds: &str, cases: u32, property: fn(&[u8])) {
    let files = fs::read_dir(Path::new(SEEDS).join(seeds)).unwrap();
    let seeds: Vec<Vec<u8>> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        property(seed);
    }
    let random = prop::collection::vec(any::<u8>(), 0..200);
    let edits = prop::collection::vec((any::<Index>(), 0..4_usize, random.clone()), 1..4);
    let mutated = (prop::sample::select(seeds), edits).prop_map(|(mut bytes, edits)| {
        for (place, removed, inserted) in edits {
            let from = place.index(bytes.len() + 1);
            let to = (from + removed).min(bytes.len());
            bytes.splice(from..to, inserted.into_iter().take(removed + 1));
        }
        bytes
    });
    let input = prop_oneof![1 => random, 3 => mutated];
    // Found inputs become seeds by hand.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&input, |bytes| {
        property(&bytes);
        Ok(())
    });
    result.unwrap();
}
