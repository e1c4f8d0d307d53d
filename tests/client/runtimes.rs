//! A client works under any runtime, under several one after the other, and under none.

use std::thread;

use keyfob::proto::{EventKind, Subscribe};
use keyfob::{Client, Events};
use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon};
use tokio::runtime::Builder;

use crate::{key, log_in};

fn is_send_and_sync<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}

#[test]
fn a_client_needs_no_runtime() {
    let daemon = TestDaemon::start();
    let client = Client::connect_blocking(&daemon.access()).unwrap();
    is_send_and_sync(&client);
    let mut events: Events = client.events_blocking(Subscribe::default()).unwrap();
    let pair = client.create_api_key_pair().wait().unwrap();
    let token = token(&pair.public_key.to_string(), START + 1000);
    client.store_session(token).named(&key("a")).wait().unwrap();
    assert_eq!(client.sign(Vec::new()).wait().unwrap().public_key, pair.public_key);
    client.clear_session().wait().unwrap();
    let kinds: Vec<EventKind> = (0..6).map(|_| events.wait().unwrap().unwrap().kind).collect();
    assert_eq!(
        kinds.last(),
        Some(&EventKind::ActiveSessionChanged { session_key: None, previous_session_key: Some(key("a")) })
    );
}

#[test]
fn a_client_outlives_the_runtime_that_it_was_made_in() {
    let daemon = TestDaemon::start();
    let runtime = || Builder::new_current_thread().build().unwrap();
    let client = runtime().block_on(Client::connect(&daemon.access())).unwrap();
    runtime().block_on(log_in(&client, "a"));
    let many = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    many.block_on(async { client.stamp("{}").await }).unwrap();
    drop(many);
    client.clear_all_sessions().wait().unwrap();
}

#[test]
fn a_call_can_be_waited_for_inside_a_runtime() {
    let daemon = TestDaemon::start();
    let client = Client::connect_blocking(&daemon.access()).unwrap();
    Builder::new_current_thread().build().unwrap().block_on(async {
        assert_eq!(client.status().wait().unwrap().counts.sessions, 0);
    });
}

#[test]
fn threads_share_a_client() {
    let daemon = TestDaemon::start();
    let client = Client::connect_blocking(&daemon.access()).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            let client = client.clone();
            scope.spawn(move || (0..20).for_each(|_| drop(client.create_api_key_pair().wait().unwrap())));
        }
    });
    let counts = client.status().wait().unwrap().counts;
    assert_eq!((counts.key_pairs_unused, counts.connections), (160, Some(1)));
}
