//! [`Keys`]: the file `keys`, which says what lives. Erasing a slot is what removes its record.
//!
//! # Invariants
//!
//! - A slot that is handed out was made in memory and is durable. What was read from the file is never handed out.
//! - What is overwritten is handed out only after a sync.
//! - Every write to a page, also one that is not synced at once, leaves its number and that of the last durable commit
//!   in the page ([`Note`]).
//! - A sync that failed is not simply tried again: the system may have dropped what it could not write. The bytes are
//!   written anew first.
//! - The file grows by bytes that are written and synced, so that overwriting a slot needs no room. Where the system
//!   can, it is told to overwrite in place.

mod header;
mod layout;
mod origin;
mod other;
mod slots;

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bit_set::BitSet;
use zeroize::Zeroizing;

use self::layout::{ENTRY_BYTES, PAGE_BYTES, SLOTS_PER_PAGE, STATE_PAGES, offset, place};
use super::error::{StoreError, io_error};
use crate::limits::{MAX_STOCK, SLOTS_PER_STEP, SYNC_ATTEMPTS};
use crate::seal::{Slot, random};

pub(super) use self::header::{Header, VaultId};
pub(super) use self::layout::{Note, State};
pub use self::origin::Origin;
pub(super) use self::other::{SlotBytes, create, exchange, remove_other};
pub(super) use self::slots::Slots;

/// The name of the file.
pub(super) const FILE: &str = "keys";

/// The file. There is one owner.
#[derive(Debug)]
pub(super) struct Keys {
    path: PathBuf,
    file: File,
    state: State,
    /// The last write, and the last commit that was durable then.
    last: Note,
    /// The number of the last write that is durable.
    durable: u64,
    /// Slots that a record names, or that are at hand for one.
    taken: BitSet,
    /// How many slots there are.
    slots: usize,
    /// All slots below are taken.
    first_free: usize,
    /// Slots at hand.
    stock: VecDeque<Slot>,
    /// Slots that were overwritten and are not durable yet.
    parked: Vec<Slot>,
    /// Pages that could not be read: they are written whole.
    unreadable: BTreeSet<usize>,
    /// Whether a sync failed, so that what was written since the last good one has to be written anew.
    is_unsure: bool,
}

impl Keys {
    /// Slots at hand.
    pub(super) fn stock(&mut self) -> &mut VecDeque<Slot> {
        &mut self.stock
    }

    /// Which records there are at all.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The number of the last write that is durable.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// The last write, and the last commit that was durable then.
    pub(super) fn last(&self) -> Note {
        self.last
    }

    /// How many slots there are.
    pub(super) fn slot_count(&self) -> u32 {
        u32::try_from(self.slots).expect("fewer than 2^32 records")
    }

    /// Notes that a record names a slot. Answers whether none did before.
    pub(super) fn take(&mut self, slot: u32) -> bool {
        self.taken.insert(slot as usize)
    }

    /// Goes on counting from a number above any that was used before, lost ones included: a crash loses fewer than
    /// this leaves out.
    pub(super) fn count_on(&mut self) -> u64 {
        const APART: u64 = 1 << 20;
        let next = (self.last.writes.max(self.last.commits) / APART + 1) * APART;
        self.last.writes = next;
        next
    }

    /// Says how many commits of the records are durable.
    pub(super) fn set_commits(&mut self, commits: u64) {
        self.last.commits = commits;
    }

    /// Overwrites what was in slots. It becomes durable with the next [`Keys::sync`], and the slots are then at hand.
    ///
    /// # Errors
    ///
    /// When the disk failed. The next sync writes them anew.
    pub(super) fn overwrite(&mut self, mut slots: Vec<u32>) -> Result<(), StoreError> {
        slots.sort_unstable();
        let from = self.parked.len();
        self.parked.extend(Slot::fresh_all(slots.into_iter()));
        self.write_parked(from)
    }

