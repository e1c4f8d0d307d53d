//! [`Launch`]: starting the daemon when none answers.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use keyfob_proto::{Endpoint, EndpointError, Startup};

use crate::Error;

/// The longest line that a starting daemon may say, in bytes.
const MAX_STARTUP_BYTES: u64 = 64 * 1024;

/// Which daemon to start, and where it listens.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Where it keeps the vault; `None` leaves that to the daemon (`$KEYFOB_DATA_DIR`, or its
    /// default).
    pub data_dir: Option<PathBuf>,
    /// The program.
    pub daemon: PathBuf,
}

impl Launch {
    /// The daemon of the endpoint that everybody uses who names none.
    ///
    /// # Errors
    ///
    /// When no socket can have the path that follows from the environment.
    pub fn from_env() -> Result<Self, EndpointError> {
        Endpoint::from_env().map(Self::new)
    }

    /// The daemon of an endpoint. The program is the `keyfobd` beside the running program, or else
    /// the one in `PATH`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let beside = env::current_exe().ok().map(|program| program.with_file_name("keyfobd"));
        let daemon = beside.filter(|program| program.is_file()).unwrap_or_else(|| "keyfobd".into());
        Self { endpoint, data_dir: None, daemon }
    }

    /// Starts the daemon and waits until it listens, or says why it cannot.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        let launch = self.clone();
        match tokio::task::spawn_blocking(move || launch.start_blocking()).await {
            Ok(started) => started.map_err(|message| Error::NotStarted { message }),
            Err(_) => Err(Error::NotStarted { message: "the program is shutting down".to_owned() }),
        }
    }

    fn start_blocking(&self) -> Result<(), String> {
        let mut command = Command::new(&self.daemon);
        command.arg("--background");
        // The daemon finds the default by itself, and then sees to the socket's directory too.
        if self.endpoint.is_named() {
            command.arg("--socket").arg(self.endpoint.path());
        }
        if let Some(data_dir) = &self.data_dir {
            command.arg("--data-dir").arg(data_dir);
        }
        // The daemon outlives us: it must not hold on to our terminal or pipes.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| {
            let daemon = self.daemon.display();
            format!("cannot run {daemon}: {error}. Install keyfobd beside keyfob or in PATH, or start it yourself")
        })?;

        // Its one line ends the wait; so does its end.
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout.take(MAX_STARTUP_BYTES)).read_line(&mut line);
        }
        let startup = serde_json::from_str(&line);
        if let Ok(Startup::Listening { .. }) = startup {
            // Somebody has to take note of its end, or it would stay as a zombie.
            thread::spawn(move || child.wait());
            return Ok(());
        }
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        match startup {
            Ok(Startup::Failed { message }) => Err(format!("keyfobd did not start: {message}")),
            _ => Err(format!("keyfobd did not start and did not say why ({status}); run it by hand to see")),
        }
    }
}
