//! [`Config`]: what a daemon needs to know, and the [`Flags`] it comes from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, ValueEnum};
use keyfob_proto::{Endpoint, Place, PlaceError, StartedBy, parse_duration};
use tracing_subscriber::filter::LevelFilter;

use crate::clock::Clock;
use crate::error::Error;
use crate::passed::Bound;
use crate::peer::KnownUsers;

/// Everything that differs from one daemon to another.
#[derive(Debug)]
pub struct Config {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The socket, where it was bound before the daemon started.
    pub listener: Option<Bound>,
    /// Who started the daemon.
    pub started_by: StartedBy,
    /// Where it keeps the vault.
    pub data_dir: PathBuf,
    /// Whether nobody named that directory.
    pub is_default_dir: bool,
    /// The users it serves besides its own and root.
    pub allow_uids: Vec<u32>,
    /// When the vault is locked by itself.
    pub lock_after: LockAfter,
    /// For how many days the audit is kept; 0: there is none.
    pub audit_days: u64,
    /// What time it is.
    pub clock: Clock,
}

/// When a vault is locked by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockAfter {
    /// As it was set in the vault.
    #[default]
    AsTheVaultSays,
    /// Never.
    Never,
    /// When its keys were not used for so long.
    Unused(Duration),
}

/// One session vault for every app on the machine.
///
/// keyfobd keeps sessions and their P-256 key pairs and serves them on a local socket. Apps and the
/// `keyfob` command start it by themselves; nobody has to call it by hand.
#[derive(Debug, Parser)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(name = "keyfobd", version, after_help = EXIT_CODES)]
pub struct Flags {
    /// Listen on this socket [env: KEYFOB_SOCKET] [default: keyfob/keyfob.sock in the runtime directory]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<OsString>,

    /// Keep the vault in this directory [env: KEYFOB_DATA_DIR] [default: keyfob in the platform's data directory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<OsString>,

    /// Serve this user too, by number; may be given more than once. Needs a --socket in a directory
    /// that the user can enter
    #[arg(long, value_name = "UID")]
    pub allow_uid: Vec<u32>,

    /// Lock the vault when its keys were not used for so long, such as 15m or 2h: no token read, nothing stored, no
    /// signature. The time that the machine sleeps counts. `never` is a value too. In place of what the vault says
    /// itself (`keyfob vault set lock-after`)
    #[arg(long, value_name = "DURATION", env = "KEYFOB_LOCK_AFTER", hide_env_values = true)]
    pub lock_after: Option<String>,

    /// Keep the audit, which has a line for each change and each use of a grant, for so many days; 0 writes none
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub audit_days: u64,

    /// How much to log: error, warn, info (each mutation), debug (each request), or off [default: info]
    #[arg(long, value_name = "LEVEL", env = "KEYFOB_LOG", hide_env_values = true)]
    pub log: Option<String>,

    /// How to log [default: text]
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    pub log_format: LogFormat,

    /// Start the daemon in the background and return when it listens: one line of JSON on stdout says so, or why it
    /// cannot. It leaves the terminal and logs to keyfobd.log in the data directory; for programs that start the daemon.
    /// Where a unit of systemd owns the socket, that is started instead
    #[arg(long)]
    pub background: bool,

    /// Say in one line of JSON on stdout why a daemon could not start, if so; nothing is made.
    #[arg(long, hide = true)]
    pub check: bool,

    /// Print the manual page of keyfobd.
    #[arg(long, hide = true)]
    pub man: bool,

    /// What the process does that `--background` starts.
    #[arg(long, hide = true)]
    pub detached: bool,

    /// Take the place of the daemon that this process was: its socket is standard input.
    #[arg(long, hide = true)]
    pub successor: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 drained and stopped, 1 the system refused something, 2 wrong usage, 65 the store is
damaged or from a newer release, 74 the disk failed, 75 another daemon has the vault or the socket.";

/// What clap found wrong, without what was typed: it may be a secret in the wrong place.
#[must_use]
pub fn told(error: &clap::Error) -> String {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    match (error.kind(), argument) {
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(argument)) => {
            format!("the value of {argument} makes no sense; see `keyfobd --help`")
        }
        (ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict, Some(argument)) => {
            format!("{argument} is missing, or does not go with the rest; see `keyfobd --help`")
        }
        _ => "there is no such option, or one argument too many; see `keyfobd --help`".to_owned(),
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Flags {
    /// The configuration that the flags, the environment and the platform's customs make; with the socket that was bound
    /// before, if one was.
    ///
    /// # Errors
    ///
    /// When no socket can have the path, there is no home directory to keep the vault in, or a value makes no sense.
    pub fn config(&self, listener: Option<Bound>, started_by: StartedBy) -> Result<Config, Error> {
        let place = self.place()?;
        let endpoint = match &listener {
            // It knows where it is.
            Some(Bound::BySystemd(socket)) => match socket.local_addr().ok().as_ref().and_then(|at| at.as_pathname()) {
                Some(path) => Endpoint::named(path)?,
                None => {
                    return Err(Error::Usage("the socket that was passed on has no path in the file system".into()));
                }
            },
            Some(Bound::ByPredecessor(_)) | None => place.endpoint()?,
        };
        if let Some(uid) = self.allow_uid.iter().find(|uid| !KnownUsers::here().knows(**uid)) {
            let message = format!(
                "--allow-uid {uid}: keyfobd runs in a user namespace, as every sandboxed unit of a user does, where the \
                 system does not tell it who that is, and it would let in everybody"
            );
            return Err(Error::Usage(message));
        }
        if !KnownUsers::here().knows(rustix::process::getuid().as_raw()) {
            let message = "this user namespace does not have the user that keyfobd runs as, so it could tell nobody from you: map \
                           that user";
            return Err(Error::Usage(message.to_owned()));
        }
        let lock_after = match self.lock_after.as_deref().filter(|text| !text.is_empty()) {
            None => LockAfter::AsTheVaultSays,
            Some("never") => LockAfter::Never,
            Some(text) => {
                let told = |error| Error::Usage(format!("--lock-after or KEYFOB_LOCK_AFTER: {error}, or `never`"));
                LockAfter::Unused(parse_duration(text).map_err(told)?)
            }
        };
        Ok(Config {
            endpoint,
            listener,
            started_by,
            data_dir: place.data_dir()?,
            is_default_dir: place.named_data_dir().is_none(),
            allow_uids: self.allow_uid.clone(),
            lock_after,
            audit_days: self.audit_days,
            clock: Clock::system(),
        })
    }

    fn place(&self) -> Result<Place, PlaceError> {
        Place::given(self.socket.clone(), self.data_dir.clone())
    }

    /// Where a daemon with these flags listens.
    ///
    /// # Errors
    ///
    /// When no socket can have the path.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        Ok(self.place()?.endpoint()?)
    }

    /// How much to log.
    ///
    /// # Errors
    ///
    /// When it is none of the levels.
    pub fn log(&self) -> Result<LevelFilter, Error> {
        let text = self.log.as_deref().filter(|text| !text.is_empty()).unwrap_or("info");
        let told =
            |_| Error::Usage("--log or KEYFOB_LOG is none of off, error, warn, info, debug and trace".to_owned());
        text.parse().map_err(told)
    }
}
