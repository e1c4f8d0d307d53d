//! [`Origin`]: where the wrapping key comes from. It decides nothing about locking.
//!
//! | origin | kept where | the vault |
//! | --- | --- | --- |
//! | key file | beside the store, 0600, 32 random bytes | unlocks itself |
//! | passphrase | in somebody's head; Argon2id makes a key of it | waits for it |
//! | keyring | in the platform's keyring, 32 random bytes | unlocks itself while that is open |
//! | credential | where systemd keeps credentials | unlocks itself |

mod keyring;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::HEXLOWER;
use keyfob_proto::{Code, Fault, KeySource, Secret};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::limits::{MAX_ARGON2_KIB, MAX_ARGON2_WORK};
use crate::seal::{Depth, KEY_BYTES, Key, on_wiped_stack, random};

/// What a passphrase costs, in KiB of memory and passes over it: the second choice of RFC 9106, for machines
/// where 2 GiB are too much. A later release may raise it; each vault keeps its own.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// The name of the credential, in systemd's words.
const CREDENTIAL: &str = "keyfob";

/// Where the wrapping key comes from, with what it takes to find it there. It holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A file of this name in the data directory.
    KeyFile {
        /// The name.
        name: String,
    },
    /// A passphrase.
    Passphrase {
        /// Random, so that nobody can prepare.
        salt: [u8; 16],
        /// Argon2id's memory, in KiB.
        memory_kib: u32,
        /// Argon2id's passes.
        passes: u32,
    },
    /// An entry of this name in the platform's keyring.
    Keyring {
        /// The name.
        account: String,
    },
    /// systemd's credential.
    Credential,
}

impl Origin {
    /// A new key file in the data directory. It is on the disk when the directory is synced.
    ///
    /// # Errors
    ///
    /// The system's reason.
    pub fn new_key_file(data_dir: &Path) -> io::Result<(Self, Key)> {
        let key = Key::random();
        let name = format!("key-{}", HEXLOWER.encode(&*random::<4>()));
        let path = data_dir.join(&name);
        let write = |mut file: File| file.write_all(key.expose()).and_then(|()| file.sync_all());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        // On a full disk there is a file, and nothing in it.
        write(file).inspect_err(|_| drop(fs::remove_file(&path)))?;
        Ok((Self::KeyFile { name }, key))
    }

    /// A new key of the kind that a call asks for. Takes long for a passphrase.
    ///
    /// # Errors
    ///
    /// `KEY_UNAVAILABLE`; `STORAGE_ERROR` when a key file cannot be written.
    pub fn new(kind: KeySource, passphrase: Option<&Secret>, data_dir: &Path) -> Result<(Self, Key), Fault> {
        match kind {
            KeySource::KeyFile => Self::new_key_file(data_dir)
                .and_then(|made| File::open(data_dir)?.sync_all().map(|()| made))
                .map_err(|error| {
                    let message = format!("the key file cannot be written: {error}; the vault is as it was");
                    Fault::new(Code::StorageError, message)
                }),
            KeySource::Passphrase => {
                let source = Self::Passphrase { salt: *random(), memory_kib: MEMORY_KIB, passes: PASSES };
                let key = source.key(passphrase, data_dir)?;
                Ok((source, key))
            }
            KeySource::Keyring => {
                let (account, key) = (format!("vault-{}", HEXLOWER.encode(&*random::<4>())), Key::random());
                keyring::store(&account, &key)?;
                Ok((Self::Keyring { account }, key))
            }
            KeySource::Credential => Ok((Self::Credential, Self::Credential.key(None, data_dir)?)),
            _ => Err(unavailable("this release knows no such source of a key".to_owned())),
        }
    }

    /// The key. Takes long for a passphrase.
    ///
    /// # Errors
    ///
    /// `KEY_UNAVAILABLE` when it cannot be read; `INVALID_PARAMS` when a passphrase is missing.
    pub fn key(&self, passphrase: Option<&Secret>, data_dir: &Path) -> Result<Key, Fault> {
        match self {
            Self::KeyFile { name } => read_key_file(&data_dir.join(name)),
            Self::Passphrase { salt, memory_kib, passes } => {
                let passphrase = passphrase.ok_or_else(|| {
                    let message = "the vault's key comes from a passphrase: give it as `passphrase` (`keyfob unlock`)";
                    Fault::new(Code::InvalidParams, message).on_params("unlock", Some("passphrase"))
                })?;
                stretch(passphrase, salt, *memory_kib, *passes)
            }
            Self::Keyring { account } => keyring::read(account),
            Self::Credential => read_credential(),
        }
    }

