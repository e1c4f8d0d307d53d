//! [`Inbox`]: the lines of a connection, within their bounds.

use std::sync::Arc;

use keyfob_proto::{LineBuffer, LineTooLong};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::limits::{LINE_TIMEOUT, SHORT_LINE_BYTES};

/// What was read and not taken yet.
pub(super) struct Inbox {
    lines: LineBuffer,
    /// The places for long lines, which all connections share.
    places: Arc<Semaphore>,
    /// A place among them, while there is one.
    place: Option<OwnedSemaphorePermit>,
    /// When the line that is not complete yet began.
    mid_line_since: Option<Instant>,
    /// Whether a line was taken since [`Inbox::settle`].
    took_any: bool,
}

impl Inbox {
    /// An empty one.
    pub(super) fn new(places: Arc<Semaphore>) -> Self {
        Self { lines: LineBuffer::default(), places, place: None, mid_line_since: None, took_any: false }
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
    }

    /// Whether the rest of its line has to wait for a place.
    pub(super) fn waits_for_place(&self) -> bool {
        self.lines.unfinished_bytes() > SHORT_LINE_BYTES && self.place.is_none()
    }

    /// Waits for a place among the long lines. Dropping the future loses the place in the queue.
    pub(super) fn next_place(&self) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + use<> {
        Arc::clone(&self.places).acquire_owned()
    }

    /// There is a place for its long line. The wait was not the client's.
    pub(super) fn take_place(&mut self, place: Result<OwnedSemaphorePermit, AcquireError>) {
        self.place = place.ok();
        self.mid_line_since = Some(Instant::now());
    }

    /// When the client has to have ended its line.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.mid_line_since.filter(|_| !self.waits_for_place()).map(|since| since + LINE_TIMEOUT)
    }
}
