//! What somebody can do who has everything: every byte that was ever written, the key file, and the keys as they are now.
//! Written from the documents, with nothing of the daemon's own code.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use sha2::Sha256;

type Key = [u8; 32];

const GENERATIONS_AT: usize = 4096;
const SLOTS_AT: usize = 8192;
const SLOT_BYTES: usize = 64;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// Whatever looks like a sealed record in the bytes that were seen, and when it was first seen.
#[derive(Default)]
pub struct Loot {
    runs: HashMap<Run, usize>,
}

/// A slot's number and what is sealed with it.
#[derive(PartialEq, Eq, Hash)]
struct Run {
    slot: u64,
    ciphertext: Vec<u8>,
}

impl Loot {
    /// Looks through bytes that were written at some time.
    pub fn search(&mut self, bytes: &[u8], time: usize) {
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            if let Some(run) = session_run(rest).or_else(|| key_pair_run(rest)) {
                self.runs.entry(run).or_insert(time);
            }
        }
    }

    /// Looks through every file below a directory.
    pub fn search_files(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.search_files(&path);
            } else {
                self.search(&fs::read(path).expect("a file"), 0);
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// What the first bytes of each become that was there at some time, with each key that these keys give for its slot:
    /// garbage, or what was sealed. Whether it is genuine is not even asked.
    pub fn opened<'a>(&'a self, keys: &'a Keys, bytes: usize, time: usize) -> impl Iterator<Item = Vec<u8>> + 'a {
        let there = self.runs.iter().filter(move |(_, first)| **first <= time);
        there.flat_map(move |(run, _)| {
            let sealed_with = keys.for_slot(run.slot);
            sealed_with.into_iter().flatten().map(move |key| decrypted(&key, &run.ciphertext, bytes))
        })
    }

    /// Whether one of these byte strings is in what opens.
    #[must_use]
    pub fn gives_away(&self, keys: &Keys, secrets: &[&[u8]]) -> bool {
        self.opened(keys, usize::MAX, usize::MAX)
            .any(|plain| secrets.iter().any(|secret| plain.windows(secret.len()).any(|window| window == *secret)))
    }
}

/// postcard: the length of a public key and the key, an expiry, a slot, a length and the rest.
fn session_run(bytes: &[u8]) -> Option<Run> {
    let [33, 2 | 3, ..] = bytes else { return None };
    let (expiry, rest) = varint(bytes.get(34..)?)?;
    (expiry > 1 << 30).then_some(())?;
    sealed(rest)
}

/// postcard: a time of creation, a slot, a length and the rest.
fn key_pair_run(bytes: &[u8]) -> Option<Run> {
    let (created_at, rest) = varint(bytes)?;
    (created_at > 1 << 30 && created_at < 1 << 32).then_some(())?;
    sealed(rest).filter(|run| run.ciphertext.len() == 32 + TAG_BYTES)
}

fn sealed(bytes: &[u8]) -> Option<Run> {
    let (slot, rest) = varint(bytes)?;
    let (length, rest) = varint(rest)?;
    let length = usize::try_from(length).ok().filter(|length| (TAG_BYTES..8192).contains(length))?;
    Some(Run { slot, ciphertext: rest.get(..length)?.to_vec() })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

/// The keys of a data directory, as they are at some moment.
pub struct Keys {
    scopes: Vec<Key>,
    slots: Vec<u8>,
}

impl Keys {
    /// Those of a data directory that has a key file; `None` where a file is missing or cut off.
    #[must_use]
    pub fn of(data_dir: &Path) -> Option<Self> {
        let file = fs::read(data_dir.join("store/keys")).ok().filter(|file| file.len() >= SLOTS_AT)?;
        let mut entries = fs::read_dir(data_dir).ok()?;
        let root = entries.find_map(|entry| {
            let path = entry.ok()?.path();
            let key = path.file_name()?.to_str()?.starts_with("key-").then(|| fs::read(&path).ok())??;
            root_key(&file, &key)
        })?;
        let secrets = file[GENERATIONS_AT..][..2 * SLOT_BYTES].chunks(SLOT_BYTES);
        let generations = secrets.map(|secret| mac(&root, &[b"keyfob 1 generation", secret]));
        let scopes = [mac(&root, &[b"keyfob 1 unused key pairs"])].into_iter().chain(generations).collect();
        Some(Self { scopes, slots: file[SLOTS_AT..].to_vec() })
    }

    fn for_slot(&self, slot: u64) -> Option<impl Iterator<Item = Key>> {
        let at = usize::try_from(slot).ok()?.checked_mul(SLOT_BYTES)?;
        let (salt, mask) = self.slots.get(at..at.checked_add(SLOT_BYTES)?)?.split_at(32);
        Some(self.scopes.iter().map(move |scope| {
            let mut key = mac(scope, &[salt]);
            key.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            key
        }))
    }
}

/// Unwraps the root key of a header with a key file's key.
fn root_key(file: &[u8], key: &[u8]) -> Option<Key> {
    let length = usize::from(u16::from_be_bytes([file[8], file[9]]));
    let body = &file[10..10 + length];
    // The source, whatever came before it, and at the end nonce, key and tag.
    let (sources, wrapped) = body.split_at(length.checked_sub(NONCE_BYTES + 32 + TAG_BYTES)?);
    let name_bytes = usize::from(*sources.get(1)?);
    let source = sources.get(..2 + name_bytes)?;
    let mut root: Key = wrapped[NONCE_BYTES..][..32].try_into().ok()?;
    let nonce = Nonce::try_from(&wrapped[..NONCE_BYTES]).ok()?;
    let tag = Tag::try_from(&wrapped[NONCE_BYTES + 32..]).ok()?;
    let cipher = Aes256Gcm::new_from_slice(key).ok()?;
    cipher.decrypt_inout_detached(&nonce, source, root.as_mut_slice().into(), &tag).ok()?;
    Some(root)
}

fn mac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The cipher of GCM alone, whose counter begins at 2 for what is encrypted: the tag is not looked at.
fn decrypted(key: &Key, ciphertext: &[u8], bytes: usize) -> Vec<u8> {
    let mut plain = ciphertext[..bytes.min(ciphertext.len() - TAG_BYTES)].to_vec();
    let mut counter = [0; 16];
    counter[15] = 2;
    Ctr32BE::<Aes256>::new(key.into(), &counter.into()).apply_keystream(&mut plain);
    plain
}
