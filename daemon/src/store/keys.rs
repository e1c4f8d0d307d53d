//! [`Keys`]: the file that the records' keys are kept in, and overwritten in place when the records are cleared.
//!
//! # Layout
//!
//! | at byte | what |
//! | --- | --- |
//! | 0 | the [`Header`]: the wrapped root key |
//! | 4096 | two secrets of 64 bytes: the current generation's at its number modulo 2, and the next one's |
//! | 8192 | the slots, 64 bytes each; see [`crate::seal`] |
//!
//! # Invariants
//!
//! - Everything but the header is random bytes, at all times: a slot that no record uses holds the key of
//!   the next one that will, and is on the disk before that record is.
//! - A clear-all frees the slots of its generation as they are: without that generation's secret they open nothing.
//! - What is erased is overwritten with fresh random bytes and synced; the same write makes the slot ready for
//!   its next record. So a commit takes one sync more if it removes something, and none if it does not.
//! - A crash between a commit and the erasing leaves keys that no record names. A start overwrites every slot that no
//!   record names, and the next generation's secret.
//! - The file is never changed but in these ways; another root key makes another file, which takes its place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bit_set::BitSet;
use zeroize::Zeroizing;

use super::header::{HEADER_BYTES, Header};
use super::{StoreError, io_error, place};
use crate::seal::{SLOT_BYTES, Slot, Supply, fill_random, random};

/// Slots are made, and read, so many at a time at least.
const SLOTS_PER_STEP: usize = 256;

/// More slots than this are not kept at hand.
const MAX_AT_HAND: usize = 1024;

const GENERATIONS_AT: u64 = 4096;
const SLOTS_AT: u64 = 8192;

/// The secret of a generation.
pub(super) type Secret = Zeroizing<[u8; SLOT_BYTES]>;

/// The file. There is one owner.
#[derive(Debug)]
pub(super) struct Keys {
    path: PathBuf,
    file: File,
    /// The slots that a record names, or that are at hand for one.
    taken: BitSet,
    /// Those that an unused key pair names, which outlives a generation.
    unused: BitSet,
    /// How many slots there are.
    slots: usize,
    /// All slots below are taken.
    first_free: usize,
}

/// All slots, as they are read at a start.
pub(super) struct Contents(Zeroizing<Vec<u8>>);

impl Contents {
    /// A slot, if there is one of that number.
    pub(super) fn slot(&self, number: u32) -> Option<Slot> {
        let at = usize::try_from(number).ok()?.checked_mul(SLOT_BYTES)?;
        let bytes = self.0.get(at..at + SLOT_BYTES)?;
        Some(Slot::new(number, Zeroizing::new(bytes.try_into().expect("its length"))))
    }
}

impl Keys {
    /// The name of the file.
    pub(super) const FILE: &str = "keys";

    /// Makes a file in which these slots are as they are given and all others, and the generations' secrets, are
    /// fresh. It is on the disk when this returns.
    pub(super) fn create(
        path: &Path,
        header: &Header,
        generations: &[Secret; 2],
        given: impl Iterator<Item = Slot>,
    ) -> Result<(), StoreError> {
        let write = || -> io::Result<()> {
            let mut bytes = Zeroizing::new(vec![0; SLOT_BYTES * SLOTS_PER_STEP]);
            fill_random(&mut bytes);
            for slot in given {
                let at = slot.number as usize * SLOT_BYTES;
                let length = bytes.len();
                if at >= length {
                    bytes.resize((at + 1).next_multiple_of(SLOT_BYTES * SLOTS_PER_STEP), 0);
                    fill_random(&mut bytes[length..]);
                }
                bytes[at..at + SLOT_BYTES].copy_from_slice(slot.bytes());
            }
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all_at(&header.encode(), 0)?;
            for (at, secret) in (GENERATIONS_AT..).step_by(SLOT_BYTES).zip(generations) {
                file.write_all_at(&**secret, at)?;
            }
            file.write_all_at(&bytes, SLOTS_AT)?;
            file.sync_all()
        };
        write().map_err(io_error("write", path))
    }

