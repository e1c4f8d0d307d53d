//! Where logs go: standard error, or a file of bounded size. A reader that is stuck loses lines and
//! delays nobody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use crate::config::LogFormat;

/// A log file is put aside when it is larger, in bytes; one old one is kept.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Lines that may wait to be written.
const BACKLOG: usize = 4096;

/// Begins to log to standard error, or to `file`. What waits is written when the guard is dropped.
///
/// # Errors
///
/// When the file cannot be opened.
pub fn init(level: LevelFilter, format: LogFormat, file: Option<&Path>) -> io::Result<WorkerGuard> {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(BACKLOG).lossy(true).thread_name("keyfobd-log");
    let (writer, guard) = match file {
        Some(path) => builder.finish(BoundedFile::open(path)?),
        None => builder.finish(io::stderr()),
    };
    let colours = file.is_none() && io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(writer).with_target(false);
    match format {
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
        if self.bytes >= FILE_BYTES {
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
        assert_eq!(fs::metadata(dir.path().join("keyfobd.log.old")).unwrap().len(), FILE_BYTES);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
