//! [`LineBuffer`]: bytes in, lines out. Shared by the daemon and the client; it does no I/O.

use zeroize::Zeroize;

/// The longest line either side accepts, in bytes, without its line feed: 4 MiB.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// How much room [`LineBuffer::space`] offers at least, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// Above this the buffer gives its memory back once it is empty, in bytes.
const KEEP_BYTES: usize = 64 * 1024;

/// A line was over [`MAX_LINE_BYTES`]. What was read of it is gone and the rest of it will be
/// skipped; the lines after it are unharmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is over {MAX_LINE_BYTES} bytes")]
pub struct LineTooLong;

/// Cuts a stream of bytes into lines.
///
/// The owner appends what it read to [`LineBuffer::space`] and then takes lines with
/// [`LineBuffer::next_line`] until there are none. It never holds more than [`MAX_LINE_BYTES`] and
/// one read. Lines hold tokens and keys, so what was consumed is overwritten.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the first line that was not taken begins.
    start: usize,
    /// Up to here there is no line feed.
    scanned: usize,
    /// A line that was too long is being dropped up to its line feed.
    skipping: bool,
}

impl LineBuffer {
    /// Where the next read goes: append to it, and change nothing that is there.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.drop_taken();
        self.grow();
        &mut self.bytes
    }

    /// The next line, without its line feed, or `None` when more has to be read first.
    ///
    /// # Errors
    ///
    /// [`LineTooLong`], once per such line.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        loop {
            let found = memchr::memchr(b'\n', &self.bytes[self.scanned..]).map(|at| self.scanned + at);
            let (start, end) = (self.start, found.unwrap_or(self.bytes.len()));
            self.scanned = found.map_or(end, |at| at + 1);
            if found.is_some() || self.skipping {
                self.start = self.scanned;
            }
            if self.skipping {
                self.skipping = found.is_none();
                if found.is_none() {
                    return Ok(None);
                }
            } else if end - start > MAX_LINE_BYTES {
                self.skipping = found.is_none();
                self.start = self.scanned;
                return Err(LineTooLong);
            } else {
                return Ok(found.map(|_| &self.bytes[start..end]));
            }
        }
    }

    /// How much of a line that has not ended is held, in bytes.
    #[must_use]
    pub fn unfinished_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether a line has begun and not ended.
    #[must_use]
    pub fn is_mid_line(&self) -> bool {
        self.skipping || self.start < self.bytes.len()
    }

    /// Overwrites the lines that were taken and moves what follows to the front.
    fn drop_taken(&mut self) {
        let rest = self.bytes.len() - self.start;
        self.bytes.copy_within(self.start.., 0);
        self.bytes[rest..].zeroize();
        self.bytes.truncate(rest);
        self.scanned -= self.start;
        self.start = 0;
        if rest == 0 && self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// Makes room without leaving a copy behind in memory that the allocator takes back.
    fn grow(&mut self) {
        if self.bytes.capacity() - self.bytes.len() >= READ_BYTES {
            return;
        }
        let mut larger = Vec::with_capacity((2 * self.bytes.len()).max(self.bytes.len() + READ_BYTES));
        larger.extend_from_slice(&self.bytes);
        self.bytes.zeroize();
        self.bytes = larger;
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(buffer: &mut LineBuffer) -> Vec<Result<String, LineTooLong>> {
        let mut all = Vec::new();
        loop {
            match buffer.next_line() {
                Ok(Some(line)) => all.push(Ok(String::from_utf8(line.to_vec()).unwrap())),
                Ok(None) => return all,
                Err(error) => all.push(Err(error)),
            }
        }
    }

    #[test]
    fn lines_come_out_however_they_were_cut() {
        let text = b"one\n\ntwo\nthree\nfo";
        for size in 1..text.len() {
            let mut buffer = LineBuffer::default();
            let mut all = Vec::new();
            for piece in text.chunks(size) {
                buffer.space().extend_from_slice(piece);
                all.extend(lines(&mut buffer));
            }
            assert_eq!(all, ["one", "", "two", "three"].map(|line| Ok(line.to_owned())));
            assert!(buffer.is_mid_line());
        }
    }

    #[test]
    fn a_line_of_the_cap_passes_and_one_byte_more_is_skipped_whole() {
        for size in [MAX_LINE_BYTES, READ_BYTES, 1000] {
            let mut input = vec![b'x'; MAX_LINE_BYTES];
            input.push(b'\n');
            input.extend(vec![b'y'; MAX_LINE_BYTES + 1]);
            input.extend(b"\nnext\n");
            let mut buffer = LineBuffer::default();
            let mut all = Vec::new();
            for piece in input.chunks(size) {
                buffer.space().extend_from_slice(piece);
                assert!(buffer.bytes.len() <= MAX_LINE_BYTES + size, "bounded");
                all.extend(lines(&mut buffer).into_iter().map(|line| line.map(|line| line.len())));
            }
            assert_eq!(all, [Ok(MAX_LINE_BYTES), Err(LineTooLong), Ok(4)]);
            assert!(!buffer.is_mid_line());
        }
    }

    #[test]
    fn a_large_line_does_not_keep_its_memory() {
        let mut buffer = LineBuffer::default();
        buffer.space().extend(vec![b'x'; MAX_LINE_BYTES]);
        buffer.space().push(b'\n');
        assert_eq!(lines(&mut buffer).len(), 1);
        assert!(buffer.space().capacity() <= KEEP_BYTES);
    }

    #[test]
    fn what_follows_a_taken_line_stays() {
        let mut buffer = LineBuffer::default();
        buffer.space().extend_from_slice(b"secret\nrest");
        assert_eq!(lines(&mut buffer).len(), 1);
        let space = buffer.space();
        assert_eq!(space.as_slice(), b"rest");
    }
}
