//! [`Label`]: what people call a key pair.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::form::text;

/// The longest label, in bytes of UTF-8.
pub const MAX_LABEL_BYTES: usize = 128;

/// What people call a key pair: any non-empty UTF-8 string of at most [`MAX_LABEL_BYTES`]. It identifies nothing: two key
/// pairs may have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Label(#[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 128)))] Box<str>);

/// The string is empty or longer than [`MAX_LABEL_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label is 1 to {MAX_LABEL_BYTES} bytes of UTF-8")]
pub struct LabelError;

impl Label {
    /// The label as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        if (1..=MAX_LABEL_BYTES).contains(&text.len()) { Ok(Self(text.into())) } else { Err(LabelError) }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a string of 1 to 128 bytes of UTF-8", |label| label.parse().ok())
    }
}
