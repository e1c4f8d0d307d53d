//! What the database calls things, and what it says under each name.
//!
//! | key | value |
//! | --- | --- |
//! | `c` | the number of the last commit, and of the last write to `keys` that was durable then, 8 bytes big-endian each |
//! | `v` | the record of the vault |
//! | `u` + public key | a key pair that no session names, or that is kept |
//! | `l` | after how long without use the vault locks itself, in seconds, 8 bytes big-endian |
//! | `w` | the wrong passphrases since the last good one: how many, 4 bytes, and when the next may be tried, in milliseconds since the epoch, 8 bytes big-endian |
//! | `g` + generation + `x` + session key | a session that has expired: when, in seconds since the epoch, 8 bytes big-endian; and 1 if it was the active one, else 0 |
//! | `g` + generation + `a` | the active session's name |
//! | `g` + generation + `s` + session key | a session |
//! | `g` + generation + `k` + public key | a key pair in use that is not kept |

use std::num::NonZeroU64;

use keyfob_proto::{PublicKey, SessionKey};

use super::record::{KeyPairRecord, SessionRecord};
use crate::clock::Timestamp;
use crate::vault::{Attempts, ExpiredName, Name, Record};

pub(super) const COUNTS: &[u8] = b"c";
pub(super) const VAULT: &[u8] = b"v";
pub(super) const UNUSED: &[u8] = b"u";
pub(super) const LOCK_AFTER: &[u8] = b"l";
pub(super) const ATTEMPTS: &[u8] = b"w";

/// One record as it was read.
pub(in crate::store) enum Entry<'a> {
    /// A session of the current generation.
    Session(SessionKey, PublicKey, SessionRecord<'a>),
    /// A key pair that a session names.
    InUse(PublicKey, KeyPairRecord<'a>),
    /// A key pair that no session names.
    Unused(PublicKey, KeyPairRecord<'a>),
    /// The active session's name.
    Active(SessionKey),
    /// A session that has expired.
    Expired(SessionKey, ExpiredName),
    /// After how long without use the vault locks itself, in seconds.
    LockAfter(NonZeroU64),
    /// The wrong passphrases so far.
    Attempts(Attempts),
}

impl<'a> Entry<'a> {
    /// The unused key pair under a key of the database.
    pub(super) fn unused(key: &[u8], value: &'a [u8]) -> Result<Self, &'static str> {
        Ok(Self::Unused(public_key(&key[UNUSED.len()..])?, KeyPairRecord::decode(value)?))
    }

    /// What is under [`LOCK_AFTER`].
    pub(super) fn lock_after(value: &[u8]) -> Result<Self, &'static str> {
        let seconds = value.try_into().ok().and_then(|bytes| NonZeroU64::new(u64::from_be_bytes(bytes)));
        seconds.map(Self::LockAfter).ok_or("the time after which the vault locks itself")
    }

    /// What is under [`ATTEMPTS`].
    pub(super) fn attempts(value: &[u8]) -> Result<Self, &'static str> {
        let read = || {
            let (wrong, next_at) = value.split_first_chunk::<4>()?;
            let next_at = Timestamp::from_millis(u64::from_be_bytes(next_at.try_into().ok()?));
            Some(Self::Attempts(Attempts { wrong: u32::from_be_bytes(*wrong), next_at }))
        };
        read().ok_or("the wrong passphrases so far")
    }

    /// The record under a key of the database, without the prefix of its generation.
    pub(super) fn of_generation(key: &[u8], value: &'a [u8]) -> Result<Self, &'static str> {
        let (kind, name) = key.split_first().ok_or("a key without a kind")?;
        match kind {
            b'a' => Ok(Self::Active(session_key(value)?)),
            b's' => {
                let (record, public_key) = SessionRecord::decode(value)?;
                Ok(Self::Session(session_key(name)?, public_key, record))
            }
            b'x' => Ok(Self::Expired(session_key(name)?, expired(value).ok_or("an expired session")?)),
            b'k' => Ok(Self::InUse(public_key(name)?, KeyPairRecord::decode(value)?)),
            _ => Err("a key of a kind that format 1 does not have"),
        }
    }
}

/// The key of the database for a name.
pub(super) fn key(generation: u64, name: &Name) -> Vec<u8> {
    match name {
        Name::Session(key) => [&*generation_prefix(generation), b"s", key.as_str().as_bytes()].concat(),
        Name::InUse(key) => [&*generation_prefix(generation), b"k", key.as_bytes()].concat(),
        Name::Expired(key) => [&*generation_prefix(generation), b"x", key.as_str().as_bytes()].concat(),
        Name::LockAfter => LOCK_AFTER.to_vec(),
        Name::Attempts => ATTEMPTS.to_vec(),
        Name::Active => [&*generation_prefix(generation), b"a"].concat(),
        Name::Unused(key) => [UNUSED, key.as_bytes().as_slice()].concat(),
    }
}

/// The value for what a name stands for.
pub(super) fn value(record: Record<'_>) -> Vec<u8> {
    match record {
        Record::Session(session) => SessionRecord::of(session).encode(),
        Record::KeyPair(pair) => KeyPairRecord::of(pair).encode(),
        Record::Active(key) => key.as_str().into(),
        Record::Expired(name) => [&name.expiry.to_be_bytes()[..], &[u8::from(name.was_active)]].concat(),
        Record::LockAfter(seconds) => seconds.get().to_be_bytes().to_vec(),
        Record::Attempts(Attempts { wrong, next_at }) => {
            [&wrong.to_be_bytes()[..], &next_at.millis().to_be_bytes()].concat()
        }
    }
}

/// What the keys of a generation begin with.
pub(super) fn generation_prefix(generation: u64) -> Vec<u8> {
    [b"g".as_slice(), &generation.to_be_bytes()].concat()
}

fn expired(value: &[u8]) -> Option<ExpiredName> {
    let (was_active, expiry) = value.split_last()?;
    let expiry = u64::from_be_bytes(expiry.try_into().ok()?);
    Some(ExpiredName { expiry, was_active: *was_active == 1 })
}

fn session_key(bytes: &[u8]) -> Result<SessionKey, &'static str> {
    std::str::from_utf8(bytes).ok().and_then(|name| name.parse().ok()).ok_or("a session key")
}

fn public_key(bytes: &[u8]) -> Result<PublicKey, &'static str> {
    PublicKey::try_from(bytes).map_err(|_| "the name of a key pair")
}
