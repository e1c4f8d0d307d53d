//! The records: what one session, or one key pair, looks like on disk. postcard, in the order of
//! the fields.

use std::borrow::Cow;

use keyfob_proto::{PublicKey, Secret, Session};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::vault::KeyPair;

/// No record is larger, in bytes.
pub const MAX_RECORD_BYTES: usize = 8 * 1024;

#[derive(Serialize, Deserialize)]
struct SessionRecord<'a> {
    token: &'a str,
    expiry: u64,
    expiration_seconds: &'a str,
    public_key: &'a [u8],
    session_type: &'a str,
    user_id: &'a str,
    organization_id: &'a str,
    session_profile_id: Option<&'a str>,
    scope: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct KeyPairRecord<'a> {
    created_at: u64,
    private_key: Cow<'a, [u8; KeyPair::PRIVATE_BYTES]>,
}

/// The record of a session.
#[must_use]
pub fn encode_session(session: &Session) -> Zeroizing<Vec<u8>> {
    let record = SessionRecord {
        token: session.token.expose(),
        expiry: session.expiry,
        expiration_seconds: &session.expiration_seconds,
        public_key: session.public_key.as_bytes(),
        session_type: &session.session_type,
        user_id: &session.user_id,
        organization_id: &session.organization_id,
        session_profile_id: session.session_profile_id.as_deref(),
        scope: session.scope.as_deref(),
    };
    encode(&record)
}

/// The session of a record.
///
/// # Errors
///
/// What the bytes are not.
pub fn decode_session(bytes: &[u8]) -> Result<Session, &'static str> {
    let record: SessionRecord<'_> = decode(bytes).ok_or("a session's record")?;
    Ok(Session {
        session_type: record.session_type.to_owned(),
        user_id: record.user_id.to_owned(),
        organization_id: record.organization_id.to_owned(),
        expiry: record.expiry,
        expiration_seconds: record.expiration_seconds.to_owned(),
        public_key: PublicKey::try_from(record.public_key).map_err(|_| "the public key in a session's record")?,
        token: Secret::new(record.token),
        session_profile_id: record.session_profile_id.map(str::to_owned),
        scope: record.scope.map(str::to_owned),
    })
}

/// The record of a key pair. Its public key is not part of it.
#[must_use]
pub fn encode_key_pair(pair: &KeyPair) -> Zeroizing<Vec<u8>> {
    let record = KeyPairRecord { created_at: pair.created_at(), private_key: Cow::Borrowed(pair.private_key()) };
    encode(&record)
}

/// The key pair of a record, under the public key that it was stored with. That the two halves match
/// is found out when it signs.
///
/// # Errors
///
/// What the bytes are not.
pub fn decode_key_pair(public_key: PublicKey, bytes: &[u8]) -> Result<KeyPair, &'static str> {
    let record: KeyPairRecord<'_> = decode(bytes).ok_or("a key pair's record")?;
    Ok(KeyPair::restore(public_key, record.created_at, Zeroizing::new(record.private_key.into_owned())))
}

fn encode(record: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; MAX_RECORD_BYTES]);
    let length = postcard::to_slice(record, &mut bytes).expect("a record is plain data of a bounded size").len();
    bytes.truncate(length);
    bytes
}

/// A record, if the bytes are one to the last.
fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}
