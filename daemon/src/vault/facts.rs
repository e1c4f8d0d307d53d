//! [`KeyPairFacts`]: what is known of a key pair without opening it.

use keyfob_proto::{Label, PublicKey};

/// What is readable of a key pair in a locked vault too, which has to know what it may sweep. Its private key is sealed
/// together with all of this, so that none of it can be changed unnoticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairFacts {
    /// Its name.
    pub public_key: PublicKey,
    /// When it came into the vault, in seconds since the epoch.
    pub created_at: u64,
    /// Whether it stays until it is deleted by name, whatever becomes of the sessions that name it.
    pub kept: bool,
    /// What people call it.
    pub label: Option<Label>,
}

impl KeyPairFacts {
    /// Those of a key pair that is taken in once more: it is kept from now on if that is asked for, and gets a label if one
    /// is given.
    pub(super) fn told(&self, again: &Self) -> Self {
        let label = again.label.clone().or_else(|| self.label.clone());
        Self { kept: self.kept || again.kept, label, ..self.clone() }
    }

    /// What the private key belongs to: format 1, a key pair, and its facts.
    pub(super) fn identity(&self) -> Vec<u8> {
        let label = self.label.as_ref().map_or("", Label::as_str).as_bytes();
        let created_at = self.created_at.to_be_bytes();
        [b"\x01k", created_at.as_slice(), self.public_key.as_bytes(), &[u8::from(self.kept)], label].concat()
    }
}
