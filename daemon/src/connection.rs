//! One connection: lines in, answers out, in order.
//!
//! Requests are taken as they come, so a client may send many before it reads (pipelining). The
//! mutations among them wait in the actor together and share its syncs; a read waits for the
//! mutations before it on the same connection, and for nobody else's. Answers are collected and
//! written together when there is nothing more to take.
//!
//! # Invariants
//!
//! - Answers leave in the order of their requests. Events come in between, whole.
//! - What a client can make a connection hold is bounded ([`limits`](crate::limits)): a part of a line, mutations that
//!   wait for the actor, and answers. While answers cannot be written, nothing is read, and after a while the connection
//!   is given up.
//! - Long lines share places, those of each user among themselves: whoever has none waits with the rest of the line, and
//!   keeps nobody with short lines waiting. Pages that are not read share room in the same way.
//! - Those who are not the vault's own user work one at a time.
//! - Nothing of a request is logged but its method.

mod inbox;
mod pending;
mod sharing;
mod wake;

use std::io;
use std::sync::Arc;

use interprocess::local_socket::tokio::Stream;
use keyfob_proto::{Code, Envelope, Fault, Id, LineTooLong, Request, write_event, write_fault, write_reply};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tracing::{debug, info};
use zeroize::Zeroizing;

use self::inbox::Inbox;
use self::pending::{Asked, Pending};
use self::sharing::{answers_a_page, is_mutation};
use self::wake::Wake;
use crate::access::Access;
use crate::account::Taken;
use crate::events::Subscription;
use crate::limits::{LAST_REQUESTS, LINE_TIMEOUT, LONG_LINE_STALL, WRITE_TIMEOUT};
use crate::service::{Answer, Caller, Service, Step};

/// Serves a connection until the client leaves or the daemon drains. In the latter case the client
/// is still there: the stream comes back, to be closed when the daemon is done.
pub(crate) async fn serve(stream: Stream, caller: Caller, service: Arc<Service>) -> Option<Stream> {
    let inbox = Inbox::new(Arc::clone(&caller.account));
    let mut connection = Connection {
        stream,
        caller,
        service,
        inbox,
        pending: Pending::default(),
        out: Zeroizing::new(Vec::new()),
        unread: None,
        subscription: None,
        turn: None,
        worked: 0,
    };
    match connection.run().await {
        Ok(End::Left) => debug!("connection closed"),
        Ok(End::Drained) => return Some(connection.stream),
        // Clients come and go as they like; what they asked for takes effect all the same.
        Err(error) => {
            debug!(%error, "connection lost");
            connection.settle().await;
        }
    }
    None
}

/// How a connection ended.
enum End {
    /// The client left, or was sent away.
    Left,
    /// The daemon drains.
    Drained,
}

struct Connection {
    stream: Stream,
    caller: Caller,
    service: Arc<Service>,
    inbox: Inbox,
    pending: Pending,
    /// Answers and events not yet written.
    out: Zeroizing<Vec<u8>>,
    /// The room that a page among them takes.
    unread: Option<Taken>,
    subscription: Option<Subscription>,
    /// While it works for somebody who is not the vault's own user.
    turn: Option<Taken>,
    /// Reads since others had their turn.
    worked: usize,
}

impl Connection {
    async fn run(&mut self) -> io::Result<End> {
        loop {
            self.take_lines().await?;
            self.write_out().await?;
            match self.wake().await {
                Wake::Answered(answer) => self.answer_first(answer),
                Wake::Event(event) => write_event(&mut self.out, &event),
                Wake::Place(place) => self.inbox.take_place(place),
                Wake::Read(Ok(0)) => {
                    self.end_of_input().await?;
                    return Ok(End::Left);
                }
                Wake::Read(read) => {
                    read?;
                }
                Wake::TimedOut => {
                    self.settle().await;
                    let (whole, more) = (LINE_TIMEOUT, LONG_LINE_STALL);
                    let message =
                        format!("a line was not finished within {whole:?}, or a long one not sent for {more:?}");
                    write_fault(&mut self.out, None, &Fault::new(Code::LineTimeout, message));
                    self.write_out().await?;
                    return Ok(End::Left);
                }
                Wake::Drain => {
                    // What was read is served; what was not yet read never arrived.
                    let end = Instant::now() + LAST_REQUESTS;
                    loop {
                        self.take_lines().await?;
                        let may_be_more = !self.pending.has_room();
                        self.settle().await;
                        self.write_out().await?;
                        if !may_be_more && !self.hears_more(end).await {
                            return Ok(End::Drained);
                        }
                    }
                }
            }
        }
    }

