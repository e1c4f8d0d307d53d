//! [`Place`]: which vault somebody means, and where its daemon listens.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, EndpointError};

/// A vault, as far as somebody named it: one data directory is one vault, however it is reached.
///
/// The socket of a data directory that was named is in that directory, unless the socket was named too. Where nothing
/// was named, it is in the user's runtime directory. Clients look into the data directory first, where a daemon says in a
/// [`Listening`] where it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    socket: Option<PathBuf>,
    data_dir: Option<PathBuf>,
}

/// There is no place for a vault, or none that a socket can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// No socket can have the path.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// An option is given and empty.
    #[error("{option} is given and empty: name one, or leave the option out")]
    Empty {
        /// The option.
        option: &'static str,
    },
    /// Neither `HOME` nor the system says where the user is at home.
    #[error(
        "there is no home directory to keep the vault in: set HOME, or name a data directory with --data-dir or \
         KEYFOB_DATA_DIR"
    )]
    NoHome,
    /// The home directory is not there.
    #[error(
        "the home directory {} is not there: set HOME, or name a data directory with --data-dir or KEYFOB_DATA_DIR",
        home.display()
    )]
    HomeMissing {
        /// Where it should be.
        home: PathBuf,
    },
}

impl Place {
    /// The place that is named with these; one that is empty is absent, and one that is relative is so to the working
    /// directory.
    #[must_use]
    pub fn new(socket: Option<OsString>, data_dir: Option<OsString>) -> Self {
        let absolute = |path: Option<OsString>| path.and_then(|path| std::path::absolute(path).ok());
        Self { socket: absolute(given(socket)), data_dir: absolute(given(data_dir)) }
    }

    /// The place that was named with these options; one that was not given is what the environment says.
    ///
    /// # Errors
    ///
    /// [`PlaceError::Empty`]: an option that is given and empty most likely was to name something.
    pub fn given(socket: Option<OsString>, data_dir: Option<OsString>) -> Result<Self, PlaceError> {
        for (option, value) in [("--socket", &socket), ("--data-dir", &data_dir)] {
            if value.as_ref().is_some_and(|value| value.is_empty()) {
                return Err(PlaceError::Empty { option });
            }
        }
        let or_env = |given: Option<OsString>, variable| given.or_else(|| env::var_os(variable));
        Ok(Self::new(or_env(socket, "KEYFOB_SOCKET"), or_env(data_dir, "KEYFOB_DATA_DIR")))
    }

    /// The place that `$KEYFOB_SOCKET` and `$KEYFOB_DATA_DIR` name.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(env::var_os("KEYFOB_SOCKET"), env::var_os("KEYFOB_DATA_DIR"))
    }

    /// The socket, if it was named.
    #[must_use]
    pub fn named_socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The data directory, if it was named.
    #[must_use]
    pub fn named_data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// The data directory: the one that was named, else `keyfob` in the platform's directory for the data of the user's
    /// programs.
    ///
    /// # Errors
    ///
    /// [`PlaceError::NoHome`], [`PlaceError::HomeMissing`].
    pub fn data_dir(&self) -> Result<PathBuf, PlaceError> {
        match &self.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(data_home()?.join("keyfob")),
        }
    }

    /// Where a daemon listens that is started for this place: the socket that was named, else `keyfob.sock` in the data
    /// directory that was named, else `keyfob/keyfob.sock` in `$XDG_RUNTIME_DIR` or `/run/user/<uid>`, whichever is the
    /// user's own, else `keyfob-<uid>/keyfob.sock` in the directory for temporary files.
    ///
    /// # Errors
    ///
    /// When no socket can have that path.
    pub fn endpoint(&self) -> Result<Endpoint, EndpointError> {
        match (&self.socket, &self.data_dir) {
            (Some(socket), _) => Endpoint::named(socket),
            (None, Some(dir)) => Endpoint::unnamed(dir.join("keyfob.sock")),
            (None, None) => {
                let uid = rustix::process::getuid().as_raw();
                let runtime_dirs = [env::var_os("XDG_RUNTIME_DIR"), Some(format!("/run/user/{uid}").into())];
                Endpoint::unnamed(socket_dir(runtime_dirs, &env::temp_dir(), uid).join("keyfob.sock"))
            }
        }
    }
}

/// An empty variable is an absent one.
fn given(value: Option<OsString>) -> Option<OsString> {
    value.filter(|text| !text.is_empty())
}

