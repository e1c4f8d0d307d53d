use clap::{Args, Subcommand};
use keyfob_proto::{
    ApiKeyPairEntry, ClearUnusedKeyPairs, CreateApiKeyPair, DeleteApiKeyPair, ExternalKeyPair, ListApiKeyPairs,
    PublicKey, Secret, UnusedKeyPairsCleared,
};
use p256::ecdsa::SigningKey;
use serde_json::json;

use super::input::SecretSource;
use super::output::{HEADING, name};
use super::{Failure, Session};

/// Create, import, list and delete API key pairs; private keys never leave the vault
///
/// Example: keyfob key new
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    New(New),
    Import(Import),
    List(List),
    Rm(Rm),
    Prune(Prune),
}

impl Key {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        match self {
            Self::New(command) => command.run(session),
            Self::Import(command) => command.run(session),
            Self::List(command) => command.run(session),
            Self::Rm(command) => command.run(session),
            Self::Prune(command) => command.run(session),
        }
    }
}

/// Create a key pair inside the vault and print its public key
///
/// Example: keyfob key new
#[derive(Debug, Args)]
pub(super) struct New {}

impl New {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let created = session.connect()?.create_api_key_pair(CreateApiKeyPair::default())?;
        session.output.print(&created, created.public_key)
    }
}

/// Take a key pair in that was created elsewhere
///
/// The private key, 64 hex characters, is read from stdin, a file or the environment, never from an
/// argument. The public key is derived from it.
///
/// Example: keyfob key import --file private-key.hex
#[derive(Debug, Args)]
pub(super) struct Import {
    /// Refuse unless the private key belongs to this public key
    #[arg(long, value_name = "HEX")]
    public_key: Option<PublicKey>,

    #[command(flatten)]
    private_key: SecretSource,
}

impl Import {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let private_key = self.private_key.read("the private key", session)?;
        let public_key = match self.public_key {
            Some(key) => key,
            None => public_key_of(&private_key)?,
        };
        let external = ExternalKeyPair { public_key, private_key: Secret::new(private_key.as_str()) };
        let call = CreateApiKeyPair { external_key_pair: Some(external) };
        let created = session.connect()?.create_api_key_pair(call)?;
        session.output.print(&created, created.public_key)
    }
}

fn public_key_of(private_key: &str) -> Result<PublicKey, Failure> {
    let scalar = data_encoding::HEXLOWER_PERMISSIVE.decode(private_key.as_bytes()).map(zeroize::Zeroizing::new);
    let key = scalar.ok().and_then(|scalar| SigningKey::from_slice(&scalar).ok());
    let key =
        key.ok_or_else(|| Failure::Input("the private key is not 64 hex characters of a P-256 key".to_owned()))?;
    let point = key.verifying_key().to_sec1_point(true);
    PublicKey::try_from(point.as_bytes()).map_err(|error| Failure::Input(error.to_string()))
}

/// List the key pairs and the sessions that name them
///
/// Example: keyfob key list
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut client = session.connect()?;
        let mut page = client.list_api_key_pairs(ListApiKeyPairs::default())?;
        let mut pairs = page.key_pairs;
        while page.next.is_some() {
            page = client.list_api_key_pairs(ListApiKeyPairs { after: page.next, limit: None })?;
            pairs.append(&mut page.key_pairs);
        }
        let object = json!({ "keyPairs": pairs });
        if pairs.is_empty() {
            return session.output.nothing("no key pairs; `keyfob key new` creates one", &object);
        }
        let mut lines = vec![session.output.styled(HEADING, format!("{:66}  SESSIONS", "KEY PAIR"))];
        lines.extend(pairs.iter().map(|pair| format!("{}  {}", pair.public_key, sessions(pair))));
        session.output.print(&object, lines.join("\n"))
    }
}

fn sessions(pair: &ApiKeyPairEntry) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = pair.session_keys.iter().take(SHOWN).map(name).collect();
    match pair.session_count.saturating_sub(SHOWN as u64) {
        _ if names.is_empty() => "(unused)".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Delete an unused key pair
///
/// Example: keyfob key rm 03372068ec…
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The key pair's public key, 66 hex characters
    public_key: PublicKey,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Rm {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        session.confirm(self.yes, &format!("Delete the key pair {}?", self.public_key))?;
        let deleted = session.connect()?.delete_api_key_pair(DeleteApiKeyPair { public_key: self.public_key })?;
        session.output.print(&deleted, format!("deleted {}", deleted.public_key))
    }
}

/// Delete unused key pairs
///
/// Key pairs younger than 15 minutes stay unless --min-age says otherwise: a login may be in flight
/// in some app.
///
/// Example: keyfob key prune --min-age 86400
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Delete those that are this old or older, in seconds [default: 900]
    #[arg(long, value_name = "SECONDS")]
    min_age: Option<u64>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Prune {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let age = self.min_age.unwrap_or(ClearUnusedKeyPairs::PENDING_SECONDS);
        session.confirm(self.yes, &format!("Delete every unused key pair that is {age} s old or older?"))?;
        let mut client = session.connect()?;
        let mut all = UnusedKeyPairsCleared { deleted_public_keys: Vec::new(), more: true };
        while all.more {
            let mut cleared = client.clear_unused_key_pairs(ClearUnusedKeyPairs { min_age_seconds: Some(age) })?;
            all.deleted_public_keys.append(&mut cleared.deleted_public_keys);
            all.more = cleared.more;
        }
        session.output.print(&all, format!("deleted {} unused key pairs", all.deleted_public_keys.len()))
    }
}
