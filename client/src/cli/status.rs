use clap::Args;
use keyfob_proto::{DaemonStatus, Health, KeySource};

use super::output::{name, span};
use super::{Failure, Session};

/// Show the state of the daemon
///
/// Example: keyfob status --json
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let status = session.connect()?.status(keyfob_proto::Status {})?;
        session.output.print(&status, text(&status))
    }
}

fn text(status: &DaemonStatus) -> String {
    let counts = &status.counts;
    let health = match status.health {
        Health::Ok => "ok".to_owned(),
        Health::StorageFailed => "the disk failed: nothing is written until the daemon is restarted".to_owned(),
        Health::Unknown => "unknown to this release of keyfob".to_owned(),
    };
    let lines = [
        (
            "daemon",
            format!("keyfobd {}, protocol {}, pid {}", status.daemon_version, status.protocol_version, status.pid),
        ),
        ("running for", span(status.uptime_seconds)),
        ("health", health),
        ("lock", lock(status)),
        ("memory", memory(status)),
        ("active", status.active_session_key.as_ref().map_or_else(|| "none".to_owned(), name)),
        ("sessions", counts.sessions.to_string()),
        ("key pairs", format!("{} in use, {} unused", counts.key_pairs_in_use, counts.key_pairs_unused)),
        ("connections", format!("{} of at most {}", counts.connections, status.limits.connections)),
        ("changes", format!("{} since the start, made durable by {} flushes", counts.mutations, counts.flushes)),
        ("socket", status.paths.socket.display().to_string()),
        ("data", status.paths.data_dir.display().to_string()),
    ];
    lines.map(|(field, value)| format!("{field:13} {value}")).join("\n")
}

fn lock(status: &DaemonStatus) -> String {
    let source = match status.lock.key_source {
        KeySource::KeyFile => "key from a file in the data directory",
        KeySource::Passphrase => "key from a passphrase",
        KeySource::Keyring => "key from the platform's keyring",
        KeySource::Credential => "key from systemd's credential",
        KeySource::Unknown => "key from a source that this release does not know",
    };
    let state = if status.lock.locked { "locked" } else { "unlocked" };
    let after = status.lock.lock_after_seconds.map(|seconds| format!(", locks itself after {}", span(seconds)));
    format!("{state}, {source}{}", after.unwrap_or_default())
}

fn memory(status: &DaemonStatus) -> String {
    let others =
        if status.memory.dumpable { "other programs of yours can read it" } else { "closed to other programs" };
    let swap = if status.memory.swappable { "may be swapped out" } else { "is never swapped out" };
    format!("{others}, {swap}")
}
