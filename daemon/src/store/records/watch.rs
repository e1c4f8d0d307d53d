//! [`Watch`]: wakes a write that sled has forgotten.
//!
//! When sled fails to write its log, it does not in every case wake whoever waits for that: the wait never ends. Any other
//! flush does wake them, and both then learn of the failure. So somebody has to call one when a write takes very long.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A thread that looks after the writes of a database. It rests while there are none.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many writes have begun.
    begun: u64,
    is_writing: bool,
    is_resting: bool,
    is_over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Calls `wake` whenever a write takes longer than `patience`, and again after that.
    ///
    /// # Errors
    ///
    /// When the system has no thread for it.
    pub(super) fn begin(patience: Duration, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("keyfobd-watch".to_owned());
        let thread = thread.spawn(move || watch(&watched, patience, wake))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Does a write under watch.
    pub(super) fn over<T>(&self, write: impl FnOnce() -> T) -> T {
        {
            let mut state = self.shared.lock();
            state.begun += 1;
            state.is_writing = true;
            if state.is_resting {
                self.shared.changed.notify_all();
            }
        }
        let done = write();
        self.shared.lock().is_writing = false;
        done
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It wakes nobody any more, however it ended.
            let _ = thread.join();
        }
    }
}

fn watch(shared: &Shared, patience: Duration, wake: impl Fn()) {
    let mut state = shared.lock();
    while !state.is_over {
        let seen = state.begun;
        state = shared
            .changed
            .wait_timeout_while(state, patience, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if state.is_over {
            return;
        }
        if state.is_writing && state.begun == seen {
            drop(state);
            wake();
            state = shared.lock();
        } else if !state.is_writing && state.begun == seen {
            state.is_resting = true;
            let is_idle = |state: &mut State| state.begun == seen && !state.is_over;
            state = shared.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
            state.is_resting = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn a_write_that_waits_for_ever_is_woken() {
        let (wake, woken) = mpsc::channel();
        let watch = Watch::begin(SOON, move || {
            let _ = wake.send(());
        })
        .unwrap();
        for _ in 0..3 {
            watch.over(|| woken.recv().unwrap());
            watch.over(|| ());
        }
    }

    #[test]
    fn nobody_is_woken_when_nothing_is_written() {
        let (wake, woken) = mpsc::channel::<()>();
        let watch = Watch::begin(SOON, move || {
            let _ = wake.send(());
        })
        .unwrap();
        assert!(woken.recv_timeout(20 * SOON).is_err());
        drop(watch);
    }

    #[test]
    fn the_end_does_not_wait_for_the_patience() {
        let watch = Watch::begin(Duration::from_secs(3600), || ()).unwrap();
        for number in 0..1000 {
            assert_eq!(watch.over(|| number), number);
        }
        drop(watch);
    }
}