    /// Opens the file. What is damaged in its slots shows when their records are opened.
    pub(super) fn open(path: &Path) -> Result<(Self, Header, [Secret; 2], Contents), StoreError> {
        let damaged = |what| StoreError::damaged(path, what);
        let unreadable = || io_error("read", path);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("it is missing")),
            file => file.map_err(io_error("open", path))?,
        };
        let length = file.metadata().map_err(unreadable())?.len();
        let bytes = length.checked_sub(SLOTS_AT).and_then(|bytes| usize::try_from(bytes).ok());
        // A disk that was full may have cut off a slot that nobody used yet.
        let bytes = bytes.ok_or_else(|| damaged("it was cut off"))? / SLOT_BYTES * SLOT_BYTES;
        let mut page = [0; HEADER_BYTES];
        file.read_exact_at(&mut page, 0).map_err(unreadable())?;
        let header = Header::decode(&page).ok_or_else(|| damaged("its header was altered"))?;
        let mut generations = [(); 2].map(|()| Zeroizing::new([0; SLOT_BYTES]));
        for (at, secret) in (GENERATIONS_AT..).step_by(SLOT_BYTES).zip(&mut generations) {
            file.read_exact_at(&mut **secret, at).map_err(unreadable())?;
        }
        let mut contents = Contents(Zeroizing::new(vec![0; bytes]));
        file.read_exact_at(&mut contents.0, SLOTS_AT).map_err(unreadable())?;
        let (taken, unused, slots) = (BitSet::new(), BitSet::new(), bytes / SLOT_BYTES);
        let keys = Self { path: path.to_owned(), file, taken, unused, slots, first_free: 0 };
        Ok((keys, header, generations, contents))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a record names a slot. Answers whether none did before.
    pub(super) fn take(&mut self, slot: u32, is_unused: bool) -> bool {
        if is_unused {
            self.unused.insert(slot as usize);
        }
        self.taken.insert(slot as usize)
    }

    /// Overwrites whatever no record names, and gives back what is not needed of the file.
    pub(super) fn sweep(&mut self, generation: u64) -> Result<Secret, StoreError> {
        let needed = self.taken.iter().last().map_or(0, |last| last + 1).next_multiple_of(SLOTS_PER_STEP);
        let needed = needed.max(SLOTS_PER_STEP);
        let secret = random();
        let sweep = || -> io::Result<()> {
            let mut at = 0;
            while at < self.slots.max(needed) {
                let free = (at..self.slots.max(needed)).take_while(|slot| !self.taken.contains(*slot)).count();
                if free > 0 {
                    let mut bytes = Zeroizing::new(vec![0; free * SLOT_BYTES]);
                    fill_random(&mut bytes);
                    self.file.write_all_at(&bytes, offset(at))?;
                }
                at += free + 1;
            }
            self.file.write_all_at(&*secret, generation_at(generation + 1))?;
            self.file.sync_data()?;
            if needed < self.slots {
                self.file.set_len(offset(needed))?;
            }
            Ok(())
        };
        sweep().map_err(io_error("overwrite", &self.path))?;
        self.slots = needed;
        Ok(secret)
    }

    /// Sees to it that there are so many slots at hand. Blocks on the disk when the file has to grow.
    pub(super) fn replenish(&mut self, supply: &mut Supply, count: usize) -> Result<(), StoreError> {
        while supply.slots.len() < count {
            let wanted = SLOTS_PER_STEP.max(count) - supply.slots.len();
            let free: Vec<_> =
                (self.first_free..self.slots).filter(|slot| !self.taken.contains(*slot)).take(wanted).collect();
            for slot in free {
                let mut bytes = Zeroizing::new([0; SLOT_BYTES]);
                self.file.read_exact_at(&mut *bytes, offset(slot)).map_err(io_error("read", &self.path))?;
                self.taken.insert(slot);
                self.first_free = slot + 1;
                supply.slots.push(Slot::new(u32::try_from(slot).expect("fewer than 2^32 records"), bytes));
            }
            if supply.slots.len() < count {
                self.grow()?;
            }
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), StoreError> {
        let more = (self.slots / 4).clamp(SLOTS_PER_STEP, 64 * SLOTS_PER_STEP);
        let mut bytes = Zeroizing::new(vec![0; more * SLOT_BYTES]);
        fill_random(&mut bytes);
        self.file
            .write_all_at(&bytes, offset(self.slots))
            .and_then(|()| self.file.sync_data())
            .map_err(io_error("write", &self.path))?;
        self.first_free = self.slots;
        self.slots += more;
        Ok(())
    }

    /// Notes that no record names these slots any more; [`Keys::erase`] makes them free.
    pub(super) fn release(&mut self, slots: &[u32]) {
        for slot in slots {
            self.unused.remove(*slot as usize);
        }
    }

    /// Begins a generation: every slot is free but those of unused key pairs, and those at hand. The secret of the last
    /// one is erased by [`Keys::erase`].
    pub(super) fn begin_generation(&mut self, supply: &Supply) {
        self.taken.clone_from(&self.unused);
        self.taken.extend(supply.slots.iter().map(|slot| slot.number as usize));
        self.first_free = 0;
    }

    /// Overwrites slots that were released, and the secret of a generation that has ended, and puts the
    /// slots at hand. Blocks on the disk. Answers the next generation's secret, if one has ended.
    pub(super) fn erase(
        &mut self,
        slots: &[u32],
        ended: Option<u64>,
        supply: &mut Supply,
    ) -> Result<Option<Secret>, StoreError> {
        if slots.is_empty() && ended.is_none() {
            return Ok(None);
        }
        let secret = ended.map(|generation| (generation_at(generation), random()));
        // What lies side by side is written at once.
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        let mut bytes = Zeroizing::new(vec![0; slots.len() * SLOT_BYTES]);
        fill_random(&mut bytes);
        let overwrite = || -> io::Result<()> {
            let mut rest = &bytes[..];
            for run in slots.chunk_by(|one, next| one + 1 == *next) {
                let (run_bytes, after) = rest.split_at(run.len() * SLOT_BYTES);
                self.file.write_all_at(run_bytes, offset(run[0] as usize))?;
                rest = after;
            }
            if let Some((at, secret)) = &secret {
                self.file.write_all_at(&**secret, *at)?;
            }
            self.file.sync_data()
        };
        overwrite().map_err(io_error("overwrite", &self.path))?;
        let fresh = bytes.chunks_exact(SLOT_BYTES).map(|bytes| Zeroizing::new(bytes.try_into().expect("its length")));
        for slot in slots.iter().zip(fresh).map(|(number, bytes)| Slot::new(*number, bytes)) {
            let number = slot.number as usize;
            if supply.slots.len() < MAX_AT_HAND {
                self.taken.insert(number);
                supply.slots.push(slot);
            } else {
                self.taken.remove(number);
                self.first_free = self.first_free.min(number);
            }
        }
        Ok(secret.map(|(_, secret)| secret))
    }
}

/// Overwrites a file that was replaced, and removes it. That it is gone already is as good.
pub(super) fn overwrite_and_remove(path: &Path) -> Result<(), StoreError> {
    let remove = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(SLOT_BYTES * SLOTS_PER_STEP * 64)];
        let mut at = 0;
        while at < length {
            let step = bytes.len().min(length - at);
            fill_random(&mut bytes[..step]);
            file.write_all_at(&bytes[..step], at as u64)?;
            at += step;
        }
        file.sync_all()?;
        fs::remove_file(path)
    };
    match remove() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("overwrite", path)),
    }
}

fn offset(slot: usize) -> u64 {
    SLOTS_AT + (slot * SLOT_BYTES) as u64
}

fn generation_at(generation: u64) -> u64 {
    GENERATIONS_AT + (place(generation) * SLOT_BYTES) as u64
}
