//! Calls that sign inside the vault.

use serde::{Deserialize, Serialize};

use crate::call::present;
use crate::{Payload, PublicKey, SessionKey};

/// Signs bytes. Which key pair: the one that `public_key` names, or that of the session that
/// `session_key` names (not both), or that of the active session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sign {
    /// What to sign: any bytes, in base64.
    pub payload: Payload,
    /// The key pair to sign with.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "PublicKey"))]
    pub public_key: Option<PublicKey>,
    /// The session to sign for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
    /// How to write the signature; absent: `der`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SignatureFormat"))]
    pub format: Option<SignatureFormat>,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SignatureFormat {
    /// ASN.1 DER, at most 72 bytes.
    #[default]
    Der,
    /// `r` and `s`, 32 bytes each, big-endian.
    Raw,
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signed {
    /// The signature in lower-case hex.
    pub signature: String,
    /// The key pair that signed.
    pub public_key: PublicKey,
}

/// Makes the header that authenticates a request. Which key pair: as for [`Sign`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stamp {
    /// The body of the request, in base64.
    pub payload: Payload,
    /// The key pair to sign with.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "PublicKey"))]
    pub public_key: Option<PublicKey>,
    /// The session to sign for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "SessionKey"))]
    pub session_key: Option<SessionKey>,
}

/// A header for a request to Turnkey's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stamped {
    /// The header's name: `X-Stamp`.
    pub stamp_header_name: String,
    /// The header's value: base64url without padding of
    /// `{"publicKey":…,"scheme":"SIGNATURE_SCHEME_TK_API_P256","signature":…}`, the signature being
    /// DER in hex.
    pub stamp_header_value: String,
}
