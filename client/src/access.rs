//! [`Access`]: which vault a client means, and how its daemon is found or started.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use std::time::Duration;

use keyfob_proto::{Listening, Place, Startup, Status};
use tokio::time::timeout;

use crate::Error;
use crate::link::Link;

/// How long it is waited before a daemon that takes up no more connections is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The longest line that a starting daemon may say, in bytes.
const MAX_STARTUP_BYTES: u64 = 64 * 1024;

/// How long a client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection, and for the daemon to say which vault it serves. By default 10 seconds.
    pub connect: Duration,
    /// For a daemon that it starts to listen. By default 90 seconds: one that stops may take a minute.
    pub start: Duration,
    /// For the answer to a call; [`Prepared::within`](crate::Prepared::within) says otherwise for one. By default 60
    /// seconds.
    pub call: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), start: Duration::from_secs(90), call: Duration::from_secs(60) }
    }
}

/// Which vault a client means, whom it trusts to serve it, which daemon is started when none does, and how long it waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Access {
    /// The vault.
    pub place: Place,
    /// The program that is started.
    pub daemon: PathBuf,
    /// The user who is trusted to serve the vault besides one's own and root.
    pub server_uid: Option<u32>,
    /// How long it waits.
    pub deadlines: Deadlines,
}

impl Access {
    /// The vault that `$KEYFOB_SOCKET` and `$KEYFOB_DATA_DIR` name, or else the one of everybody who names none.
    /// `$KEYFOB_SERVER_UID` is the number of a user who is trusted to serve it.
    ///
    /// # Errors
    ///
    /// [`Error::ServerUid`] when that is none.
    pub fn from_env() -> Result<Self, Error> {
        let server_uid = env::var_os("KEYFOB_SERVER_UID").filter(|uid| !uid.is_empty());
        let server_uid = server_uid.map(|uid| uid.to_str().and_then(|uid| uid.parse().ok()).ok_or(Error::ServerUid));
        Ok(Self { server_uid: server_uid.transpose()?, ..Self::new(Place::from_env()) })
    }

