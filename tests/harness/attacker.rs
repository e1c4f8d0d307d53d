//! What somebody can do who has everything: every byte that was ever written, the key file, and the keys as they are now.
//! Written from the documents, with nothing of the daemon's own code.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use memchr::memmem;
use sha2::{Digest, Sha256};

type Key = [u8; 32];

const PAGE_BYTES: usize = 4096;
const STATES_AT: [usize; 2] = [PAGE_BYTES + SLOT_BYTES, 2 * PAGE_BYTES + SLOT_BYTES];
const FIRST_SLOT_PAGE: usize = 3;
const SLOTS_PER_PAGE: usize = 63;
const SLOT_BYTES: usize = 64;
const VAULT_ID_BYTES: usize = 16;
const ID_BYTES: usize = 8;
const SALT_BYTES: usize = 16;
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
    nonce: [u8; NONCE_BYTES],
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
            sealed_with.into_iter().flatten().map(move |key| decrypted(&key, run, bytes))
        })
    }

    /// What the first bytes of each become if it shares a keystream with one that begins with these.
    pub fn sharing_a_keystream_with<'a>(&'a self, known: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
        let xor = |one: &[u8], other: &[u8]| one.iter().zip(other).map(|(one, other)| one ^ other).collect::<Vec<_>>();
        let streams = self.runs.keys().map(move |run| xor(&run.ciphertext, known));
        streams.flat_map(move |stream| self.runs.keys().map(move |run| xor(&run.ciphertext, &stream)))
    }

    /// Whether one of these byte strings is in what opens.
    #[must_use]
    pub fn gives_away(&self, keys: &Keys, secrets: &[&[u8]]) -> bool {
        self.opened(keys, usize::MAX, usize::MAX).any(|plain| secrets.iter().any(|secret| contains(&plain, secret)))
    }
}

/// Whether a byte string is somewhere in another.
#[must_use]
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memmem::find(bytes, part).is_some()
}

/// postcard: the length of a public key and the key, an expiry, and what is sealed.
fn session_run(bytes: &[u8]) -> Option<Run> {
    let [33, 2 | 3, ..] = bytes else { return None };
    let (expiry, rest) = varint(bytes.get(34..)?)?;
    (expiry > 1 << 30).then_some(())?;
    sealed(rest)
}

/// postcard: a time of creation, whether it is kept, a label if there is one, and what is sealed.
fn key_pair_run(bytes: &[u8]) -> Option<Run> {
    let (created_at, rest) = varint(bytes)?;
    (created_at > 1 << 30 && created_at < 1 << 32).then_some(())?;
    let rest = match rest {
        [0 | 1, 0, rest @ ..] => rest,
        [0 | 1, 1, length, rest @ ..] => rest.get(usize::from(*length)..)?,
        _ => return None,
    };
    sealed(rest).filter(|run| run.ciphertext.len() == 32 + TAG_BYTES)
}

/// postcard: a slot, its id, a nonce, a length and the rest.
fn sealed(bytes: &[u8]) -> Option<Run> {
    let (slot, rest) = varint(bytes)?;
    let (_, rest) = rest.split_at_checked(ID_BYTES)?;
    let (nonce, rest) = rest.split_at_checked(NONCE_BYTES)?;
    let (length, rest) = varint(rest)?;
    let length = usize::try_from(length).ok().filter(|length| (TAG_BYTES..8192).contains(length))?;
    Some(Run { slot, nonce: nonce.try_into().ok()?, ciphertext: rest.get(..length)?.to_vec() })
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

/// The slots of a data directory, to be written over.
pub struct Slots(PathBuf);

impl Slots {
    /// Those of a data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("store/keys"))
    }

    /// Writes the same bytes over all of them: as slots that are whole but for their number, or just so.
    pub fn fill(&self, is_whole: bool) {
        let mut file = fs::read(&self.0).expect("a file");
        for (page, bytes) in file.chunks_mut(PAGE_BYTES).skip(FIRST_SLOT_PAGE).enumerate() {
            for (place, slot) in bytes.chunks_mut(SLOT_BYTES).skip(1).enumerate() {
                slot.fill(7);
                if is_whole {
                    let number = u32::try_from(page * SLOTS_PER_PAGE + place).expect("a small number");
                    slot[56..60].copy_from_slice(&number.to_be_bytes());
                    let sum = crc32fast::hash(&slot[..60]);
                    slot[60..].copy_from_slice(&sum.to_be_bytes());
                }
            }
        }
        fs::write(&self.0, file).expect("a file");
    }
}

