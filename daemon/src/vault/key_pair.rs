//! [`KeyPair`]: a P-256 key pair, and signing with it.

use data_encoding::HEXLOWER_PERMISSIVE;
use keyfob_proto::{Code, CreateApiKeyPair, ExternalKeyPair, Fault, PublicKey};
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;

use super::facts::KeyPairFacts;
use super::signature;
use crate::clock::Timestamp;
use crate::seal::{Depth, Key, OpenError, Scope, Sealed, Slot, VaultKeys, on_wiped_stack};

/// A key pair that was created or imported and is not yet in the vault.
#[derive(Debug)]
pub struct NewKeyPair {
    facts: KeyPairFacts,
    private_key: Key,
}

/// An API key pair. Its private half is sealed and has no way out.
#[derive(Debug)]
pub struct KeyPair {
    facts: KeyPairFacts,
    sealed: Sealed,
}

impl NewKeyPair {
    /// The key pair that a call asks for.
    ///
    /// # Errors
    ///
    /// `INVALID_KEY_PAIR` when it is one from elsewhere whose private key is none, or is not that of the public key;
    /// `INTERNAL_ERROR` when the system has no randomness to give.
    pub fn of(call: &CreateApiKeyPair, now: Timestamp) -> Result<Self, Fault> {
        let mut pair = match &call.external_key_pair {
            Some(external) => on_wiped_stack(Depth::Deep, || Self::read(external, now))?,
            None => Self::generate(now)?,
        };
        (pair.facts.kept, pair.facts.label) = (call.keep, call.label.clone());
        Ok(pair)
    }

    /// A fresh key pair, not to be kept.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<Self, Fault> {
        let no_randomness = |_| Fault::new(Code::InternalError, "the system has no randomness; try again");
        on_wiped_stack(Depth::Deep, || Ok(Self::new(&SigningKey::try_generate().map_err(no_randomness)?, now)))
    }

    fn read(external: &ExternalKeyPair, now: Timestamp) -> Result<Self, Fault> {
        let wrong = |message: &str| Fault::new(Code::InvalidKeyPair, message).on_key_pair(external.public_key);
        let hex = external.private_key.expose().as_bytes();
        let private_key = Key::try_fill(|bytes| {
            let is_hex = hex.len() == 2 * bytes.len() && HEXLOWER_PERMISSIVE.decode_mut(hex, bytes).is_ok();
            let not_hex = || wrong("the private key must be 64 hex characters").on_field("externalKeyPair.privateKey");
            is_hex.then_some(()).ok_or_else(not_hex)
        })?;
        if !is_on_curve(&external.public_key) {
            return Err(wrong("the public key is not a point of P-256"));
        }
        let signing_key = SigningKey::from_slice(private_key.expose())
            .map_err(|_| wrong("the private key is not a scalar of P-256: it is 0 or not below the order"))?;
        let pair = Self::new(&signing_key, now);
        if pair.facts.public_key == external.public_key {
            Ok(pair)
        } else {
            Err(wrong("the public key is not that of the private key"))
        }
    }

    fn new(signing_key: &SigningKey, now: Timestamp) -> Self {
        let private_key = Key::fill(|bytes| bytes.copy_from_slice(&signing_key.to_bytes()));
        Self { facts: facts(public_key_of(signing_key), now), private_key }
    }

    /// One of this name, which signs nothing.
    #[cfg(test)]
    pub(super) fn named(public_key: PublicKey, now: Timestamp) -> Self {
        Self { facts: facts(public_key, now), private_key: Key::fill(|_| ()) }
    }

    /// One that is to be kept.
    #[cfg(test)]
    pub(super) fn kept(mut self) -> Self {
        self.facts.kept = true;
        self
    }

    /// Its name.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.facts.public_key
    }

    /// What is known of it.
    #[must_use]
    pub fn facts(&self) -> &KeyPairFacts {
        &self.facts
    }

    /// Seals it, with these facts.
    pub(super) fn seal(&self, facts: KeyPairFacts, keys: &VaultKeys, scope: Scope, slot: Slot) -> KeyPair {
        let sealed = Sealed::new(keys, scope, slot, &facts.identity(), self.private_key.expose());
        KeyPair::restore(facts, sealed)
    }
}

impl KeyPair {
    /// The key pair that a record holds. Whether it can be opened shows when it signs.
    #[must_use]
    pub fn restore(facts: KeyPairFacts, sealed: Sealed) -> Self {
        Self { facts, sealed }
    }

    /// The same key pair, sealed under another root key.
    #[must_use]
    pub(super) fn with_sealed(&self, sealed: Sealed) -> Self {
        Self::restore(self.facts.clone(), sealed)
    }

    /// The same key pair as that of a session: sealed in the scope of those, and kept no longer.
    ///
    /// # Errors
    ///
    /// `INTERNAL_ERROR` when the record is not what was stored.
    pub(super) fn taken_into_use(&self, keys: &VaultKeys, slot: Slot) -> Result<Self, Fault> {
        let facts = KeyPairFacts { kept: false, ..self.facts.clone() };
        let reseal = |plain: &[u8]| Sealed::new(keys, Scope::InUse, slot, &facts.identity(), plain);
        let sealed = self.sealed.open(Some(keys), Scope::Unused, &self.facts.identity(), reseal)?;
        Ok(Self::restore(facts, sealed))
    }

