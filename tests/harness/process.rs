//! [`DaemonProcess`]: `keyfobd` in a process of its own, to be killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use escargot::CargoBuild;

use crate::RawClient;

/// The directory that holds `keyfobd` and `keyfob`, built with the profile of the tests. A test of
/// another package cannot rely on cargo having built them.
#[must_use]
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let build = CargoBuild::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        // The whole workspace, so that cargo unites the features as it does for the tests.
        let build = build.arg("--workspace").bins();
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
        command.arg("--background").arg("--socket").arg(dir.join("keyfob.sock"));
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
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a pipe");
        if line.contains("listening") {
            Ok(Self { child, socket: dir.join("keyfob.sock"), _stdout: stdout })
        } else {
            Err((line, child.wait().expect("a child")))
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
    }
}