/// The page of a header that wraps a root key of one's own for the vault of this id, and the name and contents of the key
/// file that opens it.
#[must_use]
pub fn header_of_ones_own(vault: [u8; VAULT_ID_BYTES]) -> (Vec<u8>, (&'static str, [u8; 32])) {
    const KEY_FILE: &str = "key-0123abcd";
    let (wrapping, mut root, nonce) = ([1; 32], [2; 32], [3; NONCE_BYTES]);
    let origin = [&[0, u8::try_from(KEY_FILE.len()).expect("a short name")], KEY_FILE.as_bytes()].concat();
    let identity = [&vault[..], &origin].concat();
    let cipher = Aes256Gcm::new_from_slice(&wrapping).expect("32 bytes");
    let tag = cipher
        .encrypt_inout_detached(&Nonce::from(nonce), &identity, root.as_mut_slice().into())
        .expect("a short text");
    // There was no origin before.
    let body = [&identity, &[0][..], &nonce, &root, &tag].concat();
    let length = u16::try_from(body.len()).expect("less than a page").to_be_bytes();
    let mut page = [b"keyfob 1", &length[..], &body].concat();
    let digest = Sha256::digest(&page);
    page.extend_from_slice(&digest[..8]);
    page.resize(PAGE_BYTES, 0);
    (page, (KEY_FILE, wrapping))
}

/// The keys of a data directory, as they are at some moment.
pub struct Keys {
    root: Key,
    scopes: Vec<Key>,
    file: Vec<u8>,
}

impl Keys {
    /// Those of a data directory that has a key file; `None` where a file is missing or cut off.
    #[must_use]
    pub fn of(data_dir: &Path) -> Option<Self> {
        let mut entries = fs::read_dir(data_dir).ok()?;
        entries.find_map(|entry| {
            let path = entry.ok()?.path();
            let key = path.file_name()?.to_str()?.starts_with("key-").then(|| fs::read(&path).ok())??;
            Self::under(data_dir, &key)
        })
    }

    /// Those of a data directory whose wrapping key this is.
    #[must_use]
    pub fn under(data_dir: &Path, wrapping: &[u8]) -> Option<Self> {
        let file = fs::read(data_dir.join("store/keys")).ok()?;
        let file = (file.len() >= FIRST_SLOT_PAGE * PAGE_BYTES).then_some(file)?;
        let root = Header::of(&file)?.root_key(wrapping)?;
        let secrets = STATES_AT.map(|at| &file[at + 16..][..32]);
        let generations = secrets.map(|secret| mac(&root, &[b"keyfob 1 generation", secret]));
        let scopes = [mac(&root, &[b"keyfob 1 unused key pairs"])].into_iter().chain(generations).collect();
        Some(Self { root, scopes, file })
    }

    /// The root key.
    #[must_use]
    pub fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// The keys of the scopes.
    #[must_use]
    pub fn scopes(&self) -> &[[u8; 32]] {
        &self.scopes
    }

    /// What is tried to be opened with a key that was found: the first session in the files of a data directory that
    /// these keys open, and the first unused key pair.
    #[must_use]
    pub fn targets(&self, data_dir: &Path) -> Vec<Target> {
        let mut loot = Loot::default();
        loot.search_files(data_dir);
        let opens = |scope: &Key, run: &Run| {
            let slot = self.slot(run.slot)?;
            let target = Target {
                generation: self.file[self.state_at() + 16..][..32].try_into().expect("32 bytes"),
                salt: slot[ID_BYTES..][..SALT_BYTES].try_into().expect("16 bytes"),
                mask: slot[ID_BYTES + SALT_BYTES..][..32].try_into().expect("32 bytes"),
                run: Run { slot: run.slot, nonce: run.nonce, ciphertext: run.ciphertext.clone() },
            };
            target.opened_by_scope(scope).then_some(target)
        };
        let found = loot.runs.keys().find_map(|run| self.scopes.iter().find_map(|scope| opens(scope, run)));
        found.into_iter().collect()
    }

    /// Where the state is that counts: that of the higher generation.
    fn state_at(&self) -> usize {
        let [one, other] = STATES_AT;
        if self.file[other..][..8] > self.file[one..][..8] { other } else { one }
    }

    fn slot(&self, slot: u64) -> Option<&[u8]> {
        let slot = usize::try_from(slot).ok().filter(|slot| *slot < self.file.len())?;
        let at = (FIRST_SLOT_PAGE + slot / SLOTS_PER_PAGE) * PAGE_BYTES + (1 + slot % SLOTS_PER_PAGE) * SLOT_BYTES;
        self.file.get(at..at.checked_add(SLOT_BYTES)?)
    }

    fn for_slot(&self, slot: u64) -> Option<impl Iterator<Item = Key>> {
        let (salt, rest) = self.slot(slot)?[ID_BYTES..].split_at(SALT_BYTES);
        Some(self.scopes.iter().map(move |scope| {
            let mut key = mac(scope, &[salt]);
            key.iter_mut().zip(rest).for_each(|(byte, mask)| *byte ^= mask);
            key
        }))
    }
}

/// A session's record, to be opened with whatever was found.
pub struct Target {
    generation: [u8; 32],
    salt: [u8; SALT_BYTES],
    mask: [u8; 32],
    run: Run,
}

impl Target {
    /// What a key is that opens it.
    #[must_use]
    pub fn opened_by(&self, key: &[u8; 32]) -> Option<&'static str> {
        if self.opened_by_record_key(key) {
            Some("a record key")
        } else if self.opened_by_scope(key) {
            Some("a scope key")
        } else if self.opened_by_scope(&mac(key, &[b"keyfob 1 generation", &self.generation])) {
            Some("the root key")
        } else {
            None
        }
    }

    fn opened_by_scope(&self, scope: &Key) -> bool {
        let mut key = mac(scope, &[&self.salt]);
        key.iter_mut().zip(self.mask).for_each(|(byte, mask)| *byte ^= mask);
        self.opened_by_record_key(&key)
    }

    /// A session begins with the length of its token, of one or two bytes, and the token.
    fn opened_by_record_key(&self, key: &Key) -> bool {
        let plain = decrypted(key, &self.run, 16);
        [1, 2].iter().any(|at| plain.get(*at..).is_some_and(|token| token.starts_with(b"eyJhbGci")))
    }
}

