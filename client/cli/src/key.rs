use std::time::Duration;

use clap::{Args, Subcommand};
use keyfob_proto::{ApiKeyPairEntry, CreateApiKeyPair, DeleteApiKeyPair, ExternalKeyPair, Label, PublicKey};
use serde_json::json;

use super::arguments::{KeyName, age, label, public_key};
use super::complete::key_names;
use super::escape::printable;
use super::input::SecretSource;
use super::output::{HEADING, count, name};
use super::table::{Column, lines};
use super::{Failure, Session, arguments, private_key, table, time};

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
/// It is for a login: when no session names it, and it is older than 15 minutes, any app may prune it.
///
/// Example: keyfob key new
#[derive(Debug, Args)]
pub(super) struct New {
    /// Keep it until `key rm` deletes it: for an API key that outlives sessions
    #[arg(long)]
    keep: bool,

    /// What to call it
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: Option<Label>,
}

impl New {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let call = CreateApiKeyPair { external_key_pair: None, keep: self.keep, label: self.label };
        let client = session.connect()?;
        let created = session.unlocked(&client, |client| client.call(call.clone()).wait())?;
        session.output.print(&created, created.public_key)
    }
}

/// Take a key pair in that was created elsewhere
///
/// The private key is read from stdin, a file or the environment, never from an argument: 64 hex characters, a key file of
/// Turnkey's command line (HEX:p256), PEM (SEC 1 or PKCS 8) or a JWK. The public key is derived from it. It is kept until
/// `key rm` deletes it. Importing one that the vault has only keeps it, and gives it the label.
///
/// Example: keyfob key import --file ~/.config/turnkey/keys/default.private
#[derive(Debug, Args)]
pub(super) struct Import {
    /// Refuse unless the private key belongs to this public key
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    public_key: Option<PublicKey>,

    /// Do not keep it: when no session names it, and it is older than 15 minutes, any app may prune it
    #[arg(long)]
    no_keep: bool,

    /// What to call it
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: Option<Label>,

    #[command(flatten)]
    private_key: SecretSource,
}

impl Import {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let text = self.private_key.read("the private key", session)?;
        let private_key = private_key::read(&text).map_err(|what| Failure::Input(what.to_string()))?;
        let public_key = self.public_key.unwrap_or(private_key.public_key);
        let external = ExternalKeyPair { public_key, private_key: private_key.hex };
        let call = CreateApiKeyPair { external_key_pair: Some(external), keep: !self.no_keep, label: self.label };
        let client = session.connect()?;
        let created = session.unlocked(&client, |client| client.call(call.clone()).wait())?;
        session.output.print(&created, created.public_key)?;
        if self.no_keep && created.kept {
            session.output.note("the vault has it already, and keeps it: `keyfob key rm` deletes it")?;
        }
        Ok(())
    }
}

/// List the key pairs and the sessions that name them
///
/// Example: keyfob key list
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let pairs = arguments::key_pairs(&session.connect()?)?;
        let object = json!({ "keyPairs": pairs });
        if pairs.is_empty() {
            return session.output.nothing("no key pairs; `keyfob key new` creates one", &object);
        }
        let columns = [
            Column { heading: "KEY PAIR", least: 18 },
            Column { heading: "AGE", least: 5 },
            Column { heading: "LABEL", least: 12 },
            Column { heading: "SESSIONS", least: 24 },
        ];
        let is_narrow = session.output.io.width.is_some();
        let row = |pair: &ApiKeyPairEntry| {
            let label = pair.label.as_ref().map_or_else(String::new, |label| printable(label.as_str()));
            vec![pair.public_key.to_string(), time::age(pair.created_at), label, sessions(pair, is_narrow)]
        };
        let rows: Vec<_> = pairs.iter().map(row).collect();
        let mut lines = lines(&columns, &rows, session.output.io.width);
        lines[0] = session.output.styled(HEADING, &lines[0]);
        session.output.print(&object, lines.join("\n"))
    }
}

