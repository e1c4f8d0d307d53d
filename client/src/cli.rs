//! The `keyfob` command: a thin layer over the [blocking client](crate::blocking).
//!
//! One file per command. A command makes its calls and hands the reply to `Output`, which prints it
//! for people or as JSON; errors come back as `Failure` and are printed in one place, here. Data
//! goes to standard output, everything else to standard error. Secrets are printed only on an explicit
//! `--reveal`, and read from standard input, a file or the environment, a passphrase from the terminal or a file
//! descriptor; never from an argument.

#![allow(clippy::unused_self, reason = "every command has the same shape, also one without options")]

mod active;
mod clear;
mod completions;
mod failure;
mod input;
mod key;
mod list;
mod lock;
mod man;
mod output;
mod show;
mod sign;
mod status;
mod stop;
mod store;
mod tour;
mod unlock;
mod use_session;
mod vault;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use keyfob_proto::Place;

use self::failure::Failure;
use self::output::Output;
use crate::{Access, blocking};

/// Where a command reads and writes.
pub struct Io<'a> {
    /// Standard input.
    pub stdin: Box<dyn Read + 'a>,
    /// Standard output: data.
    pub stdout: Box<dyn Write + 'a>,
    /// Standard error: everything else.
    pub stderr: Box<dyn Write + 'a>,
    /// Whether a person is at the other end of standard input and standard error, and can be asked.
    pub can_ask: bool,
    /// Whether standard output takes colours.
    pub has_colours: bool,
}

impl Io<'_> {
    /// Those of the process.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            stdin: Box::new(io::stdin()),
            stdout: Box::new(io::stdout().lock()),
            stderr: Box::new(io::stderr()),
            can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
            has_colours: io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the vault answered a fault (its code is printed), or the command failed.
    Failed,
    /// 2: the command was called wrongly.
    Usage,
    /// 69: there is no daemon, and none could be started.
    Unreachable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 69,
        })
    }
}

/// One session vault for every app on the machine.
#[derive(Debug, Parser)]
#[command(name = "keyfob", version, override_usage = "keyfob [OPTIONS] COMMAND", help_template = HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
{about}

Usage: {usage}

Sessions:
  store [KEY]    Store a session; its token comes from stdin, a file or the environment
  list           List the sessions
  show [KEY]     Show a session, by default the active one
  use KEY        Make a session the active one
  active         Print the name of the active session
  clear [KEY]    Clear a session, by default the active one, with its key pair
  clear --all    Clear every session

Keys and signatures:
  key            Create, import, list and delete API key pairs (key --help)
  stamp          Make the X-Stamp header for a request body on stdin
  sign           Sign bytes on stdin

The vault's lock:
  lock           Take the vault's keys out of memory
  unlock         Put them back
  vault rekey    Give the vault a new key: a passphrase, a key file, the keyring or a credential

Daemon:
  status         Show the state of the daemon
  watch          Print the vault's events as they come
  stop           Stop the daemon

More:
  tour           See it work, on a throw-away vault
  completions    Print completions for a shell
  man            Print the manual page
  help           Print this, or the help of a command

Options:
{options}

