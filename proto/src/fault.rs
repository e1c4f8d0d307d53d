//! [`Fault`]: why a call failed. Its [`Code`] is the contract; its message is for people.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Granted, PublicKey, SessionKey};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $number:literal;)+) => {
        /// What kind of fault it is: stable, upper case, the same for every version of protocol 1.
        /// Where one fits it is the code of Turnkey's SDK (`TurnkeyErrorCodes`).
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
            /// A code that this version does not know, from a newer daemon.
            Other(String),
        }

        impl Code {
            /// Every code of protocol 1, in the order of the documentation.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// The code as it travels in `data.code`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Code::$name => $text,)+
                    Code::Other(text) => text,
                }
            }

            /// The JSON-RPC error number that goes with the code: a standard one, or `-32000` for
            /// the vault's own.
            #[must_use]
            pub fn number(&self) -> i32 {
                match self {
                    $(Code::$name => $number,)+
                    Code::Other(_) => -32000,
                }
            }

            /// One line on what the code means, for reference pages.
            #[must_use]
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Code::$name => concat!($($doc),+).trim_ascii(),)+
                    Code::Other(_) => "a code of a newer daemon",
                }
            }
        }

        impl From<String> for Code {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($text => Code::$name,)+
                    _ => Code::Other(text),
                }
            }
        }
    };
}

codes! {
    /// The line is not one JSON text in UTF-8, or it is over 4 MiB.
    ParseError = "PARSE_ERROR", -32700;
    /// The line is JSON but not a JSON-RPC 2.0 request.
    InvalidRequest = "INVALID_REQUEST", -32600;
    /// The protocol has no such method.
    MethodNotFound = "METHOD_NOT_FOUND", -32601;
    /// A parameter is missing, unknown, or not of its form; `data.method` and, unless it is unknown,
    /// `data.field` name it.
    InvalidParams = "INVALID_PARAMS", -32602;
    /// The daemon failed in a way that it should not; its log says more.
    InternalError = "INTERNAL_ERROR", -32603;
    /// There is no such session.
    NotFound = "NOT_FOUND", -32000;
    /// The vault does not have that key pair.
    KeyPairNotFound = "KEY_PAIR_NOT_FOUND", -32000;
    /// Another session is there than the caller expected: somebody stored or cleared it meanwhile. Nothing was changed.
    /// `data.publicKey` names the key pair of the one that is there, if there is one.
    Conflict = "CONFLICT", -32000;
    /// No session is active, or there is none at all.
    NoSessionFound = "NO_SESSION_FOUND", -32000;
    /// The session token cannot be read, or lacks a claim; `data.field` names the claim at fault.
    InvalidToken = "INVALID_TOKEN", -32000;
    /// The session, or the session token, has expired: log in again. `data.expiry` says when.
    SessionExpired = "SESSION_EXPIRED", -32000;
    /// The key is not on the curve, or its halves do not match.
    InvalidKeyPair = "INVALID_KEY_PAIR", -32000;
    /// A session names the key pair: clear the session first.
    KeyPairInUse = "KEY_PAIR_IN_USE", -32000;
    /// The vault is locked: unlock it first.
    VaultLocked = "VAULT_LOCKED", -32000;
    /// The passphrase is not the vault's.
    WrongPassphrase = "WRONG_PASSPHRASE", -32000;
    /// A wrong passphrase was given just before; `data.retryAfterSeconds` says when to try again.
    UnlockDelayed = "UNLOCK_DELAYED", -32000;
    /// The key file, keyring or credential that the wrapping key comes from cannot be read, or is not the vault's; or the
    /// vault's root key is not that of its records.
    KeyUnavailable = "KEY_UNAVAILABLE", -32000;
    /// The disk is full, and nothing was changed; or it failed, and nothing more is stored until the daemon is restarted.
    /// Reads and removals go on. The message says what is known of the call.
    StorageError = "STORAGE_ERROR", -32000;
    /// That is not for this user, or not part of this grant: `data.granted` says what is. Or the daemon does not serve the
    /// user at all, and closes the connection.
    AccessDenied = "ACCESS_DENIED", -32000;
    /// There is no such grant.
    GrantNotFound = "GRANT_NOT_FOUND", -32000;
    /// There is a grant of that name.
    GrantExists = "GRANT_EXISTS", -32000;
    /// The socket of a grant cannot be made at that path; the message says why.
    SocketUnavailable = "SOCKET_UNAVAILABLE", -32000;
    /// A user, a grant or the vault has as much of something as it may; `data.limit` says of what.
    LimitReached = "LIMIT_REACHED", -32000;
    /// The daemon serves as many connections as it may; close one.
    TooManyConnections = "TOO_MANY_CONNECTIONS", -32000;
    /// A line was begun and not ended in time; the connection is closed.
    LineTimeout = "LINE_TIMEOUT", -32000;
    /// The daemon is shutting down; the call had no effect.
    ShuttingDown = "SHUTTING_DOWN", -32000;
    /// The daemon could not start, and the message says why. Somebody else, such as systemd, listens on its socket: the
    /// next connection is another try.
    NotStarted = "NOT_STARTED", -32000;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The error object of a JSON-RPC response.
///
/// It never holds a secret, and never text of the request other than the name of a session or of a
/// key pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Fault {
    /// The number that goes with the code, see [`Code::number`].
    #[serde(rename = "code")]
    pub number: i32,
    /// What happened and what to do next, for people. Never parse it.
    pub message: String,
    /// What programs read.
    pub data: Box<FaultData>,
}

