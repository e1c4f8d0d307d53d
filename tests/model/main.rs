//! Random calls against the real daemon, compared with a plain map that does the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod model;

use std::thread;
use std::time::Duration;

use keyfob_tests::login::token;
use keyfob_tests::{RawClient, START, TestDaemon};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use self::model::Model;

/// What a client may do. Names and key pairs are few, so that the calls meet.
#[derive(Clone, Debug)]
enum Step {
    Create { pair: usize },
    Store { name: usize, pair: usize, lifetime: u64 },
    Clear { name: Option<usize> },
    ClearAll,
    Activate { name: usize },
    Delete { pair: usize },
    Prune { min_age: Option<u64> },
    Sign { pair: Option<usize>, name: Option<usize> },
    Wait { seconds: u64 },
    Restart,
}

const NAMES: usize = 4;
const PAIRS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PAIRS).prop_map(|pair| Step::Create { pair }),
        6 => (0..NAMES, 0..PAIRS, 0..2000_u64).prop_map(|(name, pair, lifetime)| Step::Store { name, pair, lifetime }),
        4 => proptest::option::of(0..NAMES).prop_map(|name| Step::Clear { name }),
        1 => Just(Step::ClearAll),
        2 => (0..NAMES).prop_map(|name| Step::Activate { name }),
        2 => (0..PAIRS).prop_map(|pair| Step::Delete { pair }),
        1 => proptest::option::of(0..2000_u64).prop_map(|min_age| Step::Prune { min_age }),
        3 => (proptest::option::of(0..PAIRS), proptest::option::of(0..NAMES)).prop_map(|(pair, name)| Step::Sign { pair, name }),
        3 => (0..1000_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// Key pairs that every run uses: private keys 1 to [`PAIRS`], and their public keys.
fn pairs() -> Vec<(String, String)> {
    (1..=PAIRS)
        .map(|n| {
            let private = format!("{n:064x}");
            let scalar = data_encoding::HEXLOWER.decode(private.as_bytes()).unwrap();
            let key = p256::ecdsa::SigningKey::from_slice(&scalar).unwrap();
            (data_encoding::HEXLOWER.encode(key.verifying_key().to_sec1_point(true).as_bytes()), private)
        })
        .collect()
}

/// One step, by the daemon and by the model; both must say the same.
fn take(step: &Step, pairs: &[(String, String)], prefix: &str, model: &mut Model, client: &mut RawClient) {
    let name = |n: &usize| format!("{prefix}{n}");
    let public = |n: &usize| pairs[*n].0.clone();
    let (method, params, expected) = match step {
        Step::Create { pair } => {
            let (public_key, private_key) = &pairs[*pair];
            let external = json!({ "publicKey": public_key, "privateKey": private_key });
            ("createApiKeyPair", json!({ "externalKeyPair": external }), model.create(public_key))
        }
        Step::Store { name: n, pair, lifetime } => {
            let expiry = model.now + lifetime;
            let params = json!({ "sessionToken": token(&public(pair), expiry), "sessionKey": name(n) });
            ("storeSession", params, model.store(&name(n), &public(pair), expiry))
        }
        Step::Clear { name: Some(n) } => {
            ("clearSession", json!({ "sessionKey": name(n) }), model.clear(Some(&name(n))))
        }
        Step::Clear { name: None } => ("clearSession", json!({}), model.clear(None)),
        Step::ClearAll => ("clearAllSessions", json!({}), model.clear_all()),
        Step::Activate { name: n } => ("setActiveSession", json!({ "sessionKey": name(n) }), model.activate(&name(n))),
        Step::Delete { pair } => {
            ("deleteApiKeyPair", json!({ "publicKey": public(pair) }), model.delete(&public(pair)))
        }
        Step::Prune { min_age: None } => ("clearUnusedKeyPairs", json!({}), model.prune(900)),
        Step::Prune { min_age: Some(age) } => {
            ("clearUnusedKeyPairs", json!({ "minAgeSeconds": age }), model.prune(*age))
        }
        Step::Sign { pair, name: n } => {
            let mut params = json!({ "payload": "" });
            if let Some(pair) = pair {
                params["publicKey"] = json!(public(pair));
            }
            if let Some(n) = n {
                params["sessionKey"] = json!(name(n));
            }
            ("sign", params, model.sign(pair.as_ref().map(public).as_deref(), n.as_ref().map(name).as_deref()))
        }
        Step::Wait { .. } | Step::Restart => return,
    };
    let answer = client.exchange(method, params);
    let said = match answer["error"]["data"]["code"].as_str() {
        Some(code) => Err(code.to_owned()),
        None => Ok(model::essence(method, &answer["result"])),
    };
    assert_eq!(said, expected, "{step:?}");
}

/// The daemon shows what the model holds.
fn compare(model: &mut Model, client: &mut RawClient) {
    let sessions = client.call("getAllSessions", json!({}));
    let pairs = client.call("listApiKeyPairs", json!({}));
    assert_eq!(model::listed(&sessions, &pairs), model.contents());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_client_sees_what_a_plain_map_does(steps in vec(step(), 1..80)) {
        let mut daemon = TestDaemon::start();
        let mut client = daemon.connect();
        let pairs = pairs();
        let mut model = Model::new(START);
        for step in &steps {
            match step {
                Step::Wait { seconds } => {
                    daemon.clock.advance(Duration::from_secs(*seconds));
                    model.wait(*seconds);
                }
                Step::Restart => {
                    drop(client);
                    daemon = daemon.restart();
                    daemon.clock.advance(Duration::from_secs(model.now - START));
                    client = daemon.connect();
                }
                step => take(step, &pairs, "", &mut model, &mut client),
            }
            compare(&mut model, &mut client);
        }
    }

    /// Clients with names and key pairs of their own, at the same time: each sees a vault of its own.
    /// What they share (the active pointer, clear-all, time) is left out.
    #[test]
    fn clients_at_once_do_not_disturb_each_other(runs in vec(vec(step(), 1..60), PAIRS)) {
        let daemon = TestDaemon::start();
        thread::scope(|scope| {
            for (at, steps) in runs.iter().enumerate() {
                let daemon = &daemon;
                scope.spawn(move || {
                    let mut client = daemon.connect();
                    let pairs = vec![pairs().swap_remove(at); PAIRS];
                    let mut model = Model::new(START);
                    for step in steps.iter().filter(|step| !is_shared(step)) {
                        take(step, &pairs, &format!("{at}-"), &mut model, &mut client);
                    }
                });
            }
        });
    }
}

/// Whether a step touches what other clients see.
fn is_shared(step: &Step) -> bool {
    match step {
        // A clear says whether the session was the active one.
        Step::Clear { .. } | Step::ClearAll | Step::Prune { .. } | Step::Wait { .. } | Step::Restart => true,
        Step::Sign { pair, name } => pair.is_none() && name.is_none(),
        Step::Create { .. } | Step::Store { .. } | Step::Activate { .. } | Step::Delete { .. } => false,
    }
}
