//! [`Store`]: sessions and key pairs on disk. The only module that knows sled; it decides nothing.
//!
//! # Layout
//!
//! One sled tree, its keys apart by their first byte:
//!
//! | key | value |
//! | --- | --- |
//! | `n` | the current generation, 8 bytes big-endian |
//! | `c` | the number of commits, 8 bytes big-endian |
//! | `u` + public key | an unused key pair |
//! | `g` + generation + `a` | the active session key |
//! | `g` + generation + `s` + session key | a session |
//! | `g` + generation + `k` + public key | a key pair in use |
//!
//! # Invariants
//!
//! - [`Store::commit`] returns `Ok` only when the changes are on the disk: one sled batch, a sled
//!   flush, then `fdatasync` on sled's file, because sled's flush alone does not reach the disk.
//! - Clear-all is one small record whatever the number of sessions: the next generation begins, and
//!   what lies under the old one is invisible at once. It is removed afterwards in small steps
//!   ([`Store::remove_step`]), which a start resumes.
//! - No record is over [`MAX_RECORD_BYTES`], so that nothing that sled writes is so large that it goes
//!   into one of the files that sled never syncs.
//! - What is read at a start is on the disk before anybody sees it.
//! - A store of another format is refused before sled touches it, and one that has lost commits since it
//!   was last opened or closed is refused too.

mod format;
pub mod record;
mod watermark;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use keyfob_proto::{PublicKey, SessionKey};

use self::record::{decode_key_pair, decode_session, encode_key_pair, encode_session};
use crate::vault::{Change, Stored};

pub use self::record::MAX_RECORD_BYTES;

/// Records of old generations removed in one step. Larger steps keep commits, and the processor, for
/// longer.
const REMOVED_PER_STEP: usize = 50;

/// The size of sled's segments in bytes. sled puts a node of its index that takes more than a quarter of
/// a segment into a file that it never syncs, and a node of the largest keys or records takes up to
/// 140 KiB.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// sled's cache in bytes. The vault is in memory anyway.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// The vault's records on disk. There is one owner, and it does not share.
#[derive(Debug)]
pub struct Store {
    db: sled::Db,
    /// A handle of our own on sled's file, for `fdatasync`.
    file: File,
    path: PathBuf,
    generation: u64,
    /// How many commits the store holds.
    commits: u64,
    /// Where the removal of old generations goes on; `None` when there is nothing to remove.
    removal: Option<Vec<u8>>,
    /// Clear-alls whose records are not removed yet.
    pending_removals: u64,
}

/// Why the store cannot be opened, or cannot be written to any more.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// sled failed: the disk, or what is on it.
    #[error("the store failed: {0}")]
    Engine(#[from] sled::Error),
    /// The store was written by a later release.
    #[error("the store in {} has format {found}, and this release knows format {known}: use a newer keyfobd", path.display())]
    Future {
        /// The store's directory.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The format that this release writes.
        known: u32,
    },
    /// What is in the store makes no sense. It is not served, emptied or deleted; but where sled got as
    /// far as opening it, sled may have cut off what follows the damage.
    #[error(
        "the store in {} is damaged ({what}) and not served. Restore it from a backup, or move it away to start empty",
        path.display()
    )]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What makes no sense.
        what: String,
    },
}

impl Store {
    /// Opens the store in `data_dir`, or makes one, and reads all of it.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, has another format, or is damaged.
    pub fn open(data_dir: &Path) -> Result<(Self, Stored), StoreError> {
        let path = format::ready(data_dir)?;
        remove_unfinished_snapshots(&path)?;
        let db = open_engine(&path)?;
        let file = File::open(path.join("db")).map_err(io_error("open", &path.join("db")))?;
        let damaged = |what: String| StoreError::Damaged { path: path.clone(), what };
        let number = |key: &[u8]| match db.get(key)? {
            Some(bytes) => Ok(u64::from_be_bytes(bytes.as_ref().try_into().map_err(|_| damaged("a number".into()))?)),
            None => Ok::<u64, StoreError>(0),
        };
        let (generation, commits) = (number(GENERATION)?, number(COMMITS)?);
        let noted = watermark::read(&path).map_err(io_error("read the number of commits in", &path))?;
        if commits < noted {
            return Err(damaged(format!("it held {noted} changes and {commits} of them are left")));
        }
        let mut store = Self { db, file, path: path.clone(), generation, commits, removal: None, pending_removals: 0 };
        let stored = store.read_all().map_err(|error| match error {
            ReadError::Engine(error) => StoreError::Engine(error),
            ReadError::Record(what) => damaged(what.to_owned()),
        })?;
        store.find_old_generations()?;
        // A killed daemon may have left changes in the system's cache that nobody was told of yet.
        store.sync()?;
        watermark::write(&path, commits).map_err(io_error("note the number of commits in", &path))?;
        Ok((store, stored))
    }

