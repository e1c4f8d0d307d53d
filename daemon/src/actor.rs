//! The actor: the one task that changes the vault.
//!
//! It takes all mutations that wait (up to [`GROUP`]), applies them in order to a copy of the vault, makes what they
//! changed durable in one go, publishes the new vault, and only then lets events and replies go. A group that only
//! removes waits for one sync of the file `keys`; the database is told when the actor is idle, or with the next group
//! that puts something. A clear-all is a group of its own.
//!
//! If something cannot be put, the copy is dropped and nobody has seen anything. What the group removes is then removed
//! all the same, and so is whatever is removed later: clearing needs neither room nor a database.
//!
//! When most of the database is garbage, it is rewritten in the background ([`crate::store::Rewrite`]) and the actor
//! goes over to the new one between two groups. Locking, unlocking and rekeying come here too.
//!
//! The actor blocks on the disk, so it has a thread to itself. Reads do not come here: they use the published vault,
//! which shows durable state only.

mod commit;
mod failing;
mod handle;
mod job;
mod locking;
mod published;
mod queue;
mod rewriting;
mod tidy;
mod timers;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keyfob_proto::Fault;
use tokio::runtime;
use tokio::sync::mpsc;

use self::commit::Failed;
use self::failing::Undecided;
use self::handle::Submission;
use self::job::Job;
use self::published::Keys;
use self::rewriting::Rewriting;
use self::timers::{Time, Timers};
use crate::clock::{Clock, Timestamp};
use crate::limits::{GROUP, MAX_OWED, QUEUE, QUEUE_OF_OTHERS};
use crate::seal::{Depth, on_wiped_stack};
use crate::store::Store;
use crate::vault::{Draft, Drafted, Kind, Removal, Vault};

pub(crate) use self::handle::{Handle, Lane};
pub(crate) use self::published::Published;
use self::queue::Queue;

/// While there is work to do, a database is rewritten only when it is so many times as large as it may be.
const GENEROUS: u64 = 4;

/// The only writer. [`Actor::run`] is its whole life.
pub(crate) struct Actor {
    queue: Queue,
    published: Arc<Published>,
    store: Store,
    clock: Clock,
    /// What may be on the disk besides what is published.
    undecided: Undecided,
    /// What could not be removed for certain: it is removed again with the next group.
    unfinished: Vec<Removal>,
    /// Whether the log says that there is no room.
    is_full: bool,
    rewriting: Option<Rewriting>,
    /// The file has to reach this size, in bytes, before the next rewriting: twice what the last one left.
    rewrite_from: u64,
    /// Where what nobody waits for is done.
    background: runtime::Handle,
}

impl Actor {
    /// An actor over a store and the vault that was read from it, which is locked. Call it within a runtime.
    #[must_use]
    pub(crate) fn new(store: Store, vault: Vault, clock: Clock) -> (Self, Handle, Arc<Published>) {
        let (owner, owners) = mpsc::channel(QUEUE);
        let (others, of_others) = mpsc::channel(QUEUE_OF_OTHERS);
        let keys = Keys { open: None, origin: store.origin().clone() };
        let published = Arc::new(Published::new(vault, keys, store.bytes()));
        let actor = Self {
            queue: Queue::new(owners, of_others),
            published: Arc::clone(&published),
            store,
            clock,
            undecided: Undecided::default(),
            unfinished: Vec::new(),
            is_full: false,
            rewriting: None,
            rewrite_from: 0,
            background: runtime::Handle::current(),
        };
        (actor, Handle::new(owner, others), published)
    }

