//! Another root key: every record's key is wrapped anew into another file, which takes the place of the old one in
//! one step. The records stay as they are, so that it takes little longer than writing that file.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::current::Current;
use super::header::Header;
use super::keys::{Keys, overwrite_and_remove};
use super::lock::{GENERATION, UNUSED};
use super::{Store, StoreError, io_error, place, read_vault};
use crate::key_source::Source;
use crate::seal::{Key, Locked, random};
use crate::vault::{Scopes, Vault};

/// The file while it is made, and the old one once it was replaced.
const OTHER: &str = "keys.new";

/// How far a rekeying has come, for others to see.
#[derive(Debug, Default)]
pub struct RekeyProgress {
    /// Record keys that are wrapped anew.
    done: AtomicU64,
    /// All of them; 0 while there is no rekeying.
    total: AtomicU64,
}

impl RekeyProgress {
    /// Done and all, while there is a rekeying.
    #[must_use]
    pub fn now(&self) -> Option<(u64, u64)> {
        let total = self.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.done.load(Ordering::Relaxed), total))
    }

    /// There is none any more.
    pub(crate) fn end(&self) {
        self.total.store(0, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }
}

/// Why a vault was not rekeyed.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// It is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The disk failed, before the new file took the old one's place. Nothing has changed.
    #[error(transparent)]
    NotBegun(StoreError),
    /// The disk failed afterwards.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl Store {
    /// Gives the vault a new root key, wrapped under `key`, which comes from `source`; and overwrites all that the
    /// old one is in. Answers the vault as it is then. Blocks on the disk. A vault with nothing in it may be locked.
    ///
    /// # Errors
    ///
    /// [`RekeyError`]. Where nothing has changed, what is left of the new source is removed.
    pub fn rekey(
        &mut self,
        vault: &Vault,
        source: &Source,
        key: &Key,
        progress: &RekeyProgress,
    ) -> Result<Vault, RekeyError> {
        let header = match self.prepare_rekey(vault, source, key, progress) {
            Ok(header) => header,
            Err(error) => {
                source.remove(&self.data_dir);
                return Err(error);
            }
        };
        let (path, other) = (self.path.join(Keys::FILE), self.path.join(OTHER));
        if let Err(error) = exchange(&path, &other) {
            // The file system may not have said what it did.
            if Keys::open(&path)?.1 != header {
                overwrite_and_remove(&other)?;
                source.remove(&self.data_dir);
                return Err(RekeyError::NotBegun(error));
            }
        }
        File::open(&self.path).and_then(|store| store.sync_all()).map_err(io_error("sync", &self.path))?;
        overwrite_and_remove(&other)?;
        self.header.source.remove(&self.data_dir);
        let vault = self.reload()?;
        self.unlock(key);
        Ok(vault)
    }

    /// Makes the other file, or leaves none.
    fn prepare_rekey(
        &self,
        vault: &Vault,
        source: &Source,
        key: &Key,
        progress: &RekeyProgress,
    ) -> Result<Header, RekeyError> {
        let root = random();
        let (scopes, generations) = (Scopes::locked(), [random(), random()]);
        scopes.unused.unlock(&root, UNUSED, &[]);
        scopes.in_use.unlock(&root, GENERATION, &*generations[place(self.generation)]);
        progress.total.store(vault.record_count() as u64, Ordering::Relaxed);
        let mut slots = Vec::with_capacity(vault.record_count());
        for (sealed, is_unused) in vault.sealed() {
            slots.push(sealed.rewrapped(if is_unused { &scopes.unused } else { &scopes.in_use })?);
            progress.done.fetch_add(1, Ordering::Relaxed);
        }
        let header = Header::wrap(&root, source.clone(), Some(self.header.source.clone()), key);
        let other = self.path.join(OTHER);
        match Keys::create(&other, &header, &generations, slots.into_iter()) {
            Ok(()) => Ok(header),
            Err(error) => {
                overwrite_and_remove(&other)?;
                Err(RekeyError::NotBegun(error))
            }
        }
    }

    /// Reads the file and the vault again. Whoever still reads the old one can go on with it.
    fn reload(&mut self) -> Result<Vault, StoreError> {
        let (mut keys, header, generations, contents) = Keys::open(self.keys.path())?;
        let scopes = Scopes::locked();
        let directory = Current::directory(&self.path, self.number);
        let vault = read_vault(&self.database, &directory, scopes.clone(), &mut keys, &contents)?;
        (self.keys, self.header, self.generations, self.scopes) = (keys, header, generations, scopes);
        Ok(vault)
    }
}

/// Overwrites and removes what a rekeying that was cut short has left: the new file or, once that has taken the
/// old one's place, the old one.
pub(super) fn remove_unfinished(store: &Path) -> Result<(), StoreError> {
    overwrite_and_remove(&store.join(OTHER))
}

/// Each file takes the other's place, in one step.
fn exchange(one: &Path, other: &Path) -> Result<(), StoreError> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|error| io_error("replace", one)(error.into()))
}
