//! Sealing alone.

use std::collections::HashSet;

use super::*;

/// The keys of an unlocked vault.
pub(crate) fn keys(seed: u8) -> VaultKeys {
    VaultKeys::new(Key::fill(|bytes| bytes.fill(seed)), &[seed])
}

fn opened(sealed: &Sealed, keys: &VaultKeys, identity: &[u8]) -> Result<Vec<u8>, OpenError> {
    sealed.open(Some(keys), Scope::InUse, identity, <[u8]>::to_vec)
}

/// What the store holds of something sealed, with another slot in its slot's place.
fn with_slot(sealed: &Sealed, slot: Option<Slot>) -> Sealed {
    Sealed::stored(sealed.slot(), sealed.id(), slot, sealed.nonce(), sealed.ciphertext())
}

/// A slot, and what the file holds of it.
fn slot(number: u32) -> (Slot, Slot) {
    let slot = Slot::fresh(number);
    let StoredSlot::Whole(stored) = Slot::read(number, &slot.to_bytes()) else { panic!("it is whole") };
    (slot, stored)
}

#[test]
fn a_record_opens_with_its_own_slot_keys_scope_and_identity_only() {
    let here = keys(1);
    let (slot, stored) = slot(7);
    let sealed = Sealed::new(&here, Scope::InUse, slot, b"session a", b"secret");
    assert_eq!((opened(&sealed, &here, b"session a"), sealed.slot()), (Ok(b"secret".to_vec()), 7));
    assert!(!sealed.ciphertext().windows(6).any(|bytes| bytes == b"secret"));
    assert_eq!(opened(&sealed, &here, b"session b"), Err(OpenError::Altered));
    assert_eq!(opened(&sealed, &keys(2), b"session a"), Err(OpenError::Altered));
    let in_other_scope = sealed.open(Some(&here), Scope::Unused, b"session a", |_| ());
    assert_eq!(in_other_scope, Err(OpenError::Altered));
    assert_eq!(opened(&with_slot(&sealed, Some(stored)), &here, b"session a"), Ok(b"secret".to_vec()));
    assert_eq!(opened(&with_slot(&sealed, Some(Slot::fresh(7))), &here, b"session a"), Err(OpenError::Altered));
    assert_eq!(opened(&with_slot(&sealed, None), &here, b"session a"), Err(OpenError::SlotDamaged));
}

#[test]
fn the_next_generation_opens_nothing_of_the_last_and_spares_the_unused() {
    let mut keys = keys(1);
    let session = Sealed::new(&keys, Scope::InUse, Slot::fresh(0), b"", b"secret");
    let unused = Sealed::new(&keys, Scope::Unused, Slot::fresh(1), b"", b"secret");
    keys.begin_generation(b"another");
    assert_eq!(opened(&session, &keys, b""), Err(OpenError::Altered));
    assert!(unused.open(Some(&keys), Scope::Unused, b"", |_| ()).is_ok());
}

#[test]
fn two_records_share_no_keystream_even_with_one_slot() {
    let keys = keys(1);
    let bytes = Slot::fresh(3).to_bytes();
    let again = || match Slot::read(3, &bytes) {
        StoredSlot::Whole(slot) => slot,
        StoredSlot::Damaged => panic!("it is whole"),
    };
    let seal = |plain: &[u8]| Sealed::new(&keys, Scope::InUse, again(), b"", plain);
    let (one, other) = (seal(&[0; 64]), seal(&[0xff; 64]));
    assert_ne!(one.nonce(), other.nonce());
    let together = one.ciphertext().iter().zip(other.ciphertext()).map(|(one, other)| one ^ other);
    assert!(!together.take(64).all(|byte| byte == 0xff), "the keystreams differ");
}

#[test]
fn a_record_opens_under_another_root_with_its_slot_filled_anew() {
    let (here, there) = (keys(1), keys(2));
    let (slot, old) = slot(5);
    let sealed = Sealed::new(&here, Scope::InUse, slot, b"a", b"secret");
    let (moved, new) = sealed.rewrapped(&here, &there, Scope::InUse);
    assert_eq!(opened(&moved, &there, b"a"), Ok(b"secret".to_vec()));
    assert_eq!(opened(&moved, &here, b"a"), Err(OpenError::Altered));
    assert_eq!(opened(&with_slot(&sealed, new), &there, b"a"), Ok(b"secret".to_vec()));
    assert_eq!(opened(&with_slot(&sealed, Some(old)), &there, b"a"), Err(OpenError::Altered));
    assert_eq!((moved.slot(), moved.id()), (sealed.slot(), sealed.id()));
    let damaged = with_slot(&sealed, None).rewrapped(&here, &there, Scope::InUse);
    assert!(damaged.1.is_none() && opened(&damaged.0, &there, b"a") == Err(OpenError::SlotDamaged));
}

#[test]
fn a_slot_survives_the_file_and_a_flipped_bit_or_another_place_is_damage() {
    let slot = Slot::fresh(9);
    let bytes = slot.to_bytes();
    assert!(matches!(Slot::read(9, &bytes), StoredSlot::Whole(read) if read.id() == slot.id() && read.number() == 9));
    assert!(matches!(Slot::read(8, &bytes), StoredSlot::Damaged));
    assert!(matches!(Slot::read(0, &[0; SLOT_BYTES]), StoredSlot::Damaged), "a page that was never written");
    for at in 0..SLOT_BYTES {
        let mut flipped = *bytes;
        flipped[at] ^= 8;
        assert!(matches!(Slot::read(9, &flipped), StoredSlot::Damaged), "byte {at}");
    }
}

#[test]
fn fresh_slots_have_nothing_in_common() {
    let slots: Vec<_> = Slot::fresh_all(0..100).collect();
    let ids: HashSet<_> = slots.iter().map(Slot::id).collect();
    let secrets: HashSet<_> = slots.iter().map(|slot| slot.secret().to_vec()).collect();
    assert_eq!((ids.len(), secrets.len()), (100, 100));
    assert!(slots.iter().map(Slot::number).eq(0..100));
}

#[test]
fn a_key_stays_where_it_was_made() {
    let key = Key::random();
    let (at, bytes) = (key.expose().as_ptr(), *key.expose());
    let moved = [key];
    assert_eq!((moved[0].expose().as_ptr(), moved[0].expose()), (at, &bytes));
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?} {:?} {:?}", keys(7), Key::random(), Slot::fresh(3));
    assert!(shown.contains("redacted") && !shown.contains("7, 7"), "{shown}");
}
