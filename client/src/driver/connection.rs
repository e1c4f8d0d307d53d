//! [`Connection`]: calls over one connection, until it ends.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use keyfob_proto::{Fault, Id, Incoming};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};
use zeroize::Zeroizing;

use super::{Answer, Asked, Command, Reply, turns_away};
use crate::Error;
use crate::link::{Link, Observer};

/// So many calls may be sent and not answered, those included whose answer was given up. A daemon that leaves more
/// unanswered is taken for dead.
const MAX_SENT: usize = 4096;

/// Lines are added to what is to be written up to this size, in bytes; the rest waits unsent.
const OUT_BYTES: usize = 64 * 1024;

/// One connection and the calls on it.
pub(super) struct Connection {
    link: Link,
    /// Calls of which nothing was sent.
    waiting: VecDeque<Asked>,
    /// Calls that were sent, in order, which is the order of their answers.
    sent: VecDeque<Sent>,
    /// When the first of the calls is given up, as far as that is known.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Those who are told when the connection has ended.
    mourners: Vec<oneshot::Sender<()>>,
    /// What the daemon said when nothing was asked.
    parting: Option<Fault>,
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
        waiting: VecDeque<Asked>,
        /// What the daemon said when nothing was asked.
        parting: Option<Fault>,
        observer: Option<Observer>,
    },
}

impl Connection {
    pub(super) fn new(link: Link, waiting: VecDeque<Asked>) -> Self {
        Self {
            link,
            waiting,
            sent: VecDeque::new(),
            alarm: None,
            mourners: Vec::new(),
            parting: None,
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
        let mut error = Some(error);
        for answer in self.sent.drain(..).filter_map(|sent| sent.answer) {
            // The first is told why; it is the one that the system's error is about.
            answer.send(Err(error.take().unwrap_or(Error::Disconnected(None))));
        }
        for told in self.mourners.drain(..) {
            let _ = told.send(());
        }
        End::Lost { waiting: self.waiting, parting: self.parting, observer: self.link.into_observer() }
    }

    /// Does what can be done now. Ready with the error when the connection is lost, and with none when no handle is left.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Poll<Option<Error>> {
        let is_left = self.take_commands(context, commands);
        self.send(context);
        if let Poll::Ready(error) = self.receive(context) {
            return Poll::Ready(Some(error));
        }
        self.give_up(context);
        if self.sent.len() > MAX_SENT {
            return Poll::Ready(Some(Error::Disconnected(None)));
        }
        // Whoever dropped the last handle does not wait for answers. What was made is sent all the same.
        let is_idle = self.waiting.is_empty() && self.link.unwritten() == 0;
        if is_left && (is_idle || self.write_error.is_some()) { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Takes what the client wants. Answers whether it has no handle left.
    fn take_commands(&mut self, context: &mut Context<'_>, commands: &mut mpsc::UnboundedReceiver<Command>) -> bool {
        loop {
            match commands.poll_recv(context) {
                Poll::Ready(Some(Command::Call(asked))) => self.waiting.push_back(asked),
                Poll::Ready(Some(Command::Observe(observer))) => self.link.observe(observer),
                Poll::Ready(Some(Command::TellOfEnd(told))) => self.mourners.push(told),
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    /// Writes calls, as far as the daemon takes them.
    fn send(&mut self, context: &mut Context<'_>) {
        while self.write_error.is_none() {
            while self.link.unwritten() < OUT_BYTES
                && let Some(Asked { id, line, deadline, answer }) = self.waiting.pop_front()
            {
                if !answer.is_unwanted() {
                    self.link.push(&line);
                    self.sent.push_back(Sent { id, deadline, answer: Some(answer) });
                }
            }
            match self.link.poll_flush(context) {
                Poll::Ready(Ok(())) if self.waiting.is_empty() => return,
                Poll::Ready(Ok(())) => {}
                // A daemon that refuses a connection says why before it closes it, so reading goes on.
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => return,
            }
        }
    }

    /// Reads answers and hands them out, until the connection is lost.
    fn receive(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let Self { link, sent, parting, write_error, .. } = self;
        let lost = ready!(link.poll_find(context, |line| match Incoming::parse(line) {
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
                *parting = Some(fault.clone()).filter(|_| sent.is_empty());
                for answer in sent.drain(..).filter_map(|sent| sent.answer) {
                    answer.send(Err(fault.clone().into()));
                }
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
        }));
        Poll::Ready(match lost {
            Some(Err(error)) => error,
            Some(Ok(())) | None => Error::Disconnected(write_error.take()),
        })
    }

    /// Gives up calls whose time is over.
    fn give_up(&mut self, context: &mut Context<'_>) {
        loop {
            let waiting = self.waiting.iter().map(|asked| asked.deadline);
            let sent = self.sent.iter().filter(|sent| sent.answer.is_some()).map(|sent| sent.deadline);
            let Some(next) = waiting.chain(sent).min() else { return self.alarm = None };
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(next)));
            if alarm.deadline() != next {
                alarm.as_mut().reset(next);
            }
            if alarm.as_mut().poll(context).is_pending() {
                return;
            }
            for sent in self.sent.iter_mut().filter(|sent| sent.deadline <= next) {
                if let Some(answer) = sent.answer.take() {
                    answer.send(Err(Error::TimedOut { sent: true }));
                }
            }
            let is_over = |asked: &Asked| asked.deadline <= next;
            while let Some(at) = self.waiting.iter().position(is_over) {
                if let Some(asked) = self.waiting.remove(at) {
                    asked.answer.send(Err(Error::TimedOut { sent: false }));
                }
            }
        }
    }
}

/// Hands out the answer to a call. Answers come in the order of the calls.
fn answer(sent: &mut VecDeque<Sent>, id: &Id, reply: impl FnOnce() -> Reply) {
    let Some(at) = sent.iter().position(|sent| *id == sent.id) else { return };
    if let Some(answer) = sent.remove(at).and_then(|sent| sent.answer) {
        answer.send(reply());
    }
}
