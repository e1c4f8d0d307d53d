//! [`Waiting`]: calls of which nothing was sent; and [`Alarm`], which says when their time is over.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use super::Asked;
use crate::Error;

/// The most calls that may wait; more are refused.
const MAX_WAITING: usize = 10_000;

/// Calls of which nothing was sent, in order.
#[derive(Default)]
pub(super) struct Waiting {
    calls: VecDeque<Asked>,
    alarm: Alarm,
}

impl Waiting {
    /// Adds a call, unless too many wait already.
    pub(super) fn push(&mut self, asked: Asked) {
        if self.calls.len() < MAX_WAITING {
            self.calls.push_back(asked);
        } else {
            asked.answer.send(Err(Error::TooManyCalls));
        }
    }

    /// The first call that somebody waits for.
    pub(super) fn pop(&mut self) -> Option<Asked> {
        std::iter::from_fn(|| self.calls.pop_front()).find(|asked: &Asked| !asked.answer.is_unwanted())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Tells all of them why they were not sent.
    pub(super) fn refuse(&mut self, error: &Error) {
        for asked in self.calls.drain(..) {
            asked.answer.send(Err(error.again()));
        }
    }

    /// Waits until the time of some is over, and tells them.
    pub(super) async fn give_up(&mut self) {
        poll_fn(|context| self.poll_give_up(context)).await;
    }

    /// As [`Waiting::give_up`]; where there are none, it never comes to that.
    pub(super) fn poll_give_up(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(next) = self.calls.iter().map(|asked| asked.deadline).min() else { return Poll::Pending };
        ready!(self.alarm.poll(context, next));
        let (over, waiting): (VecDeque<_>, VecDeque<_>) =
            self.calls.drain(..).partition(|asked| asked.deadline <= next);
        self.calls = waiting;
        for asked in over {
            asked.answer.send(Err(Error::TimedOut { sent: false }));
        }
        Poll::Ready(())
    }
}

/// Goes off at an instant that may be set anew.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready at that instant.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, at: Instant) -> Poll<()> {
        let alarm = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        ready!(alarm.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(())
    }
}
