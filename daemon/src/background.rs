//! Starting a daemon in the background: a process that waits until the daemon listens, and says how it went.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};

use keyfob_proto::Startup;

use crate::config::Flags;
use crate::unit;

/// The longest line that a starting daemon may say, in bytes.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// The flag of a daemon that is started in the background, in place of `--background`.
pub(crate) const DETACHED: &str = "--detached";

/// Starts the daemon with the arguments of this process, waits until it listens or has ended, and passes on what it
/// says in one line. It inherits nothing but what it needs to say that.
///
/// Where a unit of systemd owns the socket, that is started in place of the daemon, which is its to start.
#[must_use]
pub(crate) fn start(flags: &Flags) -> ExitCode {
    if let Some(owned) = flags.endpoint().ok().and_then(|endpoint| unit::start_owner_of(&endpoint)) {
        announce(&owned);
        return ExitCode::from(u8::from(matches!(owned, Startup::Failed { .. })));
    }
    let args = env::args_os().skip(1);
    let args: Vec<OsString> = args.map(|arg| if arg == "--background" { DETACHED.into() } else { arg }).collect();
    let (startup, code) = match spawn(&args) {
        Ok(child) => outcome(child),
        Err(error) => (Startup::Failed { message: format!("cannot run keyfobd: {error}") }, 1),
    };
    announce(&startup);
    ExitCode::from(code)
}

/// Tells whoever started the daemon how it went; that they are gone by now is no error.
///
/// # Panics
///
/// Never: a startup is JSON.
pub(crate) fn announce(startup: &Startup) {
    let line = serde_json::to_string(startup).expect("a startup is JSON");
    let _ = writeln!(io::stdout(), "{line}");
}

fn spawn(args: &[OsString]) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn()
}

/// What a daemon says when it listens or has ended, and the exit code that goes with it.
fn outcome(mut child: Child) -> (Startup, u8) {
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = BufReader::new(stdout.take(MAX_LINE_BYTES)).read_line(&mut line);
    }
    let said = serde_json::from_str(&line).ok();
    if let Some(listening @ Startup::Listening { .. }) = said {
        return (listening, 0);
    }
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(MAX_LINE_BYTES).read_to_end(&mut words);
    }
    let status = child.wait();
    let code = status.as_ref().ok().and_then(|status| u8::try_from(status.code()?).ok()).filter(|code| *code != 0);
    let failed = said.unwrap_or_else(|| {
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        Startup::Failed { message: format!("the daemon ended before it listened ({status}){words}") }
    });
    (failed, code.unwrap_or(1))
}