    /// Takes every complete line that was read, as far as the bounds allow.
    async fn take_lines(&mut self) -> io::Result<()> {
        while self.pending.has_room() {
            if self.out.len() >= self.caller.account.out_bytes() {
                self.write_out().await?;
            }
            self.work().await;
            let request = match self.inbox.next_line() {
                Ok(None) => break,
                Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
                Ok(Some(line)) => match Envelope::parse(line) {
                    Ok(Envelope { id, method, params }) => Request::parse(&method, params)
                        .map(|request| (id.clone(), request, line.len()))
                        .map_err(|fault| (id, fault)),
                    // A line that is no request is answered, whether or not it asked to be.
                    Err(refused) => {
                        self.settle().await;
                        debug!(code = %refused.fault.data.code, "refused a line");
                        write_fault(&mut self.out, refused.id.as_ref(), &refused.fault);
                        self.count_refused().await;
                        continue;
                    }
                },
                Err(error @ LineTooLong) => {
                    self.settle().await;
                    let message = format!("{error}; it was skipped");
                    write_fault(&mut self.out, None, &Fault::new(Code::ParseError, message));
                    continue;
                }
            };
            match request {
                Ok((id, request, bytes)) => self.take(id, request, bytes).await?,
                Err((id, fault)) => {
                    self.settle().await;
                    debug!(code = %fault.data.code, "refused a request");
                    answer(&mut self.out, id.as_ref(), Err(fault));
                    self.count_refused().await;
                }
            }
        }
        self.turn = None;
        self.inbox.settle(self.pending.has_room());
        Ok(())
    }

    async fn take(&mut self, id: Option<Id>, request: Request, bytes: usize) -> io::Result<()> {
        let (method, is_page) = (request.method(), answers_a_page(&request));
        if matches!(self.caller.access, Access::Granted(_)) {
            // What is the active session there, and what was created for it, is as the answers before say.
            self.settle().await;
        }
        let place = if is_mutation(&request) {
            self.turn = None;
            self.caller.account.queue().await
        } else {
            None
        };
        self.work().await;
        match self.service.take(request, &self.caller, place).await {
            Step::Mutation(answer) => {
                self.pending.push(Asked { id, method, bytes }, answer);
            }
            Step::Read(read) => {
                self.settle().await;
                if is_page {
                    self.make_room().await?;
                }
                self.work().await;
                let result = read();
                self.caller.note(method, &result);
                debug!(method, outcome = outcome(&result), "read");
                let is_at_a_limit = result.as_ref().is_err_and(|fault| fault.data.code == Code::LimitReached);
                let bytes = result.as_ref().map_or(0, |reply| reply.len());
                answer(&mut self.out, id.as_ref(), result);
                if let Some(unread) = &mut self.unread {
                    unread.shrink(self.out.len());
                }
                if is_at_a_limit {
                    self.slow_down().await;
                }
                self.give_way(bytes).await;
            }
            Step::Subscribe(call) => {
                self.settle().await;
                let (result, subscription) = self.service.subscribe(call, &self.caller);
                self.subscription = Some(subscription);
                answer(&mut self.out, id.as_ref(), result);
            }
        }
        Ok(())
    }

    /// Waits until everything taken so far is answered.
    async fn settle(&mut self) {
        while !self.pending.is_empty() {
            self.turn = None;
            let answer = self.pending.first_answer().await;
            self.answer_first(answer);
        }
    }

    /// Answers the first mutation in flight, and those after it that came with the same commit.
    fn answer_first(&mut self, mut result: Answer) {
        while let Some(Asked { id, method, .. }) = self.pending.pop() {
            self.caller.note(method, &result);
            info!(method, outcome = outcome(&result), "mutation");
            answer(&mut self.out, id.as_ref(), result);
            match self.pending.answer_at_hand() {
                Some(next) => result = next,
                None => return,
            }
        }
    }

    /// The client says no more; it may still read.
    async fn end_of_input(&mut self) -> io::Result<()> {
        self.settle().await;
        if self.inbox.is_mid_line() {
            let fault =
                Fault::new(Code::ParseError, "the last line did not end with a line feed, so it was not served");
            write_fault(&mut self.out, None, &fault);
        }
        self.write_out().await
    }

    async fn write_out(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.turn = None;
            let written = tokio::time::timeout(WRITE_TIMEOUT, (&self.stream).write_all(&self.out)).await;
            written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            self.out = Zeroizing::new(Vec::new());
            self.unread = None;
        }
        Ok(())
    }
}

/// Appends an answer, unless the caller wants none.
fn answer(out: &mut Vec<u8>, id: Option<&Id>, result: Answer) {
    match (id, result) {
        (None, _) => {}
        (Some(id), Ok(reply)) => write_reply(out, id, &reply),
        (Some(id), Err(fault)) => write_fault(out, Some(id), &fault),
    }
}

fn outcome(result: &Answer) -> &str {
    match result {
        Ok(_) => "ok",
        Err(fault) => fault.data.code.as_str(),
    }
}

#[cfg(test)]
mod tests;
