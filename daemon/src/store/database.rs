//! [`Database`]: one sled database in a directory of its own. The only module that speaks to sled.
//!
//! # Why each step is there
//!
//! sled's flush reaches the system and not the disk, so every flush is followed by `fdatasync` on sled's
//! file. sled believes its own flush, though, and may overwrite a part of the file that holds records which
//! it has meanwhile copied elsewhere, before the copies are on the disk. It does so when one of the epochs
//! of its memory reclamation ends; [`Database::commit`] therefore holds one (`sled::pin`) until the
//! `fdatasync`, and sled's own flusher, which moves records about at any time, is turned off.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use keyfob_proto::{PublicKey, SessionKey};

use super::record::{KeyPairRecord, SessionRecord};
use super::{StoreError, io_error};
use crate::seal::{Sealed, Slot};
use crate::vault::{Change, KeyPair, Scopes, Stored, StoredSession};

/// The size of sled's segments in bytes. sled puts a node of its index that takes more than a quarter of
/// a segment into a file that it never syncs, and a node of the largest keys or records takes up to
/// 140 KiB.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// sled's cache in bytes. The vault is in memory anyway.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// One sled database. There is one owner, and it does not share.
#[derive(Debug)]
pub(super) struct Database {
    sled: sled::Db,
    /// A handle of our own on sled's file, for `fdatasync`.
    file: File,
    generation: u64,
    commits: u64,
}

impl Database {
    /// Makes an empty database in `path`, whose generation is this one. What is there already is refused: sled would
    /// open it, and its records would be back.
    pub(super) fn create(path: &Path, generation: u64) -> Result<Self, StoreError> {
        fs::create_dir(path).map_err(io_error("make", path))?;
        let sled = open_sled(path)?;
        for file in ["db", "conf", ""] {
            let file = path.join(file);
            File::open(&file).and_then(|file| file.sync_all()).map_err(io_error("sync", &file))?;
        }
        sled.insert(GENERATION, &generation.to_be_bytes())?;
        Ok(Self { sled, file: open_file(path)?, generation, commits: 0 })
    }

    /// Opens the database in `path`. sled repairs what a crash left, and cuts off what follows a damage.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        remove_unfinished_snapshots(path)?;
        let file = open_file(path)?;
        // sled's threads may keep its lock for a moment after the last handle is dropped. No other daemon
        // is here, so that moment is all there is to wait for.
        file.lock().and_then(|()| file.unlock()).map_err(io_error("lock", path))?;
        // What a killed daemon left in the system's cache is not to be lost while sled builds on it.
        file.sync_data().map_err(io_error("sync", path))?;
        let mut database = Self { sled: open_sled(path)?, file, generation: 0, commits: 0 };
        File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error("sync", path))?;
        (database.generation, database.commits) = (database.number(path, GENERATION)?, database.number(path, COMMITS)?);
        database.sync()?;
        Ok(database)
    }

    /// How many commits it holds.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// The number of clear-alls before what it holds.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The size of sled's file in bytes.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn number(&self, path: &Path, key: &[u8]) -> Result<u64, StoreError> {
        match self.sled.get(key).map_err(|error| engine_error(path, error))? {
            Some(bytes) => match bytes.as_ref().try_into() {
                Ok(bytes) => Ok(u64::from_be_bytes(bytes)),
                Err(_) => Err(StoreError::damaged(path, "a number")),
            },
            None => Ok(0),
        }
    }

    /// Makes the changes durable, all or none. Blocks on the disk.
    pub(super) fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let (mut batch, generation) = batch(changes, self.generation);
        batch.insert(COMMITS, &(self.commits + 1).to_be_bytes());
        let until_synced = sled::pin();
        self.sled.apply_batch(batch)?;
        self.sync()?;
        drop(until_synced);
        collect_garbage(changes.len());
        self.commits += 1;
        self.generation = generation;
        Ok(())
    }

    /// Writes changes that become durable with the next commit, and need not be whole before it.
    pub(super) fn prepare(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let (batch, generation) = batch(changes, self.generation);
        self.sled.apply_batch(batch)?;
        collect_garbage(changes.len());
        self.generation = generation;
        Ok(())
    }

    /// Brings everything that was written to the disk.
    fn sync(&self) -> Result<(), StoreError> {
        self.sled.flush()?;
        self.file.sync_data().map_err(|error| StoreError::Engine(error.into()))
    }

    /// Everything under the current generation, and the unused key pairs. `take` answers the slot of a number that an
    /// unused key pair names, or something else does.
    pub(super) fn read_all(&self, path: &Path, scopes: Scopes, take: &mut Take<'_>) -> Result<Stored, StoreError> {
        let damaged = |what| StoreError::damaged(path, what);
        let unreadable = |error| engine_error(path, error);
        let mut stored = Stored::nothing(scopes);
        for entry in self.sled.scan_prefix(b"u") {
            let (key, value) = entry.map_err(unreadable)?;
            stored.read_unused(&key[1..], &value, take).map_err(damaged)?;
        }
        let prefix = generation_prefix(self.generation);
        for entry in self.sled.scan_prefix(&prefix) {
            let (key, value) = entry.map_err(unreadable)?;
            stored.read_record(&key[prefix.len()..], &value, take).map_err(damaged)?;
        }
        // Reading makes sled tidy up, and so write.
        self.sync()?;
        Ok(stored)
    }
}

/// Answers the slot of a number that a record names, given whether it is an unused key pair's.
pub(super) type Take<'a> = dyn FnMut(u32, bool) -> Result<Slot, &'static str> + 'a;

