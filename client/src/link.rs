//! [`Link`]: lines to and from the daemon.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::task::{Context, Poll, ready};

use interprocess::local_socket::GenericFilePath;
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Stream as _;
use keyfob_proto::{Call, Incoming, LineBuffer, call_line};
use tokio::io::AsyncWrite;
use zeroize::{Zeroize, Zeroizing};

use crate::Error;

/// Which way a line went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the daemon.
    Out,
    /// From the daemon.
    In,
}

/// Sees every line. Lines hold tokens and payloads.
pub(crate) type Observer = Box<dyn FnMut(Direction, &[u8]) + Send>;

/// The id of what [`Link::ask`] asks. No call of a client has it.
const ASKED: u64 = 0;

/// A connection to a daemon.
pub(crate) struct Link {
    stream: Stream,
    lines: LineBuffer,
    /// What is to be written; calls hold secrets.
    out: Zeroizing<Vec<u8>>,
    /// How much of it was.
    written: usize,
    observer: Option<Observer>,
}

impl Link {
    /// Connects, and makes sure before anything is sent that the server is one's own user, root, or the user who was
    /// named: others may be able to put a socket where this one is.
    pub(crate) async fn connect(path: &Path, server_uid: Option<u32>) -> Result<Self, Error> {
        let unreachable = |source| Error::Unreachable { path: path.to_owned(), source };
        let name = path.to_fs_name::<GenericFilePath>().map_err(unreachable)?;
        let stream = Stream::connect(name).await.map_err(unreachable)?;
        let own = rustix::process::getuid().as_raw();
        let uid = stream.peer_creds().map_err(unreachable)?.euid().unwrap_or(u32::MAX);
        if uid != own && uid != 0 && Some(uid) != server_uid {
            return Err(Error::Untrusted { path: path.to_owned(), uid, own });
        }
        Ok(Self { stream, lines: LineBuffer::default(), out: Zeroizing::default(), written: 0, observer: None })
    }

    pub(crate) fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    pub(crate) fn into_observer(self) -> Option<Observer> {
        self.observer
    }

    /// Appends a line to what is to be written.
    pub(crate) fn push(&mut self, line: &[u8]) {
        let unwritten = self.unwritten();
        if self.out.capacity() - self.out.len() < line.len() {
            // Grown by hand, so that no copy of a secret is left behind; what was written goes.
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (unwritten + line.len())));
            larger.extend_from_slice(&self.out[self.written..]);
            (self.out, self.written) = (larger, 0);
        }
        self.out.extend_from_slice(line);
        if let Some(observer) = &mut self.observer {
            observer(Direction::Out, line);
        }
    }

    /// How much is still to be written, in bytes.
    pub(crate) fn unwritten(&self) -> usize {
        self.out.len() - self.written
    }

    /// Makes a call while no other is under way, and waits for its reply.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`], [`Error::Disconnected`].
    pub(crate) async fn ask<C: Call>(&mut self, call: &C) -> Result<C::Reply, Error> {
        self.push(&call_line(ASKED, call));
        let mut write_error = None;
        poll_fn(|context| {
            // A daemon that refuses a connection says why before it closes it, so reading goes on.
            if write_error.is_none()
                && let Poll::Ready(Err(error)) = self.poll_flush(context)
            {
                write_error = Some(error);
            }
            let answer = ready!(self.poll_find(context, |line| find_answer::<C>(line)));
            Poll::Ready(answer.unwrap_or_else(|| Err(Error::Disconnected(write_error.take()))))
        })
        .await
    }

    /// Writes what is to be written, as much of it as can be now.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let stream = std::pin::pin!(&self.stream);
            match ready!(stream.poll_write(context, &self.out[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.out.zeroize();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads until `found` makes something of a line; `None` at the end of the stream.
    pub(crate) fn poll_find<T>(
        &mut self,
        context: &mut Context<'_>,
        mut found: impl FnMut(&[u8]) -> Option<Result<T, Error>>,
    ) -> Poll<Option<Result<T, Error>>> {
        loop {
            loop {
                match self.lines.next_line() {
                    Ok(Some(line)) => {
                        if let Some(observer) = &mut self.observer {
                            observer(Direction::In, line);
                        }
                        if let Some(found) = found(line) {
                            return Poll::Ready(Some(found));
                        }
                    }
                    Ok(None) => break,
                    Err(_) => return Poll::Ready(Some(Err(Error::Protocol("a line is too long")))),
                }
            }
            let stream = std::pin::pin!(&self.stream);
            match ready!(tokio_util::io::poll_read_buf(stream, context, self.lines.space())) {
                Ok(0) => return Poll::Ready(None),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(Error::Disconnected(Some(error))))),
            }
        }
    }
}

/// The answer to [`Link::ask`], if the line is one.
fn find_answer<C: Call>(line: &[u8]) -> Option<Result<C::Reply, Error>> {
    match Incoming::parse(line) {
        Some(Incoming::Reply { id: answered, result }) if answered == ASKED => {
            let reply = serde_json::from_str(result.get());
            Some(reply.map_err(|_| Error::Protocol("a reply is not of the call's kind")))
        }
        Some(Incoming::Fault { fault, .. }) => Some(Err(fault.into())),
        Some(Incoming::Reply { .. } | Incoming::Event(_)) => None,
        None => Some(Err(Error::Protocol("a line is neither a reply nor a fault nor an event"))),
    }
}
