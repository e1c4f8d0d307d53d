//! [`Database`]: one sled database in a directory of its own. The only module that speaks to sled.
//!
//! # Why each step is there
//!
//! sled's flush reaches the system and not the disk, so every flush is followed by `fdatasync` on sled's
//! file. sled believes its own flush, though, and may overwrite a part of the file that holds records which
//! it has meanwhile copied elsewhere, before the copies are on the disk. It does so when one of the epochs
//! of its memory reclamation ends; [`Database::commit`] therefore holds one (`sled::pin`) until the
//! `fdatasync`, and sled's own flusher, which moves records about at any time, is turned off.

use std::fs::{self, File, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::entry::{ATTEMPTS, COUNTS, Entry, LOCK_AFTER, UNUSED, VAULT, generation_prefix, key, value};
use super::watch::Watch;
use crate::file_lock::rest;
use crate::limits::{SLED_PATIENCE, STUCK_AFTER};
use crate::store::error::{StoreError, io_error};
use crate::vault::{Name, Record};

/// The size of sled's segments in bytes. sled puts a node of its index that takes more than a quarter of
/// a segment into a file that it never syncs, and a node of the largest keys or records takes up to
/// 140 KiB.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// sled's cache in bytes. The vault is in memory anyway.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// One sled database. There is one owner, and it does not share.
#[derive(Debug)]
pub(in crate::store) struct Database {
    /// Before sled itself: it has a handle too, and sled is closed with the last one.
    watch: Watch,
    sled: sled::Db,
    /// A handle of our own on sled's file, for `fdatasync`.
    file: File,
    path: PathBuf,
    #[cfg(test)]
    fails: bool,
}

/// The number of a commit, and of the last write to `keys` that was durable before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Counts {
    /// Counts the commits.
    pub(in crate::store) commits: u64,
    /// Counts the writes to `keys`.
    pub(in crate::store) writes: u64,
}

/// What is to be written in one step, all of it or nothing.
#[derive(Debug, Default)]
pub(in crate::store) struct Batch(sled::Batch);

impl Batch {
    /// Writes what a name stands for now, or removes what it stood for.
    pub(in crate::store) fn tell(&mut self, generation: u64, name: &Name, record: Option<Record<'_>>) {
        let key = key(generation, name);
        match record {
            Some(record) => self.0.insert(key, value(record)),
            None => self.0.remove(key),
        }
    }

    /// Writes the record of the vault.
    pub(in crate::store) fn vault(&mut self, record: Vec<u8>) {
        self.0.insert(VAULT, record);
    }

    /// Numbers the commit.
    pub(in crate::store) fn count(&mut self, counts: Counts) {
        let counts = [counts.commits.to_be_bytes(), counts.writes.to_be_bytes()].concat();
        self.0.insert(COUNTS, counts);
    }
}

impl Database {
    /// Makes an empty database in `path`. What is there already is refused: sled would open it, and its records would
    /// be back.
    pub(in crate::store) fn create(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir(path).map_err(io_error("make", path))?;
        let sled = open_sled(path)?;
        // The directory that it is in too: it is named in `keys` before anything else is synced there.
        for file in ["db", "conf", "", ".."] {
            let file = path.join(file);
            File::open(&file).and_then(|file| file.sync_all()).map_err(io_error("sync", &file))?;
        }
        Self::new(sled, open_file(path)?, path)
    }

