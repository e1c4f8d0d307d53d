//! Directories that nobody else may look into: the vault's, and the default socket's.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use keyfob_proto::owned_by_another;

use crate::error::{Error, Purpose};

/// A directory that is to be the user's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Private<'a> {
    /// Where it is.
    pub(crate) path: &'a Path,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Whether its name is keyfob's own. One that a person named may be anything, and is not changed.
    pub(crate) is_default: bool,
}

impl Private<'_> {
    /// Makes it if it is not there, with those that it is in; and makes it private where it is keyfob's own.
    ///
    /// # Errors
    ///
    /// As [`Private::check`], or when the system refuses.
    pub(crate) fn own(self) -> Result<(), Error> {
        if !self.check()? {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(self.path);
            return made.map_err(self.refused("make"));
        }
        if self.is_default {
            let private = fs::set_permissions(self.path, fs::Permissions::from_mode(0o700));
            private.map_err(self.refused("make private"))?;
        }
        Ok(())
    }

    /// Whether it is there, or could be made. Changes nothing.
    ///
    /// # Errors
    ///
    /// When it belongs to another user, or one that it is to be made in does: what is made there would be locked to its
    /// owner. When it was named and others can enter it, or the system refuses.
    pub(crate) fn check(self) -> Result<bool, Error> {
        // A link to a directory is as good, where it leads to one of the user's own.
        let metadata = match fs::metadata(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let own = rustix::process::getuid().as_raw();
                return match owned_by_another(self.path) {
                    Some((path, owner)) => Err(Error::NotOurs { path, owner, own }),
                    None => self.can_be_made().map(|()| false),
                };
            }
            metadata => metadata.map_err(self.refused("look at"))?,
        };
        if !metadata.is_dir() {
            return Err(self.refused("use")(io::ErrorKind::NotADirectory.into()));
        }
        let (owner, own) = (metadata.uid(), rustix::process::getuid().as_raw());
        if owner != own {
            return Err(Error::NotOurs { path: self.path.to_owned(), owner, own });
        }
        if metadata.permissions().mode() & 0o077 != 0 && !self.is_default {
            return Err(Error::NotPrivate { path: self.path.to_owned() });
        }
        Ok(true)
    }

    fn can_be_made(self) -> Result<(), Error> {
        let above = self.path.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
        let access = rustix::fs::access(above, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
        access.map_err(|error| self.refused("make")(error.into()))
    }

    fn refused(self, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        let Self { path, purpose, .. } = self;
        let path = path.to_owned();
        move |source| Error::Directory { action, purpose, path, source }
    }
}
