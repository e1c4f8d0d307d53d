//! [`Error`]: why a call failed.

use std::io;
use std::path::{Path, PathBuf};

use keyfob_proto::{Code, EndpointError, Fault, MAX_LINE_BYTES, PlaceError};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon refused the call; `fault.data.code` says why. It had no effect, unless the code is
    /// `STORAGE_ERROR` or `INTERNAL_ERROR`, whose message says what is known.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// No connection to the socket: nobody listens there, or the system refuses.
    #[error("{}", unreachable(path, source))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A daemon has the vault, and its socket is not there.
    #[error(
        "keyfobd (pid {pid}) has the vault in {}, and its socket {} was removed: it makes it anew within seconds, so try \
         again", data_dir.display(), socket.display()
    )]
    SocketGone {
        /// The daemon's process.
        pid: u32,
        /// Where it listened.
        socket: PathBuf,
        /// The vault.
        data_dir: PathBuf,
    },
    /// Somebody else listens there. Nothing was sent.
    #[error("{}", untrusted(path, *uid, *own))]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        uid: u32,
        /// Who asks.
        own: u32,
    },
    /// The daemon serves another vault than the one that is meant. Nothing was done.
    #[error(
        "the daemon on {} serves the vault in {}, and the one in {} is meant: name one of the two alone, with --socket or \
         --data-dir (KEYFOB_SOCKET, KEYFOB_DATA_DIR)", socket.display(), served.display(), data_dir.display()
    )]
    OtherVault {
        /// The socket.
        socket: PathBuf,
        /// The data directory that it serves.
        served: PathBuf,
        /// The data directory that is meant.
        data_dir: PathBuf,
    },
    /// The socket gives a part of a vault, and which one is not told: it cannot be the one that is meant. Nothing was done.
    #[error(
        "the socket {} gives a part of a vault, and the one in {} is meant: name one of the two alone, with --socket or \
         --data-dir (KEYFOB_SOCKET, KEYFOB_DATA_DIR)", socket.display(), data_dir.display()
    )]
    IsGrant {
        /// The socket.
        socket: PathBuf,
        /// The data directory that is meant.
        data_dir: PathBuf,
    },
    /// The daemon could not be started.
    #[error("{message}")]
    NotStarted {
        /// The daemon's own reason, or why it could not even be run; and what to do next.
        message: String,
    },
    /// The call is longer than a line may be; it was not sent.
    #[error("the call is over {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The connection ended before the answer came. Whether the call took effect is not known.
    #[error("the daemon closed the connection before it answered; whether the call took effect is not known")]
    Disconnected(#[source] Option<io::Error>),
    /// The time for it is over. If the call was `sent`, it is not known whether it took effect.
    #[error("{}", timed_out(*sent))]
    TimedOut {
        /// Whether the call was sent. If not, it had no effect.
        sent: bool,
    },
    /// Too many calls wait for the daemon already. It was not sent.
    #[error("too many calls wait for the daemon already; this one was not sent")]
    TooManyCalls,
    /// The task that owns the connection has ended, which only a panic of an observer makes it do. The call was not sent.
    #[error("this client can make no more calls: its observer panicked")]
    Gone,
    /// `$KEYFOB_SERVER_UID` is not the number of a user.
    #[error("KEYFOB_SERVER_UID is not the number of a user")]
    ServerUid,
    /// The system refuses the thread that reads and writes.
    #[error("the system refuses a thread: {0}")]
    NoThread(#[source] io::Error),
    /// There are no more events: the daemon has stopped, or it has cut off a reader that read nothing for a minute.
    #[error("there are no more events: the daemon has stopped, or has cut this reader off")]
    Ended,
    /// The daemon answered something that is not the protocol.
    #[error("the daemon does not speak this client's protocol: {0}")]
    Protocol(&'static str),
    /// There is no place for a vault, or none that a socket can have.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// Whether it means that nobody is there, and not that somebody is whom one may not reach.
fn is_nobody(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::ConnectionRefused)
}

fn unreachable(path: &Path, source: &io::Error) -> String {
    let path = path.display();
    match source.kind() {
        _ if is_nobody(source) => format!("no keyfobd listens on {path}"),
        io::ErrorKind::PermissionDenied => {
            format!(
                "you may not connect to {path}: {source}. Its owner can give you a part of the vault: `keyfob grant --uid`"
            )
        }
        _ => format!("cannot connect to {path}: {source}"),
    }
}

/// The number that the kernel gives to users whom a user namespace does not have.
const OVERFLOW_UID: u32 = 65_534;

fn untrusted(path: &Path, uid: u32, own: u32) -> String {
    // Where numbers are not told apart, the one that all others have names nobody.
    let advice = if uid == OVERFLOW_UID {
        "the system does not tell who that is; connect from where it does, outside of a user namespace".to_owned()
    } else if own == 0 {
        format!("run keyfob as that user, without sudo, or trust it with --server-uid {uid}")
    } else {
        format!("name your own socket with KEYFOB_SOCKET, or trust that user with --server-uid {uid}")
    };
    format!("{} is served by user {uid}, and you are user {own}, so nothing was sent: {advice}", path.display())
}

fn timed_out(sent: bool) -> &'static str {
    if sent {
        "the daemon did not answer in time; whether the call took effect is not known"
    } else {
        "the daemon could not be reached in time; nothing was sent"
    }
}

impl Error {
    /// Whether it is not known if the call took effect: ask the vault.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Disconnected(_) | Self::Protocol(_) | Self::TimedOut { sent: true } => true,
            Self::Fault(fault) => matches!(fault.data.code, Code::StorageError | Code::InternalError),
            _ => false,
        }
    }

    /// Whether there is no daemon to talk to, and none could be started.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::SocketGone { .. }
            | Self::Untrusted { .. }
            | Self::OtherVault { .. }
            | Self::IsGrant { .. }
            | Self::NotStarted { .. }
            | Self::Ended
            | Self::NoThread(_)
            | Self::TimedOut { sent: false }
            | Self::Place(_) => true,
            Self::Fault(fault) => fault.data.code == Code::NotStarted,
            Self::TooLong
            | Self::Disconnected(_)
            | Self::TimedOut { sent: true }
            | Self::ServerUid
            | Self::TooManyCalls
            | Self::Gone
            | Self::Protocol(_) => false,
        }
    }

    /// Whether nobody listens, so that a daemon may be started.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => is_nobody(source),
            Self::SocketGone { .. } => true,
            _ => false,
        }
    }
}

