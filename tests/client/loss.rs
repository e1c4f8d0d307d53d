//! Connections that are lost, answers that do not come, answers that name no call.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::time::Duration;

use keyfob::proto::Code;
use keyfob::{Client, Deadlines, Error};
use serde_json::{Value, json};

use crate::fake::Fake;

fn active(name: &str) -> Value {
    json!({ "sessionKey": name })
}

#[tokio::test]
async fn a_call_that_was_sent_and_not_answered_is_unknown_and_not_sent_again() {
    let fake = Fake::serve(|connections| {
        let mut first = connections.next().unwrap();
        assert_eq!(first.request().unwrap()["method"], "lock");
        drop(first);
        let mut second = connections.next().unwrap();
        let request = second.request().unwrap();
        assert_eq!(request["method"], "getActiveSessionKey", "the lost call does not come again");
        second.answer(&request, &active("a"));
        assert!(second.request().is_none());
    });
    let client = Client::connect(&fake.access()).await.unwrap();
    let error = client.lock().await.unwrap_err();
    assert!(matches!(error, Error::Disconnected(_)) && error.is_unknown(), "{error}");
    assert_eq!(client.get_active_session_key().await.unwrap().session_key.unwrap().as_str(), "a");
    drop(client);
    fake.join();
}

#[tokio::test]
async fn an_answer_without_an_id_belongs_to_the_oldest_call() {
    let fake = Fake::serve(|connections| {
        let mut peer = connections.next().unwrap();
        let (_first, second) = (peer.request().unwrap(), peer.request().unwrap());
        peer.refuse("PARSE_ERROR");
        peer.answer(&second, &active("b"));
        while peer.request().is_some() {}
    });
    let client = Client::connect(&fake.access()).await.unwrap();
    let (first, second) =
        tokio::join!(async { client.get_active_session_key().await }, async { client.get_active_session_key().await });
    assert!(matches!(first, Err(Error::Fault(fault)) if fault.data.code == Code::ParseError));
    assert_eq!(second.unwrap().session_key.unwrap().as_str(), "b");
    drop(client);
    fake.join();
}

#[tokio::test]
async fn a_daemon_that_turns_one_away_says_so_to_every_call_and_is_asked_again_by_the_next() {
    let fake = Fake::serve(|connections| {
        let mut first = connections.next().unwrap();
        let asked = [first.request().unwrap(), first.request().unwrap()];
        first.refuse("TOO_MANY_CONNECTIONS");
        drop(first);
        let mut second = connections.next().unwrap();
        let request = second.request().unwrap();
        assert!(asked.iter().all(|asked| asked["id"] != request["id"]), "no call is sent twice");
        second.answer(&request, &active("a"));
        while second.request().is_some() {}
    });
    let client = Client::connect(&fake.access()).await.unwrap();
    let (one, two) = tokio::join!(async { client.status().await }, async { client.status().await });
    for error in [one.unwrap_err(), two.unwrap_err()] {
        assert!(matches!(&error, Error::Fault(fault) if fault.data.code == Code::TooManyConnections), "{error}");
        assert!(!error.is_unknown());
    }
    assert!(client.get_active_session_key().await.unwrap().session_key.is_some());
    drop(client);
    fake.join();
}

#[tokio::test]
async fn a_deadline_holds_while_a_connection_is_made_anew() {
    let data = tempfile::tempdir().unwrap();
    let served = data.path().to_owned();
    let (go_on, told) = mpsc::channel::<()>();
    let fake = Fake::serve(move |connections| {
        let mut first = connections.next().unwrap();
        let request = first.request().unwrap();
        first.answer(&request, &status(&served));
        assert_eq!(first.request().unwrap()["method"], "lock");
        drop(first);
        // It is asked which vault it serves, and does not answer for now.
        let mut second = connections.next().unwrap();
        let request = second.request().unwrap();
        told.recv().unwrap();
        second.answer(&request, &status(&served));
        let request = second.request().unwrap();
        assert_eq!(request["method"], "getActiveSessionKey", "a call whose time is over is not sent");
        second.answer(&request, &active("a"));
        while second.request().is_some() {}
    });
    let mut access = fake.access();
    access.place = keyfob::proto::Place::new(access.place.named_socket().map(Into::into), Some(data.path().into()));
    let client = Client::connect(&access).await.unwrap();
    assert!(client.lock().await.unwrap_err().is_unknown());
    let (late, next) = tokio::join!(
        async {
            let late = client.unlock().within(Duration::from_millis(50)).await;
            go_on.send(()).unwrap();
            late
        },
        async { client.get_active_session_key().within(Duration::MAX).await }
    );
    let error = late.unwrap_err();
    assert!(matches!(error, Error::TimedOut { sent: false }) && !error.is_unknown(), "{error}");
    assert_eq!(next.unwrap().session_key.unwrap().as_str(), "a");
    drop(client);
    fake.join();
}

