//! Events: a stream that ends with the daemon, and goes on when it is told to.

use std::future::poll_fn;
use std::pin::pin;

use futures_core::Stream;
use keyfob::proto::{Event, EventKind, EventType, RemovalReason, Subscribe};
use keyfob::{Client, Error};
use keyfob_tests::TestDaemon;

use crate::{key, log_in};

#[tokio::test]
async fn events_are_a_stream_that_ends_with_the_daemon() {
    let mut daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    let mut events = client.events(Subscribe::default()).await.unwrap();
    assert_eq!(events.sequence(), 0);
    let pair = log_in(&client, "a").await;
    let created = events.next().await.unwrap().unwrap();
    assert!(matches!(created.kind, EventKind::KeyPairCreated { public_key, .. } if public_key == pair));
    let stored = events.next().await.unwrap().unwrap();
    assert!(matches!(stored.kind, EventKind::SessionStored { session_key, .. } if session_key == key("a")));
    let mut stream = pin!(events);
    let active = poll_fn(|context| stream.as_mut().poll_next(context)).await.unwrap().unwrap();
    assert!(matches!(active.kind, EventKind::ActiveSessionChanged { session_key: Some(name), .. } if name == key("a")));
    client.shutdown().await.unwrap();
    client.closed().await;
    let end = poll_fn(|context| stream.as_mut().poll_next(context)).await;
    assert!(matches!(end, Some(Err(Error::Ended))), "it says that the daemon has gone: {end:?}");
    assert!(poll_fn(|context| stream.as_mut().poll_next(context)).await.is_none());
    daemon.wait();
}

#[tokio::test]
async fn only_what_is_wanted_comes() {
    let daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    let types = Some(vec![EventType::SessionCleared, EventType::KeyPairDeleted]);
    let session_keys = Some(vec![key("a")]);
    let mut by_type = client.events(Subscribe { types: types.clone(), session_keys: None }).await.unwrap();
    let mut by_session = client.events(Subscribe { types: None, session_keys: session_keys.clone() }).await.unwrap();
    let mut by_both = client.events(Subscribe { types, session_keys }).await.unwrap();
    log_in(&client, "a").await;
    let b = log_in(&client, "b").await;
    client.clear_session().await.unwrap();
    client.clear_session().named(&key("a")).await.unwrap();

    let kind = |event: Option<Result<Event, Error>>| event.unwrap().unwrap().kind;
    let cleared = |name| EventKind::SessionCleared { session_key: key(name), reason: RemovalReason::Cleared };
    assert_eq!(kind(by_type.next().await), cleared("b"));
    assert_eq!(kind(by_type.next().await), EventKind::KeyPairDeleted { public_key: b, reason: RemovalReason::Cleared });
    assert_eq!(kind(by_type.next().await), cleared("a"));
    assert!(
        matches!(kind(by_session.next().await), EventKind::SessionStored { session_key, .. } if session_key == key("a"))
    );
    for (active, previous) in [(Some("a"), None), (Some("b"), Some("a"))] {
        let changed =
            EventKind::ActiveSessionChanged { session_key: active.map(key), previous_session_key: previous.map(key) };
        assert_eq!(kind(by_session.next().await), changed);
    }
    // That none is active after `b` was cleared does not concern it.
    assert_eq!(kind(by_session.next().await), cleared("a"));
    assert_eq!(kind(by_both.next().await), cleared("a"));
}

#[tokio::test]
async fn events_go_on_after_a_reconnection_with_a_resync() {
    let daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    let wanted = Subscribe { types: Some(vec![EventType::SessionStored]), session_keys: None };
    let mut events = client.events(wanted).await.unwrap();
    log_in(&client, "a").await;
    events.next().await.unwrap().unwrap();
    let dir = daemon.stop();
    assert!(matches!(events.next().await, Some(Err(Error::Ended))));
    assert!(events.reconnect().await.unwrap_err().is_unreachable(), "there is no daemon");
    assert!(events.next().await.is_none());

    let daemon = TestDaemon::start_in(dir);
    assert!(
        client.access().place.named_socket().is_some_and(|socket| socket == daemon.endpoint.path()),
        "the same place"
    );
    events.reconnect().await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().kind, EventKind::Resync);
    log_in(&client, "b").await;
    let stored = events.next().await.unwrap().unwrap();
    assert!(matches!(stored.kind, EventKind::SessionStored { session_key, .. } if session_key == key("b")));
}
