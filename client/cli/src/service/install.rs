use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use keyfob::{Access, Client};
use serde_json::json;

use super::Scope;
use super::systemd::{SERVICE, SOCKET, Systemd, cannot_run};
use super::units::{self, Paths, Unit};
use super::{credential, launchd};
use crate::{Failure, Session};

/// Write the units, and start the vault with them
///
/// A daemon that runs already finishes what it was asked, and gives way. The unit starts it at login, or with the first
/// connection before; to have it from the machine's start on: `loginctl enable-linger`.
///
/// Example: keyfob service install
#[derive(Debug, Args)]
pub(crate) struct Install {
    #[command(flatten)]
    scope: Scope,

    /// With --system: let this user use the vault; may be given more than once
    #[arg(long, value_name = "USER", requires = "system")]
    allow: Vec<String>,

    /// Make a secret for the wrapping key, and have systemd pass it on as a credential: encrypted for this machine and user
    /// from systemd 258 on, in a file of yours before. Then `keyfob vault rekey credential`
    #[arg(long, conflicts_with = "system")]
    credential: bool,
}

impl Install {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        if cfg!(target_os = "macos") {
            return launchd::install(session);
        }
        let systemd = self.scope.systemd()?;
        let access = session.access()?;
        if self.scope.system {
            self.install_for_all(&systemd, &access, session)
        } else {
            self.install(&systemd, &access, session)
        }
    }

    fn install(self, systemd: &Systemd, access: &Access, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut paths = true_paths(systemd, access)?;
        if self.credential {
            paths.credential = Some(credential::make(systemd, session)?);
        } else {
            paths.credential = credential::in_use(systemd)?;
        }
        paths.check()?;
        let units = units::of_user(&paths);
        let written = write_units(systemd, &units)?;
        start(systemd, session, &written)?;
        let note = "it starts at login; for it to start with the machine: `loginctl enable-linger`";
        report(access, session, &written, note)
    }

    fn install_for_all(self, systemd: &Systemd, access: &Access, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        if !rustix::process::getuid().is_root() {
            return Err(Failure::Service("--system changes the system: run it as root, such as with sudo".to_owned()));
        }
        let daemon = absolute(&access.daemon)?;
        let is_in_a_home = ["/home", "/root", "/run/user"].iter().any(|home| daemon.starts_with(home));
        if is_in_a_home {
            let message = format!(
                "{0} is in a home, which a service of the system does not see: `install {0} /usr/local/bin`, with `keyfob` \
                 beside it, and run that",
                daemon.display()
            );
            return Err(Failure::Service(message));
        }
        // Those of before stay.
        let mut allowed = units::allowed(&fs::read_to_string(systemd.unit_dir()?.join(SERVICE)).unwrap_or_default());
        for name in &self.allow {
            let uid = uid_of(name)?;
            allowed.retain(|known| *known != uid);
            allowed.push(uid);
        }
        let sysusers = Path::new("/etc/sysusers.d/keyfob.conf");
        write(sysusers, units::SYSTEM_USER)?;
        run("systemd-sysusers", &[&sysusers.display().to_string()])?;
        for name in &self.allow {
            run("usermod", &["-a", "-G", "keyfob", name])?;
        }
        let written = write_units(systemd, &units::of_system(&daemon, &allowed))?;
        start(systemd, session, &written)?;
        let note = "users that you allow (--allow USER) set KEYFOB_SOCKET=/run/keyfob/keyfob.sock and \
                    KEYFOB_SERVER_UID=$(id -u keyfob), after they have logged in anew";
        report(&Access::socket(super::SYSTEM_SOCKET), session, &written, note)
    }
}

/// The paths that are true for this user's vault.
fn true_paths(systemd: &Systemd, access: &Access) -> Result<Paths, Failure> {
    let data_dir = access.place.data_dir().map_err(keyfob::Error::from)?;
    let socket = access.place.endpoint().map_err(keyfob::Error::from)?.path().to_owned();
    let Systemd::User(runtime_dir) = systemd else { return Err(Failure::Service("not of a user".to_owned())) };
    let by_default = std::env::home_dir().map(|home| home.join(".local/share/keyfob"));
    Ok(Paths {
        daemon: absolute(&access.daemon)?,
        command: std::env::current_exe()?,
        data_dir: Some(data_dir).filter(|dir| Some(dir) != by_default.as_ref()),
        socket: Some(socket).filter(|socket| *socket != runtime_dir.join("keyfob/keyfob.sock")),
        credential: None,
    })
}

