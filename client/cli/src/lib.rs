//! The `keyfob` command: a thin layer over the [client](keyfob::Client).
//!
//! One file per command. A command makes its calls and hands the reply to `Output`, which prints it
//! for people or as JSON; errors come back as `Failure` and are printed in one place, here. Data
//! goes to standard output, everything else to standard error. Secrets are printed only on an explicit
//! `--reveal`, and read from standard input, a file, the environment or a hidden prompt, a passphrase from a hidden
//! prompt or a file descriptor; never from an argument. What was typed is not repeated, and what comes from outside is
//! escaped.

#![allow(clippy::doc_markdown, reason = "the comments on commands and options are help texts")]
#![allow(clippy::unused_self, reason = "every command has the same shape, also one without options")]

mod active;
mod arguments;
mod clear;
mod complete;
mod completions;
mod doctor;
mod escape;
mod failure;
mod grant;
mod grants;
mod input;
mod key;
mod list;
mod live;
mod lock;
mod log;
mod man;
mod output;
mod private_key;
mod restart;
mod service;
mod session;
mod show;
mod sign;
mod status;
mod stop;
mod store;
mod table;
mod time;
mod token;
mod tour;
mod unlock;
mod use_session;
mod vault;
mod watch;

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::CompleteEnv;
use terminal_size::{Width, terminal_size};

use self::failure::Failure;
use self::output::Output;
use self::session::Session;

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
    /// How wide the terminal is that standard output is, in cells; none: it is no terminal.
    pub width: Option<usize>,
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
            has_colours: io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            width: io::stdout().is_terminal().then(|| terminal_size().map_or(80, |(Width(width), _)| width.into())),
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
    /// As the program did that was run.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 69,
            Exit::Program(code) => code,
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
  clear [KEY]    Clear a session, by default the active one, with its key pair; or all of them (--all)

Keys and signatures:
  key            Create, import, list and delete API key pairs (key --help)
  stamp          Make the X-Stamp header for a request body on stdin
  sign           Sign bytes on stdin

The vault:
  grant          Give a part of it for a while: to a program, a container, another user
  grants         List who has what
  revoke NAME    End a grant; all of them with --all
  lock           Take the vault's keys out of memory
  unlock         Put them back
  vault          Change its key (rekey) and its settings (set)

Daemon:
  status         Show the state of the daemon
  watch          Print the vault's events as they come
  doctor         Look at everything, and say what to do
  log            Show the daemon's log
  stop           Stop the daemon
  restart        Replace it by the one that is installed now
  service        Have systemd or launchd start it (service --help)

More:
  tour           See it work, on a throw-away vault
  completions    Print completions for a shell
  man            Print the manual page

Options:
{options}

Exit codes: 0 done, 1 fault (its code is printed), 2 wrong usage, 69 no daemon.
";

/// Options of every command, in the order in which they matter.
#[derive(Clone, Debug, Args)]
struct Options {
    /// Print JSON: one object, or one a line where they come as time passes
    #[arg(long, global = true, display_order = 100)]
    json: bool,

    /// Do not start the daemon when none answers
    #[arg(long, global = true, display_order = 101)]
    no_start: bool,

    /// The vault's data directory [default: keyfob in the platform's data directory]
    #[arg(long, global = true, value_name = "DIR", display_order = 102)]
    data_dir: Option<OsString>,

    /// The daemon's socket [default: keyfob/keyfob.sock in the runtime directory]
    #[arg(long, global = true, value_name = "PATH", display_order = 103)]
    socket: Option<OsString>,

    /// Trust this user, by number, to serve the vault, besides yourself and root
    #[arg(long, global = true, value_name = "UID", display_order = 104)]
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
    Grant(grant::Grant),
    Grants(grants::Grants),
    Revoke(grants::Revoke),
    Lock(lock::Lock),
    Unlock(unlock::Unlock),
    #[command(subcommand)]
    Vault(vault::Vault),
    Status(status::Status),
    Watch(watch::Watch),
    Doctor(doctor::Doctor),
    Log(log::Log),
    Stop(stop::Stop),
    Restart(restart::Restart),
    #[command(subcommand)]
    Service(service::Service),
    Tour(tour::Tour),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Runs the command that `args` call, the first of them being the program's name.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>, io: &mut Io<'_>) -> Exit {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let here = env::current_dir().ok();
    // A shell asks what there is to complete.
    let completion = CompleteEnv::with_factory(Cli::command).var(completions::VARIABLE);
    if completion.try_complete(args.clone(), here.as_deref()).unwrap_or(false) {
        return Exit::Done;
    }
    let is_bare = args.len() < 2;
    let parsed = Cli::try_parse_from(if is_bare { vec![OsString::from("keyfob"), "--help".into()] } else { args });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(message) => return explain(&message, is_bare, io),
    };
    let json = cli.options.json;
    let mut session = Session { options: cli.options, output: Output { json, io } };
    match session.run(cli.command) {
        Ok(()) => Exit::Done,
        Err(failure) => session.output.failure(&failure),
    }
}

/// Prints what clap has to say: help and versions are data, wrong usage is not. A command alone gets the overview.
fn explain(message: &clap::Error, is_bare: bool, io: &mut Io<'_>) -> Exit {
    // A reader that left early has seen what it wanted.
    if message.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(io.stderr, "{}", message.render());
        return Exit::Usage;
    }
    if message.use_stderr() {
        let _ = write!(io.stderr, "{}", arguments::told(message));
        return Exit::Usage;
    }
    let out = if is_bare { &mut io.stderr } else { &mut io.stdout };
    let _ = write!(out, "{}", message.render());
    if is_bare { Exit::Usage } else { Exit::Done }
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
            Command::Grant(command) => command.run(self),
            Command::Grants(command) => command.run(self),
            Command::Revoke(command) => command.run(self),
            Command::Lock(command) => command.run(self),
            Command::Unlock(command) => command.run(self),
            Command::Vault(command) => command.run(self),
            Command::Status(command) => command.run(self),
            Command::Watch(command) => command.run(self),
            Command::Doctor(command) => command.run(self),
            Command::Log(command) => command.run(self),
            Command::Stop(command) => command.run(self),
            Command::Restart(command) => command.run(self),
            Command::Service(command) => command.run(self),
            Command::Tour(command) => command.run(self),
            Command::Completions(command) => command.run(self),
            Command::Man(command) => command.run(self, Cli::command()),
        }
    }
}
