//! [`Slots`]: the file as a start finds it.

use std::collections::{BTreeSet, VecDeque};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bit_set::BitSet;
use zeroize::Zeroizing;

use super::Keys;
use super::header::Header;
use super::layout::{ENTRY_BYTES, FIRST_SLOT_PAGE, Note, PAGE_BYTES, STATE_PAGES, State, offset, place, slots};
use crate::limits::SLOTS_PER_STEP;
use crate::seal::{SLOT_BYTES, Slot, StoredSlot};
use crate::store::error::{StoreError, io_error};

/// Pages that are read at once.
const PAGES_PER_READ: usize = 64;

/// All that is in the slots when the file is opened.
pub(in crate::store) struct Slots {
    bytes: Zeroizing<Vec<u8>>,
    slots: usize,
}

impl Slots {
    /// What is in a slot, if there is one of that number.
    pub(in crate::store) fn get(&self, number: u32) -> Option<StoredSlot> {
        let (page, entry) = place(number);
        let at = page * PAGE_BYTES + (entry + 1) * ENTRY_BYTES;
        let bytes = self.bytes.get(at..at + SLOT_BYTES).filter(|_| (number as usize) < self.slots)?;
        Some(Slot::read(number, bytes.try_into().expect("its length")))
    }
}

impl Keys {
    /// Opens the file, and brings to the disk what it holds. What is damaged in its slots shows when their records are
    /// used.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its header or both of its states are damaged.
    pub(in crate::store) fn open(path: &Path) -> Result<(Self, Header, Slots), StoreError> {
        let damaged = |what| StoreError::damaged(path, what);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("it is missing")),
            file => file.map_err(io_error("open", path))?,
        };
        file.sync_data().map_err(io_error("sync", path))?;
        let length = file.metadata().map_err(io_error("read", path))?.len();
        let length = usize::try_from(length).map_err(|_| damaged("it is too long"))?;
        if length < FIRST_SLOT_PAGE * PAGE_BYTES {
            return Err(damaged("it was cut off"));
        }
        // A disk that was full may have cut off a page that nobody used yet.
        let mut bytes = Zeroizing::new(vec![0; length / PAGE_BYTES * PAGE_BYTES]);
        let mut unreadable = BTreeSet::new();
        for (number, pages) in bytes.chunks_mut(PAGES_PER_READ * PAGE_BYTES).enumerate() {
            let first = number * PAGES_PER_READ;
            if file.read_exact_at(pages, offset(first, 0)).is_err() {
                for (number, page) in pages.chunks_mut(PAGE_BYTES).enumerate() {
                    if file.read_exact_at(page, offset(first + number, 0)).is_err() {
                        page.fill(0);
                        unreadable.insert(first + number);
                    }
                }
            }
        }
        let entry = |page: usize, entry: usize| -> &[u8; ENTRY_BYTES] {
            bytes[page * PAGE_BYTES + entry * ENTRY_BYTES..][..ENTRY_BYTES].try_into().expect("its length")
        };
        let header = bytes[..PAGE_BYTES].try_into().expect("its length");
        let header = Header::decode(header).ok_or_else(|| damaged("its header was altered"))?;
        let [one, other] = STATE_PAGES.map(|page| State::decode(entry(page, 1)));
        let state = State::later(one, other).ok_or_else(|| damaged("both copies of its state were altered"))?;
        let notes = (1..bytes.len() / PAGE_BYTES).filter_map(|page| Note::decode(entry(page, 0)));
        let last = notes.fold(Note::default(), Note::max);
        let slots = slots(bytes.len());
        let keys = Self {
            path: path.to_owned(),
            file,
            state,
            last,
            durable: last.writes,
            taken: BitSet::new(),
            slots,
            first_free: 0,
            stock: VecDeque::new(),
            parked: Vec::new(),
            unreadable,
            is_unsure: false,
        };
        Ok((keys, header, Slots { bytes, slots }))
    }

    /// Overwrites every slot that no record names, and both copies of the state. Gives back what is not needed of the
    /// file, if the database names no slot but those of living records. All of it is durable when this returns.
    ///
    /// # Errors
    ///
    /// When the disk failed.
    pub(in crate::store) fn sweep(&mut self, gives_back: bool) -> Result<(), StoreError> {
        let last = self.taken.iter().last().map_or(0, |last| last + 1);
        let pages = place(u32::try_from(last.max(SLOTS_PER_STEP)).expect("fewer than 2^32 records")).0 + 1;
        let needed = slots(pages * PAGE_BYTES);
        if gives_back && needed < self.slots {
            self.file.set_len(offset(pages, 0)).map_err(io_error("shorten", &self.path))?;
            self.slots = needed;
        }
        let free: Vec<u32> = self.free().collect();
        self.overwrite(free)?;
        self.note()
    }
}
