//! [`Inbox`]: the lines of a connection, within their bounds.

use std::sync::Arc;

use keyfob_proto::{LineBuffer, LineTooLong};
use tokio::time::Instant;

use crate::account::{Account, Taken};
use crate::limits::{LINE_TIMEOUT, LONG_LINE_STALL, SHORT_LINE_BYTES};

/// What was read and not taken yet.
pub(super) struct Inbox {
    lines: LineBuffer,
    /// It has places for long lines, which the connections of a user share.
    account: Arc<Account>,
    /// A place among them, while there is one.
    place: Option<Taken>,
    /// When the line that is not complete yet began.
    mid_line_since: Option<Instant>,
    /// How much of it there was when somebody last looked, and since when there is so much.
    grown: (usize, Option<Instant>),
    /// Whether a line was taken since [`Inbox::settle`].
    took_any: bool,
}

impl Inbox {
    /// An empty one.
    pub(super) fn new(account: Arc<Account>) -> Self {
        let lines = LineBuffer::default();
        Self { lines, account, place: None, mid_line_since: None, grown: (0, None), took_any: false }
    }

    /// Where what is read goes.
    pub(super) fn space(&mut self) -> &mut Vec<u8> {
        self.lines.space()
    }

    /// The next complete line, if there is one.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`]; it is skipped.
    pub(super) fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        let line = self.lines.next_line();
        self.took_any |= matches!(line, Ok(Some(_)));
        line
    }

    /// Whether a line was begun and not ended.
    pub(super) fn is_mid_line(&self) -> bool {
        self.lines.is_mid_line()
    }

    /// Takes note that no complete line is left, or that no more are taken for now. The time counts for one line,
    /// however many came before it, and not while it waits for us.
    pub(super) fn settle(&mut self, takes_more: bool) {
        if self.lines.unfinished_bytes() <= SHORT_LINE_BYTES {
            self.place = None;
        }
        let since = if std::mem::take(&mut self.took_any) { None } else { self.mid_line_since };
        self.mid_line_since = (self.is_mid_line() && takes_more).then(|| since.unwrap_or_else(Instant::now));
        let bytes = self.lines.unfinished_bytes();
        if self.place.is_none() || !takes_more {
            self.grown = (bytes, None);
        } else if self.grown.0 != bytes || self.grown.1.is_none() {
            self.grown = (bytes, Some(Instant::now()));
        }
    }

    /// Whether the rest of its line has to wait for a place.
    pub(super) fn waits_for_place(&self) -> bool {
        self.lines.unfinished_bytes() > SHORT_LINE_BYTES && self.place.is_none()
    }

    /// Waits for a place among the long lines. Dropping the future loses the place in the queue.
    pub(super) fn next_place(&self) -> impl Future<Output = Taken> + use<> {
        Arc::clone(&self.account).long_line()
    }

    /// There is a place for its long line. The wait was not the client's.
    pub(super) fn take_place(&mut self, place: Taken) {
        self.place = Some(place);
        self.mid_line_since = Some(Instant::now());
    }

    /// When the client has to have ended its line, or, where others may wait for its place, to have sent more of it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.mid_line_since.filter(|_| !self.waits_for_place())?;
        let stalled = self.grown.1.map(|since| since + LONG_LINE_STALL);
        Some(stalled.map_or(since + LINE_TIMEOUT, |stalled| stalled.min(since + LINE_TIMEOUT)))
    }
}
