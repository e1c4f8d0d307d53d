//! [`Chosen`]: the key pair that signs, and what is made of its signature.

use data_encoding::BASE64URL_NOPAD;
use keyfob_proto::{Fault, SessionKey, SignatureFormat, Signed, Stamped};

use super::key_pair::KeyPair;
use super::signature::encode;
use crate::seal::{Scope, VaultKeys};

/// A key pair that was chosen to sign.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The key pair.
    pub(super) pair: &'a KeyPair,
    /// The scope that it is sealed in.
    pub(super) scope: Scope,
    /// The session that it signs for, unless it was named itself.
    pub(super) session_key: Option<&'a SessionKey>,
}

impl Chosen<'_> {
    /// Signs bytes. Call it in [`on_wiped_stack`](crate::seal::on_wiped_stack).
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`; `INTERNAL_ERROR` when the record is not what was stored.
    pub fn sign(&self, keys: Option<&VaultKeys>, payload: &[u8], format: SignatureFormat) -> Result<Signed, Fault> {
        let signature = encode(&self.pair.sign(keys, self.scope, payload)?, format);
        Ok(Signed { signature, public_key: *self.pair.public_key(), session_key: self.session_key.cloned() })
    }

    /// Makes Turnkey's request header for a body; its shape is that of the SDK's `ApiKeyStamper`. Call it in
    /// [`on_wiped_stack`](crate::seal::on_wiped_stack).
    ///
    /// # Errors
    ///
    /// As [`Chosen::sign`].
    pub fn stamp(&self, keys: Option<&VaultKeys>, payload: &[u8]) -> Result<Stamped, Fault> {
        let Signed { signature, public_key, session_key } = self.sign(keys, payload, SignatureFormat::Der)?;
        let stamp = format!(
            r#"{{"publicKey":"{public_key}","scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":"{signature}"}}"#
        );
        Ok(Stamped {
            stamp_header_name: "X-Stamp".to_owned(),
            stamp_header_value: BASE64URL_NOPAD.encode(stamp.as_bytes()),
            public_key,
            session_key,
        })
    }
}
