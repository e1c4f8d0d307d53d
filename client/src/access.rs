//! [`Access`]: which vault a client means, and how its daemon is found or started.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyfob_proto::{Listening, Place, Startup, Status};

use crate::link::Link;
use crate::{Client, Error};

/// The longest line that a starting daemon may say, in bytes.
const MAX_STARTUP_BYTES: u64 = 64 * 1024;

/// Which vault a client means, whom it trusts to serve it, and which daemon is started when none does.
#[derive(Clone, Debug)]
pub struct Access {
    /// The vault.
    pub place: Place,
    /// The program that is started.
    pub daemon: PathBuf,
    /// The user who is trusted to serve the vault besides one's own and root.
    pub server_uid: Option<u32>,
}

impl Access {
    /// The vault that `$KEYFOB_SOCKET` and `$KEYFOB_DATA_DIR` name, or else the one of everybody who names none.
    /// `$KEYFOB_SERVER_UID` is the number of a user who is trusted to serve it.
    #[must_use]
    pub fn from_env() -> Self {
        let server_uid = env::var("KEYFOB_SERVER_UID").ok().and_then(|uid| uid.parse().ok());
        Self { server_uid, ..Self::new(Place::from_env()) }
    }

    /// A vault. The program is the `keyfobd` beside the running program, or else the one in `PATH`.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let beside = env::current_exe().ok().map(|program| program.with_file_name("keyfobd"));
        let daemon = beside.filter(|program| program.is_file()).unwrap_or_else(|| "keyfobd".into());
        Self { place, daemon, server_uid: None }
    }

    /// The vault behind this socket.
    #[must_use]
    pub fn socket(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::new(Some(path.into().into_os_string()), None))
    }

    /// Connects to the daemon of the vault: at the socket that was named; else where the daemon says in the data
    /// directory that it listens, else at the default socket. A daemon of another data directory than the one that is
    /// meant gets nothing but the question which one it serves.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        let at_default = self.place.endpoint()?;
        if self.place.named_socket().is_some() {
            let mut client = self.connect_to(at_default.path()).await?;
            return match self.place.named_data_dir() {
                Some(dir) => check(&mut client, at_default.path(), dir).await.map(|()| client),
                None => Ok(client),
            };
        }
        // Without a home there is no other vault that could be meant.
        let Ok(data_dir) = self.place.data_dir() else { return self.connect_to(at_default.path()).await };
        let said = Listening::read(&data_dir);
        if let Some(Listening { socket, .. }) = &said {
            match self.connect_to(socket).await {
                Ok(mut client) => {
                    // The daemon may have been killed, and the socket be another's by now.
                    if check(&mut client, socket, &data_dir).await.is_ok() {
                        return Ok(client);
                    }
                }
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        match self.connect_to(at_default.path()).await {
            Ok(mut client) => check(&mut client, at_default.path(), &data_dir).await.map(|()| client),
            Err(absent) if absent.is_absent() => match said {
                Some(Listening { pid, socket }) if is_running(pid) => Err(Error::SocketGone { pid, socket, data_dir }),
                _ => Err(absent),
            },
            Err(error) => Err(error),
        }
    }

    async fn connect_to(&self, socket: &Path) -> Result<Client, Error> {
        Ok(Client::over(Link::connect(socket, self.server_uid).await?))
    }

    /// Starts the daemon and waits until it listens, or says why it cannot.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        let access = self.clone();
        match tokio::task::spawn_blocking(move || access.start_blocking()).await {
            Ok(started) => started.map_err(|message| Error::NotStarted { message }),
            Err(_) => Err(Error::NotStarted { message: "the program is shutting down".to_owned() }),
        }
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

/// Whether a daemon serves the vault in this directory.
async fn check(client: &mut Client, socket: &Path, dir: &Path) -> Result<(), Error> {
    let file = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let served = client.status(Status {}).await?.paths.data_dir;
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
