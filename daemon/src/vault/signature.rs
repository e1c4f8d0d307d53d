//! Signing with a private scalar.

use data_encoding::HEXLOWER;
use ecdsa::hazmat::sign_prehashed_rfc6979;
use keyfob_proto::SignatureFormat;
use p256::ecdsa::Signature;
use p256::{NistP256, NonZeroScalar};
use sha2::{Digest, Sha256};

/// Signs bytes with a private scalar, unless it is none: ECDSA over SHA-256 with RFC 6979 and no low-S normalisation, as
/// the SDK does. Nothing is derived from the scalar first: its public half would cost as much as the signature.
pub(super) fn sign(private_key: &[u8], payload: &[u8]) -> Option<Signature> {
    let scalar = NonZeroScalar::try_from(private_key).ok()?;
    let signature = sign_prehashed_rfc6979::<NistP256, Sha256>(&scalar, &Sha256::digest(payload), &[]).0;
    let mut scalar = scalar;
    zeroize::Zeroize::zeroize(&mut scalar);
    Some(signature)
}

/// A signature in hex.
pub(super) fn encode(signature: &Signature, format: SignatureFormat) -> String {
    match format {
        SignatureFormat::Der => HEXLOWER.encode(signature.to_der().as_bytes()),
        SignatureFormat::Raw => HEXLOWER.encode(&signature.to_bytes()),
    }
}
