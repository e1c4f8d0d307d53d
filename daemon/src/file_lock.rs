//! [`FileLock`]: an exclusive lock on a file, which tells others who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held until it is dropped, or the process ends in whatever way. The file stays: removing it would
/// let two processes hold locks on two files of the same name.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

/// What a holder leaves in the file when it is about to let go.
const DRAINING: &str = "draining";

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else has it; what they left in the file.
    Held(String),
    /// The system refused.
    Io(io::Error),
}

impl FileLock {
    /// Takes the lock as soon as nobody has it.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or locked.
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        file.lock()?;
        Ok(Self { file })
    }

    /// Takes the lock and leaves `holder` in the file for others to read. Waits for a holder that is
    /// about to let go.
    ///
    /// # Errors
    ///
    /// When somebody else has it, or the file cannot be opened.
    pub fn acquire(path: &Path, holder: &str) -> Result<Self, LockError> {
        let file = open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&file).take(200).read_to_string(&mut text);
                if text.trim() != DRAINING {
                    return Err(LockError::Held(text.trim().to_owned()));
                }
                file.lock().map_err(LockError::Io)?;
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let mut lock = Self { file };
        if let Err(error) = lock.write(holder) {
            // On a full disk. The lock is held all the same.
            tracing::warn!(%error, "whoever finds the lock held does not learn by whom");
        }
        Ok(lock)
    }

    /// Tells whoever comes now to wait instead of giving up.
    pub fn mark_draining(&mut self) {
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

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::acquire(&path, "the first").unwrap();
        assert!(
            matches!(FileLock::acquire(&path, "the second"), Err(LockError::Held(holder)) if holder == "the first")
        );
        drop(first);
        assert!(FileLock::acquire(&path, "the second").is_ok());
    }

    #[test]
    fn a_newcomer_waits_for_one_that_is_about_to_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut first = FileLock::acquire(&path, "the first").unwrap();
        first.mark_draining();
        let second = std::thread::spawn({
            let path = path.clone();
            move || FileLock::acquire(&path, "the second").is_ok()
        });
        drop(first);
        assert!(second.join().unwrap());
    }
}
