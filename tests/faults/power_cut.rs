//! Power cuts: a daemon works under `strace`; then, again and again, a disk is made as it may be left when
//! the power fails at some instant, and the vault on it is opened. It has to hold what was acknowledged by
//! then, and be what it was after some call, not between two. And whoever kept every byte that was ever written
//! must not open what was acknowledged as cleared by then, neither before the vault is opened nor afterwards.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use fastrand::Rng;
use keyfob_proto::{GetAllSessions, ListApiKeyPairs};
use keyfob_tests::attacker::{Keys, Loot};
use keyfob_tests::login::token;
use keyfob_tests::model::{KeyPair, Model, Step, listed};
use keyfob_tests::{DaemonProcess, RawClient};
use keyfobd::clock::Timestamp;
use keyfobd::store::Store;
use serde_json::{Value, json};

use crate::disk::{Disk, Fate};
use crate::progress::Progress;
use crate::trace::{CALLS, Event, Trace, What};

const NAMES: usize = 6;
const PAIRS: usize = 6;
const LIFETIME: u64 = 4_000_000_000;

/// The id of the first call. Smaller ones are those of calls that change nothing.
const FIRST_ID: usize = 1000;

/// Calls that are sent at once at most: so many may be in flight when the power fails.
const TOGETHER: usize = 100;

/// As much of a token as tells whose it is, in bytes.
const TOKEN_BYTES: usize = 300;

/// Sessions that are stored so that a clear-all leaves a file worth rewriting.
const MANY: usize = 2400;

/// Records one history and cuts the power in it this many times.
///
/// # Errors
///
/// What was lost, or that `strace` is not there.
pub(crate) fn run(cuts: u64, seed: u64, without_fdatasync: bool, progress: &mut Progress) -> Result<(), String> {
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        return Err("strace is not installed, and power cuts are made from what it records".to_owned());
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pairs = KeyPair::first(PAIRS);
    let mut rng = Rng::with_seed(seed);
    let history = record(directory.path(), &pairs, &mut rng);
    let windows = history.windows();
    let loot = history.loot();
    let reuses = windows.last().map_or(0, |(_, instants)| instants.len() / 7);
    let (calls, of_system) = (history.steps.len(), history.trace.events.len());
    let sealed = loot.len();
    progress.say(&format!(
        "{calls} calls of the vault, {of_system} of the system, {reuses} of them where it wrote before; {sealed} sealed \
         records"
    ));

    let mut tried = vec![0; windows.len()];
    for cut in 1..=cuts {
        let mut rng = Rng::with_seed(seed.wrapping_add(cut << 32));
        let window = rng.usize(0..windows.len());
        let instants = &windows[window].1;
        let at = instants[rng.usize(0..instants.len())];
        let fate = Fate::ALL[rng.usize(0..Fate::ALL.len())];
        let disk = Disk::at(&history.trace, directory.path(), at, without_fdatasync);
        let copy = tempfile::tempdir().expect("a temporary directory");
        disk.write(copy.path(), fate, &mut rng);
        history.check(&copy.path().join("data"), at, &pairs, &loot).map_err(|what| {
            format!("cut {cut}, in {}, fate of what was not synced: {fate:?}: {what}", windows[window].0)
        })?;
        tried[window] += 1;
        progress.step(cut, "nothing lost, nothing left");
    }
    let tried: Vec<_> = windows.iter().zip(tried).map(|((name, _), count)| format!("{count} {name}")).collect();
    progress.done(&format!("{cuts} cuts, nothing lost, nothing left of what was cleared: {}", tried.join(", ")));
    Ok(())
}

/// What was asked of a vault, in order, and what the system was asked in turn.
struct History {
    trace: Trace,
    /// The calls; their ids count from [`FIRST_ID`].
    steps: Vec<Step>,
    /// Where each run of the daemon began and ended in the trace.
    runs: Vec<(usize, usize)>,
}

/// Lets a daemon work, be killed, start again, rewrite its vault, be stopped, start again, and get other keys.
fn record(directory: &Path, pairs: &[KeyPair], rng: &mut Rng) -> History {
    let mut history = History { trace: Trace::default(), steps: Vec::new(), runs: Vec::new() };
    let some = |rng: &mut Rng, count: usize| (0..count).map(|_| random_step(rng)).collect::<Vec<_>>();
    let store = |name| Step::Store { name, pair: name % PAIRS, lifetime: LIFETIME };

    // Replaced again and again, so that sled uses parts of its file again.
    let replaced = (0..1500).map(|number| store(number % NAMES)).collect();
    history.run(directory, pairs, &[some(rng, 300), replaced, some(rng, 200)], true);
    let many = (0..PAIRS).map(|pair| Step::Create { pair }).chain((0..MANY).map(store)).collect();
    // After the clear-all the vault is rewritten, while it goes on to change.
    let clear = [vec![Step::ClearAll], some(rng, 200)].concat();
    history.run(directory, pairs, &[some(rng, 30), many, clear, some(rng, 200)], false);
    history.rekey_between(directory, pairs, &[some(rng, 100), some(rng, 50), some(rng, 50)]);
    history.run(directory, pairs, &[some(rng, 5)], false);
    history
}

