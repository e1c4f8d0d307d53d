//! Kill anywhere: clients at work, `kill -9` at a random instant, a restart, and the question whether what
//! the clients were told and what is there now can be true together.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use keyfob_tests::history::{Entry, is_linearizable};
use keyfob_tests::model::{KeyPair, Model, Step, Terms, listed, said};
use keyfob_tests::{DaemonProcess, RawClient};
use serde_json::{Value, json};

use crate::progress::Progress;

const CLIENTS: u64 = 4;
const NAMES: usize = 5;
const PAIRS: usize = 5;

/// Far enough ahead that nothing expires: the daemon has the system's clock.
const LIFETIME: u64 = 4_000_000_000;

/// Kills a daemon this many times, on one vault.
///
/// # Errors
///
/// What was lost, or came out of nowhere.
pub(crate) fn run(kills: u64, seed: u64, progress: &mut Progress) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pairs = KeyPair::first(PAIRS);
    let mut before = Model::new(0);
    let mut steps = 0;
    for kill in 1..=kills {
        // Each kill has a seed of its own, so that it does not depend on those before.
        let clients = work_until_killed(directory.path(), &pairs, seed.wrapping_add(kill << 32));
        steps += clients.iter().map(Vec::len).sum::<usize>();
        let daemon = DaemonProcess::start(directory.path());
        let after = contents(&mut daemon.connect());
        daemon.kill();
        if !is_linearizable(&before, &clients, &after, &pairs) {
            let kept = directory.keep();
            return Err(format!(
                "seed {seed}, kill {kill}: before it the vault held\n{before:#?}\nafterwards\n{after:#?}\nand in between\n{clients:#?}\n\
                 which cannot be. The vault is in {}",
                kept.display()
            ));
        }
        before = Model::of(&after);
        progress.step(kill, &format!("{steps} calls, {} of them unanswered", unanswered(&clients)));
    }
    progress.done(&format!("{kills} kills, {steps} calls: nothing lost, nothing half done, one order for all"));
    Ok(())
}

fn unanswered(clients: &[Vec<Entry>]) -> usize {
    clients.iter().flatten().filter(|entry| entry.answer.is_none()).count()
}

/// Lets clients work on a daemon that is killed among them, and answers what each of them saw.
fn work_until_killed(directory: &Path, pairs: &[KeyPair], seed: u64) -> Vec<Vec<Entry>> {
    let mut rng = Rng::with_seed(seed);
    let daemon = DaemonProcess::start(directory);
    let (clock, answers) = (AtomicU64::new(0), AtomicU64::new(0));
    // Some die at once, some after long work.
    let most = 10_u64.pow(rng.u32(1..4));
    let doomed_after = 1 + rng.u64(0..most);
    let delay = Duration::from_micros(rng.u64(0..1000));
    let (doom, doomed) = mpsc::channel();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let stream = UnixStream::connect(directory.join("keyfob.sock")).expect("the daemon listens");
                let (clock, answers, doom) = (&clock, &answers, doom.clone());
                let rng = Rng::with_seed(seed.wrapping_add(client + 1));
                scope.spawn(move || {
                    work(stream, pairs, rng, clock, || {
                        if answers.fetch_add(1, Ordering::Relaxed) + 1 == doomed_after {
                            doom.send(()).expect("somebody waits to kill");
                        }
                    })
                })
            })
            .collect();
        doomed.recv().expect("clients are at work");
        let instant = Instant::now() + delay;
        while Instant::now() < instant {
            std::hint::spin_loop();
        }
        daemon.kill();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    })
}

/// One client: random steps, one after the other, until the daemon is gone.
fn work(
    stream: UnixStream,
    pairs: &[KeyPair],
    mut rng: Rng,
    clock: &AtomicU64,
    mut answered: impl FnMut(),
) -> Vec<Entry> {
    let mut reader = BufReader::new(stream.try_clone().expect("a file descriptor"));
    let mut writer = stream;
    let mut entries = Vec::new();
    loop {
        let step = random_step(&mut rng);
        let (method, mut params) = step.call(pairs, "", 0);
        if let Some(Value::String(token)) = params.get_mut("sessionToken") {
            // Of many sizes, some so large that the vault is rewritten now and then.
            token.push_str(&"s".repeat(4 * rng.usize(0..1250)));
        }
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string() + "\n";
        let asked = clock.fetch_add(1, Ordering::SeqCst);
        let mut answer = String::new();
        let told = writer.write_all(line.as_bytes()).is_ok() && reader.read_line(&mut answer).is_ok();
        // Half a line is no answer: whoever reads it cannot know.
        if !told || !answer.ends_with('\n') {
            entries.push(Entry { step, asked, answer: None });
            return entries;
        }
        let said = said(method, &serde_json::from_str(&answer).expect("a line of JSON"));
        entries.push(Entry { step, asked, answer: Some((clock.fetch_add(1, Ordering::SeqCst), said)) });
        answered();
    }
}

fn random_terms(rng: &mut Rng) -> Terms {
    let expected = match rng.u32(0..10) {
        0 => Some(None),
        1..4 => Some(Some(rng.usize(0..PAIRS))),
        _ => None,
    };
    Terms { expected, quiet: rng.u8(0..4) == 0, bare: rng.bool(), adopts: rng.u8(0..4) == 0 }
}

fn random_step(rng: &mut Rng) -> Step {
    let (name, pair) = (rng.usize(0..NAMES), rng.usize(0..PAIRS));
    match rng.u32(0..100) {
        0..20 => Step::Create { pair, keep: rng.u8(0..8) == 0 },
        20..50 => Step::Store { name, pair, lifetime: LIFETIME, terms: random_terms(rng) },
        50..61 => Step::Clear { name: Some(name), if_pair: None },
        61..65 => Step::Clear { name: Some(name), if_pair: Some(rng.usize(0..PAIRS)) },
        65..70 => Step::Clear { name: None, if_pair: None },
        70..75 => Step::ClearAll,
        75..82 => Step::Activate { name },
        82..86 => Step::Delete { pair },
        86..88 => Step::Prune { min_age: Some(0) },
        88..92 => Step::Sign { pair: Some(pair), name: None },
        _ => Step::List,
    }
}

/// All that a daemon shows. The model does not know when a key pair came.
fn contents(client: &mut RawClient) -> Vec<String> {
    let sessions = client.call("getAllSessions", json!({}));
    let mut pairs = client.call("listApiKeyPairs", json!({}));
    for pair in pairs["keyPairs"].as_array_mut().expect("a list") {
        pair["createdAt"] = json!(0);
    }
    listed(&sessions, &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_kills_lose_nothing_and_leave_nothing_half_done() {
        run(30, fastrand::u64(..), &mut Progress::silent()).unwrap();
    }
}
