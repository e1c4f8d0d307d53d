//! The rows of the table, in groups that can be asked for by name.

use std::time::Duration;

use keyfob_tests::{login, programs};
use serde_json::json;

use crate::baseline::{Echo, appends, runs, signatures};
use crate::drive::Measured;
use crate::greedy;
use crate::neighbours;
use crate::peers::{Redis, Sqlite, SshAgent};
use crate::picture::{Plot, Program};
use crate::report::Aim::{AtLeast, AtMost};
use crate::report::Report;
use crate::vault::{Vault, request};

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// How often a row and its baseline are measured, in turns; the median of the ratios counts.
    pub(crate) rounds: usize,
    /// How long a load lasts.
    pub(crate) time: Duration,
    /// What counts of sessions are divided by.
    pub(crate) divisor: usize,
    /// How long the daemon's memory is left to settle: unused pages decay within 10 s.
    decay: Duration,
}

impl Effort {
    /// What `cargo run` does without flags.
    pub(crate) const FULL: Self =
        Self { rounds: 5, time: Duration::from_millis(700), divisor: 1, decay: Duration::from_secs(15) };
    /// Enough to see that every row works.
    pub(crate) const QUICK: Self =
        Self { rounds: 1, time: Duration::from_millis(100), divisor: 20, decay: Duration::ZERO };

    /// How many sessions a row takes that measures `count` of them: ten are never made fewer.
    pub(crate) fn sessions(self, count: usize) -> usize {
        (count / self.divisor).max(count.min(10))
    }

    /// Measures something and its baseline in turns. Answers the median of the ratios, and the measure
    /// that it belongs to.
    fn compare(self, mut round: impl FnMut() -> (f64, Measured)) -> (f64, Measured) {
        median((0..self.rounds).map(|_| round()).collect())
    }
}

