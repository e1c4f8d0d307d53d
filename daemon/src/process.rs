//! What the process asks of the system for itself: nothing of its memory in a core dump, no file
//! that others can read, no terminal.

use std::fs::OpenOptions;

use keyfob_proto::MemoryStatus;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, setsid, umask};

/// Keeps secrets in: no core dumps, no look into the memory by other processes of the user where the
/// system has that (Linux), and files that only the user can read.
pub fn harden() {
    umask(Mode::from_raw_mode(0o077));
    // Should the system refuse, the daemon is as safe as any other process of the user.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// What the system lets the process keep to itself.
#[must_use]
pub fn memory_status() -> MemoryStatus {
    #[cfg(target_os = "linux")]
    let dumpable = !matches!(rustix::process::dumpable_behavior(), Ok(rustix::process::DumpableBehavior::NotDumpable));
    #[cfg(not(target_os = "linux"))]
    let dumpable = true;
    MemoryStatus { dumpable, swappable: is_swappable() }
}

/// Whether some of the process's memory may be written to swap space: there is some, and its cgroup may use it.
/// A system that does not say may.
fn is_swappable() -> bool {
    let read = |path: &str| std::fs::read_to_string(path).ok();
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
pub fn leave_terminal() {
    // A shell's own job cannot leave its session; then the shell has kept the terminal's keys from it.
    let _ = setsid();
    let _ = std::env::set_current_dir("/");
}

/// Lets go of standard output and error: whoever reads them until their end has read all there is.
pub fn leave_output() {
    // Without `/dev/null` the reader waits until the daemon ends.
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
