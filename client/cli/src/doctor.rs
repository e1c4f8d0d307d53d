//! `keyfob doctor`: looks at everything that a vault needs, and says what to do about what is not well.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use clap::Args;
use keyfob::{Access, Client};
use keyfob_proto::{DaemonStatus, Health, Place, StartedBy, Startup, StorageStatus};
use serde::Serialize;
use serde_json::json;

use super::escape::printable;
use super::grants::{ends, gives};
use super::output::{GOOD, HEADING, count, name_of_starter, wrapping_key};
use super::time::{local, now, span};
use super::{Failure, Session, log};

/// Look at everything that the vault needs, and say what to do about what is not well
///
/// Starts no daemon, unless systemd does when it is asked. Exit code 1 says that something has to be looked at.
///
/// Example: keyfob doctor
#[derive(Debug, Args)]
pub(super) struct Doctor {}

/// What was looked at, and how it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    about: &'static str,
    ok: bool,
    text: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { about, ok: true, text: text.into() });
    }

    fn bad(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { about, ok: false, text: text.into() });
    }
}

impl Doctor {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let access = session.access()?;
        let mut findings = Findings::default();
        place(&access.place, &mut findings);
        let data_dir = access.place.data_dir().ok();
        if let Some(dir) = &data_dir {
            private(dir, &mut findings);
        }
        let status = Client::connect_blocking(&access).and_then(|client| client.status().wait());
        let is_systemds = status.as_ref().is_ok_and(|status| status.started_by == Some(StartedBy::Systemd));
        match status {
            Ok(status) => daemon(&status, &mut findings),
            Err(error) if error.is_absent() => could_start(&access, &mut findings),
            Err(error) => findings.bad("daemon", error.to_string()),
        }
        clock(data_dir.as_deref(), &mut findings);
        match &data_dir {
            Some(_) if is_systemds => findings.good("log", "systemd's journal has it (`keyfob log`)"),
            Some(dir) => last_lines(dir, &mut findings),
            None => {}
        }
        report(&findings, session)
    }
}

fn report(findings: &Findings, session: &mut Session<'_, '_>) -> Result<(), Failure> {
    let output = &mut session.output;
    let lines = findings.0.iter().map(|finding| {
        let (mark, style) = if finding.ok { ("ok", GOOD) } else { ("!!", HEADING) };
        format!("{} {:11} {}", output.styled(style, mark), finding.about, printable(&finding.text))
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    output.print(&json!({ "findings": findings.0 }), text)?;
    match findings.0.iter().filter(|finding| !finding.ok).count() as u64 {
        0 => Ok(()),
        wrong => Err(Failure::Diagnosed(count(wrong, "thing"))),
    }
}

/// Whether the next command can start the daemon, by the word of the daemon itself.
fn could_start(access: &Access, findings: &mut Findings) {
    let mut check = Command::new(&access.daemon);
    check.arg("--check");
    for (option, path) in [("--socket", access.place.named_socket()), ("--data-dir", access.place.named_data_dir())] {
        if let Some(path) = path {
            check.arg(option).arg(path);
        }
    }
    match check.output() {
        Ok(output) if output.status.success() => {
            findings.good("daemon", "none is running; the next command starts one");
        }
        Ok(output) => match serde_json::from_slice(&output.stdout) {
            Ok(Startup::Failed { message }) => {
                findings.bad("daemon", format!("none is running, and none starts: {message}"));
            }
            _ => findings.bad("daemon", "none is running, and `keyfobd` does not say whether it would start"),
        },
        Err(error) => findings.bad("daemon", format!("cannot run {}: {error}", access.daemon.display())),
    }
}

/// Which socket and which data directory, and why these.
fn place(place: &Place, findings: &mut Findings) {
    let from = |variable: &str| {
        let is_set = env::var_os(variable).is_some_and(|value| !value.is_empty());
        if is_set { format!("{variable} says so") } else { "the command says so".to_owned() }
    };
    match place.endpoint() {
        Ok(endpoint) => {
            let path = endpoint.path();
            let why = match (place.named_socket(), place.named_data_dir()) {
                (Some(_), _) => from("KEYFOB_SOCKET"),
                (None, Some(_)) => "it is the one of the data directory that was named".to_owned(),
                (None, None) => by_default(path, env::var_os("XDG_RUNTIME_DIR")).to_owned(),
            };
            findings.good("socket", format!("{}: {why}", path.display()));
        }
        Err(error) => findings.bad("socket", error.to_string()),
    }
    match place.data_dir() {
        Ok(dir) => {
            let why = if place.named_data_dir().is_some() { from("KEYFOB_DATA_DIR") } else { "by default".to_owned() };
            findings.good("data", format!("{}: {why}", dir.display()));
        }
        Err(error) => findings.bad("data", error.to_string()),
    }
}

/// Why a socket that nobody named is where it is. An empty variable is an absent one.
fn by_default(path: &Path, runtime_dir: Option<OsString>) -> &'static str {
    if runtime_dir.is_some_and(|dir| !dir.is_empty() && path.starts_with(dir)) {
        "it is in XDG_RUNTIME_DIR"
    } else if path.starts_with("/run/user") {
        "it is in your runtime directory"
    } else {
        "there is no runtime directory of yours (XDG_RUNTIME_DIR), so it is with the temporary files"
    }
}

/// Whether the data directory is the user's own and nobody else's.
fn private(dir: &Path, findings: &mut Findings) {
    let own = rustix::process::getuid().as_raw();
    match fs::metadata(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.good("permissions", "there is no vault yet; the first command makes it");
        }
        Err(error) => findings.bad("permissions", format!("cannot look at {}: {error}", dir.display())),
        Ok(metadata) if !metadata.is_dir() => {
            findings.bad("permissions", format!("{} is not a directory: name another", dir.display()));
        }
        Ok(metadata) if metadata.uid() != own => {
            let owner = metadata.uid();
            findings.bad("permissions", format!("the data directory is user {owner}'s, and you are user {own}"));
        }
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            findings.bad("permissions", format!("others can enter the data directory: chmod 700 {}", dir.display()));
        }
        Ok(_) => findings.good("permissions", "the data directory is yours alone"),
    }
}

