//! Directories that nobody else may look into: the vault's, and the default socket's.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::Error;

/// Makes a directory if it is not there, with those that it is in, and makes it private. `what` it is goes into errors.
///
/// # Errors
///
/// When it belongs to another user, or what it is to be made in does: that would be locked to its owner afterwards. Or
/// when the system refuses.
pub(crate) fn own(dir: &Path, what: &'static str) -> Result<(), Error> {
    let refused = |action: &'static str| move |source| Error::Directory { action, what, path: dir.to_owned(), source };
    let metadata = match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_ancestor(dir)?;
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.and_then(|()| fs::symlink_metadata(dir)).map_err(refused("make"))?
        }
        metadata => metadata.map_err(refused("look at"))?,
    };
    // A link to a directory is as good, where it leads to one of the user's own.
    let metadata = if metadata.is_symlink() { fs::metadata(dir).map_err(refused("look at"))? } else { metadata };
    if !metadata.is_dir() {
        return Err(refused("use")(io::ErrorKind::NotADirectory.into()));
    }
    check_owner(dir, &metadata)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(refused("make private"))?;
    }
    Ok(())
}

/// Refuses to make anything in a directory of another user's, such as a home that `sudo` has left in the environment.
fn check_ancestor(dir: &Path) -> Result<(), Error> {
    let there = dir.ancestors().skip(1).find_map(|above| Some((above, fs::metadata(above).ok()?)));
    match there {
        // What is the system's own says by its mode who may make something there.
        Some((_, metadata)) if metadata.uid() == 0 => Ok(()),
        Some((above, metadata)) => check_owner(above, &metadata),
        None => Ok(()),
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let (owner, own) = (metadata.uid(), rustix::process::getuid().as_raw());
    if owner == own { Ok(()) } else { Err(Error::NotOurs { path: path.to_owned(), owner, own }) }
}
