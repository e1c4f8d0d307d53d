//! The audit: what happened to the vault, and each use of a grant, one line of JSON each. What the owner did, and what
//! happened by itself, has files of its own; what other users did, and what was done through grants, has others. So nobody
//! pushes out what the owner did.
//!
//! A thread of its own writes what has come together. Whoever hands something in waits for nothing: where the disk is too
//! slow, lines are lost, and how many is said.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use keyfob_proto::{By, Event, EventKind, SessionKey};
use serde::Serialize;

use crate::clock::{Clock, Timestamp};
use crate::limits::{AUDIT_BACKLOG, AUDIT_FILE_BYTES, LOG_PAUSE, MAX_AUDIT_FILES};

/// What the file in the data directory is called, without `.jsonl`. Full ones are beside it, with the second of the Unix
/// epoch in which they were put aside in their names: `audit-SECOND.jsonl`.
pub(crate) const NAME: &str = "audit";

/// As [`NAME`], for what other users did and what was done through grants.
pub(crate) const SHARED_NAME: &str = "audit-shared";

/// Where entries are handed in.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    sender: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
}

/// The thread that writes them.
#[derive(Debug)]
pub(crate) struct Writer {
    audit: Audit,
    /// Dropped when it is to end.
    running: Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Message {
    Entry(Box<Entry>),
    End,
}

/// What is written of something.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// A change, as subscribers are told of it.
    Event(Event),
    /// Anything else.
    Other(Other),
}

/// What subscribers are not told of.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Other {
    /// The daemon was started: `sequence` begins anew.
    DaemonStarted {
        /// Its process.
        pid: u32,
    },
    /// A call through a grant succeeded.
    GrantUsed {
        /// What was called.
        method: &'static str,
        /// With which session.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_key: Option<SessionKey>,
        /// By whom, through which grant.
        by: By,
        /// Their program's file, where the system tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        program: Option<PathBuf>,
    },
    /// Lines that were not written, because the disk was too slow or refused them.
    Lost {
        /// How many.
        count: usize,
    },
}

impl Audit {
    /// Begins to write in a data directory, and keeps files for so many days.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, or the system has no thread.
    pub(crate) fn open(data_dir: &Path, keep_days: u64, clock: Clock) -> io::Result<(Self, Writer)> {
        let (sender, entries) = mpsc::channel();
        let audit = Self { sender, waiting: Arc::default(), lost: Arc::default() };
        let keep = Duration::from_secs(keep_days * 24 * 3600);
        let open = |name| Files::open(data_dir, name, keep, clock.now());
        let files = [open(NAME)?, open(SHARED_NAME)?];
        let of_thread = audit.clone();
        let (running, is_running) = mpsc::channel();
        let write = move || of_thread.write(&entries, &is_running, files, &clock);
        let thread = thread::Builder::new().name("keyfobd-audit".to_owned()).spawn(write)?;
        audit.note(Entry::Other(Other::DaemonStarted { pid: std::process::id() }));
        Ok((audit.clone(), Writer { audit, running, thread }))
    }

    /// Hands an entry in.
    pub(crate) fn note(&self, entry: Entry) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= AUDIT_BACKLOG {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The thread ends with the daemon alone.
        let _ = self.sender.send(Message::Entry(Box::new(entry)));
    }