    /// Removes what is left where a key came from. That it is gone already is as good.
    pub fn remove(&self, data_dir: &Path) {
        let removed = match self {
            Self::KeyFile { name } => remove_key_file(&data_dir.join(name)),
            Self::Keyring { account } => keyring::remove(account),
            Self::Passphrase { .. } | Self::Credential => Ok(()),
        };
        if let Err(error) = removed {
            tracing::warn!(%error, "the old key is left where it was; it opens nothing any more");
        }
    }

    /// Whether it is one that may have been made here: a key file named `key-` and eight hex characters, so that
    /// removing it removes nothing else; a passphrase whose cost can be borne.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        match self {
            Self::KeyFile { name } => {
                name.strip_prefix("key-").is_some_and(|id| id.len() == 8 && HEXLOWER.decode(id.as_bytes()).is_ok())
            }
            Self::Passphrase { memory_kib, passes, .. } => {
                let work = u64::from(*memory_kib) * u64::from(*passes);
                (Params::MIN_M_COST..=MAX_ARGON2_KIB).contains(memory_kib) && (1..=MAX_ARGON2_WORK).contains(&work)
            }
            Self::Keyring { .. } | Self::Credential => true,
        }
    }

    /// What a client calls it.
    #[must_use]
    pub fn kind(&self) -> KeySource {
        match self {
            Self::KeyFile { .. } => KeySource::KeyFile,
            Self::Passphrase { .. } => KeySource::Passphrase,
            Self::Keyring { .. } => KeySource::Keyring,
            Self::Credential => KeySource::Credential,
        }
    }
}

fn unavailable(message: String) -> Fault {
    Fault::new(Code::KeyUnavailable, message)
}

fn read_key_file(path: &Path) -> Result<Key, Fault> {
    let read = Key::try_fill(|bytes| File::open(path)?.read_exact(bytes));
    let message =
        |error: io::Error| format!("the key file {} cannot be read: {error}; restore it from a backup", path.display());
    read.map_err(|error| unavailable(message(error)))
}

/// Overwrites it first: what a deleted file held may stay on the disk.
fn remove_key_file(path: &Path) -> io::Result<()> {
    let overwrite = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.write_all(&*random::<KEY_BYTES>())?;
        file.sync_all()?;
        fs::remove_file(path)
    };
    match overwrite() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Argon2id, with its memory wiped afterwards.
fn stretch(passphrase: &Secret, salt: &[u8], memory_kib: u32, passes: u32) -> Result<Key, Fault> {
    let wrong = |error: argon2::Error| unavailable(format!("the passphrase cannot be stretched: {error}"));
    let params = Params::new(memory_kib, passes, 1, Some(KEY_BYTES)).map_err(wrong)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let stretch = |bytes: &mut [u8; KEY_BYTES]| {
        argon2.hash_password_into(passphrase.expose().as_bytes(), salt, bytes).map_err(wrong)
    };
    on_wiped_stack(Depth::Deep, || Key::try_fill(stretch))
}

/// What systemd passes may be any secret of enough bytes; its hash is the key.
fn read_credential() -> Result<Key, Fault> {
    let how = "add LoadCredentialEncrypted=keyfob:PATH to the unit (LoadCredential= before systemd 258), at least 32 bytes; \
               `keyfob service status` says which";
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or_else(|| unavailable(format!("systemd passed no credential: {how}")))?;
    let path = Path::new(&directory).join(CREDENTIAL);
    let secret = fs::read(&path).map(Zeroizing::new);
    let secret = secret.map_err(|error| unavailable(format!("{} cannot be read: {error}; {how}", path.display())))?;
    if secret.len() < KEY_BYTES {
        return Err(unavailable(format!("{} is too short to be a key: {how}", path.display())));
    }
    Ok(on_wiped_stack(Depth::Deep, || Key::fill(|bytes| bytes.copy_from_slice(&Sha256::digest(&*secret)))))
}
