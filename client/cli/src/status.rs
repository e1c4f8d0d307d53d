use clap::Args;
use keyfob_proto::{Counts, DaemonStatus, Health, StorageStatus};

use super::escape::printable;
use super::output::{name, wrapping_key};
use super::time::span;
use super::{Failure, Session};

/// Show the state of the daemon; exit code 1 says that the disk has failed
///
/// Example: keyfob status --json
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let status = session.connect()?.status().wait()?;
        session.output.print(&status, text(&status))?;
        match status.health {
            Health::StorageFailed => Err(Failure::Unwell),
            _ => Ok(()),
        }
    }
}

fn text(status: &DaemonStatus) -> String {
    let counts = &status.counts;
    let health = match status.health {
        Health::Ok => "ok".to_owned(),
        Health::StorageFull => {
            "the disk is full: nothing is stored until there is room, and clearing goes on".to_owned()
        }
        Health::StorageFailed => {
            "the disk failed: nothing is stored until the daemon is restarted, and clearing goes on".to_owned()
        }
        _ => "unknown to this release of keyfob".to_owned(),
    };
    let lines = [
        (
            "daemon",
            format!("keyfobd {}, protocol {}, pid {}", status.daemon_version, status.protocol_version, status.pid),
        ),
        ("running for", span(status.uptime_seconds)),
        ("health", health),
        ("storage", storage(status)),
        ("lock", lock(status)),
        ("memory", memory(status)),
        ("active", status.active_session_key.as_ref().map_or_else(|| "none".to_owned(), name)),
        ("sessions", counts.sessions.to_string()),
        ("key pairs", key_pairs(counts)),
        ("connections", format!("{} of at most {}", counts.connections, status.limits.connections)),
        ("changes", format!("{} since the start, made durable by {} flushes", counts.mutations, counts.flushes)),
        ("socket", printable(&status.paths.socket.display().to_string())),
        ("data", printable(&status.paths.data_dir.display().to_string())),
    ];
    lines.map(|(field, value)| format!("{field:13} {value}")).join("\n")
}

fn key_pairs(counts: &Counts) -> String {
    let Counts { key_pairs_in_use, key_pairs_unused, key_pairs_kept, .. } = counts;
    format!("{key_pairs_in_use} in use, {key_pairs_unused} unused, {key_pairs_kept} kept")
}

fn storage(status: &DaemonStatus) -> String {
    let StorageStatus { file_system, overwrites_in_place, free_bytes, fault, .. } = &status.storage;
    let gone = match overwrites_in_place {
        Some(true) => "what is cleared is overwritten in place",
        Some(false) => "what is cleared stays in old blocks until they are used again",
        None => "whether what is cleared is overwritten in place is not known",
    };
    let free = free_bytes.map(|bytes| format!(", {} MiB free", bytes / (1024 * 1024))).unwrap_or_default();
    let fault = fault.as_ref().map(|fault| format!("; {fault}")).unwrap_or_default();
    format!("{file_system}{free}; {gone}{fault}")
}

fn lock(status: &DaemonStatus) -> String {
    let source = wrapping_key(status.lock.key_source);
    let state = if status.lock.locked { "locked" } else { "unlocked" };
    let after = status.lock.lock_after_seconds.map(|seconds| format!(", locks itself after {}", span(seconds)));
    let told = if status.lock.lock_after_overridden { " (as the daemon was told when it was started)" } else { "" };
    format!("{state}, {source}{}{told}", after.unwrap_or_default())
}

fn memory(status: &DaemonStatus) -> String {
    let others =
        if status.memory.dumpable { "other programs of yours can read it" } else { "closed to other programs" };
    let swap = if status.memory.swappable { "may be swapped out" } else { "is never swapped out" };
    format!("{others}, {swap}")
}
