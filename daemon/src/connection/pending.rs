//! [`Pending`]: the mutations of a connection that the actor has, in order.

use std::collections::VecDeque;

use keyfob_proto::{Code, Fault, Id};
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::limits::{IN_FLIGHT, IN_FLIGHT_BYTES};
use crate::service::Answer;

/// Mutations whose answers are to come.
#[derive(Default)]
pub(super) struct Pending {
    queue: VecDeque<InFlight>,
    /// What their lines took.
    bytes: usize,
}

/// One of them.
struct InFlight {
    asked: Asked,
    answer: oneshot::Receiver<Answer>,
}

/// What was asked.
pub(super) struct Asked {
    /// The id of the request; none where no answer is wanted.
    pub(super) id: Option<Id>,
    /// The method.
    pub(super) method: &'static str,
    /// The length of its line, in bytes.
    pub(super) bytes: usize,
}

impl Pending {
    /// Whether there is room for another.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < IN_FLIGHT && self.bytes < IN_FLIGHT_BYTES
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds one.
    pub(super) fn push(&mut self, asked: Asked, answer: oneshot::Receiver<Answer>) {
        self.bytes += asked.bytes;
        self.queue.push_back(InFlight { asked, answer });
    }

    /// Waits for the answer to the first; for ever where there is none. Dropping the future loses nothing.
    pub(super) async fn first_answer(&mut self) -> Answer {
        match self.queue.front_mut() {
            Some(first) => (&mut first.answer).await.unwrap_or_else(|_| Err(actor_failed())),
            None => std::future::pending().await,
        }
    }

    /// Takes the first, whose answer has come.
    pub(super) fn pop(&mut self) -> Option<Asked> {
        let InFlight { asked, .. } = self.queue.pop_front()?;
        self.bytes -= asked.bytes;
        Some(asked)
    }

    /// The answer to the first, if it came with that of the one before.
    pub(super) fn answer_at_hand(&mut self) -> Option<Answer> {
        match self.queue.front_mut()?.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Closed) => Some(Err(actor_failed())),
            Err(TryRecvError::Empty) => None,
        }
    }
}

/// The actor failed with the mutation in its hands, which is a defect.
fn actor_failed() -> Fault {
    Fault::new(Code::InternalError, "the daemon failed: whether this took effect is decided at the next start")
}