    /// Serves mutations, lets time pass and tidies up, until every [`Handle`] is gone and all that
    /// they submitted is answered. Blocks on the disk.
    pub(crate) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        let mut timers = Timers::new(self.clock.clone());
        self.make_reserve();
        self.rewrite_if_wasteful(GENEROUS);
        loop {
            // What could not be cleared is tried again when somebody asks for something, not at once.
            let steady_at = self.clock.now().after(self.clock.steady_in());
            let due = if self.unfinished.is_empty() { self.published.vault().next_due(steady_at) } else { None };
            timers.set_due(due);
            tokio::select! {
                biased;
                // First, or it would never have its turn while mutations never cease to wait.
                rewritten = Rewriting::done(&mut self.rewriting) => self.switch_to(rewritten),
                received = self.queue.next_group(&mut group) => {
                    if received == 0 {
                        break;
                    }
                    timers.is_used();
                    self.work_off(group.drain(..));
                    if self.store.owes() >= MAX_OWED {
                        self.tell();
                    }
                }
                time = timers.next() => match time {
                    Time::Due => self.pass_time(),
                    Time::Idle => {
                        self.tell();
                        self.rewrite_if_wasteful(1);
                        timers.was_idle(self.store.owes() > 0 && !self.is_full);
                    }
                },
            }
            self.rewrite_if_wasteful(GENEROUS);
        }
        if let Some(rewriting) = self.rewriting.take() {
            rewriting.cancel().await;
        }
        self.store.close(&self.published.vault());
    }

    /// Serves what was submitted, in order.
    fn work_off(&mut self, submissions: impl Iterator<Item = Submission>) {
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        for submission in submissions {
            match submission {
                // Apart from what comes before it and after it, which may have to be put or is small.
                Submission::Mutation(job) if job.kind() == Kind::ClearsAll => {
                    self.serve(std::mem::take(&mut group));
                    self.serve(vec![job]);
                }
                Submission::Mutation(job) => group.push(job),
                Submission::Act(act) => {
                    self.serve(std::mem::take(&mut group));
                    act(self);
                }
            }
        }
        self.serve(group);
    }

    /// Applies one group, commits it and answers it.
    fn serve(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() {
            return;
        }
        // Unless the clock is not believed, mutations find no session that has expired.
        self.pass_time();
        let now = self.clock.now();
        let mut no_slots = None;
        if jobs.iter().any(|job| job.kind() == Kind::Seals) && !self.published.is_locked() {
            // Those that seal will say so themselves.
            no_slots = self.refill(Draft::SLOTS * jobs.len()).err();
        }
        let (drafted, effective) = self.draft(&mut jobs, now, |kind| no_slots.is_none() || kind != Kind::Seals);
        match self.commit(drafted, now) {
            Ok(()) => {
                self.published.mutations.fetch_add(effective, Ordering::Relaxed);
                for job in jobs {
                    let refused = no_slots.clone().filter(|_| job.kind() == Kind::Seals);
                    job.answer(refused.map_or(Ok(()), Err));
                }
            }
            Err(Failed::Removal(fault)) => {
                for job in jobs {
                    job.answer(Err(fault.clone()));
                }
            }
            Err(Failed::Put(fault)) => self.only_remove(jobs, now, &fault),
        }
    }

    /// Does of a group what removes, and refuses the rest: it could not be put.
    fn only_remove(&mut self, jobs: Vec<Box<dyn Job>>, now: Timestamp, refused: &Fault) {
        let (mut removals, puts): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| matches!(job.kind(), Kind::Removes | Kind::ClearsAll));
        let (drafted, effective) = self.draft(&mut removals, now, |_| true);
        let committed = self.commit(drafted, now).map_err(|(Failed::Put(fault) | Failed::Removal(fault))| fault);
        if committed.is_ok() {
            self.published.mutations.fetch_add(effective, Ordering::Relaxed);
        }
        for job in removals {
            job.answer(committed.clone());
        }
        for job in puts {
            job.answer(Err(refused.clone()));
        }
    }

    /// Applies jobs to a copy of the vault, those that may be. Answers what they made of it, and how many of them
    /// changed something.
    fn draft(&mut self, jobs: &mut [Box<dyn Job>], now: Timestamp, may: impl Fn(Kind) -> bool) -> (Drafted, u64) {
        let keys = self.published.keys();
        let vault = Vault::clone(&self.published.vault());
        on_wiped_stack(Depth::Deep, || {
            let mut draft = Draft::new(vault, now, keys.open.as_ref(), self.store.stock());
            self.unfinished.iter().for_each(|removal| draft.repeat(removal));
            let mut effective = 0;
            for job in jobs.iter_mut().filter(|job| may(job.kind())) {
                let before = draft.changes().len();
                job.apply(&mut draft);
                effective += u64::from(draft.changes().len() > before);
            }
            (draft.finish(), effective)
        })
    }

    /// Clears what has expired, a part at a time, and announces what soon will.
    fn pass_time(&mut self) {
        loop {
            let (now, is_steady) = (self.clock.now(), self.clock.steady_in().is_zero());
            let mut stock = std::collections::VecDeque::new();
            let mut draft = Draft::new(Vault::clone(&self.published.vault()), now, None, &mut stock);
            self.unfinished.iter().for_each(|removal| draft.repeat(removal));
            draft.pass_time(is_steady);
            let is_done = !is_steady || !draft.vault().has_expired(now);
            if self.commit(draft.finish(), now).is_err() || is_done {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
