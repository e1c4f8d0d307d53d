//! [`KeyPair`]: a P-256 key pair, and signing with it.

use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use keyfob_proto::{Code, ExternalKeyPair, Fault, PublicKey, SignatureFormat, Signed, Stamped};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use p256::elliptic_curve::Generate;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::seal::{Locked, OpenError, Scope, Sealed, Slot, Supply};

/// The length of a private scalar in bytes.
const PRIVATE_BYTES: usize = 32;

/// A key pair that was created or imported and is not yet in the vault.
#[derive(Debug)]
pub struct NewKeyPair {
    public_key: PublicKey,
    created_at: u64,
    private_key: PrivateKey,
}

/// An API key pair. Its private half is sealed and has no way out.
pub struct KeyPair {
    public_key: PublicKey,
    created_at: u64,
    sealed: Sealed,
    /// Made at the first signature: deriving the public half costs as much as signing, and most key pairs are
    /// not used at once.
    signing_key: RwLock<Option<Arc<SigningKey>>>,
}

/// A private scalar.
struct PrivateKey(Zeroizing<[u8; PRIVATE_BYTES]>);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

impl NewKeyPair {
    /// A fresh key pair.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<Self, Fault> {
        let no_randomness = |_| Fault::new(Code::InternalError, "the system has no randomness; try again");
        Ok(Self::new(&SigningKey::try_generate().map_err(no_randomness)?, now))
    }

    /// A key pair that was created elsewhere.
    ///
    /// # Errors
    ///
    /// `INVALID_KEY_PAIR` when the private key is not one, or is not that of the public key.
    pub fn import(external: &ExternalKeyPair, now: Timestamp) -> Result<Self, Fault> {
        let wrong = |message: &str| Fault::new(Code::InvalidKeyPair, message).on_key_pair(external.public_key);
        let mut private_key = Zeroizing::new([0; PRIVATE_BYTES]);
        let hex = external.private_key.expose().as_bytes();
        if hex.len() != 2 * PRIVATE_BYTES || HEXLOWER_PERMISSIVE.decode_mut(hex, &mut *private_key).is_err() {
            return Err(wrong("the private key must be 64 hex characters"));
        }
        if !is_on_curve(&external.public_key) {
            return Err(wrong("the public key is not a point of P-256"));
        }
        let signing_key = SigningKey::from_slice(&*private_key)
            .map_err(|_| wrong("the private key is not a scalar of P-256: it is 0 or not below the order"))?;
        let pair = Self::new(&signing_key, now);
        if pair.public_key == external.public_key {
            Ok(pair)
        } else {
            Err(wrong("the public key is not that of the private key"))
        }
    }

    fn new(signing_key: &SigningKey, now: Timestamp) -> Self {
        // `to_bytes` returns an array that is not scrubbed: it must not outlive this line.
        let private_key = PrivateKey(Zeroizing::new(Zeroizing::new(signing_key.to_bytes()).0));
        Self { public_key: public_key_of(signing_key), created_at: now.secs(), private_key }
    }

    /// One of this name, which signs nothing.
    #[cfg(test)]
    pub(super) fn named(public_key: PublicKey, now: Timestamp) -> Self {
        Self { public_key, created_at: now.secs(), private_key: PrivateKey(Zeroizing::new([0; PRIVATE_BYTES])) }
    }

    /// The key pair's name.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Seals it.
    ///
    /// # Errors
    ///
    /// [`Locked`].
    pub(super) fn seal(&self, scope: &Arc<Scope>, slot: Slot) -> Result<KeyPair, Locked> {
        let identity = identity(&self.public_key, self.created_at);
        let sealed = Sealed::new(scope, slot, &identity, &*self.private_key.0)?;
        Ok(KeyPair::restore(self.public_key, self.created_at, sealed))
    }
}

impl KeyPair {
    /// The key pair that a record holds. Whether it can be opened, and whether its halves match, shows when it
    /// signs.
    #[must_use]
    pub fn restore(public_key: PublicKey, created_at: u64, sealed: Sealed) -> Self {
        Self { public_key, created_at, sealed, signing_key: RwLock::new(None) }
    }