impl Error {
    /// The same error once more, for another call that could not be sent for the same reason.
    pub(crate) fn again(&self) -> Self {
        let io = |error: &io::Error| {
            error
                .raw_os_error()
                .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
        };
        match self {
            Self::Fault(fault) => Self::Fault(fault.clone()),
            Self::Unreachable { path, source } => Self::Unreachable { path: path.clone(), source: io(source) },
            Self::SocketGone { pid, socket, data_dir } => {
                Self::SocketGone { pid: *pid, socket: socket.clone(), data_dir: data_dir.clone() }
            }
            Self::Untrusted { path, uid, own } => Self::Untrusted { path: path.clone(), uid: *uid, own: *own },
            Self::OtherVault { socket, served, data_dir } => {
                Self::OtherVault { socket: socket.clone(), served: served.clone(), data_dir: data_dir.clone() }
            }
            Self::IsGrant { socket, data_dir } => Self::IsGrant { socket: socket.clone(), data_dir: data_dir.clone() },
            Self::NotStarted { message } => Self::NotStarted { message: message.clone() },
            Self::TooLong => Self::TooLong,
            Self::Disconnected(source) => Self::Disconnected(source.as_ref().map(io)),
            Self::TimedOut { sent } => Self::TimedOut { sent: *sent },
            Self::TooManyCalls => Self::TooManyCalls,
            Self::Gone => Self::Gone,
            Self::ServerUid => Self::ServerUid,
            Self::NoThread(source) => Self::NoThread(io(source)),
            Self::Ended => Self::Ended,
            Self::Protocol(what) => Self::Protocol(what),
            Self::Place(error) => Self::Place(error.clone()),
        }
    }
}

impl From<EndpointError> for Error {
    fn from(error: EndpointError) -> Self {
        Self::Place(error.into())
    }
}
