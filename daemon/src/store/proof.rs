//! The proof that a root key is that of the records: a record that says nothing, which only the vault's own root key
//! opens. A header that was put in the place of the vault's own opens as a vault too, and nothing in it.

use super::keys::VaultId;
use super::records::record::{SealedPart, VaultRecord};
use crate::seal::{OpenError, Scope, Sealed, Slot, VaultKeys};

/// What is known of it.
#[derive(Debug)]
pub(super) enum Proof {
    /// It is there.
    There(Sealed),
    /// The vault got a new key while it was locked, and was not unlocked since.
    NotYet,
    /// Its slot has something else in it.
    Gone,
}

impl Proof {
    /// Whether these keys are those of the vault; `None` where that cannot be told. Call it in
    /// [`on_wiped_stack`](crate::seal::on_wiped_stack).
    pub(super) fn is_of(&self, vault: &VaultId, keys: &VaultKeys) -> Option<bool> {
        match self {
            Self::There(sealed) => match sealed.open(Some(keys), Scope::Unused, &identity(vault), |_| ()) {
                Err(OpenError::SlotDamaged) => None,
                opened => Some(opened.is_ok()),
            },
            Self::NotYet => None,
            Self::Gone => Some(false),
        }
    }

    /// What is sealed, if it is there.
    pub(super) fn sealed(&self) -> Option<&Sealed> {
        match self {
            Self::There(sealed) => Some(sealed),
            Self::NotYet | Self::Gone => None,
        }
    }
}

/// Seals the proof. Call it in [`on_wiped_stack`](crate::seal::on_wiped_stack).
pub(super) fn seal(keys: &VaultKeys, vault: &VaultId, slot: Slot) -> Sealed {
    Sealed::new(keys, Scope::Unused, slot, &identity(vault), &[])
}

/// The record of the vault.
pub(super) fn record(id: VaultId, proof: Option<&Sealed>) -> Vec<u8> {
    VaultRecord { id, proof: proof.map(SealedPart::of) }.encode()
}

/// What it belongs to: format 1, a vault, its id.
fn identity(vault: &VaultId) -> Vec<u8> {
    [b"\x01v", vault.as_slice()].concat()
}
