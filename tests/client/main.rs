//! The client library against the real daemon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures_core::Stream;
use keyfob::proto::{
    ClearSession, Code, CreateApiKeyPair, EventKind, GetAllSessions, MAX_LINE_BYTES, Payload, SessionKey, Sign, Status,
    StoreSession,
};
use keyfob::{Client, Error, blocking};
use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon};
use serde_json::json;

fn key(name: &str) -> SessionKey {
    name.parse().unwrap()
}

fn sign(payload: Vec<u8>) -> Sign {
    Sign { payload: Payload::new(payload), public_key: None, session_key: None, format: None }
}

async fn log_in(client: &mut Client, name: &str) {
    let pair = client.create_api_key_pair(CreateApiKeyPair::default()).await.unwrap();
    let session_token = keyfob::proto::Secret::new(token(&pair.public_key.to_string(), START + 1000));
    client.store_session(StoreSession { session_token, session_key: Some(key(name)) }).await.unwrap();
}

/// Begins a call, lets it get as far as it gets at once, and drops it.
async fn begin_and_drop(call: impl Future) {
    let mut call = pin!(call);
    poll_fn(|context| {
        let _ = call.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_call_answers_its_reply_or_its_fault() {
    let daemon = TestDaemon::start();
    let mut client = Client::connect(&daemon.access()).await.unwrap();
    log_in(&mut client, "a").await;
    let cleared = client.call(ClearSession { session_key: None }).await.unwrap();
    assert_eq!((cleared.session_key, cleared.was_active), (key("a"), true));
    match client.clear_session(ClearSession { session_key: Some(key("a")) }).await {
        Err(Error::Fault(fault)) => {
            assert_eq!((fault.data.code, fault.data.session_key), (Code::NotFound, Some(key("a"))));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_the_client_usable() {
    let daemon = TestDaemon::start();
    let mut client = Client::connect(&daemon.access()).await.unwrap();
    for n in 0..20 {
        log_in(&mut client, &n.to_string()).await;
        begin_and_drop(client.get_all_sessions(GetAllSessions::default())).await;
        begin_and_drop(client.clear_session(ClearSession { session_key: None })).await;
    }
    assert_eq!(client.status(Status {}).await.unwrap().counts.sessions, 0, "what was sent took effect");
}

#[tokio::test]
async fn a_large_call_after_a_dropped_one_with_a_large_answer_does_not_block() {
    let daemon = TestDaemon::start();
    let mut raw = daemon.connect();
    let public_key = daemon.log_in(&mut raw, "a", 1000);
    let session_token = format!("{}{}", token(&public_key, START + 1000), "s".repeat(5000));
    raw.pipeline(
        (0..600).map(|n| ("storeSession", json!({ "sessionToken": session_token, "sessionKey": n.to_string() }))),
    );
    let mut client = Client::connect(&daemon.access()).await.unwrap();
    begin_and_drop(client.get_all_sessions(GetAllSessions::default())).await;
    client.sign(sign(vec![7; 2_000_000])).await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_fit_a_line_is_not_sent() {
    let daemon = TestDaemon::start();
    let mut client = Client::connect(&daemon.access()).await.unwrap();
    log_in(&mut client, "a").await;
    assert!(matches!(client.sign(sign(vec![0; MAX_LINE_BYTES])).await, Err(Error::TooLong)));
    client.sign(sign(vec![0; 1000])).await.unwrap();
}

#[tokio::test]
async fn a_subscription_is_a_stream_that_ends_with_the_daemon() {
    let mut daemon = TestDaemon::start();
    let mut client = Client::connect(&daemon.access()).await.unwrap();
    let (subscribed, mut events) = Client::connect(&daemon.access()).await.unwrap().subscribe().await.unwrap();
    assert_eq!(subscribed.sequence, 0);
    log_in(&mut client, "a").await;
    let stored = events.next().await.unwrap().unwrap();
    assert!(matches!(stored.kind, EventKind::SessionStored { session_key, .. } if session_key == key("a")));
    let mut stream = pin!(events);
    let active = poll_fn(|context| stream.as_mut().poll_next(context)).await.unwrap().unwrap();
    assert_eq!(active.kind, EventKind::ActiveSessionChanged { session_key: Some(key("a")) });
    client.shutdown(keyfob::proto::Shutdown {}).await.unwrap();
    client.closed().await;
    let end = poll_fn(|context| stream.as_mut().poll_next(context)).await;
    assert!(matches!(end, Some(Err(Error::Ended))), "it says that the daemon has gone: {end:?}");
    assert!(poll_fn(|context| stream.as_mut().poll_next(context)).await.is_none());
    daemon.wait();
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let access = keyfob::Access::socket(dir.path().join("s"));
    let error = Client::connect(&access).await.err().unwrap();
    assert!(error.is_unreachable() && matches!(error, Error::Unreachable { .. }), "{error}");
}

#[test]
fn the_blocking_client_is_the_same_without_async() {
    let daemon = TestDaemon::start();
    let mut client = blocking::Client::connect(&daemon.access()).unwrap();
    let (_, events) = blocking::Client::connect(&daemon.access()).unwrap().subscribe().unwrap();
    let pair = client.create_api_key_pair(CreateApiKeyPair::default()).unwrap();
    let session_token = keyfob::proto::Secret::new(token(&pair.public_key.to_string(), START + 1000));
    client.store_session(StoreSession { session_token, session_key: Some(key("a")) }).unwrap();
    assert_eq!(client.sign(sign(Vec::new())).unwrap().public_key, pair.public_key);
    client.clear_session(ClearSession { session_key: None }).unwrap();
    let kinds: Vec<EventKind> = events.take(4).map(|event| event.unwrap().kind).collect();
    assert_eq!(kinds.last(), Some(&EventKind::ActiveSessionChanged { session_key: None }));
}
