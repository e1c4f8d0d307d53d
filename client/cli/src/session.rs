//! [`Session`]: one run of the command, and what every command has of it.

use std::env;
use std::io::Write;

use keyfob::{Access, Client, Error};
use keyfob_proto::{Code, DaemonStatus, KeySource, Place, SessionKey};
use zeroize::Zeroizing;

use super::arguments::Named;
use super::output::Output;
use super::{Failure, Io, Options, input, unlock};

/// One run of the command: its options, its output, its way to the vault.
pub(super) struct Session<'a, 'io> {
    pub(super) options: Options,
    pub(super) output: Output<'a, 'io>,
}

impl Session<'_, '_> {
    /// A connection to the vault, whose daemon is started if need be.
    pub(super) fn connect(&mut self) -> Result<Client, Failure> {
        let access = self.access()?;
        let client = if self.options.no_start {
            Client::connect_blocking(&access)?
        } else {
            Client::connect_or_start_blocking(&access)?
        };
        // Not in JSON, whose readers ask `status` themselves.
        if !self.output.json {
            self.tell_of_older(&client.status().wait()?)?;
        }
        Ok(client)
    }

    /// Says that the daemon is of an older release than this command, if it is: an upgrade leaves the one that runs.
    fn tell_of_older(&mut self, status: &DaemonStatus) -> Result<(), Failure> {
        let (running, own) = (&status.daemon_version, env!("CARGO_PKG_VERSION"));
        if status.grant.is_none() && numbers(running) < numbers(own) {
            let message = format!("keyfobd {running} runs, and {own} is installed: `keyfob restart` replaces it");
            self.output.note(message)?;
        }
        Ok(())
    }

    /// The vault that is meant.
    pub(super) fn access(&self) -> Result<Access, Failure> {
        let Options { socket, data_dir, server_uid, .. } = &self.options;
        let server_uid =
            server_uid.clone().or_else(|| env::var("KEYFOB_SERVER_UID").ok().filter(|uid| !uid.is_empty()));
        let told = |_| Failure::Input("--server-uid or KEYFOB_SERVER_UID is not the number of a user".to_owned());
        let server_uid = server_uid.map(|uid| uid.parse()).transpose().map_err(told)?;
        let place =
            Place::given(socket.clone(), data_dir.clone()).map_err(|error| Failure::Input(error.to_string()))?;
        let access = Access::new(place);
        Ok(match server_uid {
            Some(uid) => access.trusting(uid),
            None => access,
        })
    }

    /// The session that is meant: the one that was given, else the one that `KEYFOB_SESSION` names; none: the active one.
    pub(super) fn named_session(&self, given: Option<Named>, client: &Client) -> Result<Option<SessionKey>, Failure> {
        match env::var("KEYFOB_SESSION") {
            Ok(name) if given.is_none() && !name.is_empty() => {
                let told = |error| Failure::Input(format!("KEYFOB_SESSION: {error}"));
                Named::read(&name).map_err(told)?.find(client).map(Some)
            }
            _ => given.map(|name| name.find(client)).transpose(),
        }
    }

    /// Makes a call; where the vault is locked and a person can be asked, it is unlocked first.
    pub(super) fn unlocked<T>(
        &mut self,
        client: &Client,
        call: impl Fn(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        match call(client) {
            Err(Error::Fault(fault)) if fault.data.code == Code::VaultLocked && self.output.io.can_ask => {
                self.output.note("the vault is locked")?;
                // A passphrase is asked for anyway.
                if client.status().wait()?.lock.key_source != Some(KeySource::Passphrase) {
                    self.confirm(false, "Unlock it?")?;
                }
                unlock::Unlock::default().unlock(client, self)?;
                Ok(call(client)?)
            }
            done => Ok(done?),
        }
    }

    /// Asks a person for a secret, which is not shown.
    pub(super) fn ask_secret(&mut self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        self.output.io.stderr.flush()?;
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| Failure::Input(format!("there is no terminal to ask on: {error}")))
    }

    /// Asks a person before something is destroyed; where nobody can be asked, the call is consent.
    pub(super) fn confirm(&mut self, yes: bool, question: &str) -> Result<(), Failure> {
        let Io { stdin, stderr, can_ask, .. } = &mut *self.output.io;
        if yes || !*can_ask {
            return Ok(());
        }
        write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush())?;
        let answer = input::line(stdin)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::Declined) }
    }

    /// As [`Session::confirm`], for what destroys much: where nobody can be asked, `--yes` is.
    pub(super) fn confirm_in_any_case(&mut self, yes: bool, question: &str) -> Result<(), Failure> {
        if !yes && !self.output.io.can_ask {
            let message = format!("{question} There is no terminal to ask on: repeat it with --yes");
            return Err(Failure::Input(message));
        }
        self.confirm(yes, question)
    }
}

/// A release as numbers that can be compared.
fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert!(numbers("0.9.10") < numbers("0.10.0") && numbers("0.1.0") < numbers("0.1.1"));
        assert!(numbers("1.0.0-rc.1") <= numbers("1.0.0"));
    }
}
