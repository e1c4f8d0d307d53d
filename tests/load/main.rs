//! Drives the real daemon over its socket and measures what calls cost, as ratios to baselines that are
//! measured in the same run.
//!
//! ```text
//! cargo run --release -p keyfob-tests --bin load
//! ```
//!
//! Client, server and baselines share the machine's cores, as they do when apps use a vault.

mod baseline;
mod drive;
mod greedy;
mod neighbours;
mod peers;
mod picture;
mod process;
mod report;
mod rows;
mod vault;

use std::path::PathBuf;
use std::thread;

use clap::Parser;
use keyfob_tests::kill_running;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::baseline::{ECHO, Echo};
use crate::report::Report;
use crate::rows::{Effort, GROUPS};

/// Measure keyfobd under load, as ratios to baselines measured in the same run.
#[derive(Parser)]
struct Flags {
    /// The groups of rows to measure: read, stamp, store, clear, clear-all, start, churn, call,
    /// neighbours, greedy. All of them when none is named.
    groups: Vec<String>,
    /// Do much less: the figures mean little, but every row is tried.
    #[arg(long)]
    quick: bool,
    /// Also write the rows to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the rows that have a picture into this directory, as SVG.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

impl Flags {
    /// What the reader of a picture has to know.
    fn caveat(&self) -> Option<&'static str> {
        if self.quick {
            Some("quick run: figures mean little")
        } else {
            cfg!(debug_assertions).then_some("not a release build: figures mean nothing")
        }
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, word, socket, answer] = &arguments[..]
        && word == ECHO
    {
        Echo::serve(socket.as_ref(), answer.parse().expect("a number of bytes")).expect("it runs until it is killed");
        return;
    }
    let flags = Flags::parse();
    end_with_what_was_started();
    let effort = if flags.quick { Effort::QUICK } else { Effort::FULL };
    let mut report = Report::default();
    if cfg!(debug_assertions) {
        report.note("not a release build: the figures mean nothing");
    }
    Report::begin();
    for (name, measure) in GROUPS {
        if flags.groups.is_empty() || flags.groups.iter().any(|group| group == name) {
            measure(effort, &mut report);
        }
    }
    if let Some(path) = &flags.json {
        std::fs::write(path, format!("{:#}\n", report.json())).expect("the file is written");
    }
    if let Some(directory) = &flags.svg {
        report.points().draw(directory, flags.caveat()).expect("the pictures are written");
    }
}

/// Ends the daemon and the other servers when this program is interrupted.
fn end_with_what_was_started() {
    thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).expect("a signal");
            let mut interrupt = signal(SignalKind::interrupt()).expect("a signal");
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        kill_running();
        #[expect(clippy::disallowed_methods, reason = "the other threads wait for servers that are gone")]
        std::process::exit(130);
    });
}
