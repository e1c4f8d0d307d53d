//! [`VaultKeys`]: the root key and what follows from it, while the vault is unlocked.

use keyfob_proto::{Code, Fault};

use super::key::Key;

const UNUSED: &[u8] = b"keyfob 1 unused key pairs";
const GENERATION: &[u8] = b"keyfob 1 generation";

/// Which records have keys that are destroyed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The key pairs that no session names.
    Unused,
    /// The sessions, and the key pairs that they name.
    InUse,
}

/// The keys of an unlocked vault. There is one value of this for each vault, in one place.
#[derive(Debug)]
pub struct VaultKeys {
    root: Key,
    unused: Key,
    in_use: Key,
}

impl VaultKeys {
    /// The keys that follow from a root key and the secret of the current generation. Call it in
    /// [`on_wiped_stack`](super::on_wiped_stack).
    #[must_use]
    pub fn new(root: Key, generation: &[u8]) -> Self {
        let (unused, in_use) = (root.derive(&[UNUSED]), root.derive(&[GENERATION, generation]));
        Self { root, unused, in_use }
    }

    /// Goes over to the next generation: nothing opens any more that was sealed in [`Scope::InUse`]. Call it in
    /// [`on_wiped_stack`](super::on_wiped_stack).
    pub fn begin_generation(&mut self, generation: &[u8]) {
        self.in_use = self.root.derive(&[GENERATION, generation]);
    }

    /// The key of a scope.
    pub(super) fn scope(&self, scope: Scope) -> &Key {
        match scope {
            Scope::Unused => &self.unused,
            Scope::InUse => &self.in_use,
        }
    }
}

/// The vault is locked: its keys are not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vault is locked: `keyfob unlock`")]
pub struct Locked;

impl From<Locked> for Fault {
    fn from(locked: Locked) -> Self {
        Fault::new(Code::VaultLocked, locked.to_string())
    }
}
