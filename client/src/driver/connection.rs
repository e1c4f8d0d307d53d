//! [`Connection`]: calls over one connection, until it ends.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use keyfob_proto::{Code, Fault, Id, Incoming};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::waiting::{Alarm, Waiting};
use super::{Answer, Asked, Command, Reply};
use crate::Error;
use crate::link::{Link, Observer};

/// So many calls may be sent and not answered; the others wait. A daemon that left all of them unanswered until their time
/// was over is taken for dead.
const MAX_SENT: usize = 1024;

/// Lines are added to what is to be written up to this size, in bytes; the rest waits unsent.
const OUT_BYTES: usize = 64 * 1024;

/// One connection and the calls on it.
pub(super) struct Connection {
    link: Link,
    /// Its number among those of the client.
    number: u64,
    waiting: Waiting,
    /// Calls that were sent, in order, which is the order of their answers.
    sent: VecDeque<Sent>,
    alarm: Alarm,
    /// Those who are told when the connection has ended.
    waiters: Vec<oneshot::Sender<()>>,
    /// Why the daemon serves nothing on this connection, if that is so.
    refused: Option<Fault>,
    write_error: Option<io::Error>,
}

/// A call that was sent.
struct Sent {
    id: u64,
    deadline: Instant,
    /// None: it was given up.
    answer: Option<Answer>,
}

/// How a connection ended.
pub(super) enum End {
    /// The client has no handle left.
    Left,
    /// It was lost.
    Lost {
        /// Calls of which nothing was sent.
        waiting: Waiting,
        observer: Option<Observer>,
    },
}

impl Connection {
    pub(super) fn new(link: Link, number: u64, waiting: Waiting) -> Self {
        Self {
            link,
            number,
            waiting,
            sent: VecDeque::new(),
            alarm: Alarm::default(),
            waiters: Vec::new(),
            refused: None,
            write_error: None,
        }
    }

    pub(super) fn observe(&mut self, observer: Observer) {
        self.link.observe(observer);
    }

