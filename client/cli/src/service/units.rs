//! What the units say: the ones that the Debian package installs, with the paths that are true here.

use std::path::{Path, PathBuf};

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

/// The units of a user's vault.
pub(super) fn of_user(paths: &Paths) -> [Unit; 2] {
    let data_dir = paths.data_dir.as_deref().map(quoted);
    let bound = paths.data_dir.as_deref().map(bound);
    let socket = include_str!("../../service/keyfobd.socket")
        .replace(&format!("-{COMMAND} "), &format!("-{} ", quoted(&paths.command)));
    let socket = match &data_dir {
        Some(dir) => socket.replace(DATA_DIR, dir),
        None => socket,
    };
    let socket = match &paths.socket {
        Some(path) => socket.replace(SOCKET, &escaped(path)),
        None => socket,
    };
    let mut service = include_str!("../../service/keyfobd.service").to_owned();
    let mut start = format!("ExecStart={}", quoted(&paths.daemon));
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
    // In a home, the program is not seen otherwise.
    let seen = format!("BindReadOnlyPaths=%t/systemd/notify {}", self::bound(&paths.daemon));
    service = service.replace("BindReadOnlyPaths=%t/systemd/notify", &seen);
    [(super::systemd::SOCKET, socket), (super::systemd::SERVICE, service)]
}

/// The units of the vault that several users share.
pub(super) fn of_system(daemon: &Path, allowed: &[u32]) -> [Unit; 2] {
    let mut start = format!("ExecStart={}", quoted(daemon));
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

/// A path as one of the words of a line.
fn quoted(path: &Path) -> String {
    let text = escaped(path);
    if text.contains(|c: char| c.is_whitespace() || "\"'\\;$".contains(c)) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$"))
    } else {
        text
    }
}

/// A path to bind, where a colon would begin another one.
fn bound(path: &Path) -> String {
    let text = escaped(path).replace('\\', "\\\\").replace(':', "\\:");
    if text.contains(|c: char| c.is_whitespace() || c == '"') {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        Paths { daemon: PROGRAM.into(), command: COMMAND.into(), data_dir: None, socket: None, credential: None }
    }

    #[test]
    fn the_packages_units_are_those_of_a_vault_where_it_is_by_default() {
        let [(_, socket), (_, service)] = of_user(&paths());
        assert_eq!(socket, include_str!("../../service/keyfobd.socket"));
        let seen = format!(" {PROGRAM}\n");
        assert_eq!(service.replace(&seen, "\n"), include_str!("../../service/keyfobd.service"));
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
    fn the_shared_vault_serves_whom_it_was_told() {
        let [(_, socket), (_, service)] = of_system(Path::new("/opt/keyfobd"), &[1000, 1001]);
        let start = "\nExecStart=/opt/keyfobd --allow-uid 1000 --allow-uid 1001 --data-dir /var/lib/keyfob\n";
        assert!(service.contains(start), "{service}");
        assert!(socket.contains("\nListenStream=/run/keyfob/keyfob.sock\n"));
        assert!(!service.contains("PrivateUsers"), "it has to tell users apart");
    }
}
