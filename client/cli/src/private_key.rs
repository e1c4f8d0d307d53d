//! Private keys in the forms in which people have them.

use std::fmt;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use keyfob_proto::{PublicKey, Secret};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::DecodePrivateKey;
use serde::Deserialize;
use zeroize::Zeroizing;

/// What a text is instead of a private key of P-256, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPrivateKey(&'static str);

impl fmt::Display for NoPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const SECP256K1: NoPrivateKey = NoPrivateKey("that is a key of the curve secp256k1, and one of P-256 is needed");
const ED25519: NoPrivateKey = NoPrivateKey("that is a key of the curve Ed25519, and one of P-256 is needed");
const RSA: NoPrivateKey = NoPrivateKey("that is an RSA key, and one of the curve P-256 is needed");
const OTHER_CURVE: NoPrivateKey = NoPrivateKey("that key is damaged, or not one of the curve P-256");
const OUT_OF_RANGE: NoPrivateKey = NoPrivateKey("that number is no private key of P-256: it is 0, or too large");
const ENCRYPTED: NoPrivateKey =
    NoPrivateKey("that private key is encrypted: decrypt it first, for example with `openssl pkcs8`");
const OPENSSH: NoPrivateKey =
    NoPrivateKey("that is a private key of OpenSSH: make PEM of it with `ssh-keygen -p -m PEM`, on a copy");
const PUBLIC: NoPrivateKey = NoPrivateKey("that is a public key: the private one is needed");
const TOKEN: NoPrivateKey = NoPrivateKey("that is a session token: `keyfob store` stores one");
const WORDS: NoPrivateKey = NoPrivateKey("that looks like a seed phrase: a private key of P-256 is needed");
const NO_JWK: NoPrivateKey =
    NoPrivateKey("that JSON is not the private key of P-256 as a JWK: `kty` EC, `crv` P-256, and `d`");
const UNKNOWN: NoPrivateKey = NoPrivateKey(
    "that is not a private key: give 64 hex characters, Turnkey's `HEX:p256`, PEM (SEC 1 or PKCS 8) or a JWK of P-256",
);

/// A private key with its public one, as the protocol carries them.
pub(super) struct PrivateKey {
    pub(super) public_key: PublicKey,
    pub(super) hex: Secret,
}

/// Reads a private key: 64 hex characters in any case, with or without `0x`; a key file of Turnkey's command line
/// (`HEX:p256`); PEM, SEC 1 or PKCS 8; a JWK.
///
/// # Errors
///
/// What was found instead. Nothing of it is repeated.
pub(super) fn read(text: &str) -> Result<PrivateKey, NoPrivateKey> {
    let text = super::token::unquoted(text.trim_start_matches('\u{feff}').trim()).0;
    let key = if text.contains("-----BEGIN") {
        pem(text)?
    } else if text.starts_with('{') {
        jwk(text)?
    } else {
        hex(text)?
    };
    let point = key.public_key().to_sec1_point(true);
    let public_key = PublicKey::try_from(point.as_bytes()).map_err(|_| OTHER_CURVE)?;
    let scalar = Zeroizing::new(key.to_bytes());
    Ok(PrivateKey { public_key, hex: Secret::new(HEXLOWER.encode(&scalar)) })
}

fn pem(text: &str) -> Result<SecretKey, NoPrivateKey> {
    let has = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    if has("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(ENCRYPTED);
    }
    if has("OPENSSH PRIVATE KEY") {
        return Err(OPENSSH);
    }
    // `openssl ecparam -genkey` puts the curve's parameters first, in a block of their own.
    let block = |label: &str| {
        let begin = text.find(&format!("-----BEGIN {label}-----"))?;
        let end = format!("-----END {label}-----");
        let length = text[begin..].find(&end)? + end.len();
        Some(Zeroizing::new(text[begin..begin + length].replace('\r', "") + "\n"))
    };
    if let Some(block) = block("EC PRIVATE KEY") {
        return SecretKey::from_sec1_pem(&block).map_err(|_| kind_of(&block));
    }
    if let Some(block) = block("PRIVATE KEY") {
        return SecretKey::from_pkcs8_pem(&block).map_err(|_| kind_of(&block));
    }
    Err(if has("PUBLIC KEY") {
        PUBLIC
    } else if has("RSA PRIVATE KEY") {
        RSA
    } else {
        UNKNOWN
    })
}

/// What kind of key a block of PEM holds that is none of P-256, by the object identifier in it.
fn kind_of(block: &str) -> NoPrivateKey {
    let base64: Zeroizing<String> = block.lines().filter(|line| !line.starts_with('-')).collect::<String>().into();
    let der = Zeroizing::new(BASE64.decode(base64.as_bytes()).unwrap_or_default());
    let has = |identifier: &[u8]| der.windows(identifier.len()).any(|window| window == identifier);
    if has(&[0x2b, 0x81, 0x04, 0x00, 0x0a]) {
        SECP256K1
    } else if has(&[0x2b, 0x65, 0x70]) {
        ED25519
    } else if has(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]) {
        RSA
    } else {
        OTHER_CURVE
    }
}

