//! Random calls against the real daemon, compared with a plain map that does the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod grants;

use std::thread;
use std::time::Duration;

use keyfob_tests::model::{KeyPair, Model, Said, Step, Terms, listed, said};
use keyfob_tests::{RawClient, START, TestDaemon};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

/// What happens. Names and key pairs are few, so that the calls meet.
#[derive(Clone, Debug)]
enum Turn {
    Call(Step),
    Wait { seconds: u64 },
    Restart,
}

const NAMES: usize = 4;
const PAIRS: usize = 4;

fn terms() -> impl Strategy<Value = Terms> {
    let expected = proptest::option::weighted(0.3, proptest::option::of(0..PAIRS));
    let flag = || proptest::bool::weighted(0.3);
    (expected, flag(), any::<bool>(), flag()).prop_map(|(expected, quiet, bare, adopts)| Terms {
        expected,
        quiet,
        bare,
        adopts,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PAIRS, proptest::bool::weighted(0.2)).prop_map(|(pair, keep)| Step::Create { pair, keep }),
        6 => (0..NAMES, 0..PAIRS, 0..2000_u64, terms()).prop_map(|(name, pair, lifetime, terms)| Step::Store { name, pair, lifetime, terms }),
        4 => (proptest::option::of(0..NAMES), proptest::option::weighted(0.2, 0..PAIRS)).prop_map(|(name, if_pair)| Step::Clear { name, if_pair }),
        1 => Just(Step::ClearAll),
        2 => (0..NAMES).prop_map(|name| Step::Activate { name }),
        2 => (0..PAIRS).prop_map(|pair| Step::Delete { pair }),
        1 => proptest::option::of(0..2000_u64).prop_map(|min_age| Step::Prune { min_age }),
        3 => (proptest::option::of(0..PAIRS), proptest::option::of(0..NAMES)).prop_map(|(pair, name)| Step::Sign { pair, name }),
        1 => Just(Step::List),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        24 => step().prop_map(Turn::Call),
        3 => (0..1000_u64).prop_map(|seconds| Turn::Wait { seconds }),
        1 => Just(Turn::Restart),
    ]
}

/// One step, by the daemon and by the model; both must say the same.
fn take(step: &Step, pairs: &[KeyPair], prefix: &str, model: &mut Model, client: &mut RawClient) {
    let (method, params) = step.call(pairs, prefix, model.now);
    let answer = client.exchange(method, params);
    assert_eq!(said(method, &answer), step.apply(pairs, prefix, model), "{step:?}");
}

/// The daemon shows what the model holds.
fn compare(model: &Model, client: &mut RawClient) {
    let sessions = client.call("getAllSessions", json!({}));
    let pairs = client.call("listApiKeyPairs", json!({}));
    assert_eq!(listed(&sessions, &pairs), model.contents());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_client_sees_what_a_plain_map_does(turns in vec(turn(), 1..80)) {
        let mut daemon = TestDaemon::start();
        let mut client = daemon.connect();
        let pairs = KeyPair::first(PAIRS);
        let mut model = Model::new(START);
        for turn in &turns {
            match turn {
                Turn::Wait { seconds } => {
                    daemon.clock.advance(Duration::from_secs(*seconds));
                    model.wait(*seconds);
                }
                Turn::Restart => {
                    drop(client);
                    daemon = daemon.restart();
                    daemon.clock.advance(Duration::from_secs(model.now - START));
                    client = daemon.connect();
                }
                Turn::Call(step) => take(step, &pairs, "", &mut model, &mut client),
            }
            compare(&model, &mut client);
        }
    }

    /// Clients with names and key pairs of their own, at the same time: each sees a vault of its own.
    /// What they share (the active pointer, clear-all, prunes, time) is left out.
    #[test]
    fn clients_at_once_do_not_disturb_each_other(runs in vec(vec(step(), 1..60), PAIRS)) {
        let daemon = TestDaemon::start();
        thread::scope(|scope| {
            for (at, steps) in runs.iter().enumerate() {
                let daemon = &daemon;
                scope.spawn(move || {
                    let mut client = daemon.connect();
                    let own = || KeyPair::first(PAIRS).swap_remove(at);
                    let pairs: Vec<_> = (0..PAIRS).map(|_| own()).collect();
                    let mut model = Model::new(START);
                    let prefix = format!("{at}-");
                    for step in steps.iter().filter(|step| !is_shared(step)) {
                        let (method, params) = step.call(&pairs, &prefix, model.now);
                        let told = own_part(step, said(method, &client.exchange(method, params)));
                        assert_eq!(told, own_part(step, step.apply(&pairs, &prefix, &mut model)), "{step:?}");
                    }
                });
            }
        });
    }
}

/// Whether a step touches what other clients see.
fn is_shared(step: &Step) -> bool {
    match step {
        Step::Clear { name: None, .. } | Step::ClearAll | Step::Prune { .. } | Step::List => true,
        Step::Sign { pair, name } => pair.is_none() && name.is_none(),
        Step::Create { .. }
        | Step::Store { .. }
        | Step::Clear { name: Some(_), .. }
        | Step::Activate { .. }
        | Step::Delete { .. } => false,
    }
}

/// What was said but for what others have a part in: whether a session is, or was, the active one.
fn own_part(step: &Step, said: Said) -> Said {
    match step {
        Step::Clear { .. } => said.map(|told| told[..2].to_vec()),
        Step::Store { .. } => said.map(|told| told[..3].to_vec()),
        _ => said,
    }
}