/// What the daemon says of itself and of the vault.
fn daemon(status: &DaemonStatus, findings: &mut Findings) {
    let DaemonStatus { daemon_version, .. } = status;
    let own = env!("CARGO_PKG_VERSION");
    let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    if daemon_version == own {
        let uptime = status.uptime_seconds.map(|seconds| format!(", for {}", span(seconds))).unwrap_or_default();
        let by = status.started_by.map(|starter| format!(", started by {}", name_of_starter(starter)));
        findings.good("daemon", format!("keyfobd {daemon_version}{pid}{uptime}{}", by.unwrap_or_default()));
    } else {
        let text = format!(
            "keyfobd {daemon_version}{pid}, and this command is {own}: `keyfob restart` replaces it by the one that is installed"
        );
        findings.bad("daemon", text);
    }
    if let Some(terms) = &status.grant {
        findings.good("grant", format!("{}: {}, ends {}", terms.name, gives(terms), ends(terms)));
    }
    if let Some(paths) = &status.paths {
        findings.good("serves", format!("{} on {}", paths.data_dir.display(), paths.socket.display()));
    }
    let lock = if status.lock.locked { "locked; `keyfob unlock`" } else { "unlocked" };
    let source = status.lock.key_source.map(|source| format!("; {}", wrapping_key(source))).unwrap_or_default();
    findings.good("lock", format!("{lock}{source}"));
    if let Some(storage) = &status.storage {
        disk(storage, status.health, findings);
    }
    match status.memory {
        Some(memory) if memory.dumpable => {
            findings.bad("memory", "other programs of yours can read the daemon's memory");
        }
        Some(memory) if memory.swappable => {
            findings.good("memory", "closed to other programs; it may be swapped out, so encrypt the swap space");
        }
        Some(_) => findings.good("memory", "closed to other programs, and never swapped out"),
        None => {}
    }
    let most = status.limits.connections;
    let open = status.counts.connections.map(|open| format!("{open} of ")).unwrap_or_default();
    let text = format!("{open}at most {most} connections");
    if most < 64 {
        findings.bad("limits", format!("{text}: raise the limit of open files (`ulimit -n`) and restart the daemon"));
    } else {
        findings.good("limits", text);
    }
}

/// What the vault is kept on.
fn disk(storage: &StorageStatus, health: Option<Health>, findings: &mut Findings) {
    match (&storage.fault, health) {
        (None, Some(Health::Ok)) => {
            let free = storage.free_bytes.map(|bytes| format!(", {} MiB free", bytes >> 20)).unwrap_or_default();
            findings.good("disk", format!("{}{free}", storage.file_system));
        }
        (fault, _) => {
            let fault = fault.clone().unwrap_or_else(|| "the storage is not well".to_owned());
            findings.bad("disk", format!("{fault}: make room, or mend the disk and `keyfob stop`"));
        }
    }
    if storage.overwrites_in_place == Some(false) {
        findings.bad("erasing", "on this file system what is cleared stays in old blocks for a while: see SECURITY.md");
    }
}

/// Whether the clock is ahead of, or behind, what was written by it.
fn clock(data_dir: Option<&Path>, findings: &mut Findings) {
    const LEAST: i64 = 60;
    let written = data_dir.and_then(|dir| fs::metadata(dir.join("store/keys")).ok()).map(|metadata| metadata.mtime());
    let now = now();
    let ahead = written.map_or(0, |written| written.saturating_sub(now.cast_signed()));
    if ahead > LEAST {
        let by = span(ahead.unsigned_abs());
        findings.bad(
            "clock",
            format!("it is {}, and the vault was written {by} later than that: set the clock", local(now)),
        );
    } else {
        findings.good("clock", local(now));
    }
}

/// What the log's last lines say that matters.
fn last_lines(dir: &Path, findings: &mut Findings) {
    const LOOKED_AT: usize = 200;
    const SHOWN: usize = 3;
    let Ok(file) = File::open(dir.join(log::FILE)) else {
        return findings.good("log", "there is none yet");
    };
    let lines = log::last(&mut BufReader::new(file), LOOKED_AT).unwrap_or_default();
    let matters = |line: &&String| line.contains(" ERROR ") || line.contains("\"ERROR\"");
    let found: Vec<_> = lines.iter().filter(matters).rev().take(SHOWN).collect();
    if found.is_empty() {
        findings.good("log", "no error in its last lines (`keyfob log`)");
    }
    for line in found.into_iter().rev() {
        findings.bad("log", line.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_not_said_to_be_in_a_directory_that_an_empty_variable_names() {
        let temporary = Path::new("/tmp/keyfob-1/keyfob.sock");
        assert!(by_default(temporary, Some(OsString::new())).contains("temporary"));
        assert!(by_default(temporary, None).contains("temporary"));
        let own = Path::new("/run/user/1/keyfob/keyfob.sock");
        assert_eq!(by_default(own, Some("/run/user/1".into())), "it is in XDG_RUNTIME_DIR");
        assert_eq!(by_default(own, Some(OsString::new())), "it is in your runtime directory");
    }
}