/// The first page of the file `keys`.
pub struct Header<'a> {
    /// What the wrapped key belongs to.
    identity: &'a [u8],
    wrapped: &'a [u8],
}

impl<'a> Header<'a> {
    /// That of a file that has a key file or a passphrase.
    #[must_use]
    pub fn of(file: &'a [u8]) -> Option<Self> {
        let length = usize::from(u16::from_be_bytes([*file.get(8)?, *file.get(9)?]));
        // The vault, where the wrapping key comes from, where it came from before, and at the end nonce, key and tag.
        let body = file.get(10..10 + length)?;
        let (origins, wrapped) = body.split_at_checked(length.checked_sub(NONCE_BYTES + 32 + TAG_BYTES)?)?;
        let origin = origins.get(VAULT_ID_BYTES..)?;
        let origin_bytes = if *origin.first()? == 0 {
            2 + usize::from(*origin.get(1)?)
        } else {
            // A salt, and two numbers.
            let (_, rest) = varint(origin.get(17..)?)?;
            let (_, rest) = varint(rest)?;
            origin.len() - rest.len()
        };
        Some(Self { identity: origins.get(..VAULT_ID_BYTES + origin_bytes)?, wrapped })
    }

    /// What unwraps with a key.
    #[must_use]
    pub fn root_key(&self, wrapping: &[u8]) -> Option<[u8; 32]> {
        let mut root: Key = self.wrapped[NONCE_BYTES..][..32].try_into().ok()?;
        let nonce = Nonce::try_from(&self.wrapped[..NONCE_BYTES]).ok()?;
        let tag = Tag::try_from(&self.wrapped[NONCE_BYTES + 32..]).ok()?;
        let cipher = Aes256Gcm::new_from_slice(wrapping).ok()?;
        cipher.decrypt_inout_detached(&nonce, self.identity, root.as_mut_slice().into(), &tag).ok()?;
        Some(root)
    }
}

fn mac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The cipher of GCM alone, whose counter begins at 2 for what is encrypted: the tag is not looked at.
fn decrypted(key: &Key, run: &Run, bytes: usize) -> Vec<u8> {
    let mut plain = run.ciphertext[..bytes.min(run.ciphertext.len() - TAG_BYTES)].to_vec();
    let mut counter = [0; 16];
    counter[..NONCE_BYTES].copy_from_slice(&run.nonce);
    counter[15] = 2;
    Ctr32BE::<Aes256>::new(key.into(), &counter.into()).apply_keystream(&mut plain);
    plain
}