/// The directory of a socket that nobody named. A runtime directory that is not there, or somebody else's, is passed
/// over: `su` and `sudo` leave the variable as it was.
fn socket_dir(runtime_dirs: [Option<OsString>; 2], temp_dir: &Path, uid: u32) -> PathBuf {
    let is_own = |dir: &PathBuf| fs::metadata(dir).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == uid);
    let found = runtime_dirs.into_iter().filter_map(given).map(PathBuf::from).find(is_own);
    found.map_or_else(|| temp_dir.join(format!("keyfob-{uid}")), |dir| dir.join("keyfob"))
}

/// The platform's directory for the data of the user's programs.
fn data_home() -> Result<PathBuf, PlaceError> {
    // It is enough to know this one, without any home.
    let named = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    if let Some(named) = named.filter(|_| cfg!(not(target_vendor = "apple"))) {
        return Ok(named);
    }
    let strategy = etcetera::base_strategy::choose_native_strategy().map_err(|_| PlaceError::NoHome)?;
    let home = strategy.home_dir();
    // A home is not ours to make.
    if home.is_absolute() && home.is_dir() {
        Ok(strategy.data_dir())
    } else {
        Err(PlaceError::HomeMissing { home: home.to_owned() })
    }
}

/// The directory above a path that belongs to another user but root, and that user, if there is one: what is made there
/// would be locked to them.
#[must_use]
pub fn owned_by_another(path: &Path) -> Option<(PathBuf, u32)> {
    let own = rustix::process::getuid().as_raw();
    // In a user namespace root may look like any other user that it does not have.
    let root = fs::metadata("/").map_or(0, |metadata| metadata.uid());
    let owners = path.ancestors().filter_map(|dir| Some((dir.to_owned(), fs::metadata(dir).ok()?.uid())));
    let mut foreign = owners.filter(|(_, owner)| ![own, 0, root].contains(owner));
    foreign.next()
}

/// What a daemon says in its data directory, in the file [`Listening::FILE`]: one object of JSON. It is removed when the
/// daemon stops, and left when it is killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listening {
    /// The socket.
    pub socket: PathBuf,
    /// The daemon's process.
    pub pid: u32,
}

impl Listening {
    /// The name of the file.
    pub const FILE: &str = "listening";

    /// What the daemon of a data directory says, or the last one said that was killed.
    #[must_use]
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(data_dir.join(Self::FILE)).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_decides_and_empty_is_absent() {
        let place = |socket: &str, dir: &str| Place::new(Some(socket.into()), Some(dir.into()));
        let path = |place: Place| place.endpoint().unwrap().path().display().to_string();
        assert_eq!(path(place("/a/b", "/c")), "/a/b");
        assert_eq!(path(place("", "/c")), "/c/keyfob.sock");
        assert!(!place("", "/c").endpoint().unwrap().is_named() && place("/a", "").endpoint().unwrap().is_named());
        assert_eq!(place("", "/c").data_dir().unwrap(), Path::new("/c"));
        assert_eq!(place("", ""), Place::default());
        let relative = Place::new(Some("s".into()), None);
        assert!(relative.named_socket().unwrap().is_absolute());
    }

    #[test]
    fn a_runtime_directory_that_is_not_the_users_own_is_passed_over() {
        let dir = env::temp_dir();
        let uid = rustix::process::getuid().as_raw();
        let own = dir.join(format!("keyfob-test-{uid}-{}", std::process::id()));
        fs::create_dir(&own).unwrap();
        let (missing, file) = (own.join("missing"), own.join("file"));
        fs::write(&file, "").unwrap();
        let found =
            |first: &str, second: &Path| socket_dir([Some(first.into()), Some(second.into())], Path::new("/t"), uid);
        assert_eq!(found(missing.to_str().unwrap(), &own), own.join("keyfob"));
        assert_eq!(found("", &own), own.join("keyfob"));
        assert_eq!(found(own.to_str().unwrap(), Path::new("/")), own.join("keyfob"));
        assert_eq!(found(file.to_str().unwrap(), &missing), Path::new("/t").join(format!("keyfob-{uid}")));
        let foreign = socket_dir([Some(own.clone().into()), None], Path::new("/t"), uid + 1);
        assert_eq!(foreign, Path::new("/t").join(format!("keyfob-{}", uid + 1)), "of another user");
        fs::remove_dir_all(own).unwrap();
    }
}
