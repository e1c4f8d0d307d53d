//! Where logs go: standard error, or a file of bounded size.
//!
//! A line waits in memory for a moment, and a thread of its own writes what has come together: to wake it for each line
//! costs more than the line. A reader that is stuck loses lines and delays nobody.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::limits::{LOG_BACKLOG_BYTES, LOG_FILE_BYTES, LOG_PATIENCE, LOG_PAUSE};

/// Begins to log to standard error, or to `file`. What waits is written when the guard is dropped.
///
/// # Errors
///
/// When the file cannot be opened, or the system has no thread.
pub(crate) fn init(level: LevelFilter, format: LogFormat, file: Option<&Path>) -> io::Result<Guard> {
    let backlog = Arc::<Backlog>::default();
    let guard = match file {
        Some(path) => write_from(&backlog, BoundedFile::open(path)?)?,
        None => write_from(&backlog, io::stderr())?,
    };
    let colours = file.is_none() && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(Lines(backlog)).with_target(false);
    let (text, json) = (Format::default().with_target(false), Format::default().json().flatten_event(true));
    match format {
        LogFormat::Text if file.is_none() && is_journal() => {
            lines.with_ansi(false).event_format(ForJournal(text.without_time())).init();
        }
        LogFormat::Json if file.is_none() && is_journal() => {
            let json = ForJournal(json.with_target(false).without_time());
            lines.fmt_fields(JsonFields::new()).event_format(json).init();
        }
        LogFormat::Text => lines.with_ansi(colours).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    // A defect is told by its place. Its message stays out: it might quote what the daemon keeps.
    std::panic::set_hook(Box::new(|defect| {
        let place = defect.location().map(ToString::to_string);
        tracing::error!(place, "a defect of keyfobd: please report it");
    }));
    Ok(guard)
}

/// What a line of an error begins with in systemd's journal.
pub(crate) const JOURNAL_ERROR: &str = "<3>";

/// Whether standard error is systemd's journal, as it says in the environment: the device and the inode.
#[must_use]
pub(crate) fn is_journal() -> bool {
    let found = rustix::fs::fstat(io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| found.is_ok_and(|found| found == stream))
}

/// Lines for systemd's journal, which knows the time itself, and learns from a number in front how much they matter.
struct ForJournal<F>(F);

impl<S, N, F> FormatEvent<S, N> for ForJournal<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => JOURNAL_ERROR,
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            Level::DEBUG | Level::TRACE => "<7>",
        };
        to.write_str(priority)?;
        self.0.format_event(context, to, event)
    }
}

/// Lines that wait to be written.
#[derive(Debug, Default)]
struct Backlog {
    waiting: Mutex<Waiting>,
    /// Told when the first line comes, and at the end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: usize,
    /// No more lines will come.
    is_closed: bool,
    /// All of them are written.
    is_done: bool,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, or loses it where too much waits.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > LOG_BACKLOG_BYTES {
            waiting.lost += 1;
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.changed.notify_all();
        }
    }

    /// Waits for lines, and a moment more; answers those that have come, or `None` at the end.
    fn next(&self) -> Option<Vec<u8>> {
        let is_idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.is_closed;
        let waiting = self.changed.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner);
        let is_open = |waiting: &mut Waiting| !waiting.is_closed;
        let waited = self.changed.wait_timeout_while(waiting, LOG_PAUSE, is_open);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        let mut bytes = std::mem::take(&mut waiting.bytes);
        match std::mem::take(&mut waiting.lost) {
            0 => {}
            lost => bytes.extend_from_slice(format!("{lost} lines were lost\n").as_bytes()),
        }
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Writes what waits, in a thread of its own.
fn write_from(backlog: &Arc<Backlog>, mut to: impl Write + Send + 'static) -> io::Result<Guard> {
    let waiting = Arc::clone(backlog);
    let write = move || {
        while let Some(bytes) = waiting.next() {
            // Whoever reads it may have gone, and the disk may be full. There is nobody to tell.
            let _ = to.write_all(&bytes).and_then(|()| to.flush());
        }
        waiting.lock().is_done = true;
        waiting.changed.notify_all();
    };
    thread::Builder::new().name("keyfobd-log".to_owned()).spawn(write)?;
    Ok(Guard(Arc::clone(backlog)))
}

/// Writes what waits when it is dropped, unless that takes too long.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Backlog>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
        let is_busy = |waiting: &mut Waiting| !waiting.is_done;
        drop(self.0.changed.wait_timeout_while(self.0.lock(), LOG_PATIENCE, is_busy));
    }
}

/// Takes each line as it is formatted.
struct Lines(Arc<Backlog>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Backlog);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is put aside when it is full.
struct BoundedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl BoundedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes })
    }
}

impl Write for BoundedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes >= LOG_FILE_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.old"))?;
            *self = Self::open(&self.path)?;
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_one_old_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyfobd.log");
        let line = vec![b'x'; 1024 * 1024];
        let mut file = BoundedFile::open(&path).unwrap();
        for _ in 0..13 {
            file.write_all(&line).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), 1024 * 1024);
        assert_eq!(fs::metadata(dir.path().join("keyfobd.log.old")).unwrap().len(), LOG_FILE_BYTES);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
    /// A writer that is stuck until a test lets it go.
    struct Stuck(Arc<(Mutex<bool>, Condvar)>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (is_stuck, freed) = &*self.0;
            drop(freed.wait_while(is_stuck.lock().unwrap(), |is_stuck| *is_stuck).unwrap());
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_loses_lines_and_is_told_how_many() {
        let (stuck, written) = (Arc::new((Mutex::new(true), Condvar::new())), Arc::<Mutex<Vec<u8>>>::default());
        let backlog = Arc::<Backlog>::default();
        let guard = write_from(&backlog, Stuck(Arc::clone(&stuck), Arc::clone(&written))).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..3 * LOG_BACKLOG_BYTES / line.len() {
            backlog.push(&line);
        }
        assert!(backlog.lock().bytes.len() <= LOG_BACKLOG_BYTES);
        *stuck.0.lock().unwrap() = false;
        stuck.1.notify_all();
        drop(guard);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(written.lines().last().unwrap().ends_with("lines were lost"));
        assert!(written.len() <= 2 * LOG_BACKLOG_BYTES + 100);
    }

    #[test]
    fn what_waits_is_written_at_the_end() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let backlog = Arc::<Backlog>::default();
        let free = Arc::new((Mutex::new(false), Condvar::new()));
        let guard = write_from(&backlog, Stuck(free, Arc::clone(&written))).unwrap();
        Lines(Arc::clone(&backlog)).make_writer().write_all(b"a line\n").unwrap();
        drop(guard);
        assert_eq!(*written.lock().unwrap(), b"a line\n");
    }
}
