//! [`Driver`]: the task that owns a client's connection. Calls come in, lines go out and come back, answers go to whoever
//! made the call.

mod connection;

use std::collections::VecDeque;

use keyfob_proto::{Code, Fault};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::connection::{Connection, End};
use crate::link::{Link, Observer};
use crate::{Access, Error};

/// The JSON of a reply, or why there is none.
pub(crate) type Reply = Result<Zeroizing<Vec<u8>>, Error>;

/// What a client wants of its driver.
pub(crate) enum Command {
    /// Make this call.
    Call(Asked),
    /// Show every line to somebody.
    Observe(Observer),
    /// Tell when the connection has ended.
    TellOfEnd(oneshot::Sender<()>),
}

/// A call on its way.
pub(crate) struct Asked {
    pub(crate) id: u64,
    /// The call as a line.
    pub(crate) line: Zeroizing<Vec<u8>>,
    /// When its answer is given up.
    pub(crate) deadline: Instant,
    pub(crate) answer: Answer,
}

/// Where the answer to a call goes, and the call's place among those that are under way.
pub(crate) struct Answer {
    to: oneshot::Sender<Reply>,
    _place: OwnedSemaphorePermit,
}

impl Answer {
    pub(crate) fn new(to: oneshot::Sender<Reply>, place: OwnedSemaphorePermit) -> Self {
        Self { to, _place: place }
    }

    /// Whether nobody waits for it any more.
    fn is_unwanted(&self) -> bool {
        self.to.is_closed()
    }

    fn send(self, reply: Reply) {
        // The caller may have gone; its answer is then nobody's.
        let _ = self.to.send(reply);
    }
}

/// The task that owns a client's connection.
pub(crate) struct Driver {
    access: Access,
    starts: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    observer: Option<Observer>,
    /// Calls of which nothing was sent before the connection was lost.
    waiting: VecDeque<Asked>,
    /// What the daemon said before it closed a connection on which nothing was asked.
    parting: Option<Fault>,
}

impl Driver {
    pub(crate) fn new(access: Access, starts: bool, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self { access, starts, commands, observer: None, waiting: VecDeque::new(), parting: None }
    }

    /// Connects, says how that went, and serves the client's calls until it has no handle left.
    pub(crate) async fn run(mut self, connected: oneshot::Sender<Result<(), Error>>) {
        let mut link = match self.access.reach(self.starts).await {
            Ok(link) => link,
            Err(error) => return drop(connected.send(Err(error))),
        };
        // Nobody waits for it any more.
        if connected.send(Ok(())).is_err() {
            return;
        }
        loop {
            match self.serve(link).await {
                Some(next) => link = next,
                None => return,
            }
        }
    }

    /// Serves calls over a connection until it is lost, and then makes another for the next call. `None` when there is no
    /// handle left.
    async fn serve(&mut self, link: Link) -> Option<Link> {
        let mut connection = Connection::new(link, std::mem::take(&mut self.waiting));
        if let Some(observer) = self.observer.take() {
            connection.observe(observer);
        }
        match connection.serve(&mut self.commands).await {
            End::Left => return None,
            End::Lost { waiting, parting, observer } => {
                (self.waiting, self.parting, self.observer) = (waiting, parting, observer);
            }
        }
        loop {
            let asked = self.next_call().await?;
            let refused = match self.parting.take() {
                Some(fault) if turns_away(&fault.data.code) => Error::Fault(fault),
                _ => match self.access.reach(self.starts).await {
                    Ok(link) => {
                        self.waiting.push_front(asked);
                        return Some(link);
                    }
                    Err(error) => error,
                },
            };
            asked.answer.send(Err(refused));
        }
    }

    /// The next call that somebody waits for.
    async fn next_call(&mut self) -> Option<Asked> {
        loop {
            let command = match self.waiting.pop_front() {
                Some(asked) => Command::Call(asked),
                None => self.commands.recv().await?,
            };
            match command {
                Command::Call(asked) if asked.answer.is_unwanted() => {}
                Command::Call(asked) => return Some(asked),
                Command::Observe(observer) => self.observer = Some(observer),
                // It has ended already.
                Command::TellOfEnd(told) => drop(told.send(())),
            }
        }
    }
}

/// Whether a fault means that the daemon serves nothing of what was sent on the connection.
fn turns_away(code: &Code) -> bool {
    matches!(code, Code::AccessDenied | Code::TooManyConnections)
}

impl Access {
    /// A connection to the vault's daemon, which is started if need be and wished.
    pub(crate) async fn reach(&self, starts: bool) -> Result<Link, Error> {
        if starts { self.connect_or_start().await } else { self.connect().await }
    }
}
