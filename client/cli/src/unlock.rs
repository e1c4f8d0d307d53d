use clap::Args;
use keyfob::Client;
use keyfob_proto::{KeySource, Secret, VaultUnlocked};

use super::input::PassphraseSource;
use super::{Failure, Session};

/// Unlock the vault
///
/// Asks for the passphrase on the terminal, without showing it, if that is where the wrapping key comes from.
///
/// Example: keyfob unlock --passphrase-fd 3 3< passphrase.txt
#[derive(Debug, Default, Args)]
pub(super) struct Unlock {
    #[command(flatten)]
    passphrase: PassphraseSource,
}

impl Unlock {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let unlocked = self.unlock(&client, session)?;
        session.output.print(&unlocked, if unlocked.was_locked { "unlocked" } else { "it was unlocked already" })
    }

    /// Unlocks it over this connection.
    pub(super) fn unlock(self, client: &Client, session: &mut Session<'_, '_>) -> Result<VaultUnlocked, Failure> {
        let lock = client.status().wait()?.lock;
        let passphrase = if lock.locked && lock.key_source == Some(KeySource::Passphrase) {
            Some(Secret::new(self.passphrase.read("Passphrase: ", session)?.as_str()))
        } else {
            None
        };
        Ok(client.call(keyfob_proto::Unlock { passphrase }).wait()?)
    }
}
