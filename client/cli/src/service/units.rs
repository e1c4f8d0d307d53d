//! What the units say: the ones that the Debian package installs, with the paths that are true here.

use std::path::{Path, PathBuf};

use crate::Failure;

/// The paths in the texts, in the place of which others may be put.
const PROGRAM: &str = "/usr/bin/keyfobd";
const COMMAND: &str = "/usr/bin/keyfob";
const DATA_DIR: &str = "%h/.local/share/keyfob";
const SOCKET: &str = "%t/keyfob/keyfob.sock";
const SOCKET_DIR: &str = "%t/keyfob";

/// A unit's file name and text.
pub(super) type Unit = (&'static str, String);

/// What is true of a user's vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paths {
    /// `keyfobd`.
    pub(super) daemon: PathBuf,
    /// `keyfob`.
    pub(super) command: PathBuf,
    /// The data directory; none: the one that a daemon takes by itself.
    pub(super) data_dir: Option<PathBuf>,
    /// The socket; none: the one that clients look for.
    pub(super) socket: Option<PathBuf>,
    /// The file that the wrapping key is in, and whether it is encrypted.
    pub(super) credential: Option<(PathBuf, bool)>,
}

impl Paths {
    /// Whether all of them can stand in a unit.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let credential = self.credential.as_ref().map(|(path, _)| path);
        let rest = [&self.data_dir, &self.socket].into_iter().flatten().chain(credential);
        for path in [&self.daemon, &self.command].into_iter().chain(rest) {
            let is_plain = |text: &str| !text.contains(char::is_control) && !text.ends_with([' ', '\\']);
            if !path.to_str().is_some_and(is_plain) {
                let message = "a path that is not UTF-8, has control characters, or ends in a space or a backslash cannot stand in \
                               a unit of systemd: name another";
                return Err(Failure::Service(message.to_owned()));
            }
        }
        Ok(())
    }
}

/// The users that the unit of a shared vault allows.
pub(super) fn allowed(unit: &str) -> Vec<u32> {
    unit.split("--allow-uid ").skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
}

/// The units of a user's vault.
pub(super) fn of_user(paths: &Paths) -> [Unit; 2] {
    let data_dir = paths.data_dir.as_deref().map(quoted);
    let bound = paths.data_dir.as_deref().map(bound);
    let socket = include_str!("../../service/keyfobd.socket")
        .replace(&format!("-{COMMAND} "), &format!("-{} ", program(&paths.command)));
    let socket = match &data_dir {
        Some(dir) => socket.replace(DATA_DIR, dir),
        None => socket,
    };
    let socket = match &paths.socket {
        Some(path) => socket.replace(SOCKET, &escaped(path)),
        None => socket,
    };
    let mut service = include_str!("../../service/keyfobd.service").to_owned();
    let mut start = format!("ExecStart={}", program(&paths.daemon));
    if let Some(dir) = &data_dir {
        start = format!("{start} --data-dir {dir}");
    }
    if let Some((path, is_encrypted)) = &paths.credential {
        let setting = if *is_encrypted { "LoadCredentialEncrypted" } else { "LoadCredential" };
        start = format!("{start}\n{setting}=keyfob:{}", escaped(path));
    }
    service = service.replace(&format!("ExecStart={PROGRAM}"), &start);
    let socket_dir = match paths.socket.as_deref().and_then(Path::parent) {
        Some(dir) => self::bound(dir),
        None => SOCKET_DIR.to_owned(),
    };
    let dirs = format!("BindPaths={} {socket_dir}", bound.as_deref().unwrap_or(DATA_DIR));
    service = service.replace(&format!("BindPaths={DATA_DIR} {SOCKET_DIR}"), &dirs);
    if paths.daemon != Path::new(PROGRAM) {
        // In a home, it is not seen otherwise.
        let seen = format!("BindReadOnlyPaths=%t/systemd/notify {}", self::bound(&paths.daemon));
        service = service.replace("BindReadOnlyPaths=%t/systemd/notify", &seen);
    }
    [(super::systemd::SOCKET, socket), (super::systemd::SERVICE, service)]
}

/// The units of the vault that several users share.
pub(super) fn of_system(daemon: &Path, allowed: &[u32]) -> [Unit; 2] {
    let mut start = format!("ExecStart={}", program(daemon));
    for uid in allowed {
        start = format!("{start} --allow-uid {uid}");
    }
    let service = include_str!("../../service/system/keyfobd.service").replace(&format!("ExecStart={PROGRAM}"), &start);
    [
        (super::systemd::SOCKET, include_str!("../../service/system/keyfobd.socket").to_owned()),
        (super::systemd::SERVICE, service),
    ]
}

