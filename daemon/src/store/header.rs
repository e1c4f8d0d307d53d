//! [`Header`]: the root key, wrapped, and where the key comes from that opens it. No I/O.
//!
//! ```text
//! "keyfob 1" · length, 2 bytes big-endian · postcard of the source, nonce and wrapped key · SHA-256 of all that, 8 bytes
//! ```

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key_source::Source;
use crate::seal::{KEY_BYTES, Key, random};

/// What it takes at most, in bytes.
pub(super) const HEADER_BYTES: usize = 4096;

const MAGIC: &[u8; 8] = b"keyfob 1";
const DIGEST_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// The root key, wrapped under a key that the [`Source`] gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Where the key comes from.
    pub(super) source: Source,
    /// Where it came from before; what is left of that is removed.
    pub(super) before: Option<Source>,
    nonce: [u8; NONCE_BYTES],
    wrapped: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
}

impl Header {
    /// Wraps a root key. A random nonce will do: each key wraps one root key, or, if it is a credential, a few.
    pub(super) fn wrap(root: &Key, source: Source, before: Option<Source>, key: &Key) -> Self {
        let nonce = *random();
        let mut wrapped = **root;
        let tag = cipher(key)
            .encrypt_inout_detached(&Nonce::from(nonce), &identity(&source), wrapped.as_mut_slice().into())
            .expect("a key is far below the cipher's limit");
        Self { source, before, nonce, wrapped, tag: tag.into() }
    }

    /// The root key, if this is the key that it was wrapped under.
    pub(super) fn unwrap(&self, key: &Key) -> Option<Key> {
        let mut root = Key::new(self.wrapped);
        cipher(key)
            .decrypt_inout_detached(
                &Nonce::from(self.nonce),
                &identity(&self.source),
                root.as_mut_slice().into(),
                &Tag::from(self.tag),
            )
            .ok()?;
        Some(root)
    }

    /// Whether its key files are in the data directory, so that removing one removes nothing else.
    fn names_its_own_files(&self) -> bool {
        self.source.is_plain() && self.before.as_ref().is_none_or(Source::is_plain)
    }

    /// The bytes of a file's first page.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut page = [0; HEADER_BYTES];
        page[..MAGIC.len()].copy_from_slice(MAGIC);
        let at = MAGIC.len() + 2;
        let length = postcard::to_slice(self, &mut page[at..]).expect("a header is small").len();
        page[MAGIC.len()..at].copy_from_slice(&u16::try_from(length).expect("less than a page").to_be_bytes());
        let digest = Sha256::digest(&page[..at + length]);
        page[at + length..][..DIGEST_BYTES].copy_from_slice(&digest[..DIGEST_BYTES]);
        page
    }

    /// The header of a page, unless it is damaged.
    pub(super) fn decode(page: &[u8; HEADER_BYTES]) -> Option<Self> {
        let rest = page.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (body, rest) = rest.split_at_checked(length)?;
        let digest = Sha256::digest(&page[..MAGIC.len() + 2 + length]);
        if rest.get(..DIGEST_BYTES)? != &digest[..DIGEST_BYTES] {
            return None;
        }
        match postcard::take_from_bytes(body) {
            Ok((header, [])) => Some(header).filter(Self::names_its_own_files),
            _ => None,
        }
    }
}

/// A wrapped key belongs to its source: the cost of a passphrase, say, cannot be lowered under it.
fn identity(source: &Source) -> Vec<u8> {
    postcard::to_stdvec(source).expect("a source is plain data")
}

fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new((&**key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_its_page_and_a_flipped_bit_does_not() {
        let (root, key) = (random(), random());
        let header = Header::wrap(&root, Source::Credential, None, &key);
        let page = header.encode();
        let again = Header::decode(&page).unwrap();
        assert_eq!(again, header);
        assert!(again.unwrap(&key).unwrap() == root);
        assert!(again.unwrap(&random()).is_none());
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
            let before = Some(Source::KeyFile { name: name.to_owned() });
            let page = Header::wrap(&random(), Source::Credential, before, &random()).encode();
            assert_eq!(Header::decode(&page).is_some(), is_own, "{name}");
        }
    }

    #[test]
    fn a_root_key_does_not_unwrap_for_another_source() {
        let (root, key) = (random(), random());
        let mut header = Header::wrap(&root, Source::Credential, None, &key);
        header.source = Source::KeyFile { name: "key-01234567".to_owned() };
        assert!(header.unwrap(&key).is_none());
    }
}