fn jwk(text: &str) -> Result<SecretKey, NoPrivateKey> {
    #[derive(Deserialize)]
    struct Jwk<'a> {
        kty: &'a str,
        crv: Option<&'a str>,
        d: Option<&'a str>,
    }
    let Jwk { kty, crv, d } = serde_json::from_str(text).map_err(|_| NO_JWK)?;
    match (kty, crv, d) {
        ("EC", Some("P-256"), Some(d)) => {
            let scalar = BASE64URL_NOPAD.decode(d.trim_end_matches('=').as_bytes()).map_err(|_| NO_JWK)?;
            SecretKey::from_slice(&Zeroizing::new(scalar)).map_err(|_| OUT_OF_RANGE)
        }
        ("EC", Some("P-256"), None) => Err(PUBLIC),
        _ => Err(NO_JWK),
    }
}

fn hex(text: &str) -> Result<SecretKey, NoPrivateKey> {
    let text = match text.split_once(':') {
        Some((hex, "p256" | "P256" | "P-256")) => hex,
        Some((_, "secp256k1")) => return Err(SECP256K1),
        Some((_, "ed25519")) => return Err(ED25519),
        _ => text,
    };
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    match HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map(Zeroizing::new) {
        Ok(bytes) if bytes.len() == 32 => SecretKey::from_slice(&bytes).map_err(|_| OUT_OF_RANGE),
        Ok(bytes) if matches!((bytes.len(), bytes.first()), (33, Some(2 | 3)) | (65, Some(4))) => Err(PUBLIC),
        _ if text.split_whitespace().count() >= 12 => Err(WORDS),
        _ if text.split('.').count() == 3 && text.starts_with("ey") => Err(TOKEN),
        _ => Err(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use p256::pkcs8::{EncodePrivateKey, LineEnding};

    use super::*;

    const HEX: &str = "d25db12f9e2c0dbd1a9bbcd8f5b4e0c6a5e2c8a45ad6a0d0a4f4c9f3b0a1c2d3";

    fn scalar() -> SecretKey {
        SecretKey::from_slice(&HEXLOWER.decode(HEX.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn every_form_in_which_people_have_a_key_is_the_same_key() {
        let sec1 = scalar().to_sec1_pem(LineEnding::LF).unwrap().to_string();
        let pkcs8 = scalar().to_pkcs8_pem(LineEnding::CRLF).unwrap().to_string();
        let d = BASE64URL_NOPAD.encode(&HEXLOWER.decode(HEX.as_bytes()).unwrap());
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let forms = [
            HEX.to_owned(),
            HEX.to_uppercase(),
            format!("0x{HEX}"),
            format!("0X{}\r\n", HEX.to_uppercase()),
            format!("\u{feff}{HEX}\n"),
            format!("\"{HEX}\""),
            format!("{HEX}:p256"),
            format!("{HEX}:p256\n"),
            format!("{parameters}{sec1}"),
            sec1,
            pkcs8,
            format!(r#"{{"kty":"EC","crv":"P-256","x":"","y":"","d":"{d}"}}"#),
        ];
        for form in forms {
            let read = read(&form).unwrap_or_else(|error| panic!("{error}: {form}"));
            assert_eq!(read.hex.expose(), HEX, "{form}");
        }
        assert!(read(&format!("{:064x}", 1)).is_ok());
    }

    #[test]
    fn what_it_is_instead_is_named_and_not_repeated() {
        let public = HEXLOWER.encode(scalar().public_key().to_sec1_point(true).as_bytes());
        let uncompressed = HEXLOWER.encode(scalar().public_key().to_sec1_point(false).as_bytes());
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let words = ["abandon"; 12].join(" ");
        let ed25519 = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";
        let secp256k1 = "-----BEGIN EC PRIVATE KEY-----\nMC4CAQEEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4foAcGBSuBBAAK\n\
            -----END EC PRIVATE KEY-----\n";
        for (text, expected) in [
            (format!("{HEX}:secp256k1"), SECP256K1),
            (format!("{HEX}:ed25519"), ED25519),
            (ed25519.to_owned(), ED25519),
            (secp256k1.to_owned(), SECP256K1),
            (block("RSA PRIVATE KEY"), RSA),
            (block("EC PRIVATE KEY"), OTHER_CURVE),
            (block("PRIVATE KEY"), OTHER_CURVE),
            (block("ENCRYPTED PRIVATE KEY"), ENCRYPTED),
            (block("OPENSSH PRIVATE KEY"), OPENSSH),
            (block("PUBLIC KEY"), PUBLIC),
            (block("CERTIFICATE"), UNKNOWN),
            (public, PUBLIC),
            (uncompressed, PUBLIC),
            ("0".repeat(64), OUT_OF_RANGE),
            ("f".repeat(64), OUT_OF_RANGE),
            (HEX[1..].to_owned(), UNKNOWN),
            (format!("{HEX}00"), UNKNOWN),
            (words, WORDS),
            ("eyJh.eyJi.c2ln".to_owned(), TOKEN),
            (r#"{"kty":"EC","crv":"secp256k1","d":"AA"}"#.to_owned(), NO_JWK),
            (r#"{"kty":"EC","crv":"P-256","x":"AA"}"#.to_owned(), PUBLIC),
            (r#"{"kty":"EC","crv":"P-256","d":"AA"}"#.to_owned(), OUT_OF_RANGE),
            ("{".to_owned(), NO_JWK),
            ("hunter2".to_owned(), UNKNOWN),
            (String::new(), UNKNOWN),
        ] {
            assert_eq!(read(&text).err(), Some(expected), "{text}");
        }
    }
}
