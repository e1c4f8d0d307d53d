//! What the process asks of the system for itself: nothing that it inherited but what it needs, nothing of its memory in
//! a core dump, no file that others can read, no terminal.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use keyfob_proto::{MemoryStatus, StartedBy};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid, umask};
use sd_notify::NotifyState;

use crate::error::Error;
use crate::limits::LEAST_FILES;

/// What launchd calls the daemon.
const LAUNCHD_LABEL: &str = "dev.keyfob.keyfobd";

/// The flag of a daemon that takes another's place.
const SUCCESSOR: &str = "--successor";

/// The first file descriptor that systemd passes a socket on as.
const FIRST_PASSED: i32 = 3;

/// Whether a socket was passed on to this process, as systemd does.
#[must_use]
pub(crate) fn was_passed_a_socket() -> bool {
    std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string())
}

/// The program of this process, as the system found it when the process began, if there is one at its path now.
///
/// # Errors
///
/// When the system does not tell, or there is none.
pub(crate) fn program() -> io::Result<PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| std::env::current_exe().ok());
    let program = program.clone().ok_or_else(|| io::Error::other("the system does not tell where keyfobd is"))?;
    match rustix::fs::access(&program, rustix::fs::Access::EXEC_OK) {
        Ok(()) => Ok(program),
        Err(error) => Err(io::Error::other(format!("there is no {} any more ({error})", program.display()))),
    }
}

/// Who started this process. Call it before the environment is changed.
#[must_use]
pub(crate) fn started_by(is_detached: bool) -> StartedBy {
    let is_this = |variable| std::env::var(variable).is_ok_and(|pid| pid == std::process::id().to_string());
    if was_passed_a_socket() || is_this("SYSTEMD_EXEC_PID") {
        StartedBy::Systemd
    } else if std::env::var("XPC_SERVICE_NAME").is_ok_and(|name| name == LAUNCHD_LABEL) {
        StartedBy::Launchd
    } else if is_detached {
        StartedBy::Client
    } else {
        StartedBy::Command
    }
}

/// Tells systemd how it is, where it started the daemon and asks for that.
pub(crate) fn tell_service_manager(states: &[NotifyState<'_>]) {
    // It may have ended; there is nobody else to tell.
    let _ = sd_notify::notify(states);
}

/// Becomes the program that is installed now, with the arguments of this process and a socket that it takes over. Returns
/// only when that fails.
#[must_use]
pub(crate) fn become_successor(socket: UnixListener, directory: Option<&Path>) -> Error {
    let run = |program: PathBuf| {
        let args = std::env::args_os().skip(1).filter(|arg| arg != SUCCESSOR);
        let mut successor = Command::new(&program);
        successor.args(args).arg(SUCCESSOR).stdin(OwnedFd::from(socket));
        if let Some(directory) = directory {
            // Paths among the arguments may be relative to it.
            successor.current_dir(directory);
        }
        successor.exec()
    };
    let source = program().map_or_else(|error| error, run);
    Error::Io { action: "run", path: "the keyfobd that is installed".into(), source }
}

/// Lets go of what whoever started the process had open and left to it, such as a lock that a job holds, and of the
/// signals that they did not want. Call it first, while nothing else is open.
pub(crate) fn leave_inherited() {
    let passed: i32 = match std::env::var("LISTEN_FDS") {
        Ok(count) if was_passed_a_socket() => count.parse().unwrap_or(0),
        _ => 0,
    };
    let first = FIRST_PASSED.saturating_add(passed);
    let names = fs::read_dir("/dev/fd").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let numbers: Vec<i32> = names.filter_map(|name| name.to_str()?.parse().ok()).filter(|fd| *fd >= first).collect();
    for number in numbers {
        // One of them was the directory that was read.
        let _ = nix::unistd::close(number);
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Raises the limits that would end the daemon in the middle of its work, as far as the system lets it.
///
/// # Errors
///
/// When there are too few open files for it to work at all.
pub(crate) fn raise_limits() -> Result<(), Error> {
    for resource in [Resource::Fsize, Resource::Cpu, Resource::Data, Resource::As, Resource::Nofile] {
        let limit = getrlimit(resource);
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, ..limit });
    }
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < LEAST_FILES => Err(Error::TooFewFiles { limit, needed: LEAST_FILES }),
        _ => Ok(()),
    }
}

/// The name of the machine.
#[must_use]
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Keeps secrets in: no core dumps, no look into the memory by other processes of the user where the
/// system has that (Linux), and files that only the user can read.
pub(crate) fn harden() {
    umask(Mode::from_raw_mode(0o077));
    // Should the system refuse, the daemon is as safe as any other process of the user.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// What the system lets the process keep to itself.
#[must_use]
pub(crate) fn memory_status() -> MemoryStatus {
    #[cfg(target_os = "linux")]
    let dumpable = !matches!(rustix::process::dumpable_behavior(), Ok(rustix::process::DumpableBehavior::NotDumpable));
    #[cfg(not(target_os = "linux"))]
    let dumpable = true;
    MemoryStatus { dumpable, swappable: is_swappable() }
}

/// Whether some of the process's memory may be written to swap space: there is some, and its cgroup may use it.
/// A system that does not say may.
fn is_swappable() -> bool {
    let read = |path: &str| fs::read_to_string(path).ok();
    let Some(swaps) = read("/proc/swaps") else { return true };
    if swaps.lines().count() <= 1 {
        return false;
    }
    let group = read("/proc/self/cgroup").and_then(|text| {
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        read(&format!("/sys/fs/cgroup{path}/memory.swap.max"))
    });
    group.is_none_or(|most| most.trim() != "0")
}

/// Leaves the session of the terminal, so that a Ctrl-C in it does not end the daemon, and the directory
/// that the daemon was started in, so that it can be unmounted.
pub(crate) fn leave_terminal() {
    // A shell's own job cannot leave its session; then the shell has kept the terminal's keys from it.
    let _ = setsid();
    let _ = std::env::set_current_dir("/");
}

/// Lets go of standard input, output and error: whoever reads them until their end has read all there is.
///
/// # Errors
///
/// When the system has no `/dev/null`.
pub(crate) fn leave_output() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
