//! `keyfob grant`: gives a part of the vault, by itself or for as long as a program runs.

use std::num::{NonZeroU32, NonZeroU64};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use keyfob::Client;
use keyfob_proto::{CreateGrant, GrantCreated, GrantName, Permission, Permissions, SessionKey};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{Named, duration, is_secret};
use super::complete::session_names;
use super::output::name;
use super::time::{local, until};
use super::{Exit, Failure, Session};

/// Give a part of the vault to somebody for a while: a program, a container, another user
///
/// A grant is a socket of its own. Whoever connects there sees the sessions that it names and nothing else, and may do
/// with them what it says: `stamp`, `sign`, `read` (the token), `store` (log in and refresh under these names), `clear`,
/// `watch`. Its path is printed; KEYFOB_SOCKET names it to a program, wherever the program finds it.
///
/// With a program behind `--`, the program runs with KEYFOB_SOCKET set, and the grant ends when it does; keyfob exits as the
/// program did. Otherwise it ends after `--for`, with `keyfob revoke`, or with the daemon.
///
/// Example: keyfob grant --session work --may stamp --for 1h -- ./agent
#[derive(Debug, Args)]
pub(super) struct Grant {
    /// What may be done, with commas in between: stamp, sign, read, store, clear, watch
    #[arg(long, value_name = "WHAT", required = true, value_delimiter = ',', value_parser = permission)]
    may: Vec<Permission>,

    /// With this session; may be given more than once [default: the active one]
    #[arg(long = "session", value_name = "KEY", value_parser = Named::read, add = session_names())]
    sessions: Vec<Named>,

    /// With all sessions, those to come included
    #[arg(long, conflicts_with = "sessions")]
    all_sessions: bool,

    /// For how long, such as 30m or 8h, at most 30d [default: 24h]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    time: Option<Duration>,

    /// For this user, by number, besides yourself
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,

    /// Where its socket is to be, in a directory that is there [default: beside the vault's own]
    #[arg(long, value_name = "PATH")]
    at: Option<PathBuf>,

    /// What to call it: lower-case letters, digits and hyphens [default: made up]
    #[arg(long, value_name = "NAME", value_parser = grant_name)]
    name: Option<GrantName>,

    /// It ends after so many uses
    #[arg(long, value_name = "N")]
    uses: Option<NonZeroU64>,

    /// It answers so many calls a second [default: 2000]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,

    /// A program, and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<std::ffi::OsString>,
}

/// Reads the name of a permission.
fn permission(text: &str) -> Result<Permission, String> {
    text.trim().parse().map_err(|error: keyfob_proto::PermissionError| error.to_string())
}

/// Reads the name of a grant.
pub(super) fn grant_name(text: &str) -> Result<GrantName, String> {
    if is_secret(text) {
        return Err("that looks like a secret, not like the name of a grant".to_owned());
    }
    text.parse().map_err(|error: keyfob_proto::GrantNameError| error.to_string())
}

impl Grant {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let sessions = self.sessions(&client, session)?;
        let call = CreateGrant {
            session_keys: sessions.clone(),
            name: self.name,
            socket: self.at.map(std::path::absolute).transpose()?,
            uid: self.uid,
            seconds: self.time.and_then(|time| NonZeroU64::new(time.as_secs())),
            uses: self.uses,
            calls_per_second: self.rate,
            until_disconnect: !self.program.is_empty(),
            ..CreateGrant::new(Permissions::new(self.may).expect("clap asks for one"))
        };
        let made = client.call(call).wait()?;
        if let Some((program, args)) = self.program.split_first() {
            let mut command = Command::new(program);
            command.args(args).stdin(Stdio::inherit());
            return run(command, &made, sessions.as_deref());
        }
        let with = match &sessions {
            Some(keys) => keys.iter().map(name).collect::<Vec<_>>().join(", "),
            None => "all sessions".to_owned(),
        };
        let ends = format!("ends {}, at {}", until(made.expires_at), local(made.expires_at));
        session.output.note(format!("grant {} on {with}; it {ends}, or with `keyfob revoke {0}`", made.name))?;
        session.output.print(&made, made.socket.display())
    }

    /// The sessions that are meant; none: all.
    fn sessions(&self, client: &Client, session: &Session<'_, '_>) -> Result<Option<Vec<SessionKey>>, Failure> {
        if self.all_sessions {
            return Ok(None);
        }
        let may_store = self.may.contains(&Permission::Store);
        let named: Result<Vec<_>, _> = self
            .sessions
            .iter()
            .map(|name| if may_store { name.clone().new_or_there(client) } else { name.clone().find(client) })
            .collect();
        let named = named?;
        if !named.is_empty() {
            return Ok(Some(named));
        }
        let active = match session.named_session(None, client)? {
            Some(key) => Some(key),
            None => client.get_active_session_key().wait()?.session_key,
        };
        let none = || Failure::Input("no session is active: name one with --session, or say --all-sessions".to_owned());
        active.map(|key| Some(vec![key])).ok_or_else(none)
    }
}

/// Runs a program with a grant; the grant ends with the connection that it was made on, however this ends.
fn run(mut command: Command, grant: &GrantCreated, sessions: Option<&[SessionKey]>) -> Result<(), Failure> {
    command.env("KEYFOB_SOCKET", &grant.socket).env("KEYFOB_GRANT", grant.name.as_str());
    // What the vault's own user has set is not for whoever has a part of it.
    command.env_remove("KEYFOB_DATA_DIR");
    let of_shell = std::env::var("KEYFOB_SESSION").ok();
    let is_granted = |key: &str| sessions.is_none_or(|keys| keys.iter().any(|granted| granted.as_str() == key));
    if of_shell.is_some_and(|key| !is_granted(&key)) {
        command.env_remove("KEYFOB_SESSION");
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(wait(command))?;
    match exit_code(status) {
        0 => Ok(()),
        code => Err(Failure::Program(Exit::Program(code))),
    }
}

/// Waits for a program to end. What the system asks of this one it is asked, too: a terminal asks both.
async fn wait(mut command: Command) -> Result<ExitStatus, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut child = command.spawn().map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        Failure::NotRun { code, source: error }
    })?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    loop {
        let passed_on = tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupt.recv() => continue,
            _ = quit.recv() => continue,
            _ = terminate.recv() => Signal::TERM,
            _ = hangup.recv() => Signal::HUP,
        };
        if let Some(pid) = pid {
            // It may just have ended.
            let _ = kill_process(pid, passed_on);
        }
    }
}

/// As a shell says how a program ended.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