    /// Whether it opens with these keys; `None` where its slot is damaged.
    pub(super) fn check(&self, keys: &VaultKeys, scope: Scope) -> Option<bool> {
        match self.sealed.open(Some(keys), scope, &self.facts.identity(), |_| ()) {
            Err(OpenError::SlotDamaged) => None,
            opened => Some(opened.is_ok()),
        }
    }

    /// The key pair's name.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.facts.public_key
    }

    /// What is known of it without opening it.
    #[must_use]
    pub fn facts(&self) -> &KeyPairFacts {
        &self.facts
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
    pub(super) fn sign(&self, keys: Option<&VaultKeys>, scope: Scope, payload: &[u8]) -> Result<Signature, Fault> {
        let identity = self.facts.identity();
        let signature = self.sealed.open(keys, scope, &identity, |private_key| signature::sign(private_key, payload));
        let signature = signature.and_then(|signature| signature.ok_or(OpenError::Altered));
        signature.map_err(|error| Fault::from(error).on_key_pair(self.facts.public_key))
    }
}

/// The facts of a key pair that has just come, and is not kept.
fn facts(public_key: PublicKey, now: Timestamp) -> KeyPairFacts {
    KeyPairFacts { public_key, created_at: now.secs(), kept: false, label: None }
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
    use keyfob_proto::{Label, Secret, SignatureFormat};
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::{Signer, Verifier};

    use super::super::chosen::Chosen;
    use super::*;
    use crate::seal::StoredSlot;
    use crate::seal::tests::keys;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const PUBLIC: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";
    const PRIVATE: &str = "d25db12f04aa1ff4a12409efb1e19e5cbbc904b0ac1ba0021a905945c8c66927";

    fn import(public: &str, private: &str) -> Result<KeyPair, Fault> {
        let external = ExternalKeyPair { public_key: public.parse().unwrap(), private_key: Secret::new(private) };
        let call = CreateApiKeyPair { external_key_pair: Some(external), ..CreateApiKeyPair::default() };
        let pair = NewKeyPair::of(&call, NOW)?;
        Ok(pair.seal(pair.facts().clone(), &keys(1), Scope::Unused, Slot::fresh(0)))
    }

    fn chosen(pair: &KeyPair) -> Chosen<'_> {
        Chosen { pair, scope: Scope::Unused, session_key: None }
    }

    #[test]
    fn an_imported_key_pair_signs_so_that_its_public_key_verifies() {
        let pair = import(PUBLIC, PRIVATE).unwrap();
        let signed = chosen(&pair).sign(Some(&keys(1)), b"payload", SignatureFormat::Der).unwrap();
        let der = HEXLOWER.decode(signed.signature.as_bytes()).unwrap();
        let verifying_key = VerifyingKey::from_sec1_bytes(signed.public_key.as_bytes()).unwrap();
        verifying_key.verify(b"payload", &Signature::from_der(&der).unwrap()).unwrap();

        let raw = chosen(&pair).sign(Some(&keys(1)), b"payload", SignatureFormat::Raw).unwrap().signature;
        assert_eq!(raw.len(), 128);
        let same = Signature::from_slice(&HEXLOWER.decode(raw.as_bytes()).unwrap()).unwrap();
        assert_eq!(same.to_der().as_bytes(), der, "RFC 6979: the same payload, the same signature");
        let signing_key = SigningKey::from_slice(&HEXLOWER.decode(PRIVATE.as_bytes()).unwrap()).unwrap();
        let expected: Signature = signing_key.sign(b"payload");
        assert_eq!(expected.to_der().as_bytes(), der, "as p256's own key signs");
    }

    #[test]
    fn a_stamp_is_turnkeys_header_to_the_letter() {
        let stamped = chosen(&import(PUBLIC, PRIVATE).unwrap()).stamp(Some(&keys(1)), b"{}").unwrap();
        assert_eq!(stamped.public_key.to_string(), PUBLIC);
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
        let new = NewKeyPair::generate(NOW).unwrap();
        let facts = new.facts().clone();
        let pair = new.seal(facts.clone(), &keys, Scope::Unused, slot);
        let other = *NewKeyPair::generate(NOW).unwrap().public_key();
        let ciphertext = pair.sealed().ciphertext();
        let mut altered = ciphertext.to_vec();
        altered[0] ^= 1;
        let restored = |facts: KeyPairFacts, ciphertext: &[u8]| {
            let StoredSlot::Whole(slot) = Slot::read(0, &bytes) else { panic!("it is whole") };
            let sealed = Sealed::stored(0, slot.id(), Some(slot), pair.sealed().nonce(), ciphertext);
            chosen(&KeyPair::restore(facts, sealed)).stamp(Some(&keys), b"")
        };
        assert!(restored(facts.clone(), ciphertext).is_ok());
        let label: Label = "x".parse().unwrap();
        for swapped in [
            restored(KeyPairFacts { public_key: other, ..facts.clone() }, ciphertext),
            restored(KeyPairFacts { created_at: 0, ..facts.clone() }, ciphertext),
            restored(KeyPairFacts { kept: true, ..facts.clone() }, ciphertext),
            restored(KeyPairFacts { label: Some(label), ..facts.clone() }, ciphertext),
            restored(facts, &altered),
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
