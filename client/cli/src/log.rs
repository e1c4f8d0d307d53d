use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use keyfob::{Access, Client, Error};
use keyfob_proto::{Code, Paths, StartedBy};

use super::escape::printable;
use super::{Failure, Session};

/// How often it is looked whether there is more.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Show the daemon's log, or the audit of what happened
///
/// Where systemd starts the daemon, it keeps the log in its journal, and that is shown.
///
/// Example: keyfob log -f
#[derive(Debug, Args)]
pub(super) struct Log {
    /// Stay, and print what is added
    #[arg(long, short)]
    follow: bool,

    /// Show the audit instead: what you did and what happened by itself, one line of JSON each
    #[arg(long)]
    audit: bool,

    /// Show the other audit: what other users did, and what was done through grants, with each use of one
    #[arg(long, conflicts_with = "audit")]
    shared: bool,

    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "N", default_value = "50")]
    lines: usize,
}

/// The name of the log in the data directory.
pub(super) const FILE: &str = "keyfobd.log";

/// The names of the audits there.
const AUDIT: &str = "audit.jsonl";
const SHARED: &str = "audit-shared.jsonl";

impl Log {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let file = match self {
            Self { audit: true, .. } => AUDIT,
            Self { shared: true, .. } => SHARED,
            Self { .. } => FILE,
        };
        let access = session.access()?;
        if file == FILE
            && let Some(is_systems) = is_in_journal(&access)
        {
            return self.print_journal(is_systems, session);
        }
        let path = access.place.data_dir().map_err(Error::from)?.join(file);
        let mut reader = open(&path)?;
        for line in last(&mut reader, self.lines)? {
            writeln!(session.output.io.stdout, "{}", printable(&line))?;
        }
        session.output.io.stdout.flush()?;
        if !self.follow {
            return Ok(());
        }
        follow(&path, reader, session)
    }

    /// Prints what systemd's journal has of the unit.
    fn print_journal(self, is_systems: bool, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut journal = Command::new("journalctl");
        journal
            .args(["--no-pager", "--output=short-iso", "--unit=keyfobd.service", "--lines"])
            .arg(self.lines.to_string());
        if !is_systems {
            journal.arg("--user");
        }
        if self.follow {
            journal.arg("--follow");
        }
        let failed = |source| Failure::File { action: "run", path: "journalctl".into(), source };
        let mut child = journal.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            writeln!(session.output.io.stdout, "{}", printable(&line.map_err(failed)?))?;
            session.output.io.stdout.flush()?;
        }
        if child.wait().map_err(failed)?.success() {
            return Ok(());
        }
        let message =
            "journalctl has nothing to show: to keep users' logs it needs /var/log/journal (journald.conf(5))";
        Err(Failure::Service(message.to_owned()))
    }
}

/// Whether systemd starts the daemon, and so keeps its log; and if it does, whether that is the system's.
fn is_in_journal(access: &Access) -> Option<bool> {
    match Client::connect_blocking(access).and_then(|client| client.status().wait()) {
        Ok(status) if status.started_by == Some(StartedBy::Systemd) => {
            let is_own = |paths: &Paths| {
                let own = rustix::process::getuid().as_raw();
                fs::metadata(&paths.data_dir).is_ok_and(|metadata| metadata.uid() == own)
            };
            Some(!status.paths.as_ref().is_some_and(is_own))
        }
        // Nobody else answers that.
        Err(Error::Fault(fault)) if fault.data.code == Code::NotStarted => Some(false),
        _ => None,
    }
}

/// Prints what is added to a log, and to those that come after it.
fn follow(path: &Path, mut reader: BufReader<File>, session: &mut Session<'_, '_>) -> Result<(), Failure> {
    // Nothing is ever sent: this only waits.
    let (_never, wait) = mpsc::channel::<()>();
    let mut begun = Vec::new();
    loop {
        // This comes before the reading: to a log that was put aside nothing is added any more.
        let was_last = was_put_aside(&reader, path);
        while let Some(line) = next_line(&mut reader, &mut begun).map_err(|source| cannot_read(path, source))? {
            writeln!(session.output.io.stdout, "{}", printable(&line))?;
        }
        session.output.io.stdout.flush()?;
        if was_last {
            reader = open(path)?;
            begun.clear();
        } else {
            let _ = wait.recv_timeout(LOOK_EVERY);
        }
    }
}

/// The next whole line. What there is of one that is still being written waits in `begun`.
fn next_line(reader: &mut impl BufRead, begun: &mut Vec<u8>) -> io::Result<Option<String>> {
    reader.read_until(b'\n', begun)?;
    if !begun.ends_with(b"\n") {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(begun.trim_ascii_end()).into_owned();
    begun.clear();
    Ok(Some(line))
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path).map(BufReader::new).map_err(|source| cannot_read(path, source))
}

fn cannot_read(path: &Path, source: io::Error) -> Failure {
    Failure::File { action: "read", path: path.to_owned(), source }
}

/// Whether a daemon has begun another file, because this one was full.
fn was_put_aside(reader: &BufReader<File>, path: &Path) -> bool {
    let here = reader.get_ref().metadata().ok().map(|metadata| metadata.ino());
    let there = path.metadata().ok().map(|metadata| metadata.ino());
    there.is_some() && here != there
}

/// The last lines of what is there.
pub(super) fn last(reader: &mut impl BufRead, count: usize) -> Result<VecDeque<String>, Failure> {
    let mut last = VecDeque::new();
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        last.push_back(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned());
        bytes.clear();
        if last.len() > count {
            last.pop_front();
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_still_being_written_is_shown_once_it_is_whole() {
        let mut begun = Vec::new();
        let mut next = |added: &[u8]| next_line(&mut &added[..], &mut begun).unwrap();
        assert_eq!(next(b"one\n").as_deref(), Some("one"));
        assert_eq!(next(b"two, be"), None);
        assert_eq!(next(b""), None);
        assert_eq!(next(b"gun\n").as_deref(), Some("two, begun"));
        assert_eq!(next(b"not \xff UTF-8\n").as_deref(), Some("not \u{fffd} UTF-8"));
    }
}
