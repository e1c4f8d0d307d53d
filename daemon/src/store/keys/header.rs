//! [`Header`]: the root key, wrapped under the wrapping key, and where that one comes from. No I/O.
//!
//! ```text
//! "keyfob 1" · length, 2 bytes big-endian · postcard of the fields in their order · SHA-256 of all that, 8 bytes
//! ```

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::layout::PAGE_BYTES;
use super::origin::Origin;
use crate::seal::{KEY_BYTES, Key, random};

const MAGIC: &[u8; 8] = b"keyfob 1";
const DIGEST_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Tells two vaults apart. Random.
pub(in crate::store) type VaultId = [u8; 16];

/// The root key, wrapped under a key that comes from an [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Header {
    /// Whose root key it is.
    pub(in crate::store) vault: VaultId,
    /// Where the wrapping key comes from.
    pub(in crate::store) origin: Origin,
    /// Where the one before came from; what is left of that is removed.
    pub(in crate::store) before: Option<Origin>,
    nonce: [u8; NONCE_BYTES],
    wrapped: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
}

impl Header {
    /// Wraps a root key. A random nonce will do: each key wraps one root key, or, if it is a credential, a few. Call it
    /// in [`on_wiped_stack`](crate::seal::on_wiped_stack).
    pub(in crate::store) fn wrap(
        root: &Key,
        vault: VaultId,
        origin: Origin,
        before: Option<Origin>,
        wrapping: &Key,
    ) -> Self {
        let nonce = *random();
        let mut tag = [0; TAG_BYTES];
        let wrapped = Key::fill(|bytes| {
            bytes.copy_from_slice(root.expose());
            let sealed = cipher(wrapping).encrypt_inout_detached(
                &Nonce::from(nonce),
                &identity(&vault, &origin),
                bytes.as_mut_slice().into(),
            );
            tag = sealed.expect("a key is far below the cipher's limit").into();
        });
        Self { vault, origin, before, nonce, wrapped: *wrapped.expose(), tag }
    }

    /// The root key, if this is the key that it was wrapped under. Call it in
    /// [`on_wiped_stack`](crate::seal::on_wiped_stack).
    pub(in crate::store) fn unwrap(&self, wrapping: &Key) -> Option<Key> {
        let opened = Key::try_fill(|bytes| {
            *bytes = self.wrapped;
            cipher(wrapping).decrypt_inout_detached(
                &Nonce::from(self.nonce),
                &identity(&self.vault, &self.origin),
                bytes.as_mut_slice().into(),
                &Tag::from(self.tag),
            )
        });
        opened.ok()
    }

    /// The bytes of a file's first page.
    pub(in crate::store) fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[..MAGIC.len()].copy_from_slice(MAGIC);
        let at = MAGIC.len() + 2;
        let length = postcard::to_slice(self, &mut page[at..]).expect("a header is small").len();
        page[MAGIC.len()..at].copy_from_slice(&u16::try_from(length).expect("less than a page").to_be_bytes());
        let digest = Sha256::digest(&page[..at + length]);
        page[at + length..][..DIGEST_BYTES].copy_from_slice(&digest[..DIGEST_BYTES]);
        page
    }

    /// The header of a page, unless it is damaged, or says what no keyfob would have written.
    pub(in crate::store) fn decode(page: &[u8; PAGE_BYTES]) -> Option<Self> {
        let rest = page.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (body, rest) = rest.split_at_checked(length)?;
        let digest = Sha256::digest(&page[..MAGIC.len() + 2 + length]);
        if rest.get(..DIGEST_BYTES)? != &digest[..DIGEST_BYTES] {
            return None;
        }
        match postcard::take_from_bytes::<Self>(body) {
            Ok((header, [])) => Some(header).filter(|header| header.origins().all(Origin::is_sane)),
            _ => None,
        }
    }

    fn origins(&self) -> impl Iterator<Item = &Origin> {
        [&self.origin].into_iter().chain(&self.before)
    }
}

/// A wrapped key belongs to its vault and its origin: the cost of a passphrase, say, cannot be lowered under it.
fn identity(vault: &VaultId, origin: &Origin) -> Vec<u8> {
    postcard::to_stdvec(&(vault, origin)).expect("plain data")
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new(key.expose().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: VaultId = [7; 16];

    fn wrap(origin: Origin, before: Option<Origin>) -> (Header, Key, Key) {
        let (root, wrapping) = (Key::random(), Key::random());
        (Header::wrap(&root, VAULT, origin, before, &wrapping), root, wrapping)
    }

    #[test]
    fn a_header_survives_its_page_and_a_flipped_bit_does_not() {
        let (header, root, wrapping) = wrap(Origin::Credential, None);
        let page = header.encode();
        let again = Header::decode(&page).unwrap();
        assert_eq!(again, header);
        assert_eq!(again.unwrap(&wrapping).unwrap().expose(), root.expose());
        assert!(again.unwrap(&Key::random()).is_none());
        let length = page.iter().rposition(|byte| *byte != 0).unwrap();
        for at in 0..=length {
            let mut flipped = page;
            flipped[at] ^= 4;
            assert_eq!(Header::decode(&flipped), None, "byte {at}");
        }
    }

    #[test]
    fn a_key_file_elsewhere_is_none_of_its_own() {
        for (name, is_own) in
            [("key-0123abcd", true), ("../key-0123abcd", false), ("/etc/passwd", false), ("key-", false)]
        {
            let page = wrap(Origin::Credential, Some(Origin::KeyFile { name: name.to_owned() })).0.encode();
            assert_eq!(Header::decode(&page).is_some(), is_own, "{name}");
        }
    }

    #[test]
    fn a_passphrase_of_senseless_cost_is_never_worked_on() {
        for (memory_kib, passes, is_sane) in [
            (64 * 1024, 3, true),
            (1024 * 1024, 4, true),
            (8, 1, true),
            (64 * 1024, u32::MAX, false),
            (u32::MAX, 1, false),
            (1024 * 1024, 5, false),
            (7, 1, false),
            (64 * 1024, 0, false),
        ] {
            let page = wrap(Origin::Passphrase { salt: [0; 16], memory_kib, passes }, None).0.encode();
            assert_eq!(Header::decode(&page).is_some(), is_sane, "{memory_kib} KiB, {passes} passes");
        }
    }

    #[test]
    fn a_root_key_unwraps_for_its_own_vault_and_origin_only() {
        let (header, _, wrapping) = wrap(Origin::Credential, None);
        assert!(header.unwrap(&wrapping).is_some());
        let other = Origin::KeyFile { name: "key-01234567".to_owned() };
        assert!(Header { origin: other, ..header.clone() }.unwrap(&wrapping).is_none());
        assert!(Header { vault: [8; 16], ..header }.unwrap(&wrapping).is_none());
    }
}
