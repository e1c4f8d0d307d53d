//! [`KeyPair`]: a P-256 key pair, and signing with it.

use std::sync::OnceLock;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use keyfob_proto::{Code, ExternalKeyPair, Fault, PublicKey, SignatureFormat, Signed, Stamped};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use p256::elliptic_curve::Generate;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// An API key pair. Its private half has no way out but into the store's records.
pub struct KeyPair {
    public_key: PublicKey,
    created_at: u64,
    private_key: Zeroizing<[u8; KeyPair::PRIVATE_BYTES]>,
    /// Made at the first signature: deriving the public half costs as much as signing, and most of
    /// the key pairs that a start reads are not used at once.
    signing_key: OnceLock<Box<SigningKey>>,
}

/// A stored private key that is not that of its public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored key pair's halves do not match")]
pub struct KeyPairCorrupt;

impl KeyPair {
    /// The length of the private scalar in bytes.
    pub const PRIVATE_BYTES: usize = 32;

    /// A fresh key pair.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<Self, Fault> {
        let no_randomness = |_| Fault::new(Code::InternalError, "the system has no randomness; try again");
        Ok(Self::new(SigningKey::try_generate().map_err(no_randomness)?, now))
    }

    /// A key pair that was created elsewhere.
    ///
    /// # Errors
    ///
    /// `INVALID_KEY_PAIR` when the private key is not one, or is not that of the public key.
    pub fn import(external: &ExternalKeyPair, now: Timestamp) -> Result<Self, Fault> {
        let wrong = |message: &str| Fault::new(Code::InvalidKeyPair, message).on_key_pair(external.public_key);
        let mut private_key = Zeroizing::new([0; Self::PRIVATE_BYTES]);
        let hex = external.private_key.expose().as_bytes();
        if hex.len() != 2 * Self::PRIVATE_BYTES || HEXLOWER_PERMISSIVE.decode_mut(hex, &mut *private_key).is_err() {
            return Err(wrong("the private key must be 64 hex characters"));
        }
        if !is_on_curve(&external.public_key) {
            return Err(wrong("the public key is not a point of P-256"));
        }
        let signing_key = SigningKey::from_slice(&*private_key)
            .map_err(|_| wrong("the private key is not a scalar of P-256: it is 0 or not below the order"))?;
        let pair = Self::new(signing_key, now);
        if pair.public_key == external.public_key {
            Ok(pair)
        } else {
            Err(wrong("the public key is not that of the private key"))
        }
    }

    /// The key pair that a record holds. Whether its halves match shows when it signs.
    pub(crate) fn restore(
        public_key: PublicKey,
        created_at: u64,
        private_key: Zeroizing<[u8; Self::PRIVATE_BYTES]>,
    ) -> Self {
        Self { public_key, created_at, private_key, signing_key: OnceLock::new() }
    }

    fn new(signing_key: SigningKey, now: Timestamp) -> Self {
        // `to_bytes` returns an array that is not scrubbed: it must not outlive this line.
        let private_key = Zeroizing::new(Zeroizing::new(signing_key.to_bytes()).0);
        let public_key = public_key_of(&signing_key);
        let signing_key = OnceLock::from(Box::new(signing_key));
        Self { public_key, created_at: now.secs(), private_key, signing_key }
    }

    /// The key pair's name.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// When it came into the vault, in seconds since the epoch.
    #[must_use]
    pub fn created_at(&self) -> u64 {
        self.created_at
    }

    /// The private scalar, for the store's records and for nothing else.
    pub(crate) fn private_key(&self) -> &[u8; Self::PRIVATE_BYTES] {
        &self.private_key
    }

    fn signing_key(&self) -> Result<&SigningKey, KeyPairCorrupt> {
        if let Some(key) = self.signing_key.get() {
            return Ok(key);
        }
        let key = SigningKey::from_slice(&*self.private_key).map_err(|_| KeyPairCorrupt)?;
        if public_key_of(&key) != self.public_key {
            return Err(KeyPairCorrupt);
        }
        Ok(self.signing_key.get_or_init(|| Box::new(key)))
    }

    fn signature(&self, payload: &[u8]) -> Result<Signature, Fault> {
        let corrupt = |error: KeyPairCorrupt| {
            let message = format!("{error}: clear its sessions and log in again");
            Fault::new(Code::InternalError, message).on_key_pair(self.public_key)
        };
        // RFC 6979, SHA-256, no low-S normalisation: as the SDK does.
        Ok(self.signing_key().map_err(corrupt)?.sign(payload))
    }

    /// Signs bytes.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the stored halves do not match.
    pub fn sign(&self, payload: &[u8], format: SignatureFormat) -> Result<Signed, Fault> {
        let signature = self.signature(payload)?;
        let signature = match format {
            SignatureFormat::Der => HEXLOWER.encode(signature.to_der().as_bytes()),
            SignatureFormat::Raw => HEXLOWER.encode(&signature.to_bytes()),
        };
        Ok(Signed { signature, public_key: self.public_key })
    }

    /// Makes Turnkey's request header for a body: the shape is that of its `ApiKeyStamper`.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the stored halves do not match.
    pub fn stamp(&self, payload: &[u8]) -> Result<Stamped, Fault> {
        let Signed { signature, public_key } = self.sign(payload, SignatureFormat::Der)?;
        let stamp = format!(
            r#"{{"publicKey":"{public_key}","scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":"{signature}"}}"#
        );
        Ok(Stamped {
            stamp_header_name: "X-Stamp".to_owned(),
            stamp_header_value: BASE64URL_NOPAD.encode(stamp.as_bytes()),
        })
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// Whether there is a point of P-256 with this compressed form.
pub(super) fn is_on_curve(key: &PublicKey) -> bool {
    p256::PublicKey::from_sec1_bytes(key.as_bytes()).is_ok()
}

fn public_key_of(key: &SigningKey) -> PublicKey {
    let point = key.verifying_key().to_sec1_point(true);
    PublicKey::try_from(point.as_bytes()).expect("a compressed point has 33 bytes and begins with 02 or 03")
}

#[cfg(test)]
mod tests {
    use keyfob_proto::Secret;
    use p256::ecdsa::{VerifyingKey, signature::Verifier};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const PUBLIC: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";
    const PRIVATE: &str = "d25db12f04aa1ff4a12409efb1e19e5cbbc904b0ac1ba0021a905945c8c66927";

    fn import(public: &str, private: &str) -> Result<KeyPair, Fault> {
        let external = ExternalKeyPair { public_key: public.parse().unwrap(), private_key: Secret::new(private) };
        KeyPair::import(&external, NOW)
    }

    #[test]
    fn an_imported_key_pair_signs_so_that_its_public_key_verifies() {
        let pair = import(PUBLIC, PRIVATE).unwrap();
        let signed = pair.sign(b"payload", SignatureFormat::Der).unwrap();
        let der = HEXLOWER.decode(signed.signature.as_bytes()).unwrap();
        let verifying_key = VerifyingKey::from_sec1_bytes(signed.public_key.as_bytes()).unwrap();
        verifying_key.verify(b"payload", &Signature::from_der(&der).unwrap()).unwrap();

        let raw = pair.sign(b"payload", SignatureFormat::Raw).unwrap().signature;
        assert_eq!(raw.len(), 128);
        let same = Signature::from_slice(&HEXLOWER.decode(raw.as_bytes()).unwrap()).unwrap();
        assert_eq!(same.to_der().as_bytes(), der, "RFC 6979: the same payload, the same signature");
    }

    #[test]
    fn a_stamp_is_turnkeys_header_to_the_letter() {
        let stamped = import(PUBLIC, PRIVATE).unwrap().stamp(b"{}").unwrap();
        assert_eq!(stamped.stamp_header_name, "X-Stamp");
        let json = BASE64URL_NOPAD.decode(stamped.stamp_header_value.as_bytes()).unwrap();
        let json = String::from_utf8(json).unwrap();
        let start = format!(r#"{{"publicKey":"{PUBLIC}","scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":"30"#);
        assert!(json.starts_with(&start) && json.ends_with(r#""}"#), "{json}");
    }

    #[test]
    fn key_pairs_that_are_none_are_refused() {
        let other = KeyPair::generate(NOW).unwrap().public_key().to_string();
        let off_curve = format!("02{}", "0".repeat(62) + "07");
        assert!(!is_on_curve(&off_curve.parse().unwrap()), "the test's own point");
        let cases = [
            (PUBLIC, "00".repeat(32), "is 0"),
            (PUBLIC, "ff".repeat(32), "order"),
            (PUBLIC, "d2".to_owned(), "64 hex"),
            (PUBLIC, "zz".repeat(32), "64 hex"),
            (&*other, PRIVATE.to_owned(), "not that of the private key"),
            (&*off_curve, PRIVATE.to_owned(), "not a point"),
        ];
        for (public, private, part) in cases {
            let fault = import(public, &private).unwrap_err();
            assert_eq!(fault.data.code, Code::InvalidKeyPair);
            assert_eq!(fault.data.public_key, Some(public.parse().unwrap()));
            assert!(fault.message.contains(part), "{}", fault.message);
            assert!(!fault.message.contains(&private));
        }
    }

    #[test]
    fn a_restored_key_pair_whose_halves_do_not_match_does_not_sign() {
        let pair = import(PUBLIC, PRIVATE).unwrap();
        let other = KeyPair::generate(NOW).unwrap();
        let corrupt = KeyPair::restore(*other.public_key(), 0, Zeroizing::new(*pair.private_key()));
        assert_eq!(corrupt.sign(b"", SignatureFormat::Der).unwrap_err().data.code, Code::InternalError);
    }

    #[test]
    fn debug_does_not_show_the_private_key() {
        let shown = format!("{:?}", import(PUBLIC, PRIVATE).unwrap());
        assert!(shown.contains(PUBLIC) && !shown.contains("d25d") && !shown.contains("210"), "{shown}");
    }
}
