//! [`FileLock`]: an exclusive lock on a file, which tells others who holds it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::fs::OFlags;

use crate::limits::{LOCK_LOOK_EVERY, LOCK_PATIENCE};

/// Held until it is dropped, or the process ends in whatever way. The file stays: removing it would
/// let two processes hold locks on two files of the same name.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

/// What a holder leaves in the file when it is about to let go.
const DRAINING: &str = "draining";

/// The most that is read of what a holder left, in bytes.
const MAX_HOLDER_BYTES: u64 = 400;

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("another process holds it ({0})")]
    Held(
        /// What they left in the file.
        String,
    ),
    /// The file is somebody else's, or no plain file: nothing is written to it.
    #[error("it is not a plain file of yours: another user may have put it there. Remove it, or use another directory")]
    NotOurs,
    /// Locks exclude nobody there.
    #[error(
        "locks of files do nothing there, as on some network file systems, so two daemons could serve one vault: use a \
         local file system"
    )]
    NoLocks,
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl FileLock {
    /// Takes the lock as soon as nobody has it. Gives up when that takes too long.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub(crate) fn wait(path: &Path) -> Result<Self, LockError> {
        let end = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
            if Instant::now() >= end {
                return Err(LockError::Held("it has been for long".to_owned()));
            }
            rest();
        }
    }

    /// Takes the lock and leaves `holder` in the file for others to read. Waits for a holder that is
    /// about to let go, and for one that `may_end` says so of.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    pub(crate) fn acquire(path: &Path, holder: &str, mut may_end: impl FnMut() -> bool) -> Result<Self, LockError> {
        let end = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(mut lock) = Self::try_take(path)? {
                if let Err(error) = lock.write(holder) {
                    // On a full disk. The lock is held all the same.
                    tracing::warn!(%error, "whoever finds the lock held does not learn by whom");
                }
                return Ok(lock);
            }
            let found = read(path);
            if Instant::now() >= end || (found != DRAINING && !may_end()) {
                return Err(LockError::Held(found));
            }
            rest();
        }
    }

    /// Takes the lock if nobody has it.
    fn try_take(path: &Path) -> Result<Option<Self>, LockError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // The file may have been another by then.
        let (locked, there) = (file.metadata()?, fs::symlink_metadata(path));
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino())) {
            return Self::try_take(path);
        }
        // A second handle must not get it too.
        match open(path)?.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(Some(Self { file })),
            Ok(()) => Err(LockError::NoLocks),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Tells whoever comes now to wait instead of giving up.
    pub(crate) fn mark_draining(&mut self) {
        if let Err(error) = self.write(DRAINING) {
            tracing::warn!(%error, "a daemon that starts now will not wait for this one to stop");
        }
    }

    fn write(&mut self, holder: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{holder}")
    }
}

/// Opens the file, or makes it. Where others can write they may have put a link, a pipe or a file of theirs there.
fn open(path: &Path) -> Result<File, LockError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => LockError::NotOurs,
        _ => LockError::Io(error),
    })?;
    let metadata = file.metadata()?;
    let is_ours = metadata.is_file() && metadata.uid() == rustix::process::getuid().as_raw() && metadata.nlink() == 1;
    if is_ours { Ok(file) } else { Err(LockError::NotOurs) }
}

/// What a holder left in the file.
fn read(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = open(path) {
        let _ = file.take(MAX_HOLDER_BYTES).read_to_string(&mut text);
    }
    text.trim().to_owned()
}

/// Lets a moment pass.
pub(crate) fn rest() {
    // May end early, which does no harm.
    thread::park_timeout(LOCK_LOOK_EVERY);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn acquire(path: &Path, holder: &str) -> Result<FileLock, LockError> {
        FileLock::acquire(path, holder, || false)
    }

    #[test]
    fn the_second_learns_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = acquire(&path, "the first").unwrap();
        assert!(matches!(acquire(&path, "the second"), Err(LockError::Held(holder)) if holder == "the first"));
        drop(first);
        assert!(acquire(&path, "the second").is_ok());
    }

    #[test]
    fn a_newcomer_waits_for_one_that_is_about_to_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut first = acquire(&path, "the first").unwrap();
        first.mark_draining();
        let second = thread::spawn({
            let path = path.clone();
            move || acquire(&path, "the second").is_ok()
        });
        drop(first);
        assert!(second.join().unwrap());
    }

    #[test]
    fn nothing_is_written_through_what_somebody_put_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let path = dir.path().join("lock");
        symlink(&precious, &path).unwrap();
        assert!(matches!(acquire(&path, "x"), Err(LockError::NotOurs)), "a symbolic link");
        fs::remove_file(&path).unwrap();
        symlink(dir.path().join("not there"), &path).unwrap();
        assert!(matches!(acquire(&path, "x"), Err(LockError::NotOurs)), "one that leads nowhere");
        fs::remove_file(&path).unwrap();
        fs::hard_link(&precious, &path).unwrap();
        assert!(matches!(acquire(&path, "x"), Err(LockError::NotOurs)), "a second name");
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(acquire(&path, "x"), Err(LockError::NotOurs)), "a pipe");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(acquire(&path, "x").is_err(), "a directory");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert!(!dir.path().join("not there").exists());
    }

    #[test]
    fn a_file_of_another_user_holds_nobody_off_for_long() {
        const NOBODY: u32 = 65_534;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let theirs = File::create(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).is_err() {
            let _ = writeln!(io::stderr(), "skipped: only root can make a file another user's");
            return;
        }
        // They hold it, and say that they are about to let go.
        theirs.lock().unwrap();
        writeln!(&theirs, "{DRAINING}").unwrap();
        assert!(matches!(acquire(&path, "x"), Err(LockError::NotOurs)));
        assert!(matches!(FileLock::wait(&path), Err(LockError::NotOurs)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "draining\n", "nothing was written");
    }

    #[test]
    fn a_file_that_was_removed_meanwhile_holds_nobody_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _first = acquire(&path, "the first").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(acquire(&path, "the second").is_ok());
    }
}
