use std::num::NonZeroU64;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use keyfob::Client;
use keyfob_proto::{KeySource, Rekey, Secret, SetLockAfter};

use super::arguments::duration;
use super::input::{CurrentPassphraseSource, PassphraseSource};
use super::time::span;
use super::{Failure, Session};

/// How long a rekeying may take. It fills the slot of each record anew, which takes seconds for 100,000 of them.
const REKEY_WITHIN: Duration = Duration::from_secs(3600);

/// How often a person is told how far it has come.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Change the wrapping key, under which the vault's root key is kept, or what the vault says of itself
///
/// Example: keyfob vault set lock-after 15m
#[derive(Debug, Subcommand)]
pub(super) enum Vault {
    Rekey(RekeyArgs),
    #[command(subcommand)]
    Set(Setting),
}

/// Change a setting that the vault keeps
///
/// Example: keyfob vault set lock-after 15m
#[derive(Debug, Subcommand)]
pub(super) enum Setting {
    LockAfter(LockAfter),
}

/// Lock the vault by itself when its keys were not used for so long
///
/// A token that is read, something that is stored and a signature are uses. The time that the machine sleeps counts. A
/// daemon that was started with --lock-after or KEYFOB_LOCK_AFTER does that instead.
///
/// Example: keyfob vault set lock-after 15m
#[derive(Debug, Args)]
pub(super) struct LockAfter {
    /// How long, such as 15m or 2h; or `never`
    #[arg(value_name = "DURATION", value_parser = After::read)]
    after: After,
}

/// So many seconds, or never.
#[derive(Clone, Copy, Debug)]
struct After(Option<NonZeroU64>);

impl After {
    fn read(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        duration(text)
            .map(|duration| Self(NonZeroU64::new(duration.as_secs())))
            .map_err(|error| format!("{error}, or `never`"))
    }
}

impl LockAfter {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let set = client.call(SetLockAfter { lock_after_seconds: self.after.0 }).wait()?;
        let text = match set.lock_after_seconds {
            Some(seconds) => format!("the vault locks itself when its keys were not used for {}", span(seconds.get())),
            None => "the vault does not lock itself".to_owned(),
        };
        session.output.print(&set, text)?;
        if client.status().wait()?.lock.lock_after_overridden {
            session
                .output
                .note("the daemon that runs now was started with another time, and does that until it stops")?;
        }
        Ok(())
    }
}

impl Vault {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        match self {
            Self::Rekey(command) => command.run(session),
            Self::Set(Setting::LockAfter(command)) => command.run(session),
        }
    }
}

/// Give the vault a new root key, and say where its wrapping key comes from
///
/// One atomic, durable step: a crash leaves the vault with the old key or the new one. What was wrapped under the old
/// one is overwritten. The vault has to be unlocked, and a vault that has a passphrase asks for it first.
///
/// Example: keyfob vault rekey passphrase
#[derive(Debug, Args)]
#[command(name = "rekey")]
pub(super) struct RekeyArgs {
    /// Where the wrapping key comes from
    source: Source,

    #[command(flatten)]
    passphrase: PassphraseSource,

    #[command(flatten)]
    current: CurrentPassphraseSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// A passphrase: the vault is locked whenever the daemon starts, until `keyfob unlock`
    Passphrase,
    /// A file in the data directory that only you can read: the vault unlocks itself
    KeyFile,
    /// The platform's keyring: the vault unlocks itself while that is open
    Keyring,
    /// The credential `keyfob` that systemd passes to the daemon: the vault unlocks itself
    Credential,
}

impl From<Source> for KeySource {
    fn from(source: Source) -> Self {
        match source {
            Source::Passphrase => Self::Passphrase,
            Source::KeyFile => Self::KeyFile,
            Source::Keyring => Self::Keyring,
            Source::Credential => Self::Credential,
        }
    }
}

impl RekeyArgs {
    fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        if self.passphrase.is_given() && self.source != Source::Passphrase {
            return Err(Failure::Input("--passphrase-fd goes with the source `passphrase`".to_owned()));
        }
        let client = session.connect()?;
        let lock = client.status().wait()?.lock;
        let has_passphrase = lock.key_source == Some(KeySource::Passphrase);
        if self.current.is_given() && !has_passphrase {
            return Err(Failure::Input("the vault has no passphrase: leave --current-passphrase-fd out".to_owned()));
        }
        // A vault that is locked and empty needs none: it may be lost.
        let is_asked = has_passphrase && (!lock.locked || self.current.is_given());
        let current_passphrase = if is_asked { Some(Secret::new(self.current.read(session)?.as_str())) } else { None };
        let passphrase = match self.source {
            Source::Passphrase => Some(Secret::new(self.passphrase.read_new(session)?.as_str())),
            _ => None,
        };
        let key_source = self.source.into();
        let watcher = if session.output.io.can_ask { Some(session.connect()?) } else { None };
        let call = Rekey { key_source, passphrase, current_passphrase };
        let rekeyed = thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            let rekeying = scope.spawn(move || {
                let _done = done;
                client.call(call).within(REKEY_WITHIN).wait()
            });
            if let Some(watcher) = watcher {
                // How it ends is what counts.
                let _ = show_progress(&watcher, &is_done, session);
            }
            rekeying.join().map_err(|_| Failure::Input("the call failed".to_owned()))?.map_err(Failure::from)
        })?;
        let text = match self.source {
            Source::Passphrase => "the vault is kept under the passphrase now; without it nobody opens it any more",
            Source::KeyFile => "the vault is kept under a new key file now; back it up with the store",
            Source::Keyring => "the vault is kept under a key in the keyring now",
            Source::Credential => "the vault is kept under systemd's credential now",
        };
        session.output.print(&rekeyed, text)
    }
}

/// Tells a person how far it has come until it is done.
fn show_progress(watcher: &Client, is_done: &mpsc::Receiver<()>, session: &mut Session<'_, '_>) -> Result<(), Failure> {
    while is_done.recv_timeout(PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
        if let Some(progress) = watcher.status().wait()?.lock.rekeying {
            session.output.note(format!("{} of {} records", progress.done, progress.total))?;
        }
    }
    Ok(())
}