impl History {
    /// One run of the daemon: calls, a few sent at once. Ends with `kill -9` or a shutdown.
    fn run(&mut self, directory: &Path, pairs: &[KeyPair], groups: &[Vec<Step>], kill: bool) {
        self.run_with(directory, pairs, groups, kill, |_| {});
    }

    /// As [`History::run`], with another root key after each group. Ends with `kill -9`.
    fn rekey_between(&mut self, directory: &Path, pairs: &[KeyPair], groups: &[Vec<Step>]) {
        self.run_with(directory, pairs, groups, true, |client| {
            client.call("rekey", json!({ "keySource": "keyFile" }));
        });
    }

    fn run_with(
        &mut self,
        directory: &Path,
        pairs: &[KeyPair],
        groups: &[Vec<Step>],
        kill: bool,
        after_group: impl Fn(&mut RawClient),
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
            for together in group.chunks(if group.len() > MANY { TOGETHER } else { 4 }) {
                self.ask(&mut client, pairs, together);
            }
            after_group(&mut client);
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

    /// The parts of the history in which the power is cut, each as often as the others, and their instants.
    fn windows(&self) -> Vec<(&'static str, Vec<usize>)> {
        let first = |from, is: &dyn Fn(&What) -> bool| {
            let event = self.trace.events.iter().find(|event| event.begun >= from && is(&event.what));
            event.map_or(self.trace.end(), |event| event.begun)
        };
        let mut windows = Vec::new();
        let names = ["at the first start", "at the start after a kill", "at the next start", "at the last start"];
        for (name, (began, ended)) in names.into_iter().zip(&self.runs) {
            let served = first(*began, &|what| matches!(what, What::Answer { id } if *id > 0));
            windows.push((name, (*began..served).collect()));
            windows.push(("at work", (served..*ended).collect()));
        }
        let begun = first(0, &|what| matches!(what, What::MakeDirectory { path } if path.ends_with("store/sled.2")));
        let removed = first(begun, &|what| matches!(what, What::Remove { path } if path.ends_with("store/sled.1")));
        assert!(begun < removed && removed < self.trace.end(), "the vault was rewritten");
        windows.push(("while rewriting", (begun..=removed).collect()));
        let begun = first(0, &|what| matches!(what, What::Create { path, .. } if path.ends_with("store/keys.new")));
        let removed = self.trace.events.iter().rev().find_map(|event| match &event.what {
            What::Remove { path } if path.ends_with("store/keys.new") => Some(event.begun),
            _ => None,
        });
        let removed = removed.expect("the vault was rekeyed");
        let rekeying = |event: &&Event| (begun..=removed + 3).contains(&event.begun) && is_of_keys(&event.what);
        windows.push((
            "while rekeying",
            self.trace.events.iter().filter(rekeying).flat_map(|event| [event.begun, event.begun + 1]).collect(),
        ));
        windows.push(("while a part of the file was used again", self.reuses()));
        windows
    }

    /// The instants just after sled wrote where it had written before.
    fn reuses(&self) -> Vec<usize> {
        let mut ends: HashMap<&Path, usize> = HashMap::new();
        let mut instants = Vec::new();
        for event in &self.trace.events {
            if let What::Write { path, offset, bytes } = &event.what
                && path.ends_with("db")
            {
                let end = ends.entry(path).or_default();
                if *offset < *end && bytes.iter().any(|byte| *byte != 0) {
                    instants.extend(event.begun + 1..event.begun + 8);
                }
                *end = (*end).max(offset + bytes.len());
            }
        }
        instants
    }

    /// Opens what a cut left and compares.
    fn check(&self, data_dir: &Path, cut: usize, pairs: &[KeyPair], loot: &Loot) -> Result<(), String> {
        let answered = self.trace.events.iter().filter(|event| event.begun < cut);
        let acknowledged = answered.filter_map(|event| match event.what {
            What::Answer { id } => (usize::try_from(id).expect("an id") + 1).checked_sub(FIRST_ID),
            _ => None,
        });
        let acknowledged = acknowledged.max().unwrap_or(0);
        fs::create_dir_all(data_dir).expect("a directory");
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700)).expect("a directory");
        let states: Vec<Model> = self.states(pairs).skip(acknowledged).collect();
        attack(data_dir, (loot, cut), pairs, &states[..states.len().min(TOGETHER + 1)])?;
        let found =
            contents(data_dir).map_err(|error| format!("{acknowledged} calls were acknowledged, and {error}"))?;
        let found = Model::of(&found);
        if !states.contains(&found) {
            let message = "calls were acknowledged, and the vault is not what any later one left";
            return Err(format!("{acknowledged} {message}: {found:?}"));
        }
        attack(data_dir, (loot, cut), pairs, &[found])
    }

    /// What the vault is before the first call, and after each.
    fn states<'a>(&'a self, pairs: &'a [KeyPair]) -> impl Iterator<Item = Model> + 'a {
        let mut model = Model::new(0);
        std::iter::once(model.clone()).chain(self.steps.iter().map(move |step| {
            // A fault changes nothing.
            let _ = step.apply(pairs, "", &mut model);
            model.clone()
        }))
    }

    /// Every sealed record that was ever written.
    fn loot(&self) -> Loot {
        let mut loot = Loot::default();
        for event in &self.trace.events {
            if let What::Write { path, bytes, .. } = &event.what
                && path.ends_with("db")
            {
                loot.search(bytes, event.begun);
            }
        }
        loot
    }
}

