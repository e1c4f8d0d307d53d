//! [`Pool`]: so much of something, perhaps as a part of what several share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So much of something, perhaps as a part of what several share.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    own: Arc<Semaphore>,
    most: usize,
    shared: Option<Arc<Semaphore>>,
}

/// Some of a [`Pool`]; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken(Vec<OwnedSemaphorePermit>);

impl Pool {
    /// So much.
    pub(super) fn new(most: usize) -> Self {
        Self { own: Arc::new(Semaphore::new(most)), most, shared: None }
    }

    /// So much of this one. One who waits for the whole waits for those who have it alone, and each of them once.
    pub(super) fn within(&self, most: usize) -> Self {
        Self { shared: Some(Arc::clone(&self.own)), ..Self::new(most) }
    }

    /// Waits for some of it, or for all where more is asked for. Dropping the future loses the place in the queue.
    pub(super) async fn take(&self, amount: usize) -> Taken {
        let amount = u32::try_from(amount.min(self.most)).unwrap_or(u32::MAX);
        let mut taken = Vec::with_capacity(2);
        for semaphore in [Some(&self.own), self.shared.as_ref()].into_iter().flatten() {
            // None is ever closed.
            taken.extend(Arc::clone(semaphore).acquire_many_owned(amount).await);
        }
        Taken(taken)
    }
}

impl Taken {
    /// Gives back what is over so many bytes, of what counts in KiB.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        for permit in &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(bytes.div_ceil(1024))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn waits(pool: &Pool, amount: usize) -> bool {
        timeout(Duration::from_secs(1), pool.take(amount)).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_its_part_leaves_the_rest_to_others() {
        let all = Pool::new(10);
        let (greedy, modest) = (all.within(6), all.within(6));
        let mut taken = greedy.take(100).await;
        assert!(waits(&greedy, 1).await);
        let some = modest.take(4).await;
        assert!(waits(&modest, 1).await, "there is no more for both together");
        taken.shrink(1024);
        drop(some);
        assert!(!waits(&greedy, 5).await && !waits(&modest, 6).await);
    }
}