/// A group of rows.
pub(crate) type Group = (&'static str, fn(Effort, &mut Report));

/// All groups, in the order of the table.
pub(crate) const GROUPS: [Group; 10] = [
    ("read", reads),
    ("stamp", stamps),
    ("store", stores),
    ("clear", clears),
    ("clear-all", clear_alls),
    ("start", starts),
    ("churn", churn),
    ("call", calls),
    ("neighbours", neighbours::rows),
    ("greedy", greedy::rows),
];

fn reads(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    vault.fill((0..10).map(|number| format!("session-{number}")));
    let one = request("getSession", &json!({ "sessionKey": "session-5" }));
    let list = request("getAllSessions", &json!({}));
    let rows: [(&str, &Vec<u8>, usize, usize, _); 6] = [
        ("read a session, 1 connection", &one, 1, 1, None),
        ("read a session, 8 connections", &one, 8, 1, Some(AtLeast(0.7))),
        ("read a session, 64 connections", &one, 64, 1, None),
        ("read a session, 8 connections × 32 pipelined", &one, 8, 32, None),
        ("list 10 sessions, 1 connection", &list, 1, 1, None),
        ("list 10 sessions, 8 connections", &list, 8, 1, None),
    ];
    for (name, request, connections, depth, aim) in rows {
        let echo = Echo::start(vault.answer_bytes(request));
        let (ratio, measured) = effort.compare(|| {
            let echoed = echo.repeat(connections, depth, request, effort.time);
            let read = vault.repeat(connections, depth, request, effort.time);
            (read.rate / echoed.rate, read)
        });
        report.load(name, &measured, Some(vault.usage().rss()), (ratio, "× raw echo"), aim);
    }
}

fn stamps(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    vault.fill(["signer".to_owned()]);
    let stamp = request("stamp", &json!({ "signer": { "sessionKey": "signer" }, "payload": login::base64([7; 256]) }));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let agent = SshAgent::start(vault.directory());
    if let Some(agent) = &agent {
        agent.add(1);
    }
    for (keys, name) in [(1, ""), (9000, ", 9,000 keys")] {
        vault.create_keys(effort.sessions(keys));
        for connections in [1, 8, 64] {
            let name = format!("stamp, {}{name}", plural(connections));
            let (ratio, measured) = effort.compare(|| {
                let signed = signatures(connections.min(cores), effort.time);
                let stamped = vault.repeat(connections, 1, &stamp, effort.time);
                (stamped.rate / signed, stamped)
            });
            let has_aim = connections < 64;
            let aim = has_aim.then_some(AtLeast(0.9));
            report.load(&*name, &measured, Some(vault.usage().rss()), (ratio, "× p256 in process"), aim);
            if keys == 1 {
                report.point(Plot::Stamps, Program::Keyfob, connections, measured.rate);
            }
            if let Some(agent) = &agent {
                let signed = effort.compare(|| (0.0, agent.signs(connections, effort.time))).1;
                let aim = has_aim.then_some(AtLeast(4.0));
                let ratio = measured.rate / signed.rate;
                report.load("  ssh-agent", &signed, None, (ratio, "keyfob × ssh-agent"), aim);
                if keys == 1 {
                    report.point(Plot::Stamps, Program::SshAgent, connections, signed.rate);
                }
            }
        }
    }
    match agent {
        Some(agent) => ssh_agent_rows(effort, &agent, report),
        None => report.note("ssh-agent is not installed: not compared with"),
    }
}

/// What ssh-agent does besides signing, none of it durable.
fn ssh_agent_rows(effort: Effort, agent: &SshAgent, report: &mut Report) {
    agent.add(1000);
    let mut row = |name, measured: &Measured| {
        report.load(name, measured, None, (measured.quantile(0.5).as_secs_f64() * 1e6, "µs, not durable"), None);
    };
    row("  ssh-agent: list 1,000 keys", &agent.lists(1, effort.time));
    row("  ssh-agent: remove a key of 1,000", &agent.removes(100));
    row("  ssh-agent: remove all of 900", &agent.remove_all());
}

fn stores(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    for connections in [1, 8, 64] {
        let (ratio, measured) = effort.compare(|| {
            let appended = appends(vault.directory(), effort.time);
            let stored = vault.stores(connections, effort.time);
            (stored.rate / appended.rate, stored)
        });
        let name = format!("durable store, {}", plural(connections));
        report.load(name, &measured, Some(vault.usage().rss()), (ratio, "× rate of fdatasync"), None);
    }
    for (connections, count, aim) in [(1, 1000, None), (8, 400, Some(2.5)), (64, 150, Some(8.0))] {
        let mut p50s = Vec::new();
        let (ratio, measured) = effort.compare(|| {
            let appended = appends(vault.directory(), effort.time);
            let stored = vault.new_stores(connections, effort.sessions(count));
            p50s.push(stored.quantile(0.5).as_secs_f64() / appended.quantile(0.5).as_secs_f64());
            (stored.rate / appended.rate, stored)
        });
        let name = format!("durable store of a new session, {}", plural(connections));
        let value = match aim {
            Some(aim) => (ratio, "× rate of fdatasync", AtLeast(aim)),
            None => (middle(p50s), "× p50 of fdatasync", AtMost(2.0)),
        };
        report.load(name, &measured, Some(vault.usage().rss()), (value.0, value.1), Some(value.2));
    }
}

fn clears(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    let (redis, sqlite) = (Redis::start(vault.directory()), Sqlite::start(vault.directory()));
    for (connections, count) in [(1, 2000), (8, 800), (64, 400)] {
        let count = effort.sessions(count);
        let mut p50s = Vec::new();
        let (ratio, measured) = effort.compare(|| {
            let appended = appends(vault.directory(), effort.time);
            let cleared = vault.clears(connections, count);
            p50s.push(cleared.quantile(0.5).as_secs_f64() / appended.quantile(0.5).as_secs_f64());
            (cleared.rate / appended.rate, cleared)
        });
        let name = format!("durable clear, {}", plural(connections));
        let rss = Some(vault.usage().rss());
        if connections == 1 {
            report.load(name, &measured, rss, (middle(p50s), "× p50 of fdatasync"), Some(AtMost(1.0)));
        } else {
            let aim = if connections == 8 { 4.5 } else { 8.0 };
            report.load(name, &measured, rss, (ratio, "× rate of fdatasync"), Some(AtLeast(aim)));
        }
        report.point(Plot::Clears, Program::Keyfob, connections, measured.rate);
        if let Some(redis) = &redis {
            let deleted = effort.compare(|| (0.0, redis.deletes(connections, count))).1;
            let aim = Some(AtLeast([1.1, 1.0, 0.9][usize::from(connections > 1) + usize::from(connections > 8)]));
            report.load("  redis always: DEL", &deleted, None, (measured.rate / deleted.rate, "keyfob × redis"), aim);
            report.point(Plot::Clears, Program::Redis, connections, deleted.rate);
        }
        if let Some(sqlite) = &sqlite {
            // One writer at a time, so fewer will do.
            let deleted = sqlite.deletes(connections, (count / connections).max(10));
            let aim = (connections == 1).then_some(AtLeast(1.1));
            report.load(
                "  SQLite WAL FULL: DELETE",
                &deleted,
                None,
                (measured.rate / deleted.rate, "keyfob × SQLite"),
                aim,
            );
            report.point(Plot::Clears, Program::Sqlite, connections, deleted.rate);
        }
    }
    if redis.is_none() {
        report.note("redis-server is not installed: not compared with");
    }
    if sqlite.is_none() {
        report.note("sqlite3 is not installed: not compared with");
    }
}

fn clear_alls(effort: Effort, report: &mut Report) {
    for (count, aim) in [(10, 0.5), (1000, 0.5), (10_000, 0.5), (100_000, 1.0)] {
        let count = effort.sessions(count);
        let vault = Vault::empty();
        let idle = vault.usage().rss();
        // A large vault takes a while to fill.
        let few = Effort { rounds: effort.rounds.min(3), ..effort };
        let measured = few.compare(|| {
            vault.fill((0..count).map(|number| format!("session-{number}")));
            let cleared = vault.clear_all();
            vault.wait_until_tidy();
            (cleared.quantile(0.5).as_secs_f64() * 1e3, cleared)
        });
        report.value(format!("clear all of {count} sessions"), measured.0, "ms", Some(AtMost(aim)));
        report.point(Plot::ClearAll, Program::Keyfob, count, measured.0);
        let vault = vault.restart().0;
        vault.fill((0..count).map(|number| format!("session-{number}")));
        settle(effort);
        let full = vault.usage().rss();
        report.value(format!("RSS with {count} sessions"), full, "MiB", (count == 10_000).then_some(AtMost(40.0)));
        report.point(Plot::Memory, Program::Keyfob, count, full);
        if count >= 10_000 {
            #[allow(clippy::cast_precision_loss)]
            report.value("RSS of a session", (full - idle) * 1024.0 / count as f64, "KiB", None);
        }
        vault.clear_all();
        vault.wait_until_tidy();
        settle(effort);
        report.value("RSS after the clear-all of them", vault.usage().rss(), "MiB", Some(AtMost(24.0)));
    }
}

/// Waits until the allocator has given back what it need not keep.
#[expect(clippy::disallowed_methods, reason = "nothing tells when memory is given back")]
fn settle(effort: Effort) {
    std::thread::sleep(effort.decay);
}

fn starts(effort: Effort, report: &mut Report) {
    let mut first: Vec<_> = (0..effort.rounds).map(|_| Vault::first_start().as_secs_f64() * 1e3).collect();
    first.sort_by(f64::total_cmp);
    report.value("first start to first answer", first[first.len() / 2], "ms", Some(AtMost(15.0)));
    for (count, aim) in [(0, Some(15.0)), (10, None), (1000, None), (10_000, Some(100.0)), (100_000, Some(300.0))] {
        let count = effort.sessions(count);
        let vault = Vault::empty();
        if aim.is_some() {
            report.value("RSS idle", vault.usage().rss(), "MiB", (count == 0).then_some(AtMost(12.0)));
        }
        vault.fill((0..count).map(|number| format!("session-{number}")));
        let (vault, time) = start_time(effort, vault, Vault::restart);
        report.value(format!("start to first answer, {count} sessions"), time, "ms", aim.map(AtMost));
        if count > 0 {
            report.point(Plot::Start, Program::Keyfob, count, time);
        }
        if let Some(aim) = aim
            && count > 0
        {
            other_starts(effort, vault, (count, aim), report);
        }
    }
}

/// What a start takes after a kill and after a clear-all, and what a vault of so many sessions takes then.
fn other_starts(effort: Effort, vault: Vault, (count, aim): (usize, f64), report: &mut Report) {
    let (vault, time) = start_time(effort, vault, Vault::restart_killed);
    report.value("  … after a kill", time, "ms", Some(AtMost(2.0 * aim)));
    settle(effort);
    let aim = (count == 10_000).then_some(AtMost(32.0));
    report.value("  RSS after a start", vault.usage().rss(), "MiB", aim);
    report.value("  disk", vault.disk(), "MiB", None);
    vault.clear_all();
    let (again, time) = vault.restart();
    let time = time.as_secs_f64() * 1e3;
    report.value("  start right after a clear-all of them", time, "ms", Some(AtMost(500.0)));
    again.wait_until_tidy();
    report.value("  disk after that start", again.disk(), "MiB", Some(AtMost(64.0)));
}

/// Starts a vault again and again. Answers it, and the median of the times in milliseconds.
fn start_time(effort: Effort, mut vault: Vault, restart: fn(Vault) -> (Vault, Duration)) -> (Vault, f64) {
    let mut times = Vec::new();
    for _ in 0..effort.rounds {
        let (again, time) = restart(vault);
        vault = again;
        times.push(time.as_secs_f64() * 1e3);
    }
    (vault, middle(times))
}

fn churn(effort: Effort, report: &mut Report) {
    let count = effort.sessions(100_000);
    let vault = Vault::empty();
    vault.fill((0..10).map(|number| format!("session-{number}")));
    vault.churn(count);
    report.value(format!("disk after {count} cycles of store and clear"), vault.disk(), "MiB", Some(AtMost(16.0)));
}

fn calls(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    let socket = vault.directory().join("keyfob.sock");
    let socket = socket.to_str().expect("a temporary directory has a plain name");
    let times = 200 / effort.divisor.min(20);
    let keyfob = programs().join("keyfob");
    let (ratio, measured) = effort.compare(|| {
        let nothing = runs("/bin/true".as_ref(), &[], times);
        let status = runs(&keyfob, &["--socket", socket, "status"], times);
        (status.quantile(0.5).as_secs_f64() / nothing.quantile(0.5).as_secs_f64(), status)
    });
    report.load("keyfob status, whole process", &measured, None, (ratio, "× /bin/true"), Some(AtMost(3.0)));
}

/// The median.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn plural(connections: usize) -> String {
    format!("{connections} connection{}", if connections == 1 { "" } else { "s" })
}

fn median(mut rounds: Vec<(f64, Measured)>) -> (f64, Measured) {
    rounds.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let middle = rounds.len() / 2;
    rounds.swap_remove(middle)
}
