//! Sockets that were bound before the daemon started: by systemd, which passes them on, or by the daemon whose place this
//! one takes. Whoever waits on one of them is told why, if the daemon does not start.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::os::unix::uds_local_socket::tokio::Listener;
use keyfob_proto::{Code, Fault};
use listenfd::ListenFd;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::Error;
use crate::limits::FAILED_START;
use crate::listener::refuse;

/// A socket that was bound before the daemon started.
#[derive(Debug)]
pub enum Bound {
    /// By systemd, to which its file belongs.
    BySystemd(UnixListener),
    /// By the daemon whose place this one takes.
    ByPredecessor(UnixListener),
}

/// The sockets that were passed on to this process.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    sockets: Vec<UnixListener>,
    /// How many there are besides, which are no sockets of that kind.
    others: usize,
    is_successor: bool,
}

impl Passed {
    /// Takes what systemd passed on, or, as a successor, the socket that is standard input. Call it before there is another
    /// thread: it changes the environment.
    ///
    /// # Errors
    ///
    /// When standard input is no socket that listens.
    pub(crate) fn take(is_successor: bool) -> io::Result<Self> {
        if is_successor {
            let socket = UnixListener::from(rustix::io::fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?);
            if !rustix::net::sockopt::socket_acceptconn(&socket)? {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            // It is to be closed when the daemon closes it.
            rustix::stdio::dup2_stdin(&File::open("/dev/null")?)?;
            return Ok(socket.into());
        }
        let mut passed = ListenFd::from_env();
        let taken: Vec<_> = (0..passed.len()).map(|at| passed.take_unix_listener(at)).collect();
        let count = taken.len();
        let sockets: Vec<_> = taken.into_iter().filter_map(|socket| socket.ok().flatten()).collect();
        Ok(Self { others: count - sockets.len(), sockets, is_successor })
    }

    /// The socket to serve, if there is one. It is kept here too, until [`Passed::let_go`].
    ///
    /// # Errors
    ///
    /// When there are more, or others: nobody would serve those.
    pub(crate) fn socket(&self) -> Result<Option<Bound>, Error> {
        let refused = |source| Error::Io { action: "take over", path: "the socket that was passed on".into(), source };
        match (&self.sockets[..], self.others) {
            ([], 0) => Ok(None),
            ([socket], 0) => {
                let socket = socket.try_clone().map_err(refused)?;
                Ok(Some(if self.is_successor { Bound::ByPredecessor(socket) } else { Bound::BySystemd(socket) }))
            }
            (sockets, others) => Err(Error::Usage(format!(
                "keyfobd serves one Unix stream socket, and was passed {} and {others} others: leave one `ListenStream=` \
                 with a path in the unit",
                sockets.len()
            ))),
        }
    }

    /// Closes them: the daemon has started, and keeps the one that it serves.
    pub(crate) fn let_go(&mut self) {
        self.sockets.clear();
    }

    /// Tells whoever waits, and whoever comes within a few seconds, why the daemon does not start. To whoever passed the
    /// socket on, each connection after that is a reason to start it again; that it takes a while keeps systemd from
    /// giving the unit up.
    pub(crate) fn explain(self, error: &Error) {
        let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else { return };
        let fault = Fault::new(Code::NotStarted, format!("keyfobd does not start: {error}"));
        if !self.sockets.is_empty() {
            let _ = runtime.block_on(async { timeout(FAILED_START, explain(self.sockets, fault)).await });
        }
    }
}

impl From<UnixListener> for Passed {
    /// The socket of a daemon that meant to give way and could not.
    fn from(socket: UnixListener) -> Self {
        Self { sockets: vec![socket], others: 0, is_successor: true }
    }
}

/// Tells everybody who connects; never ends.
async fn explain(sockets: Vec<UnixListener>, fault: Fault) {
    let mut explaining = JoinSet::new();
    for socket in sockets {
        let listener = socket.set_nonblocking(true).and_then(|()| Listener::try_from(OwnedFd::from(socket)));
        let (Ok(listener), fault) = (listener, fault.clone()) else { continue };
        explaining.spawn(async move {
            while let Ok(stream) = listener.accept().await {
                refuse(&stream.into(), &fault).await;
            }
        });
    }
    explaining.join_all().await;
    std::future::pending::<()>().await;
}
