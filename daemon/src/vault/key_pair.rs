//! [`KeyPair`]: a P-256 key pair, and signing with it.

use data_encoding::HEXLOWER_PERMISSIVE;
use keyfob_proto::{Code, ExternalKeyPair, Fault, PublicKey, SignatureFormat, Signed, Stamped};
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;

use super::signature;
use crate::clock::Timestamp;
use crate::seal::{Depth, Key, OpenError, Scope, Sealed, Slot, VaultKeys, on_wiped_stack};

/// A key pair that was created or imported and is not yet in the vault.
#[derive(Debug)]
pub struct NewKeyPair {
    public_key: PublicKey,
    created_at: u64,
    private_key: Key,
}

/// An API key pair. Its private half is sealed and has no way out.
#[derive(Debug)]
pub struct KeyPair {
    public_key: PublicKey,
    created_at: u64,
    sealed: Sealed,
}

impl NewKeyPair {
    /// A fresh key pair.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<Self, Fault> {
        let no_randomness = |_| Fault::new(Code::InternalError, "the system has no randomness; try again");
        on_wiped_stack(Depth::Deep, || Ok(Self::new(&SigningKey::try_generate().map_err(no_randomness)?, now)))
    }

    /// A key pair that was created elsewhere.
    ///
    /// # Errors
    ///
    /// `INVALID_KEY_PAIR` when the private key is not one, or is not that of the public key.
    pub fn import(external: &ExternalKeyPair, now: Timestamp) -> Result<Self, Fault> {
        on_wiped_stack(Depth::Deep, || Self::read(external, now))
    }

    fn read(external: &ExternalKeyPair, now: Timestamp) -> Result<Self, Fault> {
        let wrong = |message: &str| Fault::new(Code::InvalidKeyPair, message).on_key_pair(external.public_key);
        let hex = external.private_key.expose().as_bytes();
        let private_key = Key::try_fill(|bytes| {
            let is_hex = hex.len() == 2 * bytes.len() && HEXLOWER_PERMISSIVE.decode_mut(hex, bytes).is_ok();
            is_hex.then_some(()).ok_or_else(|| wrong("the private key must be 64 hex characters"))
        })?;
        if !is_on_curve(&external.public_key) {
            return Err(wrong("the public key is not a point of P-256"));
        }
        let signing_key = SigningKey::from_slice(private_key.expose())
            .map_err(|_| wrong("the private key is not a scalar of P-256: it is 0 or not below the order"))?;
        let pair = Self::new(&signing_key, now);
        if pair.public_key == external.public_key {
            Ok(pair)
        } else {
            Err(wrong("the public key is not that of the private key"))
        }
    }

    fn new(signing_key: &SigningKey, now: Timestamp) -> Self {
        let private_key = Key::fill(|bytes| bytes.copy_from_slice(&signing_key.to_bytes()));
        Self { public_key: public_key_of(signing_key), created_at: now.secs(), private_key }
    }

    /// One of this name, which signs nothing.
    #[cfg(test)]
    pub(super) fn named(public_key: PublicKey, now: Timestamp) -> Self {
        Self { public_key, created_at: now.secs(), private_key: Key::fill(|_| ()) }
    }

    /// The key pair's name.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Seals it.
    pub(super) fn seal(&self, keys: &VaultKeys, scope: Scope, slot: Slot) -> KeyPair {
        let identity = identity(&self.public_key, self.created_at);
        let sealed = Sealed::new(keys, scope, slot, &identity, self.private_key.expose());
        KeyPair::restore(self.public_key, self.created_at, sealed)
    }
}

impl KeyPair {
    /// The key pair that a record holds. Whether it can be opened shows when it signs.
    #[must_use]
    pub fn restore(public_key: PublicKey, created_at: u64, sealed: Sealed) -> Self {
        Self { public_key, created_at, sealed }
    }

    /// The same key pair, sealed under another root key.
    #[must_use]
    pub(super) fn with_sealed(&self, sealed: Sealed) -> Self {
        Self::restore(self.public_key, self.created_at, sealed)
    }

    /// The same key pair, sealed in another scope.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the record is not what was stored.
    pub(super) fn reseal(&self, keys: &VaultKeys, (from, to): (Scope, Scope), slot: Slot) -> Result<Self, Fault> {
        let identity = identity(&self.public_key, self.created_at);
        let reseal = |plain: &[u8]| Sealed::new(keys, to, slot, &identity, plain);
        Ok(self.with_sealed(self.sealed.open(Some(keys), from, &identity, reseal)?))
    }

