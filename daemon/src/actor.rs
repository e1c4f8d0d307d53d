//! The actor: the one task that changes the vault.
//!
//! It takes all mutations that wait (up to [`GROUP`]), applies them in order to a copy of the
//! vault, commits everything they changed as one store batch with one flush, publishes the new
//! vault, and only then lets events and replies go. If the commit fails, the copy is dropped
//! and nobody has seen anything; from then on every mutation is refused.
//!
//! When most of the store's file is garbage, the vault is rewritten in the background ([`crate::store::Rewrite`]) and the
//! actor switches over between two commits.
//!
//! Locking, unlocking and rekeying come here too, and happen between two commits.
//!
//! Reads do not come here: they use the published vault, which shows durable state only.

mod locking;
mod published;
mod rewriting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keyfob_proto::{By, Code, Fault};
use tokio::sync::{mpsc, oneshot, watch};

use self::rewriting::{Rewriting, remove_in_background};
use crate::clock::{Clock, Timestamp};
use crate::events::EventLog;
use crate::seal::Supply;
use crate::store::{Rewritten, Store, StoreError};
use crate::vault::{Draft, Finished, Mutation, Vault};

pub use self::locking::Lock;
pub use self::published::Published;

/// The most mutations of one commit.
const GROUP: usize = 512;

/// How long the removal of a large vault from memory rests after each step, so that it leaves the machine
/// to others.
const REMOVAL_PAUSE: Duration = Duration::from_millis(2);

/// Sessions of a large old vault that are dropped from memory in one step.
const DROPPED_PER_STEP: usize = 200;

/// The most mutations that wait for the actor; whoever sends more waits.
const QUEUE: usize = 1024;

/// A mutation on its way, without its type.
type Apply = Box<dyn FnOnce(&mut Draft) -> Outcome + Send>;

/// What becomes of a mutation: sends its answer, given whether the commit succeeded.
type Outcome = Box<dyn FnOnce(Result<(), Fault>) + Send>;

enum Submission {
    Mutation {
        by: Option<By>,
        apply: Apply,
    },
    /// Something between two commits.
    Act(Box<dyn FnOnce(&mut Actor) + Send>),
}

/// The way to the actor. When the last one is dropped the actor finishes its work and ends.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: mpsc::Sender<Submission>,
}

impl Handle {
    /// Hands a mutation in. The answer comes when it is durable; `encode` makes what the caller
    /// wants of the reply. Waits while the queue is full; mutations of one caller stay in order.
    pub async fn submit<M: Mutation, T: Send + 'static>(
        &self,
        mutation: M,
        by: Option<By>,
        encode: impl FnOnce(M::Reply) -> T + Send + 'static,
    ) -> oneshot::Receiver<Result<T, Fault>> {
        let (sender, receiver) = oneshot::channel();
        let apply = move |draft: &mut Draft| -> Outcome {
            let result = mutation.apply(draft).map(encode);
            // The caller may have hung up; its answer is then nobody's.
            Box::new(move |committed| drop(sender.send(committed.and(result))))
        };
        if self.queue.send(Submission::Mutation { by, apply: Box::new(apply) }).await.is_ok() {
            return receiver;
        }
        let (sender, receiver) = oneshot::channel();
        // The receiver is still here.
        let _ = sender.send(Err(shutting_down()));
        receiver
    }
}

/// The only writer. [`Actor::run`] is its whole life.
pub struct Actor {
    queue: mpsc::Receiver<Submission>,
    vault: watch::Sender<Arc<Vault>>,
    published: Arc<Published>,
    store: Store,
    clock: Clock,
    lock: watch::Sender<Lock>,
    /// What the next mutations seal with.
    supply: Supply,
    rewriting: Option<Rewriting>,
    /// The file has to reach this size, in bytes, before the next rewriting: twice what the last one left.
    rewrite_from: u64,
}

