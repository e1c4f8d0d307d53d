//! [`PublicKey`]: the name of an API key pair.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use crate::form::text;

/// The compressed form of a P-256 public key, which is also the name of its key pair: 33 bytes,
/// written as 66 lower-case hex characters that begin with `02` or `03`. Upper case is read too.
///
/// The shape is checked, not the curve: whether the point exists is known where keys are used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublicKey(
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^0[23][0-9a-fA-F]{64}$")))]
    [u8; Self::BYTES],
);

/// The text or bytes are not shaped like a compressed P-256 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 66 hex characters that begin with 02 or 03")]
pub struct PublicKeyError;

impl PublicKey {
    /// The length of a compressed point in bytes; the hex form is twice as long.
    pub const BYTES: usize = 33;

    /// The compressed point, 33 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        match <[u8; Self::BYTES]>::try_from(bytes) {
            Ok(point) if matches!(point[0], 2 | 3) => Ok(Self(point)),
            _ => Err(PublicKeyError),
        }
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(hex: &str) -> Result<Self, PublicKeyError> {
        // The length is checked first, so that a long text costs nothing.
        if hex.len() != 2 * Self::BYTES {
            return Err(PublicKeyError);
        }
        let mut point = [0; Self::BYTES];
        match HEXLOWER_PERMISSIVE.decode_mut(hex.as_bytes(), &mut point) {
            Ok(_) => Self::try_from(point.as_slice()),
            Err(_) => Err(PublicKeyError),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORM: &str = "a compressed P-256 public key: 66 hex characters that begin with 02 or 03";
        text(deserializer, FORM, |hex| hex.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";

    #[test]
    fn a_public_key_is_written_as_it_was_read() {
        assert_eq!(HEX.parse::<PublicKey>().unwrap().to_string(), HEX);
    }

    #[test]
    fn upper_case_is_read_and_written_lower() {
        for hex in [HEX.to_uppercase(), HEX.replace('a', "A")] {
            assert_eq!(hex.parse::<PublicKey>().unwrap().to_string(), HEX);
            assert_eq!(serde_json::from_value::<PublicKey>(hex.into()).unwrap().to_string(), HEX);
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let uncompressed = format!("04{}", &HEX[2..]);
        let long = format!("{HEX}00");
        for wrong in ["", "03", &format!("0x{}", &HEX[2..]), &uncompressed, &long, &HEX.replace('c', "g")] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(PublicKeyError), "{wrong}");
        }
    }
}