impl Stored {
    fn read_unused(&mut self, key: &[u8], value: &[u8], take: &mut Take<'_>) -> Result<(), &'static str> {
        let KeyPairRecord { created_at, slot, ciphertext } = KeyPairRecord::decode(value)?;
        let sealed = Sealed::stored(&self.scopes.unused, take(slot, true)?, ciphertext);
        self.unused.push(KeyPair::restore(public_key(key)?, created_at, sealed).into());
        Ok(())
    }

    /// Reads one record of the current generation.
    fn read_record(&mut self, key: &[u8], value: &[u8], take: &mut Take<'_>) -> Result<(), &'static str> {
        let (kind, name) = key.split_first().ok_or("a key without a kind")?;
        let scope = &self.scopes.in_use;
        match kind {
            b'a' => self.active = Some(session_key(value)?),
            b's' => {
                let (SessionRecord { expiry, slot, ciphertext, .. }, public_key) = SessionRecord::decode(value)?;
                let sealed = Sealed::stored(scope, take(slot, false)?, ciphertext);
                let session = StoredSession::restore(public_key, expiry, sealed);
                self.sessions.push((session_key(name)?, session.into()));
            }
            b'k' => {
                let KeyPairRecord { created_at, slot, ciphertext } = KeyPairRecord::decode(value)?;
                let sealed = Sealed::stored(scope, take(slot, false)?, ciphertext);
                self.in_use.push(KeyPair::restore(public_key(name)?, created_at, sealed).into());
            }
            _ => return Err("a key of a kind that format 1 does not have"),
        }
        Ok(())
    }
}

/// The changes as one batch, and the generation after them.
fn batch<'a>(changes: impl IntoIterator<Item = &'a Change>, mut generation: u64) -> (sled::Batch, u64) {
    let mut batch = sled::Batch::default();
    for change in changes {
        match change {
            Change::PutSession(key, session) => {
                batch.insert(session_at(generation, key), SessionRecord::of(session).encode());
            }
            Change::RemoveSession(key) => batch.remove(session_at(generation, key)),
            Change::SetActive(Some(key)) => batch.insert(active_at(generation), key.as_str()),
            Change::SetActive(None) => batch.remove(active_at(generation)),
            Change::PutUnused(pair) => batch.insert(unused_at(pair.public_key()), KeyPairRecord::of(pair).encode()),
            Change::RemoveUnused(key) => batch.remove(unused_at(key)),
            Change::PutInUse(pair) => {
                batch.insert(in_use_at(generation, pair.public_key()), KeyPairRecord::of(pair).encode());
            }
            Change::RemoveInUse(key) => batch.remove(in_use_at(generation, key)),
            Change::ClearAll => {
                generation += 1;
                batch.insert(GENERATION, &generation.to_be_bytes());
            }
        }
    }
    (batch, generation)
}

pub(super) fn open_sled(path: &Path) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).segment_size(SEGMENT_BYTES);
    let config = config.flush_every_ms(None);
    // sled has been seen to panic on a damaged file.
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(sled)) => Ok(sled),
        Ok(Err(error)) => Err(engine_error(path, error)),
        Err(_) => Err(StoreError::damaged(path, UNREADABLE)),
    }
}

/// Gives back the memory of what sled has replaced while it applied so many changes. sled leaves that to whoever
/// happens to use it next, a few hundred pieces at a time, and keeps it while nobody does.
fn collect_garbage(changes: usize) {
    const CHANGES_PER_STEP: usize = 4;
    // The first two only let those epochs end in which somebody may still look at it.
    for _ in 0..3 + changes / CHANGES_PER_STEP {
        sled::pin().flush();
    }
}

/// What sled says of a checksum that is wrong is damage; all else is the disk.
fn engine_error(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } => StoreError::damaged(path, UNREADABLE),
        error => StoreError::Engine(error),
    }
}

const UNREADABLE: &str = "its file `db` cannot be read";

fn open_file(path: &Path) -> Result<File, StoreError> {
    let path = path.join("db");
    File::open(&path).map_err(io_error("open", &path))
}

/// Removes what a kill during sled's snapshot leaves behind: sled would refuse to open for ever.
/// A finished snapshot must stay.
fn remove_unfinished_snapshots(path: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(path).map_err(io_error("list", path))? {
        let file: PathBuf = entry.map_err(io_error("list", path))?.path();
        if file.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(&file).map_err(io_error("remove the unfinished snapshot", &file))?;
        }
    }
    Ok(())
}

const GENERATION: &[u8] = b"n";
const COMMITS: &[u8] = b"c";

fn unused_at(key: &PublicKey) -> Vec<u8> {
    [b"u", key.as_bytes().as_slice()].concat()
}

fn generation_prefix(generation: u64) -> Vec<u8> {
    [b"g".as_slice(), &generation.to_be_bytes()].concat()
}

fn active_at(generation: u64) -> Vec<u8> {
    [&*generation_prefix(generation), b"a"].concat()
}

fn session_at(generation: u64, key: &SessionKey) -> Vec<u8> {
    [&*generation_prefix(generation), b"s", key.as_str().as_bytes()].concat()
}

fn in_use_at(generation: u64, key: &PublicKey) -> Vec<u8> {
    [&*generation_prefix(generation), b"k", key.as_bytes()].concat()
}

fn session_key(bytes: &[u8]) -> Result<SessionKey, &'static str> {
    std::str::from_utf8(bytes).ok().and_then(|name| name.parse().ok()).ok_or("a session key")
}

fn public_key(bytes: &[u8]) -> Result<PublicKey, &'static str> {
    PublicKey::try_from(bytes).map_err(|_| "the name of a key pair")
}