impl Actor {
    /// An actor over a store and the vault that was read from it.
    #[must_use]
    pub fn new(store: Store, vault: Vault, clock: Clock) -> (Self, Handle, Arc<Published>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let (vault, receiver) = watch::channel(Arc::new(vault));
        let (lock, lock_receiver) = watch::channel(Lock::of(&store));
        let published = Arc::new(Published {
            vault: receiver,
            events: EventLog::default(),
            failed: AtomicBool::new(false),
            mutations: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            store_bytes: AtomicU64::new(store.bytes()),
            lock: lock_receiver,
            rekeying: Arc::default(),
        });
        let published_too = Arc::clone(&published);
        let (supply, rewriting, rewrite_from) = (store.supply(), None, 0);
        let actor =
            Self { queue, vault, published: published_too, store, clock, lock, supply, rewriting, rewrite_from };
        (actor, Handle { queue: sender }, published)
    }

    /// Serves mutations, lets time pass and tidies up, until every [`Handle`] is gone and all that
    /// they submitted is answered. Needs a runtime with more than one thread: it blocks on the disk.
    pub async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        self.rewrite_if_wasteful();
        loop {
            let due = if self.published.has_failed() { None } else { self.vault.borrow().next_due() };
            let clock = self.clock.clone();
            tokio::select! {
                biased;
                // First, or it would never have its turn while mutations never cease to wait.
                rewritten = Rewriting::done(&mut self.rewriting) => self.switch_to(rewritten),
                received = self.queue.recv_many(&mut group, GROUP) => {
                    if received == 0 {
                        break;
                    }
                    self.work_off(group.drain(..));
                }
                () = clock.reached(due.unwrap_or_default()), if due.is_some() => self.serve(Vec::new()),
            }
            self.rewrite_if_wasteful();
        }
        if let Some(rewriting) = self.rewriting.take() {
            rewriting.cancel().await;
        }
    }

    /// Begins to rewrite the vault if that is worth it.
    fn rewrite_if_wasteful(&mut self) {
        let vault = Arc::clone(&self.vault.borrow());
        if self.rewriting.is_some()
            || self.published.has_failed()
            || !self.store.is_wasteful(vault.record_count())
            || self.store.bytes() < self.rewrite_from
        {
            return;
        }
        self.rewriting = Some(Rewriting::begin(&self.store, vault));
    }

    /// Goes over to a database that was rewritten, once it has what was committed in the meantime.
    fn switch_to(&mut self, rewritten: Result<Option<Rewritten>, StoreError>) {
        let Some(rewriting) = self.rewriting.take() else { return };
        match rewriting.catch_up(rewritten) {
            Ok(Some(new)) if !self.published.has_failed() => {
                match tokio::task::block_in_place(|| self.store.switch_to(new)) {
                    Ok(old) => remove_in_background(old),
                    Err(error) => self.fail(&error),
                }
                self.rewrite_from = 2 * self.store.bytes();
                self.published.store_bytes.store(self.store.bytes(), Ordering::Relaxed);
            }
            unfinished => {
                // Without an error the task failed, or the disk did in the meantime.
                let error = unfinished.err();
                tracing::warn!(error = error.as_ref().map(tracing::field::display), "the vault was not rewritten");
                self.rewrite_from = 2 * self.store.bytes();
                if let Err(error) = tokio::task::block_in_place(|| self.store.remove_unfinished()) {
                    tracing::warn!(%error, "what the rewriting left stays for now");
                }
            }
        }
    }

    /// Serves what was submitted, in order.
    fn work_off(&mut self, submissions: impl Iterator<Item = Submission>) {
        let mut group = Vec::new();
        for submission in submissions {
            match submission {
                Submission::Mutation { by, apply } => group.push((by, apply)),
                Submission::Act(act) => {
                    self.serve(std::mem::take(&mut group));
                    act(self);
                }
            }
        }
        if !group.is_empty() {
            self.serve(group);
        }
    }

    /// Applies one group, commits it and answers it.
    fn serve(&mut self, group: Vec<(Option<By>, Apply)>) {
        let now = self.clock.now();
        self.replenish(Draft::SLOTS * group.len());
        let mut draft = self.draft(now);
        // Mutations find no session that has expired. Where very many have, they go in commits of
        // their own, each of a bounded size.
        while draft.vault().has_expired(now) && self.commit(&mut draft).is_ok() {
            self.publish(draft);
            draft = self.draft(now);
        }
        let mut outcomes = Vec::new();
        let mut effective = 0;
        for (by, apply) in group {
            let before = draft.changes().len();
            draft.set_by(by);
            outcomes.push(apply(&mut draft));
            effective += u64::from(draft.changes().len() > before);
        }
        let committed = self.commit(&mut draft);
        if committed.is_ok() {
            self.published.mutations.fetch_add(effective, Ordering::Relaxed);
            // Events before replies: whoever has a reply and subscribes then is not told of it again.
            self.publish(draft);
            for outcome in outcomes {
                outcome(Ok(()));
            }
        } else {
            for outcome in outcomes {
                outcome(committed.clone());
            }
        }
    }

    /// Makes a draft's changes durable, unless an earlier commit failed.
    fn commit(&mut self, draft: &mut Draft) -> Result<(), Fault> {
        if self.published.has_failed() {
            return Err(storage_failed("the disk failed earlier, so nothing was tried"));
        }
        if draft.changes().is_empty() {
            return Ok(());
        }
        let (changes, erased, supply) = draft.to_commit();
        match tokio::task::block_in_place(|| self.store.commit(changes, erased, supply)) {
            Ok(()) => {
                self.published.flushes.fetch_add(1, Ordering::Relaxed);
                self.published.store_bytes.store(self.store.bytes(), Ordering::Relaxed);
                if let Some(rewriting) = &mut self.rewriting {
                    rewriting.committed(draft.changes());
                }
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                Err(storage_failed("the disk failed: whether this took effect is decided at the next start"))
            }
        }
    }

    /// A copy of the vault, as it is at the instant `now`.
    fn draft(&mut self, now: Timestamp) -> Draft {
        let supply = std::mem::take(&mut self.supply);
        let mut draft = Draft::new(Vault::clone(&self.vault.borrow()), now, supply);
        draft.pass_time();
        draft
    }

    /// Shows everybody the new vault and says what happened.
    fn publish(&mut self, draft: Draft) {
        let Finished { vault, announcements, supply, released } = draft.finish();
        self.supply = supply;
        let sessions = vault.session_count();
        self.replace(vault, sessions + GROUP);
        for pair in released {
            pair.forget();
        }
        self.published.events.publish(announcements);
    }

    /// Shows everybody another vault. The old one is dropped at once unless it has more sessions than this.
    fn replace(&self, vault: Vault, few: usize) {
        let scopes = vault.scopes().clone();
        let old = self.vault.send_replace(Arc::new(vault));
        let is_retired = old.retire(&scopes);
        if old.session_count() > few {
            tokio::spawn(drop_in_steps(old, is_retired));
        } else if is_retired {
            old.forget_signing_keys();
        }
    }

    /// Sees to it that so many records can be sealed.
    fn replenish(&mut self, records: usize) {
        if self.supply.slots.len() < records && !self.published.has_failed() {
            let replenished = tokio::task::block_in_place(|| self.store.replenish(&mut self.supply, records));
            if let Err(error) = replenished {
                self.fail(&error);
            }
        }
    }

    fn fail(&self, error: &StoreError) {
        tracing::error!(%error, "the disk failed: every mutation is refused from now on");
        self.published.failed.store(true, Ordering::Relaxed);
    }
}

/// Gives the memory of a large vault back a little at a time. All at once it would keep the allocator
/// from everybody else: reads were seen to wait 40 ms.
async fn drop_in_steps(old: Arc<Vault>, is_retired: bool) {
    if is_retired {
        let retired = Arc::clone(&old);
        // It ends or the runtime does.
        let _ = tokio::task::spawn_blocking(move || retired.forget_signing_keys()).await;
    }
    let mut old = Arc::unwrap_or_clone(old);
    while old.shed(DROPPED_PER_STEP) {
        tokio::time::sleep(REMOVAL_PAUSE).await;
    }
}

fn shutting_down() -> Fault {
    Fault::new(Code::ShuttingDown, "the daemon is shutting down; this had no effect")
}

fn storage_failed(what: &str) -> Fault {
    let message = format!("{what}. Reads go on. See to the disk, then restart the daemon (`keyfob stop`)");
    Fault::new(Code::StorageError, message)
}

#[cfg(test)]
mod tests;