    /// The same key pair, sealed in another scope. Takes a slot only if it can be opened.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`; `INTERNAL_ERROR` when the record is not what was stored.
    pub(super) fn reseal(&self, scope: &Arc<Scope>, supply: &mut Supply) -> Result<Self, Fault> {
        let identity = identity(&self.public_key, self.created_at);
        let sealed = self.sealed.open(&identity, |plain| -> Result<_, Fault> {
            Ok(Sealed::new(scope, supply.slot()?, &identity, plain)?)
        })??;
        Ok(Self::restore(self.public_key, self.created_at, sealed))
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

    /// What the store keeps of it.
    #[must_use]
    pub fn sealed(&self) -> &Sealed {
        &self.sealed
    }

    /// Lets go of what a signature left in memory. Nothing brings it back once the vault is locked.
    pub(crate) fn forget(&self) {
        *self.signing_key.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn signing_key(&self) -> Result<Arc<SigningKey>, OpenError> {
        if let Some(key) = &*self.signing_key.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(key));
        }
        // Kept before the vault can be locked, so that locking forgets this one too.
        self.sealed.open(&identity(&self.public_key, self.created_at), |plain| {
            let key = SigningKey::from_slice(plain).map_err(|_| OpenError::Altered)?;
            if public_key_of(&key) != self.public_key {
                return Err(OpenError::Altered);
            }
            let key = Arc::new(key);
            *self.signing_key.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
            Ok(key)
        })?
    }

    fn signature(&self, payload: &[u8]) -> Result<Signature, Fault> {
        let key = self.signing_key().map_err(|error| Fault::from(error).on_key_pair(self.public_key))?;
        // RFC 6979, SHA-256, no low-S normalisation: as the SDK does.
        Ok(key.sign(payload))
    }

    /// Signs bytes.
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`; `INTERNAL_ERROR` when the record is not what was stored.
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
    /// As [`KeyPair::sign`].
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

/// What the private key belongs to: format 1, a key pair, its age, its name.
fn identity(public_key: &PublicKey, created_at: u64) -> Vec<u8> {
    [b"\x01k", created_at.to_be_bytes().as_slice(), public_key.as_bytes()].concat()
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
    use crate::seal::tests::{scope, slot};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const PUBLIC: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";
    const PRIVATE: &str = "d25db12f04aa1ff4a12409efb1e19e5cbbc904b0ac1ba0021a905945c8c66927";

    fn import(public: &str, private: &str) -> Result<KeyPair, Fault> {
        let external = ExternalKeyPair { public_key: public.parse().unwrap(), private_key: Secret::new(private) };
        Ok(NewKeyPair::import(&external, NOW)?.seal(&scope(1), slot(0, 1)).unwrap())
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
        let other = NewKeyPair::generate(NOW).unwrap().public_key().to_string();
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
    fn a_key_pair_whose_record_was_altered_or_swapped_does_not_sign() {
        let scope = scope(1);
        let pair = NewKeyPair::generate(NOW).unwrap().seal(&scope, slot(0, 1)).unwrap();
        let other = *NewKeyPair::generate(NOW).unwrap().public_key();
        let ciphertext = pair.sealed().ciphertext();
        let mut altered = ciphertext.to_vec();
        altered[0] ^= 1;
        let restored = |key, created_at, ciphertext| {
            KeyPair::restore(key, created_at, Sealed::stored(&scope, slot(0, 1), ciphertext)).stamp(b"")
        };
        assert!(restored(*pair.public_key(), pair.created_at(), ciphertext).is_ok());
        for swapped in [
            restored(other, pair.created_at(), ciphertext),
            restored(*pair.public_key(), 0, ciphertext),
            restored(*pair.public_key(), pair.created_at(), &altered),
        ] {
            assert_eq!(swapped.unwrap_err().data.code, Code::InternalError);
        }
    }

    #[test]
    fn a_key_pair_that_has_signed_forgets_its_key_when_the_vault_is_locked() {
        let scope = scope(1);
        let pair = NewKeyPair::generate(NOW).unwrap().seal(&scope, slot(0, 1)).unwrap();
        pair.stamp(b"").unwrap();
        scope.lock();
        pair.forget();
        assert_eq!(pair.stamp(b"").unwrap_err().data.code, Code::VaultLocked);
    }

    #[test]
    fn debug_does_not_show_the_private_key() {
        let shown = format!("{:?}", import(PUBLIC, PRIVATE).unwrap());
        assert!(shown.contains(PUBLIC) && !shown.contains("d25d") && !shown.contains("210"), "{shown}");
    }
}
