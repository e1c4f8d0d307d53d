//! [`Queue`]: what waits for the actor. The owner's submissions and those of others take turns, a group at a time.

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use super::handle::{Lane, Submission};
use crate::limits::{GROUP, GROUP_OF_OTHERS, OTHERS_EVERY};

/// What waits for the actor.
pub(super) struct Queue {
    pub(super) owner: Receiver<Submission>,
    others: Receiver<Submission>,
    /// Whose turn it is, if both wait.
    next: Lane,
    /// When others may have their next one.
    others_from: Instant,
}

impl Queue {
    pub(super) fn new(owner: Receiver<Submission>, others: Receiver<Submission>) -> Self {
        Self { owner, others, next: Lane::Owner, others_from: Instant::now() }
    }

    /// Waits for the next group. Answers how many there are in it: none when nobody can submit any more. Dropping the
    /// future loses nothing.
    pub(super) async fn next_group(&mut self, group: &mut Vec<Submission>) -> usize {
        let (owner, others, others_from) = (&mut self.owner, &mut self.others, self.others_from);
        let (first, lane) = match self.next {
            Lane::Owner => tokio::select! {
                biased;
                Some(first) = owner.recv() => (first, Lane::Owner),
                Some(first) = received(others, others_from) => (first, Lane::Others),
                else => return 0,
            },
            Lane::Others => tokio::select! {
                biased;
                Some(first) = received(others, others_from) => (first, Lane::Others),
                Some(first) = owner.recv() => (first, Lane::Owner),
                else => return 0,
            },
        };
        let (lane, most, next) = match lane {
            Lane::Owner => (owner, GROUP, Lane::Others),
            Lane::Others => (others, GROUP_OF_OTHERS, Lane::Owner),
        };
        self.next = next;
        if next == Lane::Owner {
            self.others_from = Instant::now() + OTHERS_EVERY;
        }
        group.push(first);
        while group.len() < most
            && let Ok(submission) = lane.try_recv()
        {
            group.push(submission);
        }
        group.len()
    }
}

/// The next submission, from an instant on. Dropping the future loses nothing.
async fn received(lane: &mut Receiver<Submission>, from: Instant) -> Option<Submission> {
    // A timer takes a moment, also for an instant that is over.
    if from > Instant::now() {
        sleep_until(from).await;
    }
    lane.recv().await
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Submits so many to both lanes, and answers the size of each group until nothing is left.
    async fn groups(of_owner: usize, of_others: usize) -> Vec<usize> {
        let (owner, owners) = mpsc::channel(2 * GROUP);
        let (others, of_all_others) = mpsc::channel(2 * GROUP);
        let submit = |to: &mpsc::Sender<Submission>, count| {
            for _ in 0..count {
                assert!(to.try_send(Submission::Act(Box::new(|_| {}))).is_ok());
            }
        };
        submit(&owner, of_owner);
        submit(&others, of_others);
        drop((owner, others));
        let mut queue = Queue::new(owners, of_all_others);
        let (mut sizes, mut group) = (Vec::new(), Vec::new());
        while queue.next_group(&mut group).await > 0 {
            sizes.push(group.len());
            group.clear();
        }
        sizes
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_others_keeps_the_owner_waiting_for_one_small_group() {
        let (owners, others) = (600, 2 * GROUP_OF_OTHERS + 1);
        assert_eq!(groups(owners, others).await, [GROUP, GROUP_OF_OTHERS, owners - GROUP, GROUP_OF_OTHERS, 1]);
        assert_eq!(groups(0, GROUP_OF_OTHERS + 1).await, [GROUP_OF_OTHERS, 1]);
        assert_eq!(groups(3, 0).await, [3]);
    }
}
