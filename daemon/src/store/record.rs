//! The records: what one session, or one key pair, looks like on disk. postcard, in the order of
//! the fields. What is secret in them is sealed, and its key is in a slot of another file.

use keyfob_proto::PublicKey;
use serde::{Deserialize, Serialize};

use crate::vault::{KeyPair, StoredSession};

/// No record is larger, in bytes.
pub const MAX_RECORD_BYTES: usize = 8 * 1024;

/// A session's record. Its name is not part of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord<'a> {
    /// The key pair that signs for it: 33 bytes.
    pub public_key: &'a [u8],
    /// When it expires, in seconds since the epoch.
    pub expiry: u64,
    /// The slot that keeps its key.
    pub slot: u32,
    /// What is sealed.
    pub ciphertext: &'a [u8],
}

/// A key pair's record. Its public key is not part of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPairRecord<'a> {
    /// When it came into the vault, in seconds since the epoch.
    pub created_at: u64,
    /// The slot that keeps its key.
    pub slot: u32,
    /// What is sealed.
    pub ciphertext: &'a [u8],
}

impl<'a> SessionRecord<'a> {
    /// The record of a session.
    #[must_use]
    pub fn of(session: &'a StoredSession) -> Self {
        let sealed = session.sealed();
        Self {
            public_key: session.public_key().as_bytes(),
            expiry: session.expiry(),
            slot: sealed.slot(),
            ciphertext: sealed.ciphertext(),
        }
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
        let sealed = pair.sealed();
        Self { created_at: pair.created_at(), slot: sealed.slot(), ciphertext: sealed.ciphertext() }
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
        decode(bytes).ok_or("a key pair's record")
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