/// The user that the shared vault belongs to, for `systemd-sysusers`.
pub(super) const SYSTEM_USER: &str = include_str!("../../service/system/sysusers.conf");

/// A path in a unit, where nothing but a path can be.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// A path as the program that a line runs.
fn program(path: &Path) -> String {
    word(&escaped(path))
}

/// A path as one of a program's arguments, in which systemd puts in variables.
fn quoted(path: &Path) -> String {
    word(&escaped(path).replace('$', "$$"))
}

fn word(text: &str) -> String {
    if text.contains(|c: char| c.is_whitespace() || "\"'\\;".contains(c)) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

/// A path to bind, where a colon would begin another one.
fn bound(path: &Path) -> String {
    let text = escaped(path).replace('\\', "\\\\").replace(':', "\\:");
    if text.contains(|c: char| c.is_whitespace() || "\"'".contains(c)) {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn paths() -> Paths {
        Paths { daemon: PROGRAM.into(), command: COMMAND.into(), data_dir: None, socket: None, credential: None }
    }

    #[test]
    fn the_packages_units_are_those_of_a_vault_where_it_is_by_default() {
        let [(_, socket), (_, service)] = of_user(&paths());
        assert_eq!(socket, include_str!("../../service/keyfobd.socket"));
        assert_eq!(service, include_str!("../../service/keyfobd.service"));
    }

    #[test]
    fn every_path_is_the_one_that_is_true() {
        let paths = Paths {
            daemon: "/home/a b/.cargo/bin/keyfobd".into(),
            command: "/home/a b/.cargo/bin/keyfob".into(),
            data_dir: Some("/srv/50%/a:b/vault".into()),
            socket: Some("/srv/50%/a:b/vault/keyfob.sock".into()),
            credential: Some(("/home/a b/keyfob.cred".into(), true)),
        };
        let [(_, socket), (_, service)] = of_user(&paths);
        assert!(socket.contains("\nListenStream=/srv/50%%/a:b/vault/keyfob.sock\n"), "{socket}");
        let stop = "\nExecStartPre=-\"/home/a b/.cargo/bin/keyfob\" stop --data-dir /srv/50%%/a:b/vault\n";
        assert!(socket.contains(stop), "{socket}");
        assert!(socket.contains("mkdir -p -m 0700 /srv/50%%/a:b/vault\n"), "{socket}");
        let start = "\nExecStart=\"/home/a b/.cargo/bin/keyfobd\" --data-dir /srv/50%%/a:b/vault\n";
        assert!(service.contains(start), "{service}");
        assert!(service.contains("\nBindPaths=/srv/50%%/a\\:b/vault /srv/50%%/a\\:b/vault\n"), "{service}");
        let seen = "\nBindReadOnlyPaths=%t/systemd/notify \"/home/a b/.cargo/bin/keyfobd\"\n";
        assert!(service.contains(seen), "{service}");
        assert!(service.contains("\nLoadCredentialEncrypted=keyfob:/home/a b/keyfob.cred\n"), "{service}");
        for text in [socket, service] {
            let rest: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(!rest.iter().any(|line| line.contains("/usr/bin") || line.contains(DATA_DIR)), "{rest:?}");
        }
    }

    #[test]
    fn paths_that_systemd_would_read_otherwise_are_quoted_or_refused() {
        let daemon = PathBuf::from("/opt/it's $HOME/keyfobd");
        let [_, (_, service)] = of_user(&Paths { daemon, data_dir: Some("/srv/$a".into()), ..paths() });
        assert!(service.contains("\nExecStart=\"/opt/it's $HOME/keyfobd\" --data-dir /srv/$$a\n"), "{service}");
        assert!(service.contains("notify \"/opt/it's $HOME/keyfobd\"\n"), "{service}");
        let not_utf8 = PathBuf::from(std::ffi::OsString::from_vec(b"/srv/\xff".to_vec()));
        for data_dir in ["/srv/a\nExecStart=/bin/sh".into(), "/srv/a\\".into(), "/srv/a ".into(), not_utf8] {
            assert!(Paths { data_dir: Some(data_dir), ..paths() }.check().is_err());
        }
        assert!(paths().check().is_ok());
    }

    #[test]
    fn the_shared_vault_serves_whom_it_was_told() {
        let [(_, socket), (_, service)] = of_system(Path::new("/opt/keyfobd"), &[1000, 1001]);
        let start = "\nExecStart=/opt/keyfobd --allow-uid 1000 --allow-uid 1001 --data-dir /var/lib/keyfob\n";
        assert!(service.contains(start), "{service}");
        assert_eq!(allowed(&service), [1000, 1001]);
        assert!(socket.contains("\nListenStream=/run/keyfob/keyfob.sock\n"));
        assert!(!service.contains("PrivateUsers"), "it has to tell users apart");
    }
}
