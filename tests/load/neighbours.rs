//! Bad neighbours: what one client feels while others are silent, stuck, deaf or in a hurry.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyfob_tests::Crowd;
use serde_json::json;

use crate::drive::Measured;
use crate::report::Aim::{AtLeast, AtMost};
use crate::report::Report;
use crate::rows::Effort;
use crate::vault::{Vault, request};

/// Connections that do nothing good.
const CROWD: Crowd = Crowd { silent: 700, half_a_line: 200, long_line: 0, stalled_subscribers: 50, deaf: 50 };

/// How often a second one client connects, says something and dies.
const CONNECTS_PER_SECOND: u32 = 10_000;

pub(crate) fn rows(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    vault.fill((0..10).map(|number| format!("session-{number}")));
    let one = request("getSession", &json!({ "sessionKey": "session-5" }));
    let read = || vault.repeat(1, 1, &one, effort.time);
    let (files, rss) = (open_files(&vault), vault.usage().rss());

    let quiet: Vec<_> = (0..effort.rounds).map(|_| read()).collect();
    let crowd = CROWD.gather(&vault.socket());
    // Events for those who do not read them.
    vault.fill((0..200).map(|number| format!("event-{number}")));
    let crowded: Vec<_> = (0..effort.rounds).map(|_| read()).collect();
    show(report, "read beside 1,000 silent or stuck clients", &quiet, &crowded, &vault);
    let (hurried, connects) = beside_connects(&vault, || (0..effort.rounds).map(|_| read()).collect::<Vec<_>>());
    show(report, "  and beside one that connects and dies", &quiet, &hurried, &vault);
    report.value("  its connects", connects, "a second", Some(AtLeast(f64::from(CONNECTS_PER_SECOND) * 0.5)));
    report.value("  RSS more than before", vault.usage().rss() - rss, "MiB", Some(AtMost(64.0)));

    drop(crowd);
    // Those that never read are found out when they are gone.
    let until = Instant::now() + Duration::from_secs(10);
    while open_files(&vault) > files && Instant::now() < until {
        thread::yield_now();
    }
    #[allow(clippy::cast_precision_loss, reason = "few files")]
    report.value("  files left open", open_files(&vault).saturating_sub(files) as f64, "files", Some(AtMost(0.0)));
}

pub(crate) fn show(report: &mut Report, name: &str, quiet: &[Measured], disturbed: &[Measured], vault: &Vault) {
    let p99 = |rounds: &[Measured]| {
        let mut p99s: Vec<_> = rounds.iter().map(|round| round.quantile(0.99).as_secs_f64()).collect();
        p99s.sort_by(f64::total_cmp);
        p99s[p99s.len() / 2]
    };
    let ratio = p99(disturbed) / p99(quiet);
    let middle = &disturbed[disturbed.len() / 2];
    report.load(name, middle, Some(vault.usage().rss()), (ratio, "× p99 when alone"), Some(AtMost(2.0)));
}

/// Measures while another client connects, sends half a request and dies, again and again.
fn beside_connects<T>(vault: &Vault, measure: impl FnOnce() -> T) -> (T, f64) {
    let (stop, connects) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let hurried = scope.spawn(|| {
            let began = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let due = began
                    + Duration::from_secs(1) / CONNECTS_PER_SECOND
                        * u32::try_from(connects.load(Ordering::Relaxed)).expect("not that many");
                while Instant::now() < due {
                    thread::yield_now();
                }
                // The backlog may be full: that is its own problem.
                if let Ok(mut stream) = UnixStream::connect(vault.socket()) {
                    let _ = stream.write_all(b"{\"jsonrpc\"");
                }
                connects.fetch_add(1, Ordering::Relaxed);
            }
            #[allow(clippy::cast_precision_loss, reason = "not that many")]
            let count = connects.load(Ordering::Relaxed) as f64;
            count / began.elapsed().as_secs_f64()
        });
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        (measured, hurried.join().expect("it connects"))
    })
}

fn open_files(vault: &Vault) -> usize {
    fs::read_dir(format!("/proc/{}/fd", vault.usage().0)).expect("a running process").count()
}
