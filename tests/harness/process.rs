//! [`DaemonProcess`]: `keyfobd` in a process of its own, to be killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use escargot::CargoBuild;

use crate::RawClient;

/// The directory that holds `keyfobd` and `keyfob`, built with the profile of the tests. A test of
/// another package cannot rely on cargo having built them.
#[must_use]
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let build = workspace().bins();
        let build = if cfg!(debug_assertions) { build } else { build.release() };
        let mut directory = None;
        for message in build.exec().expect("the workspace builds") {
            let message = message.expect("cargo speaks JSON");
            if let Ok(escargot::format::Message::CompilerArtifact(artifact)) = message.decode()
                && let Some(program) = artifact.executable
            {
                directory = program.parent().map(Path::to_owned);
            }
        }
        directory.expect("the workspace has programs")
    })
}

/// A build that finds done what was built for the tests.
#[must_use]
pub fn workspace() -> CargoBuild {
    let build = CargoBuild::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    // What cargo says to a test, the build scripts of some dependencies take for theirs, and want to run again.
    let told = std::env::vars_os().map(|(name, _)| name);
    let told = told.filter(|name| {
        name.to_str().is_some_and(|name| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_"))
    });
    // The whole workspace, so that cargo unites the features as it does for the tests.
    told.fold(build, CargoBuild::env_remove).arg("--workspace")
}

/// The processes that were started and not ended yet.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Takes note of a process that [`kill_running`] is to end.
pub fn started(pid: u32) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
}

/// A process has ended, and its number may be another's.
pub fn ended(pid: u32) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
}

/// Ends every process that was started: for a program that is interrupted, and drops nothing.
pub fn kill_running() {
    for pid in &*RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// A running `keyfobd`. Killed when it is dropped.
pub struct DaemonProcess {
    /// The process.
    pub child: Child,
    socket: PathBuf,
    /// Kept open: the daemon may write to it.
    _stdout: BufReader<ChildStdout>,
}

impl DaemonProcess {
    /// Starts a daemon in `dir` and waits until it listens.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        Self::spawn(Self::command(dir), dir).expect("the daemon starts")
    }

    /// The command that starts a daemon in `dir`.
    #[must_use]
    pub fn command(dir: &Path) -> Command {
        let mut command = Command::new(programs().join("keyfobd"));
        command.arg("--detached").arg("--socket").arg(dir.join("keyfob.sock"));
        command.arg("--data-dir").arg(dir.join("data"));
        command
    }

    /// Runs a command that starts a daemon in `dir`.
    ///
    /// # Errors
    ///
    /// The line in which the daemon says why it did not start, and how it ended.
    pub fn spawn(mut command: Command, dir: &Path) -> Result<Self, (String, ExitStatus)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program runs");
        started(child.id());
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a pipe");
        if line.contains("listening") {
            Ok(Self { child, socket: dir.join("keyfob.sock"), _stdout: stdout })
        } else {
            let status = child.wait().expect("a child");
            ended(child.id());
            Err((line, status))
        }
    }

    /// A new connection.
    #[must_use]
    pub fn connect(&self) -> RawClient {
        RawClient::connect(&self.socket)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for DaemonProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        ended(self.child.id());
    }
}
