//! [`Handle`]: the way to the actor.

use keyfob_proto::{By, Code, Fault};
use tokio::sync::{mpsc, oneshot};

use super::Actor;
use super::job::{Job, job};
use crate::vault::Mutation;

/// What the actor is asked.
pub(super) enum Submission {
    /// To change the vault.
    Mutation(Box<dyn Job>),
    /// Something between two groups.
    Act(Box<dyn FnOnce(&mut Actor) + Send>),
}

/// The way to the actor. When the last one is dropped the actor finishes its work and ends.
#[derive(Clone)]
pub(crate) struct Handle {
    owner: mpsc::Sender<Submission>,
    others: mpsc::Sender<Submission>,
}

/// Whose mutation it is: those of the owner and of others take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The vault's own user's, or root's.
    Owner,
    /// Another user's, or one through a grant.
    Others,
}

impl Handle {
    pub(super) fn new(owner: mpsc::Sender<Submission>, others: mpsc::Sender<Submission>) -> Self {
        Self { owner, others }
    }

    /// Hands a mutation in. The answer comes when it is durable; `encode` makes what the caller
    /// wants of the reply. Waits while the queue is full; mutations of one lane stay in order.
    pub(crate) async fn submit<M: Mutation<Reply: Send>, T: Send + 'static>(
        &self,
        mutation: M,
        (by, lane): (Option<By>, Lane),
        encode: impl FnOnce(M::Reply) -> T + Send + 'static,
    ) -> oneshot::Receiver<Result<T, Fault>> {
        let (sender, receiver) = oneshot::channel();
        let queue = if lane == Lane::Owner { &self.owner } else { &self.others };
        if let Err(refused) = queue.send(Submission::Mutation(job(mutation, by, encode, sender))).await
            && let Submission::Mutation(job) = refused.0
        {
            job.answer(Err(shutting_down()));
        }
        receiver
    }

    /// Has the actor do something between two groups.
    ///
    /// # Errors
    ///
    /// `SHUTTING_DOWN`, or the fault of what it does.
    pub(super) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Actor) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        // The caller may have hung up; its answer is then nobody's.
        let act = move |actor: &mut Actor| drop(sender.send(act(actor)));
        self.owner.send(Submission::Act(Box::new(act))).await.map_err(|_| shutting_down())?;
        receiver.await.map_err(|_| shutting_down())?
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

fn shutting_down() -> Fault {
    Fault::new(Code::ShuttingDown, "the daemon is shutting down; this had no effect")
}
