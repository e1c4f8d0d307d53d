//! [`Error`]: why a call failed.

use std::io;
use std::path::PathBuf;

use keyfob_proto::{EndpointError, Fault, MAX_LINE_BYTES};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon refused the call; `fault.data.code` says why. It had no effect, unless the code is
    /// `STORAGE_ERROR` or `INTERNAL_ERROR`, whose message says what is known.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// No daemon listens there.
    #[error("no keyfobd listens on {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else listens on the default socket.
    #[error("{} is served by user {uid}, not by you: remove it, or name your own socket with KEYFOB_SOCKET", path.display())]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        uid: u32,
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
    /// The daemon answered something that is not the protocol.
    #[error("the daemon does not speak this client's protocol: {0}")]
    Protocol(&'static str),
    /// No socket can have that path.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Error {
    /// Whether there is no daemon to talk to, and none could be started.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::NotStarted { .. } | Self::Endpoint(_) => true,
            Self::Fault(_) | Self::TooLong | Self::Disconnected(_) | Self::Protocol(_) => false,
        }
    }
}
