//! One connection: lines in, answers out, in order.
//!
//! Requests are taken as they come, so a client may send many before it reads (pipelining). The
//! mutations among them wait in the actor together and share its flushes; a read waits for the
//! mutations before it on the same connection, and for nobody else's. Answers are collected and
//! written together when there is nothing more to take.
//!
//! # Invariants
//!
//! - Answers leave in the order of their requests. Events come in between, whole.
//! - What a client can make a connection hold is bounded: [`SHORT_BYTES`] of a line, [`IN_FLIGHT`]
//!   mutations of [`IN_FLIGHT_BYTES`] together, and answers up to [`OUT_BYTES`], one more, and those of the
//!   mutations in flight. While answers cannot be written, nothing is read, and after [`WRITE_TIMEOUT`] the
//!   connection is given up.
//! - Lines that are longer share [`LONG_LINES`] places: whoever has none waits with the rest of the line,
//!   and keeps nobody with short lines waiting.
//! - Nothing of a request is logged but its method.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use keyfob_proto::{
    By, Code, Envelope, Fault, Id, LineBuffer, LineTooLong, Request, write_event, write_fault, write_reply,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::Instant;
use tracing::{debug, info};
use zeroize::Zeroizing;

use crate::events::Subscription;
use crate::service::{Answer, Service, Step};

/// The longest time a line may take from its first byte to its last.
pub const LINE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time a client may leave an answer unread before it is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The most mutations of one connection that wait for the actor.
const IN_FLIGHT: usize = 256;

/// What those may have taken on the wire together before nothing more is read, in bytes. Their answers take
/// about as much again.
const IN_FLIGHT_BYTES: usize = 256 * 1024;

/// What a connection may hold of a line without a place among the long ones, in bytes.
const SHORT_BYTES: usize = 64 * 1024;

/// How many connections may be in the middle of a long line at once.
pub const LONG_LINES: usize = 16;

/// Reads and signatures of one connection before others have their turn, which costs about as much as a
/// read.
const READS_PER_TURN: usize = 8;

/// From here on answers are written before more requests are taken, in bytes.
const OUT_BYTES: usize = 64 * 1024;

