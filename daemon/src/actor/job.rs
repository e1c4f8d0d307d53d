//! [`Job`]: a mutation on its way, without its type.

use keyfob_proto::{By, Fault};
use tokio::sync::oneshot;

use crate::vault::{Draft, Kind, Mutation};

/// A mutation that waits for the actor, and whoever waits for its answer.
pub(super) trait Job: Send {
    /// What it may do.
    fn kind(&self) -> Kind;

    /// Applies it to a draft, and keeps what it answered. May be done again with another draft.
    fn apply(&mut self, draft: &mut Draft<'_>);

    /// Answers: what it answered to the draft if that was committed.
    fn answer(self: Box<Self>, committed: Result<(), Fault>);
}

/// The only kind of job. `encode` makes what the caller wants of the reply.
struct Typed<M: Mutation, E, T> {
    mutation: M,
    by: Option<By>,
    encode: E,
    reply: Option<Result<M::Reply, Fault>>,
    sender: oneshot::Sender<Result<T, Fault>>,
}

/// The job of a mutation.
pub(super) fn job<M, E, T>(
    mutation: M,
    by: Option<By>,
    encode: E,
    sender: oneshot::Sender<Result<T, Fault>>,
) -> Box<dyn Job>
where
    M: Mutation<Reply: Send>,
    E: FnOnce(M::Reply) -> T + Send + 'static,
    T: Send + 'static,
{
    Box::new(Typed { mutation, by, encode, reply: None, sender })
}

impl<M, E, T> Job for Typed<M, E, T>
where
    M: Mutation<Reply: Send>,
    E: FnOnce(M::Reply) -> T + Send,
    T: Send,
{
    fn kind(&self) -> Kind {
        M::KIND
    }

    fn apply(&mut self, draft: &mut Draft<'_>) {
        draft.set_by(self.by);
        self.reply = Some(self.mutation.apply(draft));
    }

    fn answer(self: Box<Self>, committed: Result<(), Fault>) {
        let Self { encode, reply, sender, .. } = *self;
        // One that was never applied is answered with the reason.
        if let Some(reply) = committed.map_or_else(|fault| Some(Err(fault)), |()| reply) {
            // The caller may have hung up; its answer is then nobody's.
            let _ = sender.send(reply.map(encode));
        }
    }
}
