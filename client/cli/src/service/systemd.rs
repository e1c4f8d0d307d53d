//! systemd, by its own command.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;

/// The vault's units.
pub(super) const SOCKET: &str = "keyfobd.socket";
pub(super) const SERVICE: &str = "keyfobd.service";

/// The first systemd that decrypts credentials in a user's units.
pub(super) const ENCRYPTS_FOR_USERS: u32 = 258;

/// systemd, which starts the units of a user or of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Systemd {
    /// Of this user, whose runtime directory this is.
    User(PathBuf),
    /// Of the system.
    System,
}

impl Systemd {
    /// The one of this user.
    pub(super) fn of_user() -> Result<Self, Failure> {
        let own = rustix::process::getuid().as_raw();
        let usual = PathBuf::from(format!("/run/user/{own}"));
        let dirs = env::var_os("XDG_RUNTIME_DIR").into_iter().map(PathBuf::from).chain([usual]);
        // `sudo -E` leaves the variable as it was.
        let is_own = |dir: &PathBuf| fs::metadata(dir).is_ok_and(|metadata| metadata.uid() == own);
        let running = dirs.into_iter().find(|dir| is_own(dir) && dir.join("systemd/private").exists()).map(Self::User);
        running.ok_or_else(|| {
            Failure::Service(
                "no systemd serves this user here. Nothing is needed: the first command or app that needs the daemon starts \
                 it. In a session of its own (`ssh`, `machinectl shell`, not `su`) a user has one"
                    .to_owned(),
            )
        })
    }

    /// The one of the system, for root.
    pub(super) fn of_system() -> Result<Self, Failure> {
        if !Path::new("/run/systemd/system").is_dir() {
            return Err(Failure::Service("this system was not started by systemd".to_owned()));
        }
        Ok(Self::System)
    }

    /// Where an administrator, or the user, puts units.
    pub(super) fn unit_dir(&self) -> Result<PathBuf, Failure> {
        match self {
            Self::System => Ok("/etc/systemd/system".into()),
            Self::User(_) => {
                let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
                let home = || env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".config"));
                let config = config.or_else(home);
                let config =
                    config.ok_or_else(|| Failure::Service("there is no home directory: set HOME".to_owned()))?;
                Ok(config.join("systemd/user"))
            }
        }
    }

    /// Where a package puts them.
    pub(super) fn packaged_dir(&self) -> &'static Path {
        Path::new(if *self == Self::System { "/usr/lib/systemd/system" } else { "/usr/lib/systemd/user" })
    }

    /// How a person calls it.
    pub(super) fn command(&self) -> &'static str {
        if *self == Self::System { "systemctl" } else { "systemctl --user" }
    }

    /// Runs `systemctl`. Answers what it says.
    pub(super) fn run(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self.systemctl().args(args).output().map_err(cannot_run)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
        Err(Failure::Service(format!("`{} {}` failed: {said}", self.command(), args.join(" "))))
    }

    /// The properties of a unit that are named.
    pub(super) fn show(&self, unit: &str, properties: &str) -> Result<BTreeMap<String, String>, Failure> {
        let text = self.run(&["show", unit, "--property", properties])?;
        let properties = text.lines().filter_map(|line| line.split_once('='));
        Ok(properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Its version.
    pub(super) fn version(&self) -> Option<u32> {
        let text = self.run(&["--version"]).ok()?;
        // Such as `systemd 257 (257.9-1~deb13u1)`, or with a release candidate's `258~rc1`.
        let word = text.split_whitespace().nth(1)?;
        word.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    fn systemctl(&self) -> Command {
        let mut systemctl = Command::new("systemctl");
        if let Self::User(dir) = self {
            // cron and `su` do not set it.
            systemctl.arg("--user").env("XDG_RUNTIME_DIR", dir);
        }
        systemctl.stdin(Stdio::null()).env("LC_ALL", "C").env("SYSTEMD_PAGER", "");
        systemctl
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn cannot_run(error: io::Error) -> Failure {
    Failure::Service(format!("a program of systemd cannot be run: {error}"))
}
