//! Another root key: every record's slot is filled anew in another file, which takes the place of the old one in
//! one step. The records stay as they are, so that it takes little longer than writing that file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use super::Store;
use super::error::{StoreError, io_error};
use super::keys::{self, Header, Keys, Note, Origin, State};
use super::proof::{self, Proof};
use super::records::Batch;
use crate::seal::{Depth, Key, Locked, SLOT_BYTES, Scope, Sealed, Slot, VaultKeys, on_wiped_stack, random};
use crate::vault::Vault;

/// The file while it is made, and the old one once it was replaced.
const OTHER: &str = "keys.new";

/// How far a rekeying has come, for others to see.
#[derive(Debug, Default)]
pub struct RekeyProgress {
    /// Slots that are filled anew.
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
    /// It is locked, and not empty.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The disk failed, before the new file took the old one's place. Nothing has changed.
    #[error(transparent)]
    NotBegun(StoreError),
    /// The disk failed afterwards.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// What the new file holds, before it is written.
struct Other {
    vault: Vault,
    keys: VaultKeys,
    proof: Option<Sealed>,
    header: Header,
    state: State,
    slots: BTreeMap<u32, keys::SlotBytes>,
}

impl Store {
    /// Gives the vault a new root key, wrapped under `wrapping`, which comes from `origin`; and overwrites all that the
    /// old one is in. Answers the vault as it is then, and its keys. Blocks on the disk. A vault with nothing in it may
    /// be locked.
    ///
    /// # Errors
    ///
    /// [`RekeyError`]. Where nothing has changed, what is left of the new origin is removed.
    pub fn rekey(
        &mut self,
        vault: &Vault,
        keys: Option<&VaultKeys>,
        (origin, wrapping): (&Origin, &Key),
        progress: &RekeyProgress,
    ) -> Result<(Vault, VaultKeys), RekeyError> {
        let other = match self.make_other(vault, keys, (origin, wrapping), progress) {
            Ok(other) => other,
            Err(error) => {
                origin.remove(&self.data_dir);
                return Err(error);
            }
        };
        let (path, other_path) = (self.path.join(keys::FILE), self.path.join(OTHER));
        if let Err(error) = keys::exchange(&path, &other_path) {
            // The file system may not have said what it did.
            if Keys::open(&path)?.1 != other.header {
                keys::remove_other(&other_path)?;
                origin.remove(&self.data_dir);
                return Err(RekeyError::NotBegun(error));
            }
        }
        File::open(&self.path).and_then(|store| store.sync_all()).map_err(io_error("sync", &self.path))?;
        keys::remove_other(&other_path)?;
        self.header.origin.remove(&self.data_dir);
        let Other { vault, keys, proof, header, .. } = other;
        self.keys = Keys::open(&path)?.0;
        self.header = header;
        self.proof = proof.map_or(Proof::NotYet, Proof::There);
        for slot in vault.slots().chain(self.proof.sealed().map(Sealed::slot)) {
            self.keys.take(slot);
        }
        self.prove(&keys)?;
        Ok((vault, keys))
    }

    /// Seals the proof of a vault that has none yet.
    ///
    /// # Errors
    ///
    /// When the disk failed, or is full. It is then proved another time.
    pub fn prove(&mut self, keys: &VaultKeys) -> Result<(), StoreError> {
        if !matches!(self.proof, Proof::NotYet) {
            return Ok(());
        }
        self.check_room()?;
        self.refill(1)?;
        let Some(slot) = self.keys.stock().pop_front() else { return Ok(()) };
        let vault = self.header.vault;
        self.proof = Proof::There(on_wiped_stack(Depth::Deep, || proof::seal(keys, &vault, slot)));
        self.commit_vault_record()
    }

    fn commit_vault_record(&mut self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.vault(self.vault_record());
        self.commit_batch(batch, 1)
    }

    /// Makes the other file, or leaves none.
    fn make_other(
        &mut self,
        vault: &Vault,
        keys: Option<&VaultKeys>,
        origin: (&Origin, &Key),
        progress: &RekeyProgress,
    ) -> Result<Other, RekeyError> {
        self.check_room().map_err(RekeyError::NotBegun)?;
        if keys.is_none() {
            if !vault.is_empty() {
                return Err(Locked.into());
            }
            // What is sealed in the proof cannot be opened, so it is made anew afterwards.
            self.proof = Proof::NotYet;
            self.commit_vault_record().map_err(RekeyError::NotBegun)?;
        }
        progress.total.store(vault.record_count() as u64 + 1, Ordering::Relaxed);
        let other = on_wiped_stack(Depth::Deep, || self.wrap_anew(vault, keys, origin, progress));
        let path = self.path.join(OTHER);
        let Note { writes, commits } = self.keys.last();
        let note = Note { writes: writes + 1, commits };
        // As long as the old one: the database may still name any slot of that.
        let slots = (&other.slots, self.keys.slot_count());
        match keys::create(&path, &other.header, &other.state, note, slots) {
            Ok(()) => Ok(other),
            Err(error) => {
                keys::remove_other(&path)?;
                Err(RekeyError::NotBegun(self.named(error)))
            }
        }
    }

    fn wrap_anew(
        &self,
        vault: &Vault,
        from: Option<&VaultKeys>,
        (origin, wrapping): (&Origin, &Key),
        progress: &RekeyProgress,
    ) -> Other {
        let root = Key::random();
        let state = State { secret: random(), ..self.keys.state().clone() };
        let header = Header::wrap(&root, self.header.vault, origin.clone(), Some(self.header.origin.clone()), wrapping);
        let keys = VaultKeys::new(root, &*state.secret);
        let mut slots = BTreeMap::new();
        let Some(from) = from else {
            return Other { vault: vault.clone(), keys, proof: None, header, state, slots };
        };
        let mut put = |number: u32, slot: Option<Slot>| {
            progress.done.fetch_add(1, Ordering::Relaxed);
            // What is damaged stays so: zeros are no slot.
            let bytes = slot.map_or_else(|| Zeroizing::new([0; SLOT_BYTES]), |slot| slot.to_bytes());
            slots.insert(number, bytes);
        };
        let vault = vault.rewrapped(from, &keys, &mut put);
        let proof = self.proof.sealed().map(|proof| {
            let (proof, slot) = proof.rewrapped(from, &keys, Scope::Unused);
            put(proof.slot(), slot);
            proof
        });
        Other { vault, keys, proof, header, state, slots }
    }
}

/// Overwrites and removes what a rekeying that was cut short has left: the new file or, once that has taken the
/// old one's place, the old one.
pub(super) fn remove_unfinished(store: &Path) -> Result<(), StoreError> {
    keys::remove_other(&store.join(OTHER))
}
