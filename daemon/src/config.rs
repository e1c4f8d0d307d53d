//! [`Config`]: what a daemon needs to know, and the [`Flags`] it comes from.

use std::ffi::OsString;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use etcetera::BaseStrategy;
use keyfob_proto::Endpoint;

use crate::clock::Clock;
use crate::error::Error;

/// Everything that differs from one daemon to another.
#[derive(Debug)]
pub struct Config {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The socket, where whoever started the daemon bound it.
    pub listener: Option<UnixListener>,
    /// Where it keeps the vault.
    pub data_dir: PathBuf,
    /// The users it serves besides its own and root.
    pub allow_uids: Vec<u32>,
    /// After how long without use of its keys the vault is locked.
    pub lock_after: Option<Duration>,
    /// What time it is.
    pub clock: Clock,
}

/// One session vault for every app on the machine.
///
/// keyfobd keeps sessions and their P-256 key pairs and serves them on a local socket. Apps and the
/// `keyfob` command start it by themselves; nobody has to call it by hand.
#[derive(Debug, Parser)]
#[command(name = "keyfobd", version, after_help = EXIT_CODES)]
pub struct Flags {
    /// Listen on this socket [default: keyfob/keyfob.sock in the runtime directory]
    #[arg(long, value_name = "PATH", env = "KEYFOB_SOCKET", hide_env_values = true)]
    pub socket: Option<OsString>,

    /// Keep the vault in this directory [default: keyfob in the platform's data directory]
    #[arg(long, value_name = "DIR", env = "KEYFOB_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<OsString>,

    /// Serve this user too, by number; may be given more than once. Needs a --socket in a directory
    /// that the user can enter
    #[arg(long, value_name = "UID")]
    pub allow_uid: Vec<u32>,

    /// Lock the vault when its keys were not used for so many seconds: no token read, nothing stored, no
    /// signature. The time that the machine sleeps counts
    #[arg(long, value_name = "SECONDS", env = "KEYFOB_LOCK_AFTER", value_parser = clap::value_parser!(u64).range(1..))]
    pub lock_after: Option<u64>,

    /// How much to log: error, warn, info (each mutation), debug (each request), or off
    #[arg(long, value_name = "LEVEL", env = "KEYFOB_LOG", default_value = "info")]
    pub log: tracing_subscriber::filter::LevelFilter,

    /// How to log [default: text]
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    pub log_format: LogFormat,

    /// Say in one line of JSON on stdout when it listens or why it cannot, leave the terminal, and
    /// log to keyfobd.log in the data directory; for programs that start the daemon
    #[arg(long)]
    pub background: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 drained and stopped, 1 the system refused something, 2 wrong usage, 65 the store is
damaged or from a newer release, 74 the disk failed, 75 another daemon has the vault or the socket.";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Flags {
    /// The configuration that the flags, the environment and the platform's customs make.
    ///
    /// # Errors
    ///
    /// When no socket can have the path, or there is no home directory to keep the vault in.
    pub fn config(&self) -> Result<Config, Error> {
        // An empty variable is an absent one. What is relative is made absolute, for a daemon in the
        // background leaves the directory it was started in.
        let absolute = |path: &Option<OsString>| path.as_ref().and_then(|path| std::path::absolute(path).ok());
        let endpoint = match absolute(&self.socket) {
            Some(path) => Endpoint::named(path),
            None => Endpoint::from_env(),
        };
        let data_dir = match absolute(&self.data_dir) {
            Some(dir) => dir,
            None => etcetera::base_strategy::choose_native_strategy()
                .map_err(|_| Error::NoDataDir)?
                .data_dir()
                .join("keyfob"),
        };
        Ok(Config {
            endpoint: endpoint?,
            listener: None,
            data_dir,
            allow_uids: self.allow_uid.clone(),
            lock_after: self.lock_after.map(Duration::from_secs),
            clock: Clock::system(),
        })
    }
}
