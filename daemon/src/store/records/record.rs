//! What a record looks like in the database: postcard, in the order of the fields. What is secret in it is sealed, and
//! its key follows from a slot of the file `keys`.

use keyfob_proto::{Label, PublicKey};
use serde::{Deserialize, Serialize};

use crate::seal::{Sealed, Slot, SlotId};
use crate::vault::{KeyPair, KeyPairFacts, StoredSession};

/// What is sealed of a record, and the slot that it was sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPart<'a> {
    /// The number of the slot.
    pub slot: u32,
    /// The id that the slot has while the record lives.
    pub id: SlotId,
    /// The nonce.
    pub nonce: [u8; 12],
    /// What is sealed.
    pub ciphertext: &'a [u8],
}

/// A session's record. Its name is not part of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord<'a> {
    /// The key pair that signs for it: 33 bytes.
    pub public_key: &'a [u8],
    /// When it expires, in seconds since the epoch.
    pub expiry: u64,
    /// Its token, and what was read from it.
    #[serde(borrow)]
    pub sealed: SealedPart<'a>,
}

/// A key pair's record. Its public key is not part of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPairRecord<'a> {
    /// When it came into the vault, in seconds since the epoch.
    pub created_at: u64,
    /// Whether it is kept until it is deleted by name.
    pub kept: bool,
    /// What people call it: 1 to 128 bytes.
    #[serde(borrow)]
    pub label: Option<&'a str>,
    /// Its private key.
    #[serde(borrow)]
    pub sealed: SealedPart<'a>,
}

/// What tells the vault, and that it belongs to a root key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultRecord<'a> {
    /// The id of the vault, which the file `keys` has too.
    pub id: [u8; 16],
    /// Nothing, sealed: it opens with the vault's root key and with no other. Absent until the vault is unlocked for the
    /// first time after it got a new key while it was locked.
    #[serde(borrow)]
    pub proof: Option<SealedPart<'a>>,
}

impl<'a> SealedPart<'a> {
    /// The part of something sealed.
    #[must_use]
    pub fn of(sealed: &'a Sealed) -> Self {
        Self { slot: sealed.slot(), id: sealed.id(), nonce: sealed.nonce(), ciphertext: sealed.ciphertext() }
    }

    /// What is sealed, with what is in its slot: none where that is damaged.
    #[must_use]
    pub fn with(self, slot: Option<Slot>) -> Sealed {
        Sealed::stored(self.slot, self.id, slot, self.nonce, self.ciphertext)
    }
}

impl<'a> SessionRecord<'a> {
    /// The record of a session.
    #[must_use]
    pub fn of(session: &'a StoredSession) -> Self {
        let public_key = session.public_key().as_bytes();
        Self { public_key, expiry: session.expiry(), sealed: SealedPart::of(session.sealed()) }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The record of these bytes, and the public key in it.
    ///
    /// # Errors
    ///
    /// What the bytes are not.
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, PublicKey), &'static str> {
        let record: Self = decode(bytes).ok_or("a session's record")?;
        let public_key = PublicKey::try_from(record.public_key).map_err(|_| "the public key in a session's record")?;
        Ok((record, public_key))
    }
}

impl<'a> KeyPairRecord<'a> {
    /// The record of a key pair.
    #[must_use]
    pub fn of(pair: &'a KeyPair) -> Self {
        let KeyPairFacts { created_at, kept, label, .. } = pair.facts();
        let label = label.as_ref().map(Label::as_str);
        Self { created_at: *created_at, kept: *kept, label, sealed: SealedPart::of(pair.sealed()) }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The record of these bytes.
    ///
    /// # Errors
    ///
    /// What the bytes are not.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let record: Self = decode(bytes).ok_or("a key pair's record")?;
        match record.label.map(str::parse::<Label>) {
            Some(Err(_)) => Err("the label in a key pair's record"),
            _ => Ok(record),
        }
    }

    /// What is known of the key pair of this name.
    #[must_use]
    pub fn facts(&self, public_key: PublicKey) -> KeyPairFacts {
        let label = self.label.and_then(|label| label.parse().ok());
        KeyPairFacts { public_key, created_at: self.created_at, kept: self.kept, label }
    }
}

impl<'a> VaultRecord<'a> {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The record of these bytes.
    ///
    /// # Errors
    ///
    /// What the bytes are not.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        decode(bytes).ok_or("the record of the vault")
    }
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(record).expect("a record is plain data")
}

/// A record, if the bytes are one to the last.
fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}