    /// Whether it opens with these keys; `None` where its slot is damaged.
    pub(super) fn check(&self, keys: &VaultKeys, scope: Scope) -> Option<bool> {
        let identity = identity(&self.public_key, self.created_at);
        match self.sealed.open(Some(keys), scope, &identity, |_| ()) {
            Err(OpenError::SlotDamaged) => None,
            opened => Some(opened.is_ok()),
        }
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

    /// Signs bytes. Call it in [`on_wiped_stack`].
    ///
    /// # Errors
    ///
    /// `VAULT_LOCKED`; `INTERNAL_ERROR` when the record is not what was stored.
    pub fn sign(
        &self,
        keys: Option<&VaultKeys>,
        scope: Scope,
        payload: &[u8],
        format: SignatureFormat,
    ) -> Result<Signed, Fault> {
        let signature = signature::encode(&self.signature(keys, scope, payload)?, format);
        Ok(Signed { signature, public_key: self.public_key })
    }

    /// Makes Turnkey's request header for a body. Call it in [`on_wiped_stack`].
    ///
    /// # Errors
    ///
    /// As [`KeyPair::sign`].
    pub fn stamp(&self, keys: Option<&VaultKeys>, scope: Scope, payload: &[u8]) -> Result<Stamped, Fault> {
        Ok(signature::stamp(&self.signature(keys, scope, payload)?, &self.public_key))
    }

    fn signature(&self, keys: Option<&VaultKeys>, scope: Scope, payload: &[u8]) -> Result<Signature, Fault> {
        let identity = identity(&self.public_key, self.created_at);
        let signature = self.sealed.open(keys, scope, &identity, |private_key| signature::sign(private_key, payload));
        let signature = signature.and_then(|signature| signature.ok_or(OpenError::Altered));
        signature.map_err(|error| Fault::from(error).on_key_pair(self.public_key))
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
    use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
    use keyfob_proto::Secret;
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::{Signer, Verifier};

    use super::*;
    use crate::seal::StoredSlot;
    use crate::seal::tests::keys;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const PUBLIC: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";
    const PRIVATE: &str = "d25db12f04aa1ff4a12409efb1e19e5cbbc904b0ac1ba0021a905945c8c66927";

    fn import(public: &str, private: &str) -> Result<KeyPair, Fault> {
        let external = ExternalKeyPair { public_key: public.parse().unwrap(), private_key: Secret::new(private) };
        Ok(NewKeyPair::import(&external, NOW)?.seal(&keys(1), Scope::Unused, Slot::fresh(0)))
    }

    #[test]
    fn an_imported_key_pair_signs_so_that_its_public_key_verifies() {
        let pair = import(PUBLIC, PRIVATE).unwrap();
        let signed = pair.sign(Some(&keys(1)), Scope::Unused, b"payload", SignatureFormat::Der).unwrap();
        let der = HEXLOWER.decode(signed.signature.as_bytes()).unwrap();
        let verifying_key = VerifyingKey::from_sec1_bytes(signed.public_key.as_bytes()).unwrap();
        verifying_key.verify(b"payload", &Signature::from_der(&der).unwrap()).unwrap();

        let raw = pair.sign(Some(&keys(1)), Scope::Unused, b"payload", SignatureFormat::Raw).unwrap().signature;
        assert_eq!(raw.len(), 128);
        let same = Signature::from_slice(&HEXLOWER.decode(raw.as_bytes()).unwrap()).unwrap();
        assert_eq!(same.to_der().as_bytes(), der, "RFC 6979: the same payload, the same signature");
        let signing_key = SigningKey::from_slice(&HEXLOWER.decode(PRIVATE.as_bytes()).unwrap()).unwrap();
        let expected: Signature = signing_key.sign(b"payload");
        assert_eq!(expected.to_der().as_bytes(), der, "as p256's own key signs");
    }

    #[test]
    fn a_stamp_is_turnkeys_header_to_the_letter() {
        let stamped = import(PUBLIC, PRIVATE).unwrap().stamp(Some(&keys(1)), Scope::Unused, b"{}").unwrap();
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
        let keys = keys(1);
        let slot = Slot::fresh(0);
        let bytes = slot.to_bytes();
        let pair = NewKeyPair::generate(NOW).unwrap().seal(&keys, Scope::Unused, slot);
        let other = *NewKeyPair::generate(NOW).unwrap().public_key();
        let ciphertext = pair.sealed().ciphertext();
        let mut altered = ciphertext.to_vec();
        altered[0] ^= 1;
        let restored = |key, created_at, ciphertext: &[u8]| {
            let StoredSlot::Whole(slot) = Slot::read(0, &bytes) else { panic!("it is whole") };
            let sealed = Sealed::stored(0, slot.id(), Some(slot), pair.sealed().nonce(), ciphertext);
            KeyPair::restore(key, created_at, sealed).stamp(Some(&keys), Scope::Unused, b"")
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
    fn debug_does_not_show_the_private_key() {
        let shown = format!("{:?}", import(PUBLIC, PRIVATE).unwrap());
        assert!(shown.contains(PUBLIC) && !shown.contains("d25d") && !shown.contains("210"), "{shown}");
    }
}