/// Serves a connection until the client leaves or the daemon drains. In the latter case the client
/// is still there: the stream comes back, to be closed when the daemon is done.
pub async fn serve(stream: Stream, by: By, service: Arc<Service>) -> Option<Stream> {
    let mut connection = Connection {
        stream,
        by,
        service,
        lines: LineBuffer::default(),
        long_line: None,
        mid_line_since: None,
        in_flight: VecDeque::new(),
        in_flight_bytes: 0,
        out: Zeroizing::new(Vec::new()),
        subscription: None,
        turn: 0,
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
    by: By,
    service: Arc<Service>,
    lines: LineBuffer,
    /// A place among those that may hold a long line, while there is one.
    long_line: Option<OwnedSemaphorePermit>,
    /// When the line that is not complete yet began.
    mid_line_since: Option<Instant>,
    /// The mutations that the actor has, in order.
    in_flight: VecDeque<InFlight>,
    /// What their lines took.
    in_flight_bytes: usize,
    /// Answers and events not yet written.
    out: Zeroizing<Vec<u8>>,
    subscription: Option<Subscription>,
    /// Reads since others had their turn.
    turn: usize,
}

struct InFlight {
    id: Option<Id>,
    method: &'static str,
    /// The length of its line.
    bytes: usize,
    answer: oneshot::Receiver<Answer>,
}

impl InFlight {
    async fn answered(&mut self) -> Answer {
        (&mut self.answer).await.unwrap_or_else(|_| Err(actor_failed()))
    }
}

/// What the connection woke up for.
enum Wake {
    Answered(Answer),
    Read(io::Result<usize>),
    /// There is a place for its long line.
    Place(Result<OwnedSemaphorePermit, AcquireError>),
    Event(keyfob_proto::Event),
    TimedOut,
    Drain,
}

impl Connection {
    async fn run(&mut self) -> io::Result<End> {
        loop {
            self.take_lines().await?;
            self.write_out().await?;
            match self.wake().await {
                Wake::Answered(answer) => self.answer_first(answer),
                Wake::Event(event) => write_event(&mut self.out, &event),
                Wake::Place(place) => {
                    self.long_line = place.ok();
                    // The wait was not the client's.
                    self.mid_line_since = Some(Instant::now());
                }
                Wake::Read(read) => {
                    if read? == 0 {
                        self.end_of_input().await?;
                        return Ok(End::Left);
                    }
                }
                Wake::TimedOut => {
                    self.settle().await;
                    let message = format!("a line was not finished within {} s", LINE_TIMEOUT.as_secs());
                    write_fault(&mut self.out, None, &Fault::new(Code::LineTimeout, message));
                    self.write_out().await?;
                    return Ok(End::Left);
                }
                Wake::Drain => {
                    // What was read is served; what was not yet read never arrived.
                    loop {
                        self.take_lines().await?;
                        let may_be_more = !self.may_take_more();
                        self.settle().await;
                        self.write_out().await?;
                        if !may_be_more {
                            return Ok(End::Drained);
                        }
                    }
                }
            }
        }
    }

    /// Waits for whatever comes, in no order, so that none keeps the others waiting. Dropping any of
    /// these futures loses nothing but a place in the queue of those with long lines.
    async fn wake(&mut self) -> Wake {
        let may_read = self.may_take_more();
        let waits_for_place = self.lines.unfinished_bytes() > SHORT_BYTES && self.long_line.is_none();
        let deadline = self.mid_line_since.filter(|_| !waits_for_place).map(|since| since + LINE_TIMEOUT);
        let (mut stream, places) = (&self.stream, Arc::clone(&self.service.long_lines));
        tokio::select! {
            answer = first_answered(&mut self.in_flight) => Wake::Answered(answer),
            place = places.acquire_owned(), if may_read && waits_for_place => Wake::Place(place),
            read = async { stream.read_buf(self.lines.space()).await }, if may_read && !waits_for_place => Wake::Read(read),
            event = next_event(&mut self.subscription) => event,
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Wake::TimedOut,
            () = self.service.shutdown.cancelled() => Wake::Drain,
        }
    }

    /// Takes every complete line that was read, as far as the bounds allow.
    async fn take_lines(&mut self) -> io::Result<()> {
        let mut took_any = false;
        while self.may_take_more() {
            if self.out.len() >= OUT_BYTES {
                self.write_out().await?;
            }
            let line = self.lines.next_line();
            took_any |= matches!(line, Ok(Some(_)));
            let request = match line {
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
                Ok((id, request, bytes)) => self.take(id, request, bytes).await,
                Err((id, fault)) => {
                    self.settle().await;
                    debug!(code = %fault.data.code, "refused a request");
                    answer(&mut self.out, id.as_ref(), Err(fault));
                }
            }
        }
        if self.lines.unfinished_bytes() <= SHORT_BYTES {
            self.long_line = None;
        }
        // The time counts for one line, however many came before it, and not while it waits for us.
        let waits_for_more = self.lines.is_mid_line() && self.may_take_more();
        let since = if took_any { None } else { self.mid_line_since };
        self.mid_line_since = waits_for_more.then(|| since.unwrap_or_else(Instant::now));
        Ok(())
    }

    /// Whether the mutations in flight leave room for another.
    fn may_take_more(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT && self.in_flight_bytes < IN_FLIGHT_BYTES
    }

    async fn take(&mut self, id: Option<Id>, request: Request, bytes: usize) {
        let method = request.method();
        match self.service.take(request, self.by).await {
            Step::Mutation(answer) => {
                self.in_flight_bytes += bytes;
                self.in_flight.push_back(InFlight { id, method, bytes, answer });
            }
            Step::Read(read) => {
                self.settle().await;
                let result = read();
                debug!(method, outcome = outcome(&result), "read");
                answer(&mut self.out, id.as_ref(), result);
                self.give_way().await;
            }
            Step::Subscribe => {
                self.settle().await;
                let (result, subscription) = self.service.subscribe();
                self.subscription = Some(subscription);
                answer(&mut self.out, id.as_ref(), result);
            }
        }
    }

    /// Lets others have their turn, however much this client asks for and however quickly it comes back.
    async fn give_way(&mut self) {
        self.turn += 1;
        if self.turn >= READS_PER_TURN {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Waits until everything taken so far is answered.
    async fn settle(&mut self) {
        while let Some(first) = self.in_flight.front_mut() {
            let answer = first.answered().await;
            self.answer_first(answer);
        }
    }

    /// Answers the first mutation in flight, and those after it that came with the same commit.
    fn answer_first(&mut self, mut result: Answer) {
        while let Some(InFlight { id, method, bytes, .. }) = self.in_flight.pop_front() {
            self.in_flight_bytes -= bytes;
            info!(method, outcome = outcome(&result), "mutation");
            answer(&mut self.out, id.as_ref(), result);
            match self.in_flight.front_mut().map(|next| next.answer.try_recv()) {
                Some(Ok(next)) => result = next,
                Some(Err(TryRecvError::Closed)) => result = Err(actor_failed()),
                Some(Err(TryRecvError::Empty)) | None => return,
            }
        }
    }

    /// The client says no more; it may still read.
    async fn end_of_input(&mut self) -> io::Result<()> {
        self.settle().await;
        if self.lines.is_mid_line() {
            let fault =
                Fault::new(Code::ParseError, "the last line did not end with a line feed, so it was not served");
            write_fault(&mut self.out, None, &fault);
        }
        self.write_out().await
    }

    async fn write_out(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            let written = tokio::time::timeout(WRITE_TIMEOUT, (&self.stream).write_all(&self.out)).await;
            written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            self.out = Zeroizing::new(Vec::new());
        }
        Ok(())
    }
}

/// The actor failed with the mutation in its hands, which is a defect.
fn actor_failed() -> Fault {
    Fault::new(Code::InternalError, "the daemon failed: whether this took effect is decided at the next start")
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

async fn first_answered(in_flight: &mut VecDeque<InFlight>) -> Answer {
    match in_flight.front_mut() {
        Some(first) => first.answered().await,
        None => std::future::pending().await,
    }
}

async fn next_event(subscription: &mut Option<Subscription>) -> Wake {
    match subscription {
        Some(subscription) => subscription.next().await.map_or(Wake::Drain, Wake::Event),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