/// Tries to open what was written until some time and is in none of the states that the vault may be in.
fn attack(data_dir: &Path, (loot, time): (&Loot, usize), pairs: &[KeyPair], states: &[Model]) -> Result<(), String> {
    // Without the file, or the key file, nothing opens.
    let Some(keys) = Keys::of(data_dir) else { return Ok(()) };
    let secrets: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let key = &pair.public_key;
            let private_key = HEXLOWER.decode(pair.private_key.as_bytes()).expect("hex");
            let (held, named) = (|state: &Model| state.holds(key), |state: &Model| state.names(key));
            (private_key, states.iter().any(held), token(key, LIFETIME), states.iter().any(named))
        })
        .collect();
    for plain in loot.opened(&keys, TOKEN_BYTES + 2, time) {
        for (private_key, is_held, token, is_named) in &secrets {
            if !is_held && plain == *private_key {
                return Err(format!("the private key {} was cleared, and opens", HEXLOWER.encode(private_key)));
            }
            // A token follows its length, of one or two bytes.
            let is_token = [1, 2].iter().any(|at| plain.get(*at..).is_some_and(|rest| begins(rest, token)));
            if !is_named && is_token {
                return Err(format!(
                    "the token of the private key {} was cleared, and opens",
                    HEXLOWER.encode(private_key)
                ));
            }
        }
    }
    Ok(())
}

fn begins(bytes: &[u8], token: &str) -> bool {
    let length = TOKEN_BYTES.min(token.len());
    bytes.get(..length) == Some(&token.as_bytes()[..length])
}

/// Whether a call changed or synced something that a rekeying does.
fn is_of_keys(what: &What) -> bool {
    let is_one = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("key") || name == "store" || name == "data"
    };
    match what {
        What::Create { path, .. } | What::Write { path, .. } | What::Remove { path } | What::Sync { path, .. } => {
            is_one(path)
        }
        What::Exchange { .. } => true,
        _ => false,
    }
}

/// All that a store holds, as the model shows it.
fn contents(data_dir: &Path) -> Result<Vec<String>, String> {
    let (mut store, vault) = Store::open(data_dir).map_err(|error| error.to_string())?;
    store.unlock_by_itself().map_err(|fault| fault.to_string())?;
    let now = Timestamp::default();
    let (mut sessions, mut pairs) = (Vec::new(), Vec::new());
    let mut after = None;
    let active = loop {
        let page = vault.get_all_sessions(&GetAllSessions { after: after.take(), ..GetAllSessions::default() }, now);
        let page = page.map_err(|fault| fault.to_string())?;
        after.clone_from(&page.next);
        let mut page = serde_json::to_value(page).expect("a reply is JSON");
        sessions.append(page["sessions"].as_array_mut().expect("a list"));
        if after.is_none() {
            break page["activeSessionKey"].take();
        }
    };
    let page = vault.list_api_key_pairs(&ListApiKeyPairs::default(), now);
    for mut pair in serde_json::to_value(page.key_pairs).expect("a reply is JSON").as_array().expect("a list").clone() {
        pair["createdAt"] = json!(0);
        pairs.push(pair);
    }
    Ok(listed(&json!({ "sessions": sessions, "activeSessionKey": active }), &json!({ "keyPairs": pairs })))
}

fn random_step(rng: &mut Rng) -> Step {
    let (name, pair) = (rng.usize(0..NAMES), rng.usize(0..PAIRS));
    match rng.u32(0..20) {
        0..5 => Step::Create { pair },
        5..11 => Step::Store { name, pair, lifetime: LIFETIME },
        11..15 => Step::Clear { name: Some(name) },
        15 => Step::Clear { name: None },
        16 => Step::ClearAll,
        17 => Step::Activate { name },
        18 => Step::Delete { pair },
        _ => Step::Prune { min_age: Some(0) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_cuts_lose_nothing_and_without_fdatasync_they_do() {
        match run(40, fastrand::u64(..), false, &mut Progress::silent()) {
            Err(what) if what.starts_with("strace is not installed") => return,
            result => result.unwrap(),
        }
        let lost = run(40, 1, true, &mut Progress::silent()).unwrap_err();
        assert!(lost.contains("were acknowledged"), "{lost}");
    }
}
