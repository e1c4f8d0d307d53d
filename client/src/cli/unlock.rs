use clap::Args;
use keyfob_proto::{KeySource, Secret};

use super::input::PassphraseSource;
use super::{Failure, Session};

/// Unlock the vault
///
/// Asks for the passphrase on the terminal, without showing it, if that is where the vault's key comes from.
///
/// Example: keyfob unlock --passphrase-fd 3 3< passphrase.txt
#[derive(Debug, Args)]
pub(super) struct Unlock {
    #[command(flatten)]
    passphrase: PassphraseSource,
}

impl Unlock {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut client = session.connect()?;
        let lock = client.status(keyfob_proto::Status {})?.lock;
        let passphrase = if lock.locked && lock.key_source == KeySource::Passphrase {
            Some(Secret::new(self.passphrase.read("Passphrase: ", session)?.as_str()))
        } else {
            None
        };
        let unlocked = client.unlock(keyfob_proto::Unlock { passphrase })?;
        session.output.print(&unlocked, if unlocked.was_locked { "unlocked" } else { "it was unlocked already" })
    }
}