    /// Makes everything durable that was written. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed, again and again. Whether what was overwritten is gone shows at the next start, or when
    /// a later sync succeeds.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let mut synced = self.sync_once();
        for _ in 1..SYNC_ATTEMPTS {
            if synced.is_ok() {
                break;
            }
            synced = self.sync_once();
        }
        synced?;
        self.durable = self.last.writes;
        for slot in std::mem::take(&mut self.parked) {
            let number = slot.number() as usize;
            if self.stock.len() < MAX_STOCK {
                self.taken.insert(number);
                self.stock.push_back(slot);
            } else {
                self.taken.remove(number);
                self.first_free = self.first_free.min(number);
            }
        }
        Ok(())
    }

    fn sync_once(&mut self) -> Result<(), StoreError> {
        if self.is_unsure {
            self.write_parked(0)?;
            self.write_state(&self.state.clone())?;
        }
        let synced = self.file.sync_data();
        self.is_unsure = synced.is_err();
        synced.map_err(io_error("sync", &self.path))
    }

    /// Sees to it that there are so many slots at hand. Blocks on the disk when there are not.
    ///
    /// # Errors
    ///
    /// When the disk failed, or is full.
    pub(super) fn refill(&mut self, count: usize) -> Result<(), StoreError> {
        if self.stock.len() >= count {
            return Ok(());
        }
        let wanted = count.max(SLOTS_PER_STEP) - self.stock.len();
        while self.free().take(wanted).count() < wanted {
            self.grow()?;
        }
        let free: Vec<u32> = self.free().take(wanted).collect();
        for slot in &free {
            self.taken.insert(*slot as usize);
            self.first_free = *slot as usize + 1;
        }
        self.overwrite(free)?;
        self.sync()
    }

    fn free(&self) -> impl Iterator<Item = u32> {
        let free = (self.first_free..self.slots).filter(|slot| !self.taken.contains(*slot));
        free.map(|slot| u32::try_from(slot).expect("fewer than 2^32 records"))
    }

    /// Adds pages. What is in them is written over before it is handed out.
    fn grow(&mut self) -> Result<(), StoreError> {
        let pages = (self.slots / SLOTS_PER_PAGE / 4).clamp(SLOTS_PER_STEP.div_ceil(SLOTS_PER_PAGE), 256);
        let mut bytes = vec![0; pages * PAGE_BYTES];
        // Bytes that no file system packs together.
        crate::seal::fill_random(&mut bytes);
        self.last.writes += 1;
        for page in bytes.chunks_exact_mut(PAGE_BYTES) {
            page[..ENTRY_BYTES].copy_from_slice(&self.last.encode());
        }
        let at = offset(place(u32::try_from(self.slots).expect("fewer than 2^32 records")).0, 0);
        self.file
            .write_all_at(&bytes, at)
            .and_then(|()| self.file.sync_data())
            .map_err(io_error("make room in", &self.path))?;
        self.slots += pages * SLOTS_PER_PAGE;
        Ok(())
    }

    /// Ends the generation: what was sealed in it opens no more. Its slots are free afterwards, but for those that are
    /// still named. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As [`Keys::sync`]. The generation is then either of the two.
    pub(super) fn begin_generation(&mut self, named: impl Iterator<Item = u32>) -> Result<(), StoreError> {
        let state = State { generation: self.state.generation + 1, secret: random(), ..self.state.clone() };
        self.replace_state(state)?;
        self.taken = named.map(|slot| slot as usize).collect();
        self.taken.extend(self.stock.iter().map(|slot| slot.number() as usize));
        self.first_free = 0;
        Ok(())
    }

    /// Says which database holds the records from now on. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As [`Keys::sync`]. It is then either of the two.
    pub(super) fn set_database(&mut self, database: u64) -> Result<(), StoreError> {
        self.replace_state(State { database, ..self.state.clone() })
    }

    /// Notes the last commit. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As [`Keys::sync`].
    pub(super) fn note(&mut self) -> Result<(), StoreError> {
        self.replace_state(self.state.clone())
    }

    fn replace_state(&mut self, state: State) -> Result<(), StoreError> {
        self.last.writes += 1;
        self.write_state(&state)?;
        let before = std::mem::replace(&mut self.state, state);
        self.sync().inspect_err(|_| self.state = before)
    }

    /// Writes both copies of the state, each with the note of its page.
    fn write_state(&self, state: &State) -> Result<(), StoreError> {
        let bytes = Zeroizing::new([self.last.encode(), *state.encode()].concat());
        STATE_PAGES
            .into_iter()
            .try_for_each(|page| self.file.write_all_at(&bytes, offset(page, 0)))
            .map_err(io_error("write", &self.path))
    }

    /// Writes the parked slots from one on, and the note of each page that they are in.
    fn write_parked(&mut self, from: usize) -> Result<(), StoreError> {
        if self.parked.len() == from {
            return Ok(());
        }
        self.last.writes += 1;
        let note = self.last.encode();
        let path = self.path.clone();
        let mut write = || -> io::Result<()> {
            for slots in self.parked[from..].chunk_by(|one, next| place(one.number()).0 == place(next.number()).0) {
                let page = place(slots[0].number()).0;
                if self.unreadable.contains(&page) {
                    // A part of it cannot be written. Nothing in it opens any more, and nothing is said to be gone.
                    self.file.write_all_at(&[0; PAGE_BYTES], offset(page, 0))?;
                    self.unreadable.remove(&page);
                }
                for run in slots.chunk_by(|one, next| one.number() + 1 == next.number()) {
                    let mut bytes = Zeroizing::new(Vec::with_capacity(run.len() * ENTRY_BYTES));
                    for slot in run {
                        bytes.extend_from_slice(&*slot.to_bytes());
                    }
                    self.file.write_all_at(&bytes, offset(page, place(run[0].number()).1 + 1))?;
                }
                self.file.write_all_at(&note, offset(page, 0))?;
            }
            Ok(())
        };
        let written = write();
        self.is_unsure |= written.is_err();
        written.map_err(io_error("overwrite slots in", &path))
    }
}
