//! The units of systemd that may own a vault's socket. Where one does, it starts the daemon, with its sandbox and its
//! credentials; a daemon that anybody else started there would be another one.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyfob_proto::{Endpoint, Startup};

/// What the socket's unit is called, a user's and the system's.
const SOCKET_UNIT: &str = "keyfobd.socket";

/// Whose units.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Systemd {
    /// Those of this user, whose runtime directory this is.
    User(PathBuf),
    /// The system's.
    System,
}

/// Starts the unit that owns a socket, if one does. Answers whether it listens, or why not; `None`: no unit owns it.
pub(crate) fn start_owner_of(endpoint: &Endpoint) -> Option<Startup> {
    let (systemd, shown) = Systemd::running().into_iter().find_map(|systemd| {
        let shown = systemd.show()?;
        owns(&shown, endpoint.path()).then_some((systemd, shown))
    })?;
    let path = endpoint.path();
    let failed = |why: String| {
        let (unit, path) = (systemd.command(), path.display());
        let message = format!(
            "the unit {SOCKET_UNIT} owns the socket {path}, so nothing else is started there, and {why}. See `{unit} status \
             {SOCKET_UNIT} keyfobd.service`"
        );
        Some(Startup::Failed { message })
    };
    if systemd == Systemd::System {
        return failed("it does not listen: start it with `sudo systemctl start keyfobd.socket`".to_owned());
    }
    let listening = Startup::Listening { pid: None, socket: path.to_owned() };
    let is_active = shown.get("ActiveState").is_some_and(|state| state == "active");
    if is_active && UnixStream::connect(path).is_ok() {
        // Another client has started it meanwhile.
        return Some(listening);
    }
    let could_not_run = systemd.failure_before_the_program().is_some();
    // One that listens on a file that was removed has to listen anew.
    let verb = if is_active { "restart" } else { "start" };
    let _ = systemd.run(&["reset-failed", SOCKET_UNIT, "keyfobd.service"]);
    match systemd.run(&[verb, SOCKET_UNIT]) {
        Ok(output) if output.status.success() && could_not_run => match systemd.fails_to_run() {
            Some(status) => failed(format!(
                "systemd cannot run the daemon (status {status}): some kernels and containers forbid its sandbox, and a credential \
                 may be missing. `keyfob service uninstall` does without"
            )),
            None => Some(listening),
        },
        Ok(output) if output.status.success() => Some(listening),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            failed(format!("it does not start: {said}"))
        }
        Err(error) => failed(format!("systemctl cannot be run: {error}")),
    }
}

/// Whether a path is on one of the empty file systems that a unit puts over all homes (`ProtectHome=tmpfs`): what is written
/// there is gone with the process.
pub(crate) fn hides(path: &Path) -> bool {
    // What is not there yet is made where what is there leads.
    let there = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        fs::canonicalize(above).ok().map(|above| above.join(rest))
    });
    let homes = ["/home", "/root", "/run/user"].map(|home| fs::canonicalize(home).unwrap_or_else(|_| home.into()));
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    is_hidden(&mounts, there.as_deref().unwrap_or(path), &homes)
}

/// `mounts` is what proc(5) says of `/proc/pid/mountinfo`.
fn is_hidden(mounts: &[u8], path: &Path, homes: &[PathBuf]) -> bool {
    let mounts = mounts.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let at = unescaped(fields.nth(4)?);
        fields.find(|field| *field == b"-")?;
        Some((at, fields.next()?))
    });
    // Of two at one place the later one lies over the other.
    let over = mounts.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.components().count());
    over.is_some_and(|(at, kind)| kind == b"tmpfs" && homes.contains(&at))
}

/// A path in which white space and backslashes stand as `\\040` and the like.
fn unescaped(field: &[u8]) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), field);
    while let [first, more @ ..] = rest {
        let octal = |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 8).ok());
        let code = more.get(..3).filter(|_| *first == b'\\').and_then(octal);
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &more[3..] } else { more };
    }
    OsString::from_vec(bytes).into()
}

/// Whether the unit listens on this path, or is to.
fn owns(shown: &BTreeMap<String, String>, path: &Path) -> bool {
    let is = |property: &str, values: &[&str]| shown.get(property).is_some_and(|value| values.contains(&&**value));
    let listens_there = shown
        .get("Listen")
        .and_then(|listen| listen.strip_suffix(" (Stream)"))
        .is_some_and(|listen| Path::new(listen) == path);
    let is_wanted = is("UnitFileState", &["enabled", "enabled-runtime"])
        || is("ActiveState", &["active", "activating", "reloading", "failed"]);
    is("LoadState", &["loaded"]) && listens_there && is_wanted
}