/// The sessions that name a key pair: on a terminal as many as there is room for in its column.
fn sessions(pair: &ApiKeyPairEntry, is_narrow: bool) -> String {
    let (shown, width) = if is_narrow { (1, 16) } else { (3, usize::MAX) };
    let names: Vec<String> =
        pair.session_keys.iter().take(shown).map(|key| table::shortened(&name(key), width)).collect();
    let names = match pair.session_count.saturating_sub(shown as u64) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    };
    match (pair.kept, names.is_empty()) {
        (true, true) => "(kept)".to_owned(),
        (true, false) => format!("(kept) {names}"),
        (false, true) => "(unused)".to_owned(),
        (false, false) => names,
    }
}

/// Delete a key pair that no session names
///
/// Example: keyfob key rm 03372068ec…
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The key pair's public key, or the first 8 or more characters of it
    #[arg(value_parser = KeyName::read, add = key_names())]
    public_key: KeyName,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// Succeed where there is no such key pair
    #[arg(long)]
    if_exists: bool,
}

impl Rm {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let public_key = match self.public_key.find(&client) {
            Err(failure) if self.if_exists && failure.is_no_key_pair() => {
                return session.output.nothing("there was nothing to delete", &json!({ "deleted": false }));
            }
            found => found?,
        };
        let pairs = arguments::key_pairs(&client)?;
        match pairs.iter().find(|pair| pair.public_key == public_key && pair.session_count == 0) {
            // It is there because somebody meant it to stay.
            Some(pair) if pair.kept => {
                let label = pair.label.as_ref().map(|label| format!(" \"{}\"", printable(label.as_str())));
                let question = format!("Delete the key pair {public_key}{}, which is kept?", label.unwrap_or_default());
                session.confirm_in_any_case(self.yes, &question)?;
            }
            Some(_) => session.confirm(self.yes, &format!("Delete the key pair {public_key}?"))?,
            None => {}
        }
        let deleted = client.call(DeleteApiKeyPair { public_key, if_exists: self.if_exists }).wait()?;
        if !deleted.deleted {
            return session.output.nothing("there was nothing to delete", &deleted);
        }
        session.output.print(&deleted, format!("deleted {}", deleted.public_key))
    }
}

/// Delete unused key pairs
///
/// Key pairs younger than 15 minutes stay unless --min-age says otherwise: a login may be in flight
/// in some app. Kept ones stay in any case.
///
/// Example: keyfob key prune --min-age 1d
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// Delete those that are this old or older, such as 1d
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = age)]
    min_age: Duration,

    /// Do not ask; without a terminal to ask on, this is needed
    #[arg(long, short)]
    yes: bool,
}

impl Prune {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let age = self.min_age.as_secs();
        let client = session.connect()?;
        let is_due = |pair: &ApiKeyPairEntry| is_unused(pair) && time::now().saturating_sub(pair.created_at) >= age;
        let due = arguments::key_pairs(&client)?.iter().filter(|pair| is_due(pair)).count() as u64;
        if due > 0 {
            session.confirm_in_any_case(self.yes, &format!("Delete {}?", count(due, "unused key pair")))?;
        }
        let mut deleted = Vec::new();
        let mut more = true;
        while more {
            let mut cleared = client.clear_unused_key_pairs().from_age(self.min_age).wait()?;
            deleted.append(&mut cleared.deleted_public_keys);
            more = cleared.more;
        }
        let text = format!("deleted {}", count(deleted.len() as u64, "unused key pair"));
        session.output.print(&json!({ "deletedPublicKeys": deleted, "more": false }), text)?;
        let stay = arguments::key_pairs(&client)?.iter().filter(|pair| is_unused(pair)).count() as u64;
        if stay > 0 {
            let text = format!("{} younger than that: a login may be in flight", count(stay, "unused key pair"));
            session.output.note(text)?;
        }
        Ok(())
    }
}

/// Whether any app may prune it, once it is old enough.
fn is_unused(pair: &ApiKeyPairEntry) -> bool {
    pair.session_count == 0 && !pair.kept
}
