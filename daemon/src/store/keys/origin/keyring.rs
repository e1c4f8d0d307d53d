//! The platform's keyring: the Secret Service on Linux, the Keychain on macOS. Only with the feature `keyring`, for on
//! Linux it brings a D-Bus client.

use std::io;

use keyfob_proto::Fault;

use super::unavailable;
#[cfg(feature = "keyring")]
use crate::seal::KEY_BYTES;
use crate::seal::Key;

#[cfg(feature = "keyring")]
const SERVICE: &str = "keyfob";

/// Keeps a key.
#[cfg(feature = "keyring")]
pub(super) fn store(account: &str, key: &Key) -> Result<(), Fault> {
    let stored = keyring::Entry::new(SERVICE, account).and_then(|entry| entry.set_secret(key.expose()));
    stored.map_err(|error| unavailable(format!("the keyring takes no key: {error}")))
}

/// Reads it again.
#[cfg(feature = "keyring")]
pub(super) fn read(account: &str) -> Result<Key, Fault> {
    let secret = keyring::Entry::new(SERVICE, account).and_then(|entry| entry.get_secret());
    let secret = secret.map(zeroize::Zeroizing::new);
    let secret = secret.map_err(|error| unavailable(format!("the keyring gives no key: {error}; unlock it")))?;
    Key::try_fill(|bytes| {
        let key: &[u8; KEY_BYTES] = secret.as_slice().try_into().map_err(|_| ())?;
        bytes.copy_from_slice(key);
        Ok::<(), ()>(())
    })
    .map_err(|()| unavailable("the keyring's key is not one".to_owned()))
}

/// Removes it. That there is none is as good.
#[cfg(feature = "keyring")]
pub(super) fn remove(account: &str) -> io::Result<()> {
    match keyring::Entry::new(SERVICE, account).and_then(|entry| entry.delete_credential()) {
        Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(not(feature = "keyring"))]
pub(super) fn store(_: &str, _: &Key) -> Result<(), Fault> {
    Err(not_built_in())
}

#[cfg(not(feature = "keyring"))]
pub(super) fn read(_: &str) -> Result<Key, Fault> {
    Err(not_built_in())
}

#[cfg(not(feature = "keyring"))]
#[allow(clippy::unnecessary_wraps, reason = "the keyring may refuse")]
pub(super) fn remove(_: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(not(feature = "keyring"))]
fn not_built_in() -> Fault {
    unavailable("this keyfobd knows no keyring: install it with `--features keyring`".to_owned())
}
