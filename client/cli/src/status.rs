use std::path::Path;

use clap::Args;
use keyfob_proto::{Counts, DaemonStatus, GrantTerms, Health, LockStatus, MemoryStatus, StorageStatus};

use super::escape::printable;
use super::grants::{ends, gives};
use super::output::{name, name_of_starter, wrapping_key};
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
            Some(Health::StorageFailed) => Err(Failure::Unwell),
            _ => Ok(()),
        }
    }
}

fn text(status: &DaemonStatus) -> String {
    let DaemonStatus { daemon_version, protocol_version, counts, limits, .. } = status;
    let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let path = |path: &Path| printable(&path.display().to_string());
    let changes = counts.mutations.zip(counts.flushes);
    let lines = [
        ("daemon", Some(format!("keyfobd {daemon_version}, protocol {protocol_version}{pid}"))),
        ("grant", status.grant.as_ref().map(grant)),
        ("running for", status.uptime_seconds.map(span)),
        ("started by", status.started_by.map(|starter| name_of_starter(starter).to_owned())),
        ("health", status.health.map(|health| health_text(health).to_owned())),
        ("storage", status.storage.as_ref().map(storage)),
        ("lock", Some(lock(&status.lock))),
        ("memory", status.memory.map(memory)),
        ("active", Some(status.active_session_key.as_ref().map_or_else(|| "none".to_owned(), name))),
        ("sessions", Some(counts.sessions.to_string())),
        ("key pairs", Some(key_pairs(counts))),
        ("connections", counts.connections.map(|open| format!("{open} of at most {}", limits.connections))),
        ("changes", changes.map(|(all, flushes)| format!("{all} since the start, made durable by {flushes} flushes"))),
        ("socket", status.paths.as_ref().map(|paths| path(&paths.socket))),
        ("data", status.paths.as_ref().map(|paths| path(&paths.data_dir))),
    ];
    let lines = lines.into_iter().filter_map(|(field, value)| Some(format!("{field:13} {}", value?)));
    lines.collect::<Vec<_>>().join("\n")
}

fn health_text(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::StorageFull => "the disk is full: nothing is stored until there is room, and clearing goes on",
        Health::StorageFailed => {
            "the disk failed: nothing is stored until the daemon is restarted, and clearing goes on"
        }
        _ => "unknown to this release of keyfob",
    }
}

fn grant(terms: &GrantTerms) -> String {
    format!("{}, which is all of the vault that is here: {}, ends {}", terms.name, gives(terms), ends(terms))
}

fn key_pairs(counts: &Counts) -> String {
    let Counts { key_pairs_in_use, key_pairs_unused, key_pairs_kept, .. } = counts;
    format!("{key_pairs_in_use} in use, {key_pairs_unused} unused, {key_pairs_kept} kept")
}

fn storage(storage: &StorageStatus) -> String {
    let StorageStatus { file_system, overwrites_in_place, free_bytes, fault, .. } = storage;
    let gone = match overwrites_in_place {
        Some(true) => "what is cleared is overwritten in place",
        Some(false) => "what is cleared stays in old blocks until they are used again",
        None => "whether what is cleared is overwritten in place is not known",
    };
    let free = free_bytes.map(|bytes| format!(", {} MiB free", bytes / (1024 * 1024))).unwrap_or_default();
    let fault = fault.as_ref().map(|fault| format!("; {fault}")).unwrap_or_default();
    format!("{file_system}{free}; {gone}{fault}")
}

fn lock(lock: &LockStatus) -> String {
    let source = lock.key_source.map(|source| format!(", {}", wrapping_key(source))).unwrap_or_default();
    let state = if lock.locked { "locked" } else { "unlocked" };
    let after = lock.lock_after_seconds.map(|seconds| format!(", locks itself after {}", span(seconds)));
    let told = if lock.lock_after_overridden { " (as the daemon was told when it was started)" } else { "" };
    format!("{state}{source}{}{told}", after.unwrap_or_default())
}

fn memory(memory: MemoryStatus) -> String {
    let others = if memory.dumpable { "other programs of yours can read it" } else { "closed to other programs" };
    let swap = if memory.swappable { "may be swapped out" } else { "is never swapped out" };
    format!("{others}, {swap}")
}