/// Where a program is that is run by this name.
pub(super) fn absolute(program: &Path) -> Result<PathBuf, Failure> {
    let found = if program.components().count() > 1 {
        Some(program.to_owned())
    } else {
        let dirs = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&dirs).map(|dir| dir.join(program)).find(|path| path.is_file())
    };
    found
        .and_then(|path| fs::canonicalize(path).ok())
        .ok_or_else(|| Failure::Service("there is no keyfobd: install it beside keyfob or in PATH".to_owned()))
}

/// Writes the units that are not as they should be, each at once. Answers their paths.
fn write_units(systemd: &Systemd, units: &[Unit]) -> Result<Vec<PathBuf>, Failure> {
    // An uninstall may have masked a package's.
    let _ = systemd.run(&["unmask", SOCKET, SERVICE]);
    let dir = systemd.unit_dir()?;
    let mut written = Vec::new();
    for (name, text) in units {
        let path = dir.join(name);
        let is_there = |path: &Path| fs::read_to_string(path).is_ok_and(|there| there == *text);
        if is_there(&path) || (!path.exists() && is_there(&systemd.packaged_dir().join(name))) {
            continue;
        }
        write(&path, text)?;
        written.push(path);
    }
    Ok(written)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| Failure::File { action, path, source }
    };
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(failed("make the directory of"))?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed("write"))?;
    file.write_all(text.as_bytes()).map_err(failed("write"))?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(file.path(), readable).map_err(failed("write"))?;
    // A power failure may not leave a unit that is empty.
    file.as_file().sync_all().map_err(failed("write"))?;
    file.persist(path).map(drop).map_err(|error| failed("write")(error.error))
}

/// Has systemd take the vault over: the socket's unit stops a daemon that runs before it listens.
fn start(systemd: &Systemd, session: &mut Session<'_, '_>, written: &[PathBuf]) -> Result<(), Failure> {
    session.output.note(if written.is_empty() {
        "the units are there already".to_owned()
    } else {
        written.iter().map(|path| format!("wrote {}", path.display())).collect::<Vec<_>>().join("\n")
    })?;
    systemd.run(&["daemon-reload"])?;
    systemd.run(&["enable", SOCKET, SERVICE])?;
    // They may have failed before.
    let _ = systemd.run(&["reset-failed", SOCKET, SERVICE]);
    systemd.run(&["restart", SOCKET])?;
    systemd.run(&["start", SERVICE]).map(drop).map_err(|error| {
        let command = systemd.command();
        let message = format!("{error}. See `{command} status {SERVICE}`; `keyfob status` says why it does not start");
        Failure::Service(message)
    })
}

/// Says what is there now, by the word of the daemon.
fn report(access: &Access, session: &mut Session<'_, '_>, written: &[PathBuf], note: &str) -> Result<(), Failure> {
    let status = Client::connect_blocking(access)?.status().wait()?;
    let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let paths =
        status.paths.as_ref().map(|paths| format!("{} on {}", paths.data_dir.display(), paths.socket.display()));
    let text = format!("keyfobd {}{pid} serves {}", status.daemon_version, paths.unwrap_or_default());
    let object = json!({ "wrote": written, "startedBy": status.started_by, "paths": status.paths });
    session.output.print(&object, text)?;
    session.output.note(note)
}

/// The number of a user.
fn uid_of(name: &str) -> Result<u32, Failure> {
    let output = Command::new("id").args(["-u", "--", name]).output().map_err(cannot_run)?;
    let uid = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
    uid.ok_or_else(|| Failure::Service("--allow names a user that the system does not have".to_owned()))
}

fn run(program: &str, args: &[&str]) -> Result<(), Failure> {
    let output = Command::new(program).args(args).output().map_err(cannot_run)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Service(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
