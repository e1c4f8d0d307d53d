//! The format of the store, in a file of its own beside it: it is read before sled is, for sled
//! writes to what it opens.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{StoreError, io_error};

/// The format that this release reads and writes.
const FORMAT: u32 = 1;

/// Checks the format of the store at `store`, or notes it if there is no store yet. Answers whether
/// there is none.
pub(super) fn check_or_write(data_dir: &Path, store: &Path) -> Result<bool, StoreError> {
    let path = data_dir.join("format");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim_ascii() == FORMAT.to_string() => Ok(!store.join("db").exists()),
        Ok(text) if text.trim_ascii().parse::<u32>().is_ok_and(|found| found > FORMAT) => {
            let found = text.trim_ascii().to_owned();
            Err(StoreError::Future { path: store.to_owned(), found, known: FORMAT })
        }
        Ok(_) => Err(damaged(store, "its format file does not hold a format")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("read", &path)(error)),
        Err(_) if store.exists() => Err(damaged(store, "its format file is missing")),
        Err(_) => write(data_dir, &path).map(|()| true).map_err(io_error("write", &path)),
    }
}

/// Notes the format so that a crash leaves all of it or nothing.
fn write(data_dir: &Path, path: &Path) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(data_dir)?.sync_all()
}

fn damaged(store: &Path, what: &str) -> StoreError {
    StoreError::Damaged { path: store.to_owned(), what: what.to_owned() }
}
