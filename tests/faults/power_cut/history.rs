//! [`History`]: what was asked of a vault, and what the system was asked in turn.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use fastrand::Rng;
use keyfob_tests::model::{KeyPair, Step, Terms};
use keyfob_tests::{DaemonProcess, PATIENCE, RawClient};
use serde_json::{Value, json};

use super::{FIRST_ID, LIFETIME, MANY, NAMES, PAIRS, PIPELINED, TOGETHER};
use crate::trace::{CALLS, Trace};

/// What was asked of a vault, in order, and what the system was asked in turn.
pub(super) struct History {
    pub(super) trace: Trace,
    /// The calls; their ids count from [`FIRST_ID`].
    pub(super) steps: Vec<Step>,
    /// Where each run of the daemon began and ended in the trace.
    pub(super) runs: Vec<(usize, usize)>,
}

/// Lets a daemon work, be killed, start again, rewrite its vault, be stopped, start again, and get other keys.
pub(super) fn record(directory: &Path, pairs: &[KeyPair], rng: &mut Rng) -> History {
    let mut history = History { trace: Trace::default(), steps: Vec::new(), runs: Vec::new() };
    let some = |rng: &mut Rng, count: usize| (0..count).map(|_| random_step(rng)).collect::<Vec<_>>();
    let store = |name| Step::Store { name, pair: name % PAIRS, lifetime: LIFETIME, terms: Terms::BARE };

    // Replaced again and again, so that sled uses parts of its file again.
    let replaced = (0..1500).map(|number| store(number % NAMES)).collect();
    // Removed together, again and again.
    let together = (0..25).flat_map(|_| {
        let (creates, stores) =
            ((0..PIPELINED).map(|pair| Step::Create { pair, keep: false }), (0..PIPELINED).map(store));
        creates.chain(stores).chain((0..PIPELINED).map(|name| Step::Clear { name: Some(name), if_pair: None }))
    });
    let together = together.collect();
    history.run(directory, pairs, &[some(rng, 300), replaced, together, some(rng, 200)], true);
    let many = (0..PAIRS).map(|pair| Step::Create { pair, keep: false }).chain((0..MANY).map(store)).collect();
    // After the clear-all the vault is rewritten as soon as the daemon is idle, while it goes on to change. Another
    // clear-all would end the rewriting.
    let meanwhile: Vec<_> = some(rng, 200).into_iter().filter(|step| !matches!(step, Step::ClearAll)).collect();
    let groups = [some(rng, 30), many, vec![Step::ClearAll], meanwhile, some(rng, 200)];
    let exists = |number: u64| directory.join(format!("data/store/records.{number}")).exists();
    history.run_with(directory, pairs, &groups, false, |group, client| {
        let is_cleared = matches!(group, [Step::ClearAll]);
        let begun = Instant::now();
        // First until it has begun, then until it is over.
        while (is_cleared && !exists(2)) || (!is_cleared && exists(2) && exists(1)) {
            client.call("status", json!({}));
            assert!(begun.elapsed() < PATIENCE, "the vault is rewritten");
        }
    });
    history.rekey_between(directory, pairs, &[some(rng, 100), some(rng, 50), some(rng, 50)]);
    history.run(directory, pairs, &[some(rng, 5)], false);
    history
}

impl History {
    /// One run of the daemon: calls, a few sent at once. Ends with `kill -9` or a shutdown.
    fn run(&mut self, directory: &Path, pairs: &[KeyPair], groups: &[Vec<Step>], kill: bool) {
        self.run_with(directory, pairs, groups, kill, |_, _| {});
    }

    /// As [`History::run`], with another root key after each group. Ends with `kill -9`.
    fn rekey_between(&mut self, directory: &Path, pairs: &[KeyPair], groups: &[Vec<Step>]) {
        self.run_with(directory, pairs, groups, true, |_, client| {
            client.call("rekey", json!({ "keySource": "keyFile" }));
        });
    }

    fn run_with(
        &mut self,
        directory: &Path,
        pairs: &[KeyPair],
        groups: &[Vec<Step>],
        kill: bool,
        after_group: impl Fn(&[Step], &mut RawClient),
    ) {
        let began = self.trace.end();
        let text = directory.join("strace");
        let daemon = DaemonProcess::command(directory);
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-s", "4194304", "-e", CALLS, "-o"]).arg(&text);
        command.arg(daemon.get_program()).args(daemon.get_args()).args(["--log", "off"]);
        let mut daemon = DaemonProcess::spawn(command, directory).expect("the daemon starts under strace");
        let mut client = daemon.connect();
        let pid = client.call("status", json!({}))["pid"].to_string();
        for group in groups {
            // Some calls share a flush, most do not.
            for together in group.chunks(if group.len() > MANY { TOGETHER } else { PIPELINED }) {
                self.ask(&mut client, pairs, together);
            }
            after_group(group, &mut client);
        }
        if kill {
            let killed = Command::new("kill").args(["-9", &pid]).status().expect("kill");
            assert!(killed.success());
        } else {
            client.call("shutdown", json!({}));
        }
        daemon.child.wait().expect("strace ends with the daemon");
        self.trace.add(&fs::read_to_string(&text).expect("strace wrote text"));
        self.runs.push((began, self.trace.end()));
    }

    fn ask(&mut self, client: &mut RawClient, pairs: &[KeyPair], group: &[Step]) {
        let first = FIRST_ID + self.steps.len();
        self.steps.extend_from_slice(group);
        let mut lines = String::new();
        for (number, step) in group.iter().enumerate() {
            let (method, mut params) = step.call(pairs, "", 0);
            if let Some(Value::String(token)) = params.get_mut("sessionToken") {
                token.push_str(&"s".repeat(5000));
            }
            let line = json!({ "jsonrpc": "2.0", "id": first + number, "method": method, "params": params });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        let mut writer = client.duplicate();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.send(lines));
            for number in 0..group.len() {
                let answer = client.read();
                assert_eq!(answer["id"], first + number, "{answer}");
            }
        });
    }
}

fn random_step(rng: &mut Rng) -> Step {
    let (name, pair) = (rng.usize(0..NAMES), rng.usize(0..PAIRS));
    match rng.u32(0..20) {
        0..5 => Step::Create { pair, keep: rng.u8(0..8) == 0 },
        5..11 => {
            let terms = Terms { quiet: rng.bool(), adopts: rng.bool(), ..Terms::BARE };
            Step::Store { name, pair, lifetime: LIFETIME, terms }
        }
        11..15 => Step::Clear { name: Some(name), if_pair: None },
        15 => Step::Clear { name: None, if_pair: None },
        16 => Step::ClearAll,
        17 => Step::Activate { name },
        18 => Step::Delete { pair },
        _ => Step::Prune { min_age: Some(0) },
    }
}