/// A state of a daemon that serves the vault in this directory.
fn status(data_dir: &std::path::Path) -> Value {
    let golden = include_str!("../../proto/golden/reply/status.jsonl").lines().next().unwrap();
    let mut status = serde_json::from_str::<Value>(golden).unwrap()["result"].take();
    status["paths"]["dataDir"] = json!(data_dir);
    status
}

#[tokio::test]
async fn a_client_whose_observer_panicked_says_so_and_sends_nothing() {
    let fake = Fake::serve(|connections| {
        let mut peer = connections.next().unwrap();
        assert!(peer.request().is_none(), "nothing is sent");
    });
    let client = Client::connect(&fake.access()).await.unwrap();
    client.observe(|_, _| panic!("an observer's own fault"));
    let error = client.status().await.unwrap_err();
    assert!(error.is_unknown(), "its call may have been on its way: {error}");
    // As soon as its task has come to its end.
    let error = loop {
        match client.status().await.unwrap_err() {
            Error::Disconnected(_) => {}
            error => break error,
        }
    };
    assert!(matches!(error, Error::Gone) && !error.is_unknown(), "{error}");
    fake.join();
}

#[tokio::test]
async fn a_call_has_a_deadline_and_those_after_it_their_own() {
    let (go_on, told) = mpsc::channel::<()>();
    let fake = Fake::serve(move |connections| {
        let mut peer = connections.next().unwrap();
        let (late, next) = (peer.request().unwrap(), peer.request().unwrap());
        told.recv().unwrap();
        peer.answer(&late, &active("late"));
        peer.answer(&next, &active("next"));
        while peer.request().is_some() {}
    });
    let client = Client::connect(&fake.access()).await.unwrap();
    let (late, next) = tokio::join!(
        async {
            let late = client.get_active_session_key().within(Duration::from_millis(50)).await;
            go_on.send(()).unwrap();
            late
        },
        async { client.get_active_session_key().await }
    );
    let error = late.unwrap_err();
    assert!(matches!(error, Error::TimedOut { sent: true }) && error.is_unknown(), "{error}");
    assert_eq!(next.unwrap().session_key.unwrap().as_str(), "next", "the late answer is nobody's");
    drop(client);
    fake.join();
}

#[tokio::test]
async fn connecting_has_a_deadline() {
    let data = tempfile::tempdir().unwrap();
    let (go_on, told) = mpsc::channel::<()>();
    let fake = Fake::serve(move |connections| {
        // It is asked which vault it serves, and does not answer.
        let _peer = connections.next().unwrap();
        told.recv().unwrap();
    });
    let mut access = fake.access();
    access.place = keyfob::proto::Place::new(access.place.named_socket().map(Into::into), Some(data.path().into()));
    let access = access.within(Deadlines { connect: Duration::from_millis(50), ..Deadlines::default() });
    let error = Client::connect(&access).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { sent: false }) && !error.is_unknown(), "{error}");
    go_on.send(()).unwrap();
    fake.join();
}

#[tokio::test]
async fn a_daemon_that_does_not_come_up_is_not_waited_for_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    // It says nothing, and ends only when its input does: never.
    let silent = dir.path().join("silent");
    fs::write(&silent, "#!/bin/sh\nexec tail -f /dev/null\n").unwrap();
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o700)).unwrap();
    let access = keyfob::Access::socket(dir.path().join("s")).starting(silent);
    let access = access.within(Deadlines { start: Duration::from_millis(50), ..Deadlines::default() });
    let error = Client::connect_or_start(&access).await.unwrap_err();
    assert!(matches!(&error, Error::NotStarted { .. }) && error.is_unreachable(), "{error}");
}

#[tokio::test]
async fn a_line_that_is_not_the_protocol_ends_the_connection() {
    let fake = Fake::serve(|connections| {
        let mut peer = connections.next().unwrap();
        peer.request();
        peer.say(&json!("s3cret"));
        assert!(peer.request().is_none(), "the client has gone");
    });
    let client = Client::connect(&fake.access()).await.unwrap();
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)) && !error.to_string().contains("s3cret"), "{error}");
    fake.join();
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_unreachable() {
    let dir = tempfile::tempdir().unwrap();
    let access = keyfob::Access::socket(dir.path().join("s"));
    let error = Client::connect(&access).await.unwrap_err();
    assert!(error.is_unreachable() && matches!(error, Error::Unreachable { .. }), "{error}");
}