    /// A vault. The program is the `keyfobd` beside the running program, or else the one in `PATH`.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let beside = env::current_exe().ok().map(|program| program.with_file_name("keyfobd"));
        let daemon = beside.filter(|program| program.is_file()).unwrap_or_else(|| "keyfobd".into());
        Self { place, daemon, server_uid: None, deadlines: Deadlines::default() }
    }

    /// The vault behind this socket.
    #[must_use]
    pub fn socket(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::new(Some(path.into().into_os_string()), None))
    }

    /// Trusts this user to serve the vault, besides one's own and root.
    #[must_use]
    pub fn trusting(self, server_uid: u32) -> Self {
        Self { server_uid: Some(server_uid), ..self }
    }

    /// Starts this program when no daemon answers.
    #[must_use]
    pub fn starting(self, daemon: impl Into<PathBuf>) -> Self {
        Self { daemon: daemon.into(), ..self }
    }

    /// Waits as long as this says.
    #[must_use]
    pub fn within(self, deadlines: Deadlines) -> Self {
        Self { deadlines, ..self }
    }

    /// Connects to the daemon of the vault, and starts it when none answers. Concurrent callers
    /// reach the same daemon.
    pub(crate) async fn connect_or_start(&self) -> Result<Link, Error> {
        match self.connect().await {
            Err(error) if error.is_absent() => {}
            connected => return connected,
        }
        let started = self.start().await;
        match (self.connect().await, started) {
            // If it did not start because another one just did, that one is as good.
            (Err(error), Err(not_started)) if error.is_absent() => Err(not_started),
            (connected, _) => connected,
        }
    }

    /// Connects to the daemon of the vault, in time.
    pub(crate) async fn connect(&self) -> Result<Link, Error> {
        timeout(self.deadlines.connect, self.find()).await.map_err(|_| Error::TimedOut { sent: false })?
    }

    /// Connects to the daemon of the vault: at the socket that was named; else where the daemon says in the data
    /// directory that it listens, else at the default socket. A daemon of another data directory than the one that is
    /// meant gets nothing but the question which one it serves.
    async fn find(&self) -> Result<Link, Error> {
        let at_default = self.place.endpoint()?;
        if self.place.named_socket().is_some() {
            let mut link = self.connect_to(at_default.path()).await?;
            return match self.place.named_data_dir() {
                Some(dir) => check(&mut link, at_default.path(), dir).await.map(|()| link),
                None => Ok(link),
            };
        }
        // Without a home there is no other vault that could be meant.
        let Ok(data_dir) = self.place.data_dir() else { return self.connect_to(at_default.path()).await };
        let said = Listening::read(&data_dir);
        if let Some(Listening { socket, .. }) = &said {
            match self.connect_to(socket).await {
                // The daemon may have been killed, and the socket be another's by now.
                Ok(mut link) => match check(&mut link, socket, &data_dir).await {
                    Err(Error::OtherVault { .. }) => {}
                    checked => return checked.map(|()| link),
                },
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        match self.connect_to(at_default.path()).await {
            Ok(mut link) => check(&mut link, at_default.path(), &data_dir).await.map(|()| link),
            Err(absent) if absent.is_absent() => match said {
                Some(Listening { pid, socket }) if is_running(pid) => Err(Error::SocketGone { pid, socket, data_dir }),
                _ => Err(absent),
            },
            Err(error) => Err(error),
        }
    }

    /// Connects to a socket. Where more connect than the daemon takes up at once, it is tried again, until the deadline.
    async fn connect_to(&self, socket: &Path) -> Result<Link, Error> {
        loop {
            match Link::connect(socket, self.server_uid).await {
                Err(Error::Unreachable { source, .. }) if is_busy(&source) => tokio::time::sleep(BUSY_PAUSE).await,
                connected => return connected,
            }
        }
    }

    /// Starts the daemon and waits until it listens, or says why it cannot.
    async fn start(&self) -> Result<(), Error> {
        if let Some(name) = env::var_os("KEYFOB_GRANT").filter(|name| !name.is_empty()) {
            let name = name.display();
            let message = format!("the grant {name}, which this program runs with, has ended: ask for another");
            return Err(Error::NotStarted { message });
        }
        let access = self.clone();
        let starting = tokio::task::spawn_blocking(move || access.start_blocking());
        let started = match timeout(self.deadlines.start, starting).await {
            Ok(Ok(started)) => started,
            Ok(Err(_)) => Err("the program is shutting down".to_owned()),
            Err(_) => Err(format!("keyfobd did not listen within {} s", self.deadlines.start.as_secs())),
        };
        started.map_err(|message| Error::NotStarted { message })
    }

    fn start_blocking(&self) -> Result<(), String> {
        let mut command = Command::new(&self.daemon);
        command.arg("--background");
        if let Some(socket) = self.place.named_socket() {
            command.arg("--socket").arg(socket);
        }
        if let Some(data_dir) = self.place.named_data_dir() {
            command.arg("--data-dir").arg(data_dir);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| {
            let daemon = self.daemon.display();
            format!("cannot run {daemon}: {error}. Install keyfobd beside keyfob or in PATH, or start it yourself")
        })?;

        // Its one line ends the wait; so does its end. The daemon is a process of its own by then.
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let _ = BufReader::new(stdout.take(MAX_STARTUP_BYTES)).read_line(&mut line);
        }
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        match serde_json::from_str(&line) {
            Ok(Startup::Listening { .. }) => Ok(()),
            Ok(Startup::Failed { message }) => Err(format!("keyfobd did not start: {message}")),
            Err(_) => Err(format!("keyfobd did not start and did not say why ({status}); run it by hand to see")),
        }
    }
}

/// Whether a daemon listens and has more connections to take up than the system keeps for it.
fn is_busy(error: &io::Error) -> bool {
    // On Linux a socket whose backlog is full is not one that connects later, for which it is taken first.
    let is_said_by_the_system = error.raw_os_error().is_some();
    error.kind() == io::ErrorKind::WouldBlock
        || (error.kind() == io::ErrorKind::ConnectionReset && !is_said_by_the_system)
}

/// Whether a daemon serves the vault in this directory.
async fn check(link: &mut Link, socket: &Path, dir: &Path) -> Result<(), Error> {
    let file = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let paths = link.ask(&Status {}).await?.paths;
    // Whoever has a grant is not told which vault it is of.
    let Some(served) = paths.map(|paths| paths.data_dir) else {
        return Err(Error::IsGrant { socket: socket.to_owned(), data_dir: dir.to_owned() });
    };
    if served == dir || (file(dir).is_some() && file(&served) == file(dir)) {
        return Ok(());
    }
    Err(Error::OtherVault { socket: socket.to_owned(), served, data_dir: dir.to_owned() })
}

/// Whether there is such a process.
fn is_running(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