/// The part of a fault that programs read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct FaultData {
    /// What kind of fault it is: the contract.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub code: Code,
    /// The session concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<SessionKey>,
    /// The key pair concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// The method concerned, when its parameters are at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The parameter at fault, or the claim of the session token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When the session expired, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<u64>,
    /// How long to wait before the same call may succeed, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// What this connection may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// What there is as much of as may be: `keyPairs`, `sessions`, `bytes`, `callsPerSecond`, `uses` or `grants`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

impl Fault {
    /// A fault with its code and a message that says what to do next.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let data = FaultData {
            code,
            session_key: None,
            public_key: None,
            method: None,
            field: None,
            expiry: None,
            retry_after_seconds: None,
            granted: None,
            limit: None,
        };
        Self { number: data.code.number(), message: message.into(), data: Box::new(data) }
    }

    /// Names the session concerned.
    #[must_use]
    pub fn on_session(mut self, key: &SessionKey) -> Self {
        self.data.session_key = Some(key.clone());
        self
    }

    /// Names the key pair concerned.
    #[must_use]
    pub fn on_key_pair(mut self, key: PublicKey) -> Self {
        self.data.public_key = Some(key);
        self
    }

    /// Says when the session expired, in seconds since the Unix epoch.
    #[must_use]
    pub fn expired_at(mut self, expiry: u64) -> Self {
        self.data.expiry = Some(expiry);
        self
    }

    /// Says how long to wait, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.data.retry_after_seconds = Some(seconds);
        self
    }

    /// Says what the connection may do instead.
    #[must_use]
    pub fn granting(mut self, granted: Granted) -> Self {
        self.data.granted = Some(granted);
        self
    }

    /// Names what there is as much of as may be.
    #[must_use]
    pub fn on_limit(mut self, limit: &'static str) -> Self {
        self.data.limit = Some(limit.to_owned());
        self
    }

    /// Names the method and, if it is known, the parameter at fault.
    #[must_use]
    pub fn on_params(mut self, method: &'static str, field: Option<&str>) -> Self {
        self.data.method = Some(method.to_owned());
        self.data.field = field.map(str::to_owned);
        self
    }

    /// Names the parameter at fault, or the claim.
    #[must_use]
    pub fn on_field(mut self, field: &'static str) -> Self {
        self.data.field = Some(field.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire_and_an_unknown_one_is_kept() {
        for code in Code::ALL {
            assert_eq!(&Code::from(code.as_str().to_owned()), code);
        }
        let newer: Code = serde_json::from_str(r#""TOO_HOT""#).unwrap();
        assert_eq!(newer, Code::Other("TOO_HOT".to_owned()));
        assert_eq!(newer.as_str(), "TOO_HOT");
    }

    #[test]
    fn fields_of_a_newer_daemon_are_ignored() {
        let json = r#"{"code":-32000,"message":"m","data":{"code":"NOT_FOUND","hint":1},"more":2}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(fault, Fault::new(Code::NotFound, "m"));
    }
}