    /// Serves calls until the connection is lost or no handle is left. Calls that were sent and not answered are told
    /// that the connection is lost.
    pub(super) async fn serve(mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> End {
        let lost = poll_fn(|context| self.poll(context, commands)).await;
        let Some(error) = lost else { return End::Left };
        if let Some(fault) = self.refused.take() {
            // Whatever was asked meanwhile would have been refused as well.
            self.waiting.refuse(&fault.into());
        }
        let mut error = Some(error);
        for answer in self.sent.drain(..).filter_map(|sent| sent.answer) {
            // The system's error is about the first of them.
            answer.send(Err(error.take().unwrap_or(Error::Disconnected(None))));
        }
        for told in self.waiters.drain(..) {
            let _ = told.send(());
        }
        End::Lost { waiting: self.waiting, observer: self.link.into_observer() }
    }

    /// Does what can be done now. Ready with the error when the connection is lost, and with none when no handle is left.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Poll<Option<Error>> {
        let is_left = self.take_commands(context, commands);
        self.give_up(context);
        self.send(context);
        if let Poll::Ready(error) = self.receive(context) {
            return Poll::Ready(Some(error));
        }
        let is_over = self.sent.iter().all(|sent| sent.answer.is_none());
        if is_over && self.sent.len() >= MAX_SENT {
            return Poll::Ready(Some(Error::Disconnected(None)));
        }
        // Whoever dropped the last handle waits for no answer. What was asked is sent all the same, within its time.
        let is_sent = self.waiting.is_empty() && (is_over || self.link.unwritten() == 0);
        let is_done = is_sent || self.write_error.is_some();
        if is_left && is_done { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Takes what the client wants. Answers whether it has no handle left.
    fn take_commands(&mut self, context: &mut Context<'_>, commands: &mut mpsc::UnboundedReceiver<Command>) -> bool {
        loop {
            match commands.poll_recv(context) {
                Poll::Ready(Some(Command::Call(asked))) => self.waiting.push(asked),
                Poll::Ready(Some(Command::Observe(observer))) => self.link.observe(observer),
                Poll::Ready(Some(Command::TellOfEnd(number, told))) => self.tell_of_end(number, told),
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    fn tell_of_end(&mut self, number: u64, told: oneshot::Sender<()>) {
        self.waiters.retain(|told| !told.is_closed());
        if number < self.number {
            let _ = told.send(());
        } else {
            self.waiters.push(told);
        }
    }

    /// Writes calls, as far as the daemon takes them.
    fn send(&mut self, context: &mut Context<'_>) {
        while self.write_error.is_none() {
            while self.refused.is_none()
                && self.sent.len() < MAX_SENT
                && self.link.unwritten() < OUT_BYTES
                && let Some(Asked { id, line, deadline, answer }) = self.waiting.pop()
            {
                self.link.push(&line);
                self.sent.push_back(Sent { id, deadline, answer: Some(answer) });
            }
            let may_send = self.refused.is_none() && self.sent.len() < MAX_SENT && !self.waiting.is_empty();
            match self.link.poll_flush(context) {
                Poll::Ready(Ok(())) if !may_send => return,
                Poll::Ready(Ok(())) => {}
                // A daemon that refuses a connection says why before it closes it, so reading goes on.
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => return,
            }
        }
    }

    /// Reads answers and hands them out, until the connection is lost.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let Self { link, sent, refused, write_error, .. } = self;
        let before = sent.len();
        let lost = link.poll_find(context, |line| match Incoming::parse(line) {
            Some(Incoming::Reply { id, result }) => {
                answer(sent, &id, || Ok(Zeroizing::new(result.get().as_bytes().to_vec())));
                None
            }
            Some(Incoming::Fault { id: Some(id), fault }) => {
                answer(sent, &id, || Err(fault.into()));
                None
            }
            // Answers come in order, so it is about the oldest call, or about all that were sent.
            Some(Incoming::Fault { id: None, fault }) if turns_away(&fault.data.code) => {
                for answer in sent.drain(..).filter_map(|sent| sent.answer) {
                    answer.send(Err(fault.clone().into()));
                }
                *refused = Some(fault);
                None
            }
            Some(Incoming::Fault { id: None, fault }) => {
                if let Some(answer) = sent.pop_front().and_then(|sent| sent.answer) {
                    answer.send(Err(fault.into()));
                }
                None
            }
            Some(Incoming::Event(_)) => None,
            None => Some(Err::<(), _>(Error::Protocol("a line is neither a reply nor a fault nor an event"))),
        });
        if sent.len() < before && before >= MAX_SENT {
            // There is room for those that wait.
            context.waker().wake_by_ref();
        }
        Poll::Ready(match ready!(lost) {
            Some(Err(error)) => error,
            Some(Ok(())) | None => Error::Disconnected(write_error.take()),
        })
    }

    /// Gives up calls whose time is over.
    fn give_up(&mut self, context: &mut Context<'_>) {
        while self.waiting.poll_give_up(context).is_ready() {}
        let next =
            |sent: &VecDeque<Sent>| sent.iter().filter(|sent| sent.answer.is_some()).map(|sent| sent.deadline).min();
        while let Some(next) = next(&self.sent)
            && self.alarm.poll(context, next).is_ready()
        {
            for sent in self.sent.iter_mut().filter(|sent| sent.deadline <= next) {
                if let Some(answer) = sent.answer.take() {
                    answer.send(Err(Error::TimedOut { sent: true }));
                }
            }
        }
    }
}

/// Whether a fault means that the daemon serves nothing of what was sent on the connection.
fn turns_away(code: &Code) -> bool {
    matches!(code, Code::AccessDenied | Code::TooManyConnections | Code::NotStarted)
}

/// Hands out the answer to a call. Answers come in the order of the calls.
fn answer(sent: &mut VecDeque<Sent>, id: &Id, reply: impl FnOnce() -> Reply) {
    let Some(at) = sent.iter().position(|sent| *id == sent.id) else { return };
    if let Some(answer) = sent.remove(at).and_then(|sent| sent.answer) {
        answer.send(reply());
    }
}