    /// Makes the changes durable, all or none. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed. Whether the changes are durable is then decided at the next start, and
    /// nothing that is written later can be trusted.
    pub fn commit<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        let mut generation = self.generation;
        for change in changes {
            match change {
                Change::PutSession(key, session) => {
                    batch.insert(session_at(generation, key), encode_session(session).as_slice());
                }
                Change::RemoveSession(key) => batch.remove(session_at(generation, key)),
                Change::SetActive(Some(key)) => batch.insert(active_at(generation), key.as_str()),
                Change::SetActive(None) => batch.remove(active_at(generation)),
                Change::PutUnused(pair) => batch.insert(unused_at(pair.public_key()), encode_key_pair(pair).as_slice()),
                Change::RemoveUnused(key) => batch.remove(unused_at(key)),
                Change::PutInUse(pair) => {
                    batch.insert(in_use_at(generation, pair.public_key()), encode_key_pair(pair).as_slice());
                }
                Change::RemoveInUse(key) => batch.remove(in_use_at(generation, key)),
                Change::ClearAll => {
                    generation += 1;
                    batch.insert(GENERATION, &generation.to_be_bytes());
                }
            }
        }
        batch.insert(COMMITS, &(self.commits + 1).to_be_bytes());
        self.db.apply_batch(batch)?;
        self.sync()?;
        self.commits += 1;
        if generation > self.generation {
            self.pending_removals += generation - self.generation;
            self.generation = generation;
            self.removal = Some(vec![b'g']);
        }
        Ok(())
    }

    /// Brings everything that was written to the disk.
    fn sync(&self) -> Result<(), StoreError> {
        self.db.flush()?;
        self.file.sync_data().map_err(|error| StoreError::Engine(error.into()))
    }

    /// Clear-alls whose records are still to be removed.
    #[must_use]
    pub fn pending_removals(&self) -> u64 {
        self.pending_removals
    }

    /// Removes some records of old generations. Nobody waits for these to be durable: after a crash
    /// they are found again.
    ///
    /// # Errors
    ///
    /// When the disk failed.
    pub fn remove_step(&mut self) -> Result<(), StoreError> {
        let Some(from) = self.removal.take() else { return Ok(()) };
        let mut batch = sled::Batch::default();
        let mut last = None;
        for key in self.db.range(from..generation_prefix(self.generation)).keys().take(REMOVED_PER_STEP) {
            let key = key?;
            batch.remove(&key);
            last = Some(key.to_vec());
        }
        if last.is_some() {
            self.db.apply_batch(batch)?;
        } else {
            self.pending_removals = 0;
        }
        self.removal = last;
        Ok(())
    }

    /// Everything under the current generation, and the unused key pairs.
    fn read_all(&self) -> Result<Stored, ReadError> {
        let mut stored = Stored::default();
        for entry in self.db.scan_prefix(b"u") {
            let (key, value) = entry?;
            stored.unused.push(decode_key_pair(public_key(&key[1..])?, &value)?.into());
        }
        let prefix = generation_prefix(self.generation);
        for entry in self.db.scan_prefix(&prefix) {
            let (key, value) = entry?;
            let (kind, name) = key[prefix.len()..].split_first().ok_or("a key without a kind")?;
            match kind {
                b'a' => stored.active = Some(session_key(&value)?),
                b's' => stored.sessions.push((session_key(name)?, decode_session(&value)?.into())),
                b'k' => stored.in_use.push(decode_key_pair(public_key(name)?, &value)?.into()),
                _ => return Err("a record of an unknown kind".into()),
            }
        }
        Ok(stored)
    }

    /// Finds out whether an earlier run left old generations behind.
    fn find_old_generations(&mut self) -> Result<(), StoreError> {
        if let Some(first) = self.db.range(vec![b'g']..generation_prefix(self.generation)).keys().next() {
            self.removal = Some(first?.to_vec());
            self.pending_removals = 1;
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // All of these commits are on the disk. Without the note the next start checks against the last.
        if let Err(error) = watermark::write(&self.path, self.commits) {
            tracing::warn!(%error, "the number of commits is not noted");
        }
    }
}

fn open_engine(path: &Path) -> Result<sled::Db, StoreError> {
    // sled locks its file, and its threads may keep it for a moment after the last handle is
    // dropped. No other daemon is here, so that moment is all there is to wait for.
    let file = path.join("db");
    match File::open(&file).and_then(|file| file.lock()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("lock", &file)(error)),
        _ => {}
    }
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).segment_size(SEGMENT_BYTES);
    config.open().map_err(|error| match error {
        sled::Error::Corruption { .. } => {
            StoreError::Damaged { path: path.to_owned(), what: "its file `db` cannot be read".to_owned() }
        }
        error => StoreError::Engine(error),
    })
}

enum ReadError {
    Engine(sled::Error),
    Record(&'static str),
}

impl From<sled::Error> for ReadError {
    fn from(error: sled::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<&'static str> for ReadError {
    fn from(what: &'static str) -> Self {
        Self::Record(what)
    }
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

/// Removes what a kill during sled's snapshot leaves behind: sled would refuse to open for ever.
/// A finished snapshot must stay.
fn remove_unfinished_snapshots(path: &Path) -> Result<(), StoreError> {
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    for entry in entries {
        let file = entry.map_err(io_error("list", path))?.path();
        if file.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(&file).map_err(io_error("remove the unfinished snapshot", &file))?;
        }
    }
    Ok(())
}

/// Completes a [`StoreError::Io`].
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
