//! A file beside the one in force: how the first one is made, and how another root key takes the old one's place.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use super::header::Header;
use super::layout::{ENTRY_BYTES, Note, PAGE_BYTES, STATE_PAGES, State, place, slots};
use crate::seal::{SLOT_BYTES, Slot, fill_random};
use crate::store::error::{StoreError, io_error};

/// A file has room for so many slots at least.
const LEAST_SLOTS: u32 = 256;

/// What a slot is to hold.
pub(in crate::store) type SlotBytes = Zeroizing<[u8; SLOT_BYTES]>;

/// Makes a file with this header and state and so many slots, of which these are as given and all others are fresh: a
/// record that the database still has, and that was removed, finds another id and not damage. It is durable when this
/// returns, but for its name.
///
/// # Errors
///
/// When the disk failed, or is full.
pub(in crate::store) fn create(
    path: &Path,
    header: &Header,
    state: &State,
    note: Note,
    (slots, count): (&BTreeMap<u32, SlotBytes>, u32),
) -> Result<(), StoreError> {
    let (last_page, _) = place(count.max(LEAST_SLOTS) - 1);
    let mut bytes = Zeroizing::new(vec![0; (last_page + 1) * PAGE_BYTES]);
    bytes[..PAGE_BYTES].copy_from_slice(&header.encode());
    for page in bytes.chunks_exact_mut(PAGE_BYTES).skip(1) {
        page[..ENTRY_BYTES].copy_from_slice(&note.encode());
    }
    for page in STATE_PAGES {
        bytes[page * PAGE_BYTES + ENTRY_BYTES..][..ENTRY_BYTES].copy_from_slice(&*state.encode());
    }
    let mut put = |number: u32, slot: &SlotBytes| {
        let (page, entry) = place(number);
        bytes[page * PAGE_BYTES + (entry + 1) * ENTRY_BYTES..][..ENTRY_BYTES].copy_from_slice(&**slot);
    };
    let all = u32::try_from(self::slots((last_page + 1) * PAGE_BYTES)).expect("fewer than 2^32 records");
    let free: Vec<u32> = (0..all).filter(|number| !slots.contains_key(number)).collect();
    for slot in Slot::fresh_all(free.into_iter()) {
        put(slot.number(), &slot.to_bytes());
    }
    for (number, slot) in slots {
        put(*number, slot);
    }
    let write = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        overwrite_in_place(&file);
        file.write_all_at(&bytes, 0)?;
        file.sync_all()
    };
    write().map_err(io_error("write", path))
}

/// Tells file systems that would write elsewhere (btrfs) to overwrite this file's blocks. Works on an empty file only;
/// others refuse, and need not be told.
fn overwrite_in_place(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
        if let Ok(flags) = ioctl_getflags(file) {
            let _ = ioctl_setflags(file, flags | IFlags::NOCOW);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Each file takes the other's place, in one step.
///
/// # Errors
///
/// When the system refuses.
pub(in crate::store) fn exchange(one: &Path, other: &Path) -> Result<(), StoreError> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|error| io_error("replace", one)(error.into()))
}

/// Overwrites a file that is no longer in force, and removes it. That it is gone already is as good.
///
/// # Errors
///
/// When the disk failed.
pub(in crate::store) fn remove_other(path: &Path) -> Result<(), StoreError> {
    const BYTES_PER_STEP: usize = 1024 * 1024;
    let remove = || -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(BYTES_PER_STEP)];
        for at in (0..length).step_by(BYTES_PER_STEP) {
            let step = bytes.len().min(length - at);
            fill_random(&mut bytes[..step]);
            file.write_all_at(&bytes[..step], at as u64)?;
        }
        file.sync_all()?;
        fs::remove_file(path)
    };
    match remove() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("overwrite", path)),
    }
}
