//! Unlocking and locking: the root key, and the scopes' keys that come from it, are in memory or not.

use keyfob_proto::{Code, Fault, KeySource};

use super::{Store, place};
use crate::key_source::Source;
use crate::seal::Key;

/// What scope keys are derived for.
pub(super) const UNUSED: &[u8] = b"keyfob 1 unused key pairs";
pub(super) const GENERATION: &[u8] = b"keyfob 1 generation";

impl Store {
    /// Where the key comes from that the root key is wrapped under.
    #[must_use]
    pub fn key_source(&self) -> &Source {
        &self.header.source
    }

    /// Whether the root key is not in memory.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.root.is_none()
    }

    /// Unwraps the root key, so that the vault's records can be opened. Answers whether this is the key that it was
    /// wrapped under.
    pub fn unlock(&mut self, key: &Key) -> bool {
        let Some(root) = self.header.unwrap(key) else { return false };
        self.root = Some(root);
        self.unlock_scopes();
        true
    }

    /// Unlocks the vault if its key is to be had without anybody's help; one whose key comes from a passphrase stays
    /// locked.
    ///
    /// # Errors
    ///
    /// `KEY_UNAVAILABLE`. It stays locked.
    pub fn unlock_by_itself(&mut self) -> Result<(), Fault> {
        let source = self.header.source.clone();
        if source.kind() == KeySource::Passphrase {
            return Ok(());
        }
        if self.unlock(&source.key(None, &self.data_dir)?) { Ok(()) } else { Err(not_its_key()) }
    }

    /// Removes what was made of a source that the vault will not have.
    pub fn discard(&self, source: &Source) {
        source.remove(&self.data_dir);
    }

    pub(super) fn unlock_scopes(&self) {
        let Some(root) = &self.root else { return };
        self.scopes.unused.unlock(root, UNUSED, &[]);
        self.scopes.in_use.unlock(root, GENERATION, &*self.generations[place(self.generation)]);
        self.next.unlock(root, GENERATION, &*self.generations[place(self.generation + 1)]);
    }

    /// Lets go of the root key and all that came from it. No record can be opened afterwards.
    pub fn lock(&mut self) {
        self.root = None;
        for scope in [&self.scopes.unused, &self.scopes.in_use, &self.next] {
            scope.lock();
        }
    }
}

/// The fault of a key that was found and does not unwrap the root key.
pub(crate) fn not_its_key() -> Fault {
    Fault::new(Code::KeyUnavailable, "the key that was found is not that of the vault: restore the right one")
}
