//! Where things are in the file `keys`. No I/O.
//!
//! The file is made of pages of 4 KiB:
//!
//! | page | what |
//! | --- | --- |
//! | 0 | the header: the wrapped root key |
//! | 1, 2 | a note, and the [`State`]; the same in both |
//! | from 3 on | a note, and 63 slots of 64 bytes |
//!
//! The first 64 bytes of each page but the header's are its [`Note`].

use zeroize::Zeroizing;

use crate::seal::{KEY_BYTES, SLOT_BYTES};

/// The length of a page, in bytes.
pub(super) const PAGE_BYTES: usize = 4096;

/// The slots of a page.
pub(super) const SLOTS_PER_PAGE: usize = PAGE_BYTES / SLOT_BYTES - 1;

/// The pages of the two states.
pub(super) const STATE_PAGES: [usize; 2] = [1, 2];

/// The first page that has slots.
pub(super) const FIRST_SLOT_PAGE: usize = 3;

/// The length of a note or a state, in bytes.
pub(super) const ENTRY_BYTES: usize = 64;

// An entry is as long as a slot, so that none crosses a sector.
const _: () = assert!(ENTRY_BYTES == SLOT_BYTES);

/// What a page knows of the order of things: the number of the last write to it, and how many commits of the records
/// were durable then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Note {
    /// Counts the writes to the file.
    pub(in crate::store) writes: u64,
    /// Counts the commits of the records.
    pub(in crate::store) commits: u64,
}

impl Note {
    /// The bytes at the beginning of a page.
    pub(super) fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.writes.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.commits.to_be_bytes());
        seal(&mut bytes);
        bytes
    }

    /// The note of a page, unless it is damaged.
    pub(super) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let checked = checked(bytes)?;
        Some(Self { writes: number(&checked[..8]), commits: number(&checked[8..16]) })
    }

    /// The later of two, in each respect.
    pub(super) fn max(self, other: Self) -> Self {
        Self { writes: self.writes.max(other.writes), commits: self.commits.max(other.commits) }
    }
}

/// Which records there are at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct State {
    /// How many times all sessions were cleared.
    pub(in crate::store) generation: u64,
    /// The number of the database that holds the records.
    pub(in crate::store) database: u64,
    /// What the scope of the generation depends on.
    pub(in crate::store) secret: Zeroizing<[u8; KEY_BYTES]>,
}

impl State {
    /// The bytes after the note.
    pub(super) fn encode(&self) -> Zeroizing<[u8; ENTRY_BYTES]> {
        let mut bytes = Zeroizing::new([0; ENTRY_BYTES]);
        bytes[..8].copy_from_slice(&self.generation.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.database.to_be_bytes());
        bytes[16..16 + KEY_BYTES].copy_from_slice(&*self.secret);
        seal(&mut bytes);
        bytes
    }

    /// The state of a page, unless it is damaged.
    pub(super) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let checked = checked(bytes)?;
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        secret.copy_from_slice(&checked[16..16 + KEY_BYTES]);
        Some(Self { generation: number(&checked[..8]), database: number(&checked[8..16]), secret })
    }

    /// Of two that a crash may have left, the one that counts.
    pub(super) fn later(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let place = |state: &Option<Self>| state.as_ref().map(|state| (state.generation, state.database));
        if place(&other) > place(&one) { other } else { one }
    }
}

/// Where a slot is: its page, and its place there.
pub(super) fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (FIRST_SLOT_PAGE + slot / SLOTS_PER_PAGE, slot % SLOTS_PER_PAGE)
}

/// The offset of an entry of a page, in bytes from the start of the file. Entry 0 is the note.
pub(super) fn offset(page: usize, entry: usize) -> u64 {
    (page * PAGE_BYTES + entry * ENTRY_BYTES) as u64
}

/// How many slots a file of so many bytes has. What is cut off at its end is no page.
pub(super) fn slots(file_bytes: usize) -> usize {
    (file_bytes / PAGE_BYTES).saturating_sub(FIRST_SLOT_PAGE) * SLOTS_PER_PAGE
}

/// Writes the checksum at the end.
fn seal(bytes: &mut [u8; ENTRY_BYTES]) {
    let (checked, sum) = bytes.split_at_mut(ENTRY_BYTES - 4);
    sum.copy_from_slice(&crc32fast::hash(checked).to_be_bytes());
}

fn checked(bytes: &[u8; ENTRY_BYTES]) -> Option<&[u8]> {
    let (checked, sum) = bytes.split_at(ENTRY_BYTES - 4);
    (crc32fast::hash(checked).to_be_bytes() == *sum).then_some(checked)
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_and_a_flipped_bit_is_found() {
        let note = Note { writes: 7, commits: 1 << 40 };
        let state = State { generation: 3, database: 2, secret: Zeroizing::new([9; KEY_BYTES]) };
        assert_eq!(Note::decode(&note.encode()), Some(note));
        assert_eq!(State::decode(&state.encode()).as_ref(), Some(&state));
        for at in 0..ENTRY_BYTES {
            let (mut note, mut state) = (note.encode(), state.encode());
            note[at] ^= 16;
            state[at] ^= 16;
            assert!(Note::decode(&note).is_none() && State::decode(&state).is_none(), "byte {at}");
        }
        assert_eq!(Note::decode(&[0; ENTRY_BYTES]), None, "a page that was never written has no note");
    }

    #[test]
    fn the_higher_state_counts_and_a_damaged_one_does_not() {
        let state = |generation, database| Some(State { generation, database, secret: Zeroizing::default() });
        let later = |one, other| State::later(one, other).map(|state| (state.generation, state.database));
        assert_eq!(later(state(1, 5), state(2, 1)), Some((2, 1)));
        assert_eq!(later(state(1, 5), state(1, 4)), Some((1, 5)));
        assert_eq!(later(None, state(1, 4)), Some((1, 4)));
        assert_eq!(later(None, None), None);
    }

    #[test]
    fn no_slot_is_in_the_place_of_a_note_and_none_crosses_a_sector() {
        const SECTOR: u64 = 512;
        for slot in 0..1000 {
            let (page, place) = place(slot);
            let at = offset(page, place + 1);
            assert!(at % PAGE_BYTES as u64 >= 64 && at / SECTOR == (at + 63) / SECTOR);
            assert!(slots((page + 1) * PAGE_BYTES) > slot as usize);
        }
    }
}
