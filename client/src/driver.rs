//! [`Driver`]: the task that owns a client's connection. Calls come in, lines go out and come back, answers go to whoever
//! made the call.

mod connection;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::connection::{Connection, End};
use self::waiting::Waiting;
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
    /// Tell when the connection of this number has ended.
    TellOfEnd(u64, oneshot::Sender<()>),
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

/// Where the answer to a call goes.
pub(crate) struct Answer(oneshot::Sender<Reply>);

impl Answer {
    pub(crate) fn new(to: oneshot::Sender<Reply>) -> Self {
        Self(to)
    }

    /// Whether nobody waits for it any more.
    fn is_unwanted(&self) -> bool {
        self.0.is_closed()
    }

    fn send(self, reply: Reply) {
        // The caller may have gone; its answer is then nobody's.
        let _ = self.0.send(reply);
    }
}

/// The task that owns a client's connection.
pub(crate) struct Driver {
    access: Access,
    starts: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    /// The number of the connection, which counts from 1.
    number: Arc<AtomicU64>,
    observer: Option<Observer>,
    /// Calls of which nothing was sent.
    waiting: Waiting,
}

impl Driver {
    pub(crate) fn new(
        access: Access,
        starts: bool,
        commands: mpsc::UnboundedReceiver<Command>,
        number: Arc<AtomicU64>,
    ) -> Self {
        Self { access, starts, commands, number, observer: None, waiting: Waiting::default() }
    }

    /// Connects, says how that went, and serves the client's calls until it has no handle left.
    pub(crate) async fn run(mut self, connected: oneshot::Sender<Result<(), Error>>) {
        let link = match self.access.reach(self.starts).await {
            Ok(link) => link,
            Err(error) => return drop(connected.send(Err(error))),
        };
        // Nobody waits for it any more.
        if connected.send(Ok(())).is_err() {
            return;
        }
        let mut next = Some(link);
        while let Some(link) = next {
            next = self.serve(link).await;
        }
    }

    /// Serves calls over a connection until it is lost, and then makes another for the next call. `None` when there is no
    /// handle left.
    async fn serve(&mut self, link: Link) -> Option<Link> {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let mut connection = Connection::new(link, number, std::mem::take(&mut self.waiting));
        if let Some(observer) = self.observer.take() {
            connection.observe(observer);
        }
        match connection.serve(&mut self.commands).await {
            End::Left => return None,
            End::Lost { waiting, observer } => (self.waiting, self.observer) = (waiting, observer),
        }
        loop {
            while self.waiting.is_empty() {
                let command = self.commands.recv().await?;
                self.take(command);
            }
            match self.reconnect().await? {
                Some(Ok(link)) => return Some(link),
                Some(Err(error)) => self.waiting.refuse(&error),
                None => {}
            }
        }
    }

    /// A connection for the calls that wait, whose deadlines hold meanwhile. The inner `None` when none of them waits any
    /// more, the outer one when there is no handle left.
    async fn reconnect(&mut self) -> Option<Option<Result<Link, Error>>> {
        let access = self.access.clone();
        let mut reach = std::pin::pin!(access.reach(self.starts));
        loop {
            tokio::select! {
                reached = &mut reach => return Some(Some(reached)),
                command = self.commands.recv() => {
                    let command = command?;
                    self.take(command);
                }
                () = self.waiting.give_up() => {}
            }
            if self.waiting.is_empty() {
                return Some(None);
            }
        }
    }

    /// Takes what the client wants while there is no connection.
    fn take(&mut self, command: Command) {
        match command {
            Command::Call(asked) => self.waiting.push(asked),
            Command::Observe(observer) => self.observer = Some(observer),
            // It has ended already.
            Command::TellOfEnd(_, told) => drop(told.send(())),
        }
    }
}

impl Access {
    /// A connection to the vault's daemon, which is started if need be and wished.
    pub(crate) async fn reach(&self, starts: bool) -> Result<Link, Error> {
        if starts { self.connect_or_start().await } else { self.connect().await }
    }
}