Exit codes: 0 done, 1 fault (its code is printed), 2 wrong usage, 69 no daemon.
";

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Options {
    /// Print JSON: one object, or one a line where there are many
    #[arg(long, global = true)]
    json: bool,

    /// Do not start the daemon when none answers
    #[arg(long, global = true)]
    no_start: bool,

    /// The daemon's socket [default: keyfob/keyfob.sock in the runtime directory]
    #[arg(long, global = true, value_name = "PATH", env = "KEYFOB_SOCKET", hide_env_values = true)]
    socket: Option<OsString>,

    /// The vault's data directory [default: keyfob in the platform's data directory]
    #[arg(long, global = true, value_name = "DIR", env = "KEYFOB_DATA_DIR", hide_env_values = true)]
    data_dir: Option<OsString>,

    /// Trust this user, by number, to serve the vault, besides yourself and root
    #[arg(long, global = true, value_name = "UID", env = "KEYFOB_SERVER_UID", hide_env_values = true)]
    server_uid: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Store(store::Store),
    List(list::List),
    Show(show::Show),
    Use(use_session::Use),
    Active(active::Active),
    Clear(clear::Clear),
    #[command(subcommand)]
    Key(key::Key),
    Stamp(sign::Stamp),
    Sign(sign::Sign),
    Lock(lock::Lock),
    Unlock(unlock::Unlock),
    #[command(subcommand)]
    Vault(vault::Vault),
    Status(status::Status),
    Watch(watch::Watch),
    Stop(stop::Stop),
    Tour(tour::Tour),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Runs the command that `args` call, the first of them being the program's name.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>, io: &mut Io<'_>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(message) => return explain(&message, io),
    };
    let json = cli.options.json;
    let mut session = Session { options: cli.options, output: Output { json, io } };
    match session.run(cli.command) {
        Ok(()) => Exit::Done,
        Err(failure) => session.output.failure(&failure),
    }
}

/// Prints what clap has to say: help and versions are data, wrong usage is not.
fn explain(message: &clap::Error, io: &mut Io<'_>) -> Exit {
    let (out, exit) = if message.use_stderr() { (&mut io.stderr, Exit::Usage) } else { (&mut io.stdout, Exit::Done) };
    // A reader that left early has seen what it wanted.
    let _ = write!(out, "{}", message.render());
    exit
}

/// One run of the command: its options, its output, its way to the vault.
struct Session<'a, 'io> {
    options: Options,
    output: Output<'a, 'io>,
}

impl Session<'_, '_> {
    fn run(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Store(command) => command.run(self),
            Command::List(command) => command.run(self),
            Command::Show(command) => command.run(self),
            Command::Use(command) => command.run(self),
            Command::Active(command) => command.run(self),
            Command::Clear(command) => command.run(self),
            Command::Key(command) => command.run(self),
            Command::Stamp(command) => command.run(self),
            Command::Sign(command) => command.run(self),
            Command::Lock(command) => command.run(self),
            Command::Unlock(command) => command.run(self),
            Command::Vault(command) => command.run(self),
            Command::Status(command) => command.run(self),
            Command::Watch(command) => command.run(self),
            Command::Stop(command) => command.run(self),
            Command::Tour(command) => command.run(self),
            Command::Completions(command) => command.run(self, &mut Cli::command()),
            Command::Man(command) => command.run(self, Cli::command()),
        }
    }

    /// A connection to the vault, whose daemon is started if need be.
    fn connect(&self) -> Result<blocking::Client, Failure> {
        let access = self.access()?;
        let connected = if self.options.no_start {
            blocking::Client::connect(&access)
        } else {
            blocking::Client::connect_or_start(&access)
        };
        Ok(connected?)
    }

    /// The vault that is meant.
    fn access(&self) -> Result<Access, Failure> {
        let Options { socket, data_dir, server_uid, .. } = &self.options;
        let server_uid = server_uid.as_deref().filter(|uid| !uid.is_empty()).map(str::parse).transpose();
        let told = |_| Failure::Input("--server-uid or KEYFOB_SERVER_UID is not the number of a user".to_owned());
        let place = Place::new(socket.clone(), data_dir.clone());
        Ok(Access { server_uid: server_uid.map_err(told)?, ..Access::new(place) })
    }

    /// Asks a person before something is destroyed; where nobody can be asked, the call is consent.
    fn confirm(&mut self, yes: bool, question: &str) -> Result<(), Failure> {
        let Io { stdin, stderr, can_ask, .. } = &mut *self.output.io;
        if yes || !*can_ask {
            return Ok(());
        }
        write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush())?;
        let answer = input::line(stdin)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::Declined) }
    }
}
