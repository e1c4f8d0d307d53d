//! One vault, however it is reached: other environments, other users, sockets that went away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use keyfob_tests::{DaemonProcess, programs};
use serde_json::Value;

use crate::{directory, skipped};

const NOBODY: u32 = 65_534;

/// `keyfob` with no environment but these variables.
pub(crate) fn keyfob(env: &[(&str, &Path)], args: &[&str]) -> Output {
    let mut command = Command::new(programs().join("keyfob"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(env.iter().copied()).args(args);
    command.output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8([&*output.stdout, &*output.stderr].concat()).unwrap()
}

/// The process that answers, which must be there.
fn pid(env: &[(&str, &Path)]) -> u64 {
    let output = keyfob(env, &["status", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["pid"].as_u64().unwrap()
}

/// A home and a runtime directory, and the daemon in them, which is stopped at the end.
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = directory();
        for name in ["home", "run", "tmp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// The environment of a login.
    pub(crate) fn login<'a>(&self, home: &'a Path, run: &'a Path) -> [(&'static str, &'a Path); 2] {
        assert!(self.dir.path().exists());
        [("HOME", home), ("XDG_RUNTIME_DIR", run)]
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let (home, temp) = (self.path("home"), self.path("tmp"));
        keyfob(&[("HOME", &home), ("TMPDIR", &temp)], &["stop"]);
    }
}

#[test]
fn a_data_directory_that_is_named_is_the_one_that_is_used_or_nothing_is_done() {
    let at = Home::new();
    let (home, run, other) = (at.path("home"), at.path("run"), at.path("other"));
    let login = at.login(&home, &run);
    assert!(keyfob(&login, &["key", "new"]).status.success());
    let socket = run.join("keyfob/keyfob.sock");
    let named = ["--data-dir", other.to_str().unwrap()];

    let both = keyfob(&login, &[&named[..], &["--socket", socket.to_str().unwrap(), "key", "prune", "--yes"]].concat());
    assert_eq!(both.status.code(), Some(69));
    let said = text(&both);
    assert!(said.contains(socket.to_str().unwrap()) && said.contains(other.to_str().unwrap()), "{said}");

    let pruned = keyfob(&login, &[&named[..], &["key", "prune", "--min-age", "0", "--yes"]].concat());
    assert!(text(&pruned).contains("deleted 0"), "{}", text(&pruned));
    assert!(other.join("keyfob.sock").exists(), "a daemon of its own");
    assert!(keyfob(&login, &[&named[..], &["stop"]].concat()).status.success());
    let list = keyfob(&login, &["key", "list", "--json"]);
    let pairs: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(pairs["keyPairs"].as_array().unwrap().len(), 1, "the other vault is as it was");
}

#[test]
fn a_vault_is_reached_from_every_environment() {
    let at = Home::new();
    let (home, run, temp) = (at.path("home"), at.path("run"), at.path("tmp"));
    let login = at.login(&home, &run);
    let first = pid(&login);
    // As cron, and as `su` do.
    let cron = [("HOME", &*home), ("TMPDIR", &*temp)];
    assert_eq!(pid(&cron), first);
    let nowhere = at.path("not there");
    assert_eq!(pid(&[("HOME", &home), ("XDG_RUNTIME_DIR", &nowhere), ("TMPDIR", &temp)]), first);
    let data_home = home.join(".local/share");
    assert_eq!(pid(&[("XDG_DATA_HOME", &data_home), ("TMPDIR", &temp)]), first, "without a home");
    let data = data_home.join("keyfob");
    assert_eq!(pid(&[("KEYFOB_DATA_DIR", &data), ("TMPDIR", &temp)]), first);

    // And the other way round; a daemon that is killed leaves a word that misleads nobody.
    assert!(keyfob(&cron, &["stop"]).status.success());
    assert!(!data.join("listening").exists());
    let second = pid(&cron);
    assert_eq!(pid(&login), second);
    assert!(Command::new("kill").args(["-9", &second.to_string()]).status().unwrap().success());
    assert_ne!(pid(&login), second);
}

#[test]
fn a_socket_that_was_removed_is_made_anew_and_nobody_is_shut_out() {
    let at = Home::new();
    let (home, run) = (at.path("home"), at.path("run"));
    let login = at.login(&home, &run);
    let first = pid(&login);
    let socket = run.join("keyfob/keyfob.sock");
    // The file, the directory, and the runtime directory itself, as the end of a login takes it away.
    fs::remove_file(&socket).unwrap();
    let stop = keyfob(&login, &["--no-start", "list"]);
    if stop.status.code() == Some(69) {
        assert!(text(&stop).contains(&format!("pid {first}")), "{}", text(&stop));
    }
    assert_eq!(pid(&login), first);
    fs::remove_dir_all(run.join("keyfob")).unwrap();
    assert_eq!(pid(&login), first);
    fs::remove_dir_all(&run).unwrap();
    fs::create_dir(&run).unwrap();
    assert_eq!(pid(&login), first);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(run.join("keyfob")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_daemon_whose_socket_was_taken_over_ends() {
    let dir = directory();
    let mut daemon = DaemonProcess::start(dir.path());
    let socket = dir.path().join("keyfob.sock");
    fs::remove_file(&socket).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(daemon.child.wait().unwrap().success());
    assert!(socket.exists(), "it is not the daemon's to remove");
}

#[test]
fn a_directory_that_cannot_be_used_is_named_for_what_it_is() {
    let dir = directory();
    let missing = dir.path().join("not/there/s");
    let output = keyfob(&[("HOME", dir.path())], &["--socket", missing.to_str().unwrap(), "list"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output).contains("for the socket is not there: make it"), "{}", text(&output));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let output = keyfob(&[("HOME", dir.path()), ("KEYFOB_DATA_DIR", &file)], &["list"]);
    assert!(
        text(&output).contains("the data directory") && text(&output).contains("KEYFOB_DATA_DIR"),
        "{}",
        text(&output)
    );
    let below = file.join("data");
    let output = keyfob(&[("HOME", dir.path()), ("KEYFOB_DATA_DIR", &below)], &["list"]);
    assert!(text(&output).contains("KEYFOB_DATA_DIR"), "{}", text(&output));
}

#[test]
fn a_directory_that_was_named_is_not_changed_and_has_to_be_the_vaults_own() {
    let dir = directory();
    let list = |data: &Path| keyfob(&[("HOME", dir.path())], &["--data-dir", data.to_str().unwrap(), "list"]);
    let open = dir.path().join("open");
    for mode in [0o755, 0o1777, 0o750] {
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let output = list(&open);
        assert!(output.status.code() == Some(69) && text(&output).contains("others can enter"), "{}", text(&output));
        assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o7777, mode, "it is as it was");
        assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
        fs::remove_dir(&open).unwrap();
    }
    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::set_permissions(&full, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(full.join("thesis.txt"), "").unwrap();
    let output = list(&full);
    assert!(output.status.code() == Some(69) && text(&output).contains("holds no vault"), "{}", text(&output));
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    let output = keyfob(&[("HOME", dir.path())], &["--data-dir", "", "clear", "--all", "--yes"]);
    assert!(
        output.status.code() == Some(2) && text(&output).contains("--data-dir is given and empty"),
        "{}",
        text(&output)
    );
    // What is in the socket's place stays alone there.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let output = keyfob(&[("HOME", dir.path())], &["--socket", file.to_str().unwrap(), "list"]);
    assert!(text(&output).contains("is not a socket"), "{}", text(&output));
    assert!(!dir.path().join("file.lock").exists());
}

#[test]
fn a_home_is_one_vault_though_the_socket_is_anothers() {
    let at = Home::new();
    let (home, run, other) = (at.path("home"), at.path("run"), at.path("tmp"));
    assert!(keyfob(&at.login(&home, &run), &["key", "new"]).status.success());
    let output = keyfob(&[("HOME", &other), ("XDG_RUNTIME_DIR", &run)], &["key", "prune", "--min-age", "0", "--yes"]);
    assert_eq!(output.status.code(), Some(69));
    let said = text(&output);
    assert!(said.contains(home.to_str().unwrap()) && said.contains(other.to_str().unwrap()), "{said}");
    let list = keyfob(&at.login(&home, &run), &["key", "list", "--json"]);
    assert!(text(&list).contains("publicKey"), "nothing was done");
}

#[test]
fn a_home_that_is_not_there_is_not_made() {
    let dir = directory();
    let missing = dir.path().join("missing");
    for home in [missing.as_path(), Path::new("relative"), Path::new("/dev/null")] {
        let output = keyfob(&[("HOME", home)], &["list"]);
        assert_eq!(output.status.code(), Some(69), "{}", home.display());
        assert!(text(&output).contains("set HOME") && text(&output).contains("KEYFOB_DATA_DIR"), "{}", text(&output));
    }
    assert!(!missing.exists());
}

#[test]
fn nothing_is_made_in_a_home_of_somebody_else() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skipped("only root is somebody else for a while");
    }
    let at = Home::new();
    let (home, run) = (at.path("home"), at.path("run"));
    for dir in [&home, &run] {
        chown(dir, Some(1000), Some(1000)).unwrap();
    }
    // What `sudo -E` does, also where an earlier one has left its traces.
    fs::create_dir_all(at.path("home/.local/share")).unwrap();
    let output = keyfob(&at.login(&home, &run), &["list"]);
    assert!(text(&output).contains("belongs to user 1000"), "{}", text(&output));
    fs::remove_dir_all(at.path("home/.local")).unwrap();
    let output = keyfob(&at.login(&home, &run), &["list"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output).contains("belongs to user 1000, and you are user 0 (root)"), "{}", text(&output));
    for dir in [&home, &run] {
        assert_eq!(fs::read_dir(dir).unwrap().count(), 0, "nothing was made");
    }
}

#[test]
fn a_server_of_another_user_gets_nothing_unless_it_is_trusted() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skipped("only root is somebody else for a while");
    }
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = dir.path().join("keyfobd");
    assert!(Command::new("cp").arg(programs().join("keyfobd")).arg(&program).status().unwrap().success());
    let mut command = Command::new(program);
    command.args(["--detached", "--socket"]).arg(dir.path().join("keyfob.sock"));
    command.arg("--data-dir").arg(dir.path().join("data")).uid(NOBODY).gid(NOBODY);
    let _daemon = DaemonProcess::spawn(command, dir.path()).unwrap();
    let socket = dir.path().join("keyfob.sock");
    let list = |more: &[&str]| {
        keyfob(&[("HOME", dir.path())], &[&["--socket", socket.to_str().unwrap(), "list"], more].concat())
    };
    let output = list(&[]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output).contains("user 65534, and you are user 0, so nothing was sent"), "{}", text(&output));
    assert!(list(&["--server-uid", "65534"]).status.success());
    assert_eq!(list(&["--server-uid", "1000"]).status.code(), Some(69));
    assert_eq!(list(&["--server-uid", "somebody"]).status.code(), Some(2));
}

#[test]
fn a_daemon_whose_lock_was_removed_keeps_its_vault() {
    let dir = directory();
    let first = DaemonProcess::start(dir.path());
    fs::remove_file(dir.path().join("data/lock")).unwrap();
    let mut command = Command::new(programs().join("keyfobd"));
    command
        .arg("--detached")
        .arg("--socket")
        .arg(dir.path().join("other"))
        .arg("--data-dir")
        .arg(dir.path().join("data"));
    let (line, status) = DaemonProcess::spawn(command, dir.path()).err().unwrap();
    assert_eq!(status.code(), Some(75));
    assert!(line.contains("another keyfobd has the database") && line.contains("was that removed?"), "{line}");
    first.connect().call("createApiKeyPair", serde_json::json!({}));
}
