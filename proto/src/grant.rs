//! What a grant is called and what it permits: [`GrantName`], [`Permission`], [`Permissions`], [`Granted`].

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::SessionKey;
use crate::form::{text, wrong};

/// The longest name of a grant, in bytes.
pub const MAX_GRANT_NAME_BYTES: usize = 32;

/// The name of a grant: 1 to 32 lower-case letters, digits and hyphens, no hyphen first. It is part
/// of a file's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrantName(
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^[a-z0-9][a-z0-9-]{0,31}$")))]
    ArrayString<MAX_GRANT_NAME_BYTES>,
);

/// The text is not the name of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a grant is named by 1 to {MAX_GRANT_NAME_BYTES} lower-case letters, digits and hyphens, no hyphen first")]
pub struct GrantNameError;

impl GrantName {
    /// The name as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GrantName {
    type Err = GrantNameError;

    fn from_str(name: &str) -> Result<Self, GrantNameError> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.starts_with('-') || !name.bytes().all(is_good) {
            return Err(GrantNameError);
        }
        ArrayString::from(name).map(Self).map_err(|_| GrantNameError)
    }
}

impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantName({:?})", self.as_str())
    }
}

impl Serialize for GrantName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for GrantName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a string of 1 to 32 lower-case letters, digits and hyphens, no hyphen first", |name| {
            name.parse().ok()
        })
    }
}

/// One thing that may be done with the sessions of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Permission {
    /// Make the header that authenticates a request (`stamp`).
    Stamp,
    /// Sign bytes (`sign`). A stamp is a signature of bytes, too: neither gives more power than the other.
    Sign,
    /// Read sessions with their tokens (`getSession`, `getAllSessions`).
    Read,
    /// Store a login or a refresh under the granted names (`storeSession`), with the key pairs that this needs
    /// (`createApiKeyPair`, `deleteApiKeyPair`, `clearUnusedKeyPairs`), and make a session the active one there
    /// (`setActiveSession`).
    Store,
    /// Clear sessions with their key pairs (`clearSession`, `clearAllSessions`).
    Clear,
    /// Be told what happens to the sessions (`subscribe`).
    Watch,
}

impl Permission {
    /// Every permission of protocol 1.
    pub const ALL: &[Self] = &[Self::Stamp, Self::Sign, Self::Read, Self::Store, Self::Clear, Self::Watch];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stamp => "stamp",
            Self::Sign => "sign",
            Self::Read => "read",
            Self::Store => "store",
            Self::Clear => "clear",
            Self::Watch => "watch",
        }
    }

    /// This one and another.
    #[must_use]
    pub fn and(self, other: Self) -> Permissions {
        Permissions::from(self).and(other)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(name: &str) -> Result<Self, PermissionError> {
        Self::ALL.iter().find(|permission| permission.as_str() == name).copied().ok_or(PermissionError)
    }
}

/// The text is not the name of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a grant gives some of stamp, sign, read, store, clear and watch")]
pub struct PermissionError;

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORM: &str = r#""stamp", "sign", "read", "store", "clear" or "watch""#;
        text(deserializer, FORM, |name| name.parse().ok())
    }
}

/// Some permissions, at least one; on the wire an array.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Permissions(
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Permission>", length(min = 1)))] BTreeSet<Permission>,
);

impl Permissions {
    /// These permissions; none of it where there are none.
    #[must_use]
    pub fn new(permissions: impl IntoIterator<Item = Permission>) -> Option<Self> {
        let permissions = BTreeSet::from_iter(permissions);
        (!permissions.is_empty()).then_some(Self(permissions))
    }

    /// These and another.
    #[must_use]
    pub fn and(mut self, other: Permission) -> Self {
        self.0.insert(other);
        self
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }
}

impl From<Permission> for Permissions {
    fn from(permission: Permission) -> Self {
        Self(BTreeSet::from([permission]))
    }
}

impl fmt::Display for Permissions {
    /// Their names with commas in between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|permission| permission.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let permissions = Vec::<Permission>::deserialize(deserializer)?;
        Self::new(permissions).ok_or_else(|| wrong("an array of at least one permission"))
    }
}

/// What a connection may do that may not do everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(not(feature = "server"), non_exhaustive)]
pub struct Granted {
    /// What may be done.
    pub may: Permissions,
    /// With which sessions; absent: with all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_keys: Option<Vec<SessionKey>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_grant_is_good_for_a_file() {
        for name in ["a", "agent-7", "0", "x".repeat(32).as_str()] {
            assert_eq!(name.parse::<GrantName>().unwrap().as_str(), name);
        }
        for name in ["", "-a", "a/b", "..", "A", "a b", "é", "a\n", "x".repeat(33).as_str()] {
            assert_eq!(name.parse::<GrantName>(), Err(GrantNameError), "{name}");
        }
    }

    #[test]
    fn a_permission_is_read_by_its_name_and_said_in_one_order() {
        for permission in Permission::ALL {
            assert_eq!(serde_json::to_value(permission).unwrap(), permission.as_str());
            let form = serde_json::from_str::<Permission>("\"x\"").unwrap_err().to_string();
            assert!(form.contains(&format!("\"{permission}\"")), "{form}");
        }
        let read: Permissions = serde_json::from_str(r#"["watch","stamp","watch"]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["stamp","watch"]"#);
        assert!(serde_json::from_str::<Permissions>("[]").is_err());
    }
}
