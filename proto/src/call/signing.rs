//! Calls that sign inside the vault.

use serde::{Deserialize, Deserializer, Serialize};

use crate::call::{present, present_object};
use crate::form::{text, wrong};
use crate::{Payload, PublicKey, SessionKey};

/// Which key pair signs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Signer {
    /// That of the active session. On the wire: nothing.
    #[default]
    #[serde(skip)]
    Active,
    /// That of this session. On the wire: `{"sessionKey":…}`.
    #[serde(rename = "sessionKey")]
    Session(SessionKey),
    /// This one. On the wire: `{"publicKey":…}`.
    #[serde(rename = "publicKey")]
    KeyPair(PublicKey),
}

impl Signer {
    fn is_active(&self) -> bool {
        *self == Self::Active
    }
}

impl From<SessionKey> for Signer {
    fn from(key: SessionKey) -> Self {
        Self::Session(key)
    }
}

impl From<PublicKey> for Signer {
    fn from(key: PublicKey) -> Self {
        Self::KeyPair(key)
    }
}

impl<'de> Deserialize<'de> for Signer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Fields {
            #[serde(default, deserialize_with = "present")]
            session_key: Option<SessionKey>,
            #[serde(default, deserialize_with = "present")]
            public_key: Option<PublicKey>,
        }
        match present_object::<_, Fields>(deserializer)? {
            Some(Fields { session_key: Some(key), public_key: None }) => Ok(Self::Session(key)),
            Some(Fields { session_key: None, public_key: Some(key) }) => Ok(Self::KeyPair(key)),
            _ => Err(wrong("an object of either sessionKey or publicKey")),
        }
    }
}

/// Signs bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sign {
    /// What to sign: any bytes, in base64.
    pub payload: Payload,
    /// The key pair to sign with; absent: that of the active session.
    #[serde(default, skip_serializing_if = "Signer::is_active")]
    pub signer: Signer,
    /// How to write the signature; absent: `der`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SignatureFormat"))]
    pub format: Option<SignatureFormat>,
}

impl Sign {
    /// A signature in DER by the active session's key pair.
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        Self { payload, signer: Signer::Active, format: None }
    }
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SignatureFormat {
    /// ASN.1 DER, at most 72 bytes.
    #[default]
    Der,
    /// `r` and `s`, 32 bytes each, big-endian.
    Raw,
}

impl<'de> Deserialize<'de> for SignatureFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "\"der\" or \"raw\"", |format| match format {
            "der" => Some(Self::Der),
            "raw" => Some(Self::Raw),
            _ => None,
        })
    }
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Signed {
    /// The signature in lower-case hex.
    pub signature: String,
    /// The key pair that signed.
    pub public_key: PublicKey,
    /// The session that it signed for; null where a key pair was named.
    pub session_key: Option<SessionKey>,
}

/// Makes the header that authenticates a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stamp {
    /// The body of the request, in base64.
    pub payload: Payload,
    /// The key pair to sign with; absent: that of the active session.
    #[serde(default, skip_serializing_if = "Signer::is_active")]
    pub signer: Signer,
}

impl Stamp {
    /// A header by the active session's key pair.
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        Self { payload, signer: Signer::Active }
    }
}

/// A header for a request to Turnkey's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Stamped {
    /// The header's name: `X-Stamp`.
    pub stamp_header_name: String,
    /// The header's value: base64url without padding of
    /// `{"publicKey":…,"scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":…}`, the signature being
    /// DER in hex.
    pub stamp_header_value: String,
    /// The key pair that signed.
    pub public_key: PublicKey,
    /// The session that it signed for; null where a key pair was named.
    pub session_key: Option<SessionKey>,
}
