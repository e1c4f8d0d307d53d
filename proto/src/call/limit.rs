//! [`Limit`]: how long a page may be.

use serde::{Deserialize, Deserializer, Serialize};

use crate::form::wrong;

/// The most entries of a page: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limit(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))] u16);

impl Limit {
    /// The most entries of any page.
    pub const MAX: Self = Self(1000);

    /// The most entries of a page that names no limit.
    pub const DEFAULT: Self = Self(100);

    /// A limit, unless it is 0 or over 1000.
    #[must_use]
    pub fn new(entries: u16) -> Option<Self> {
        (1..=Self::MAX.0).contains(&entries).then_some(Self(entries))
    }

    /// The most entries of the page.
    #[must_use]
    pub fn entries(self) -> usize {
        self.0.into()
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = u16::deserialize(deserializer).ok().and_then(Self::new);
        limit.ok_or_else(|| wrong("a whole number from 1 to 1000"))
    }
}
