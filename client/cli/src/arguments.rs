//! What is typed: names of sessions and key pairs, durations; and what is said when it is wrong. That never repeats what
//! was typed: it may be a secret in the wrong place.

use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use keyfob::{Client, Error};
use keyfob_proto::{ApiKeyPairEntry, Code, Fault, Label, ListApiKeyPairs, PublicKey, SessionDescribed, SessionKey};

use super::Failure;

/// Reads the name of a session that there need not be.
pub(super) fn session_name(text: &str) -> Result<SessionKey, String> {
    if is_secret(text) { Err(LIKE_A_SECRET.to_owned()) } else { any_name(text) }
}

/// What is said of a name that looks like a secret.
const LIKE_A_SECRET: &str = "that looks like a secret, not like the name of a session. Secrets go through stdin";

fn any_name(text: &str) -> Result<SessionKey, String> {
    text.parse().map_err(|error: keyfob_proto::SessionKeyError| error.to_string())
}

/// The name of a session that there should be. One that looks like a secret is only believed if there is one.
#[derive(Clone, Debug)]
pub(super) struct Named(SessionKey);

impl Named {
    /// Reads a name.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        any_name(text).map(Self)
    }

    /// The session's name, though there need not be such a session. One that looks like a secret has to be there.
    pub(super) fn new_or_there(self, client: &Client) -> Result<SessionKey, Failure> {
        if is_secret(self.0.as_str()) { self.find(client) } else { Ok(self.0) }
    }

    /// The session's name.
    pub(super) fn find(self, client: &Client) -> Result<SessionKey, Failure> {
        if !is_secret(self.0.as_str()) {
            return Ok(self.0);
        }
        match client.describe_session().named(&self.0).wait() {
            Ok(SessionDescribed { session: None, .. }) => Err(Failure::Input(LIKE_A_SECRET.to_owned())),
            Err(Error::Fault(fault)) if fault.data.code == Code::SessionExpired => Ok(self.0),
            found => found.map(|_| self.0).map_err(Failure::from),
        }
    }
}

/// Reads a public key, whole.
pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    let hex = text.strip_prefix("0x").unwrap_or(text);
    hex.parse().map_err(|error: keyfob_proto::PublicKeyError| error.to_string())
}

/// Reads what people call a key pair.
pub(super) fn label(text: &str) -> Result<Label, String> {
    if is_secret(text) {
        return Err("that looks like a secret, not like a label. Secrets go through stdin".to_owned());
    }
    text.parse().map_err(|error: keyfob_proto::LabelError| error.to_string())
}

/// Whether a text looks like a session token or a private key, or has one in it.
pub(super) fn is_secret(text: &str) -> bool {
    // JSON in base64, and letters and digits in a row that no name has.
    const RUN: usize = 40;
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let kinds = [char::is_ascii_lowercase, char::is_ascii_uppercase, char::is_ascii_digit];
    let is_mixed = |part: &str| kinds.iter().all(|kind| part.chars().any(|c| kind(&c)));
    let mut runs = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '+').filter(|part| part.len() >= RUN);
    let has_run = runs.any(|run| is_hex(run.trim_start_matches("0x")) || is_mixed(run));
    // 32 bytes in base64url, alone or in a JWK.
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
    let has_scalar = words.any(|word| word.len() == 43 && is_mixed(word));
    text.contains("eyJ") || has_run || has_scalar || text.contains("-----BEGIN") || text.contains("\"kty\"")
}

/// A path as it may be shown: one that looks like a secret was most likely meant for somewhere else.
pub(super) fn shown(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    if is_secret(&text) { "(not shown, for it looks like a secret)".to_owned() } else { text }
}

/// Reads a duration such as `15m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    keyfob_proto::parse_duration(text).map_err(|error| error.to_string())
}

/// Reads an age such as `1d`, or `0`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    keyfob_proto::parse_age(text).map_err(|error| error.to_string())
}

/// The name of a key pair, or the beginning of it.
#[derive(Clone, Debug)]
pub(super) struct KeyName(String);

impl KeyName {
    /// The least of a name that tells key pairs apart, in characters.
    const LEAST: usize = 8;

    /// Reads a public key, or 8 or more characters of its beginning.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || hex.len() < Self::LEAST || hex.len() > 2 * PublicKey::BYTES {
            return Err(
                "a key pair is named by its public key, 66 hex characters, or by the first 8 or more".to_owned()
            );
        }
        Ok(Self(hex))
    }

    /// The key pair of that name.
    pub(super) fn find(&self, client: &Client) -> Result<PublicKey, Failure> {
        if self.0.len() == 2 * PublicKey::BYTES {
            return public_key(&self.0).map_err(Failure::Input);
        }
        let pairs = key_pairs(client)?.into_iter().map(|pair| pair.public_key);
        let found: Vec<_> = pairs.filter(|key| key.to_string().starts_with(&self.0)).collect();
        match found[..] {
            [key] => Ok(key),
            [] => {
                let message = "no key pair begins with that; `keyfob key list` shows those there are";
                Err(Fault::new(Code::KeyPairNotFound, message).into())
            }
            _ => Err(Failure::Input(format!("{} key pairs begin with that: give more of the name", found.len()))),
        }
    }
}

/// Every key pair.
pub(super) fn key_pairs(client: &Client) -> Result<Vec<ApiKeyPairEntry>, Failure> {
    let mut page = client.list_api_key_pairs().wait()?;
    let mut pairs = page.key_pairs;
    while page.next.is_some() {
        page = client.call(ListApiKeyPairs { after: page.next, limit: None }).wait()?;
        pairs.append(&mut page.key_pairs);
    }
    Ok(pairs)
}

/// What clap found wrong, without what was typed.
pub(super) fn told(error: &clap::Error) -> String {
    let context = |kind| error.get(kind).map(text);
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    let source = std::error::Error::source(error).map(ToString::to_string);
    let what = match error.kind() {
        ErrorKind::ValueValidation => {
            format!("{argument}: {}", source.unwrap_or_else(|| "no value of that kind".to_owned()))
        }
        ErrorKind::InvalidValue => {
            format!("{argument} takes one of {}", context(ContextKind::ValidValue).unwrap_or_default())
        }
        ErrorKind::UnknownArgument => match context(ContextKind::SuggestedArg) {
            Some(meant) => format!("there is no such option; did you mean {meant}?"),
            None => "there is no such option, or one argument too many. It is not shown here, for it may be a secret: \
                     secrets go through stdin, --file or --env"
                .to_owned(),
        },
        ErrorKind::InvalidSubcommand => match context(ContextKind::SuggestedSubcommand) {
            Some(meant) => format!("there is no such command; did you mean {meant}?"),
            None => "there is no such command".to_owned(),
        },
        // These name what is defined, and nothing that was typed.
        ErrorKind::MissingRequiredArgument
        | ErrorKind::ArgumentConflict
        | ErrorKind::MissingSubcommand
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::InvalidUtf8 => {
            let message = error.render().to_string();
            let lines = message.lines().take_while(|line| !line.is_empty());
            lines.map(|line| line.trim_start_matches("error: ").trim()).collect::<Vec<_>>().join(" ")
        }
        _ => "the arguments make no sense".to_owned(),
    };
    let usage = context(ContextKind::Usage).unwrap_or_default();
    format!("keyfob: {what}\n{usage}\nFor more information, try '--help'.\n").replace("\n\n\n", "\n\n")
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(texts) => texts.join(", "),
        value => value.to_string(),
    }
}