    fn write(&self, entries: &Receiver<Message>, running: &Receiver<()>, mut files: [Files; 2], clock: &Clock) {
        let mut is_over = false;
        while !is_over && let Ok(Message::Entry(first)) = entries.recv() {
            // More come together in a moment, and none of them wakes it. Nothing is ever sent there.
            let _ = running.recv_timeout(LOG_PAUSE);
            let now = clock.now();
            let mut lines = [const { Vec::new() }; 2];
            let mut counts = [0, 0];
            let mut add = |entry: &Entry| {
                let at = usize::from(!entry.is_owners());
                line(&mut lines[at], now, entry);
                counts[at] += 1;
            };
            add(&first);
            for message in entries.try_iter() {
                match message {
                    Message::Entry(entry) => add(&entry),
                    Message::End => is_over = true,
                }
            }
            self.waiting.fetch_sub(counts.iter().sum(), Ordering::Relaxed);
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                line(&mut lines[0], now, &Entry::Other(Other::Lost { count: lost }));
                counts[0] += lost;
            }
            for ((files, lines), count) in files.iter_mut().zip(&lines).zip(counts) {
                if let Err(error) = files.write(lines, now) {
                    tracing::warn!(%error, "the audit is not written");
                    self.lost.fetch_add(count, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Entry {
    /// Whether it is what the owner did, or what happened by itself.
    fn is_owners(&self) -> bool {
        let is_owner = |by: &By| by.grant.is_none() && (by.uid == 0 || by.uid == rustix::process::getuid().as_raw());
        match self {
            Self::Event(Event { kind: EventKind::GrantRefused { .. }, .. }) | Self::Other(Other::GrantUsed { .. }) => {
                false
            }
            Self::Event(event) => event.by.as_ref().is_none_or(is_owner),
            Self::Other(Other::DaemonStarted { .. } | Other::Lost { .. }) => true,
        }
    }
}

impl Writer {
    /// Writes what waits, and ends.
    pub(crate) fn finish(self) {
        drop(self.running);
        let _ = self.audit.sender.send(Message::End);
        // If it panicked, a defect was told.
        let _ = self.thread.join();
    }
}

/// Appends an entry as one line.
fn line(lines: &mut Vec<u8>, now: Timestamp, entry: &Entry) {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        #[serde(flatten)]
        entry: &'a Entry,
    }
    serde_json::to_writer(&mut *lines, &Line { time: now.rfc3339(), entry }).expect("plain fields");
    lines.push(b'\n');
}

/// The file that is written, and those that were put aside.
struct Files {
    dir: PathBuf,
    name: &'static str,
    file: File,
    bytes: u64,
    keep: Duration,
}

impl Files {
    fn open(dir: &Path, name: &'static str, keep: Duration, now: Timestamp) -> io::Result<Self> {
        let path = dir.join(format!("{name}.jsonl"));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        let files = Self { dir: dir.to_owned(), name, file, bytes, keep };
        files.remove_old(now);
        Ok(files)
    }

    fn write(&mut self, lines: &[u8], now: Timestamp) -> io::Result<()> {
        if self.bytes >= AUDIT_FILE_BYTES {
            let aside = (now.secs()..).map(|second| self.dir.join(format!("{}-{second}.jsonl", self.name)));
            let aside = aside.into_iter().find(|path| !path.exists()).unwrap_or_default();
            match fs::rename(self.dir.join(format!("{}.jsonl", self.name)), aside) {
                // It was put aside the last time, and there could be no other.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
            *self = Self::open(&self.dir, self.name, self.keep, now)?;
        }
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Removes what was put aside long ago, and the oldest where there are too many.
    fn remove_old(&self, now: Timestamp) {
        let second = |path: &Path| -> Option<u64> {
            let rest = path.file_name()?.to_str()?.strip_prefix(self.name)?;
            rest.strip_prefix('-')?.strip_suffix(".jsonl")?.parse().ok()
        };
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut aside: Vec<_> = entries.filter_map(|path| Some((second(&path)?, path))).collect();
        aside.sort();
        let too_many = (aside.len() + 1).saturating_sub(MAX_AUDIT_FILES);
        for (at, (second, path)) in aside.iter().enumerate() {
            if at < too_many || now.since(Timestamp::from_secs(*second)) > self.keep {
                // It is tried again the next time.
                let _ = fs::remove_file(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_put_aside_and_kept_for_their_days() {
        let dir = tempfile::tempdir().unwrap();
        let start = Timestamp::from_secs(1_800_000_000);
        let day = Duration::from_secs(24 * 3600);
        let mut files = Files::open(dir.path(), NAME, 3 * day, start).unwrap();
        let block = vec![b'x'; usize::try_from(AUDIT_FILE_BYTES).unwrap()];
        for number in 0..10 {
            files.write(&block, start.after(number * day)).unwrap();
        }
        let names = |dir: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let aside = |day: u64| format!("audit-{}.jsonl", 1_800_000_000 + day * 24 * 3600);
        assert_eq!(names(dir.path()), [aside(6), aside(7), aside(8), aside(9), "audit.jsonl".to_owned()]);
        // Whatever comes within a day takes a bounded amount.
        for _ in 0..2 * MAX_AUDIT_FILES {
            files.write(&block, start.after(9 * day)).unwrap();
        }
        assert_eq!(names(dir.path()).len(), MAX_AUDIT_FILES);
    }

    #[test]
    fn what_the_thread_cannot_take_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (audit, writer) = Audit::open(dir.path(), 30, Clock::system()).unwrap();
        for _ in 0..AUDIT_BACKLOG + 1000 {
            audit.note(Entry::Event(Event::resync(1)));
        }
        writer.finish();
        let text = fs::read_to_string(dir.path().join("audit.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["type"], "daemonStarted");
        let lost: u64 = lines.iter().filter_map(|line| line["count"].as_u64()).sum();
        assert_eq!(
            lines.iter().filter(|line| line["type"] == "resync").count() as u64 + lost,
            AUDIT_BACKLOG as u64 + 1000
        );
    }
}
