//! The store's directory before sled opens it: whether there is one, and of which format. sled
//! writes to what it opens, so this is found out without it.
//!
//! A new store is made under another name and then renamed. A store that is there is therefore
//! complete, and one that lacks a part has lost it: it is never taken for a new one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{StoreError, io_error};
use super::keys::{self, Header, Note, Origin, State};
use super::proof;
use super::records::{self, Batch, Counts, Database};
use crate::seal::{Depth, Key, Slot, VaultKeys, on_wiped_stack, random};

/// The format that this release reads and writes.
const FORMAT: u32 = 1;

/// The number of the first database.
const FIRST: u64 = 1;

/// The directory of the store in `data_dir`, made if there is none, its format checked.
pub(super) fn ready(data_dir: &Path) -> Result<PathBuf, StoreError> {
    let store = data_dir.join("store");
    if !store.try_exists().map_err(io_error("look at", &store))? {
        create(data_dir, &store)?;
    }
    let damaged = |what| StoreError::damaged(&store, what);
    let path = store.join("format");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("its file `format` is missing")),
        text => text.map_err(io_error("read", &path))?,
    };
    match text.trim_ascii().parse::<u32>() {
        Ok(FORMAT) => Ok(store),
        Ok(found) if found > FORMAT => Err(StoreError::Future { path: store, found, known: FORMAT }),
        _ => Err(damaged("its file `format` does not hold a format")),
    }
}

/// Makes an empty store, all at once.
fn create(data_dir: &Path, store: &Path) -> Result<(), StoreError> {
    let unfinished = data_dir.join("store.new");
    match fs::remove_dir_all(&unfinished) {
        // Nobody was told that anything is in there.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &unfinished)(error)),
        _ => fs::create_dir(&unfinished).map_err(io_error("make", &unfinished))?,
    }
    create_halves(data_dir, &unfinished)?;
    let format = unfinished.join("format");
    fs::write(&format, format!("{FORMAT}\n")).map_err(io_error("write", &format))?;
    sync(&format)?;
    sync(&unfinished)?;
    // The key file has to be there when the store is.
    sync(data_dir)?;
    fs::rename(&unfinished, store).map_err(io_error("rename", &unfinished))?;
    sync(data_dir)?;
    // The data directory itself may be new too. Where its parent is not ours to open, it is not.
    match data_dir.parent() {
        Some(parent) if File::open(parent).is_ok() => sync(parent),
        _ => Ok(()),
    }
}

/// Makes the file `keys` and the first database, which know each other.
fn create_halves(data_dir: &Path, store: &Path) -> Result<(), StoreError> {
    let vault = *random();
    let state = State { generation: 0, database: FIRST, secret: random() };
    let (origin, wrapping) = Origin::new_key_file(data_dir).map_err(io_error("write the key file in", data_dir))?;
    let slot = Slot::fresh(0);
    let bytes = slot.to_bytes();
    let (header, proof) = on_wiped_stack(Depth::Deep, || {
        let root = Key::random();
        let header = Header::wrap(&root, vault, origin, None, &wrapping);
        (header, proof::seal(&VaultKeys::new(root, &*state.secret), &vault, slot))
    });
    let slots = std::iter::once((0, bytes)).collect();
    keys::create(&store.join(keys::FILE), &header, &state, Note::default(), (&slots, 1))?;
    let mut database = Database::create(&records::directory(store, FIRST))?;
    let mut batch = Batch::default();
    batch.vault(proof::record(vault, Some(&proof)));
    batch.count(Counts::default());
    database.commit(batch, 2)
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error("sync", path))
}