impl Systemd {
    /// Those that run here.
    fn running() -> Vec<Self> {
        let own = rustix::process::getuid().as_raw();
        let usual = PathBuf::from(format!("/run/user/{own}"));
        let dirs = env::var_os("XDG_RUNTIME_DIR").into_iter().map(PathBuf::from).chain([usual]);
        // `sudo -E` leaves the variable as it was.
        let is_own = |dir: &PathBuf| fs::metadata(dir).is_ok_and(|metadata| metadata.uid() == own);
        let user = dirs.into_iter().find(|dir| is_own(dir) && dir.join("systemd/private").exists()).map(Self::User);
        let system = Path::new("/run/systemd/system").is_dir().then_some(Self::System);
        user.into_iter().chain(system).collect()
    }

    /// How a person calls it.
    fn command(&self) -> &'static str {
        match self {
            Self::User(_) => "systemctl --user",
            Self::System => "systemctl",
        }
    }

    fn run(&self, args: &[&str]) -> io::Result<Output> {
        let mut systemctl = Command::new("systemctl");
        if let Self::User(dir) = self {
            // cron and `su` do not set it.
            systemctl.arg("--user").env("XDG_RUNTIME_DIR", dir);
        }
        systemctl.args(args).env("LC_ALL", "C").output()
    }

    /// Tries to start the service. Answers the status with which systemd gave it up, if it did before the program ran.
    fn fails_to_run(&self) -> Option<u32> {
        let is_started = self.run(&["start", "keyfobd.service"]).is_ok_and(|output| output.status.success());
        if is_started { None } else { self.failure_before_the_program() }
    }

    /// The status with which systemd itself gave the service up before the program ran, see systemd.exec(5).
    fn failure_before_the_program(&self) -> Option<u32> {
        let output = self.run(&["show", "keyfobd.service", "--property=ExecMainStatus,ActiveState"]).ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let status = text.lines().find_map(|line| line.strip_prefix("ExecMainStatus="))?.parse().ok()?;
        (text.contains("ActiveState=failed") && (200..=243).contains(&status)).then_some(status)
    }

    /// What the socket's unit is like.
    fn show(&self) -> Option<BTreeMap<String, String>> {
        let output = self.run(&["show", SOCKET_UNIT, "--property=LoadState,ActiveState,UnitFileState,Listen"]).ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let properties = text.lines().filter_map(|line| line.split_once('='));
        Some(properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_puts_over_the_homes_hides_all_but_what_it_binds() {
        let mounts = "\
22 1 254:0 / / ro,relatime - ext4 /dev/vda rw
80 22 0:50 / /home rw,nosuid - tmpfs tmpfs rw,size=4k
81 22 0:51 / /run/user rw,nosuid - tmpfs tmpfs rw
82 80 254:0 /home/a/.local/share/keyfob /home/a/.local/share/keyfob rw - ext4 /dev/vda rw
83 22 0:52 / /srv rw - tmpfs tmpfs rw
84 80 254:0 /home/b\\040c/keyfob /home/b\\040c/keyfob rw - ext4 /dev/vda rw
";
        let homes = ["/home", "/root", "/run/user"].map(PathBuf::from);
        let hidden = |path: &str| is_hidden(mounts.as_bytes(), Path::new(path), &homes);
        assert!(hidden("/home/a/elsewhere/v") && hidden("/home/a") && hidden("/run/user/1000/v"));
        assert!(!hidden("/home/a/.local/share/keyfob/store") && !hidden("/srv/v") && !hidden("/var/lib/v"));
        assert!(!hidden("/home/b c/keyfob/store") && hidden("/home/b c/other"), "a path with a space");
        assert!(!is_hidden(b"22 1 254:0 / / rw - ext4 /dev/vda rw\n", Path::new("/home/a"), &homes));
    }

    #[test]
    fn a_unit_owns_the_socket_that_it_listens_on_or_is_to() {
        let path = Path::new("/run/user/1/keyfob/keyfob.sock");
        let unit = |load: &str, active: &str, file: &str, listen: &str| {
            let pairs = [("LoadState", load), ("ActiveState", active), ("UnitFileState", file), ("Listen", listen)];
            owns(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), path)
        };
        let listen = "/run/user/1/keyfob/keyfob.sock (Stream)";
        assert!(unit("loaded", "active", "enabled", listen));
        assert!(unit("loaded", "active", "disabled", listen), "started by hand");
        assert!(unit("loaded", "failed", "enabled", listen), "given up");
        assert!(unit("loaded", "inactive", "enabled", listen), "stopped");
        assert!(!unit("loaded", "inactive", "disabled", listen), "a package brought it, and nobody wants it");
        assert!(!unit("not-found", "inactive", "", ""));
        assert!(!unit("masked", "inactive", "masked", listen));
        assert!(!unit("loaded", "active", "enabled", "/run/user/1/other.sock (Stream)"));
    }
}