    /// Opens the database in `path`. sled repairs what a crash left, and cuts off what follows a damage.
    pub(in crate::store) fn open(path: &Path) -> Result<Self, StoreError> {
        remove_unfinished_snapshots(path)?;
        let file = open_file(path)?;
        // What a killed daemon left in the system's cache is not to be lost while sled builds on it.
        file.sync_data().map_err(io_error("sync", path))?;
        let database = Self::new(open_sled(path)?, file, path)?;
        File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error("sync", path))?;
        database.sync()?;
        Ok(database)
    }

    fn new(sled: sled::Db, file: File, path: &Path) -> Result<Self, StoreError> {
        let waker = sled.clone();
        // What it answers is told to whoever it wakes too.
        let watch = Watch::begin(STUCK_AFTER, move || drop(waker.flush()));
        Ok(Self {
            watch: watch.map_err(io_error("look after", path))?,
            sled,
            file,
            path: path.to_owned(),
            #[cfg(test)]
            fails: false,
        })
    }

    /// From now on every commit fails, after it may have reached the disk.
    #[cfg(test)]
    pub(in crate::store) fn fail_from_now_on(&mut self) {
        self.fails = true;
    }

    /// Where it is.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// The size of sled's file in bytes; 0 when the system does not say.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// What it held last.
    pub(in crate::store) fn counts(&self) -> Result<Counts, StoreError> {
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).ok();
        let Some(bytes) = self.get(COUNTS)? else { return Ok(Counts::default()) };
        let counts = bytes
            .split_at_checked(8)
            .and_then(|(commits, writes)| Some(Counts { commits: number(commits)?, writes: number(writes)? }));
        counts.ok_or_else(|| StoreError::damaged(&self.path, "a number"))
    }

    /// The record of the vault.
    pub(in crate::store) fn vault_record(&self) -> Result<Vec<u8>, StoreError> {
        let missing = || StoreError::damaged(&self.path, "it lacks the record of its vault");
        Ok(self.get(VAULT)?.ok_or_else(missing)?.to_vec())
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.sled.get(key).map_err(|error| engine_error(&self.path, error))
    }

    /// Makes a batch durable, all of it or nothing. Blocks on the disk.
    pub(in crate::store) fn commit(&mut self, batch: Batch, changes: usize) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.fails {
            return Err(StoreError::Engine(sled::Error::Io(io::ErrorKind::Other.into())));
        }
        let until_synced = sled::pin();
        self.watch.over(|| self.sled.apply_batch(batch.0))?;
        self.sync()?;
        drop(until_synced);
        collect_garbage(changes);
        Ok(())
    }

    /// Writes a batch that becomes durable with the next commit, or some of it before.
    pub(in crate::store) fn prepare(&mut self, batch: Batch, changes: usize) -> Result<(), StoreError> {
        self.watch.over(|| self.sled.apply_batch(batch.0))?;
        collect_garbage(changes);
        Ok(())
    }

    /// Brings everything that was written to the disk.
    fn sync(&self) -> Result<(), StoreError> {
        self.watch.over(|| self.sled.flush())?;
        self.file.sync_data().map_err(|error| StoreError::Engine(error.into()))
    }

    /// Reads everything of a generation, and the unused key pairs.
    pub(in crate::store) fn read_all(
        &self,
        generation: u64,
        take: &mut dyn FnMut(Entry<'_>) -> Result<(), &'static str>,
    ) -> Result<(), StoreError> {
        let damaged = |what| StoreError::damaged(&self.path, what);
        let unreadable = |error| engine_error(&self.path, error);
        for entry in self.sled.scan_prefix(UNUSED) {
            let (key, value) = entry.map_err(unreadable)?;
            Entry::unused(&key, &value).and_then(&mut *take).map_err(damaged)?;
        }
        if let Some(value) = self.get(LOCK_AFTER)? {
            Entry::lock_after(&value).and_then(&mut *take).map_err(damaged)?;
        }
        if let Some(value) = self.get(ATTEMPTS)? {
            Entry::attempts(&value).and_then(&mut *take).map_err(damaged)?;
        }
        let prefix = generation_prefix(generation);
        for entry in self.sled.scan_prefix(&prefix) {
            let (key, value) = entry.map_err(unreadable)?;
            Entry::of_generation(&key[prefix.len()..], &value).and_then(&mut *take).map_err(damaged)?;
        }
        // Reading makes sled tidy up, and so write.
        self.sync()
    }
}

/// Waits until nobody has the database in `path` open: sled's threads may keep its lock for a moment after the last
/// handle is dropped. Another daemon keeps it for good.
pub(in crate::store) fn wait_until_closed(path: &Path) -> Result<(), StoreError> {
    let file = open_file(path)?;
    let end = Instant::now() + SLED_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return file.unlock().map_err(io_error("unlock", path)),
            Err(TryLockError::WouldBlock) if Instant::now() < end => rest(),
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
        }
    }
}

/// Opens sled itself.
pub(in crate::store) fn open_sled(path: &Path) -> Result<sled::Db, StoreError> {
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
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::damaged(&path, "it is missing")),
        file => file.map_err(io_error("open", &path)),
    }
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
