//! Calls: what they take, what they answer, and that they overlap.

use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use keyfob::proto::{ClearSession, Code, MAX_LINE_BYTES, Signer};
use keyfob::{Client, Error};
use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon};
use serde_json::json;

use crate::{key, log_in};

/// Begins a call, lets it get as far as it gets at once, and drops it.
async fn begin_and_drop(call: impl IntoFuture) {
    let mut call = pin!(call.into_future());
    poll_fn(|context| {
        let _ = call.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    match result {
        Err(Error::Fault(fault)) => fault.data.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_answers_its_reply_or_its_fault() {
    let daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    log_in(&client, "a").await;
    let cleared = client.call(ClearSession::default()).await.unwrap();
    assert_eq!((cleared.session_key, cleared.was_active), (Some(key("a")), true));
    match client.clear_session().named(&key("a")).await {
        Err(Error::Fault(fault)) => {
            assert_eq!((fault.data.code, fault.data.session_key), (Code::NotFound, Some(key("a"))));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_call_may_be_given_is_said_by_methods() {
    let daemon = TestDaemon::start();
    let vault = Client::connect(&daemon.access()).await.unwrap();
    let (a, b) = (log_in(&vault, "a").await, log_in(&vault, "b").await);
    let stamped = vault.stamp("{}").with_session(&key("a")).await.unwrap();
    assert_eq!((stamped.public_key, stamped.session_key), (a, Some(key("a"))));
    assert_eq!(vault.sign(vec![7; 10]).with_key_pair(a).raw().await.unwrap().signature.len(), 128);
    assert_eq!(vault.sign("x").by(Signer::Active).await.unwrap().public_key, b);
    assert_eq!(vault.get_session().named(&key("a")).await.unwrap().session.unwrap().public_key, a);
    assert!(!vault.describe_session().named(&key("a")).await.unwrap().session.unwrap().active);
    assert_eq!(vault.list_sessions().after(key("a")).await.unwrap().sessions.len(), 1);

    let next = vault.create_api_key_pair().kept().labelled("CI".parse().unwrap()).await.unwrap();
    let refreshed = || token(&next.public_key.to_string(), START + 2000);
    let late = vault.store_session(refreshed()).named(&key("a")).if_public_key(b).await;
    assert_eq!(code(late), Code::Conflict);
    assert_eq!(code(vault.store_session(refreshed()).named(&key("a")).if_none().await), Code::Conflict);
    let stored = vault.store_session(refreshed()).named(&key("a")).if_public_key(a).without_activating().await.unwrap();
    assert_eq!((stored.replaced_public_key, stored.active), (Some(a), false));
    assert_eq!(code(vault.clear_session().named(&key("a")).if_public_key(a).await), Code::Conflict);
    vault.set_active_session(key("a")).await.unwrap();
    assert_eq!(vault.clear_session().await.unwrap().session_key, Some(key("a")));
    assert!(!vault.clear_session().named(&key("a")).if_exists().await.unwrap().cleared);
    assert_eq!(vault.clear_all_sessions().await.unwrap().cleared_sessions, 1);
    assert_eq!(vault.clear_all_sessions().if_exists().await.unwrap().cleared_sessions, 0);
    assert!(vault.clear_unused_key_pairs().from_age(Duration::ZERO).await.unwrap().deleted_public_keys.is_empty());
    assert!(vault.delete_api_key_pair(next.public_key).await.unwrap().deleted);
    assert!(!vault.delete_api_key_pair(next.public_key).if_exists().await.unwrap().deleted);
    let elsewhere = token(&a.to_string(), START + 1000);
    assert_eq!(code(vault.store_session(&*elsewhere).await), Code::KeyPairNotFound);
    assert!(!vault.store_session(&*elsewhere).without_key_pair().await.unwrap().has_key_pair);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_client_overlap_on_one_connection() {
    let daemon = TestDaemon::start();
    let vault = Client::connect(&daemon.access()).await.unwrap();
    log_in(&vault, "a").await;
    let calls = (0..500_u32).map(|n| {
        let vault = vault.clone();
        tokio::spawn(async move {
            match n % 3 {
                0 => drop(vault.create_api_key_pair().await.unwrap()),
                1 => drop(vault.stamp(n.to_string()).await.unwrap()),
                _ => drop(vault.get_session().await.unwrap().session.unwrap()),
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let status = vault.status().await.unwrap();
    assert_eq!((status.counts.connections, status.counts.key_pairs_unused), (Some(1), 167));
}

#[tokio::test]
async fn calls_are_sent_before_others_are_answered() {
    let fake = crate::fake::Fake::serve(|connections| {
        let mut peer = connections.next().unwrap();
        let requests: Vec<_> = (0..100).map(|_| peer.request().unwrap()).collect();
        for request in &requests {
            peer.answer(request, &json!({ "sessionKey": request["id"].to_string() }));
        }
        while peer.request().is_some() {}
    });
    let vault = Client::connect(&fake.access()).await.unwrap();
    let calls = (0..100).map(|_| {
        let vault = vault.clone();
        tokio::spawn(async move { vault.get_active_session_key().await.unwrap().session_key.unwrap().to_string() })
    });
    let mut names = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        names.push(call.await.unwrap());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 100, "each has its own answer");
    drop(vault);
    fake.join();
}

#[tokio::test]
async fn a_dropped_call_leaves_the_client_usable() {
    let daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    for n in 0..20 {
        log_in(&client, &n.to_string()).await;
        begin_and_drop(client.get_all_sessions()).await;
        client.clear_session().await.unwrap();
        begin_and_drop(client.status()).await;
    }
    assert_eq!(client.status().await.unwrap().counts.sessions, 0);
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
    let client = Client::connect(&daemon.access()).await.unwrap();
    begin_and_drop(client.get_all_sessions()).await;
    client.sign(vec![7; 2_000_000]).await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_fit_a_line_is_not_sent() {
    let daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    log_in(&client, "a").await;
    assert!(matches!(client.sign(vec![0; MAX_LINE_BYTES]).await, Err(Error::TooLong)));
    client.sign(vec![0; 1000]).await.unwrap();
}

#[tokio::test]
async fn debug_shows_where_it_leads_and_no_secret() {
    let daemon = TestDaemon::start();
    let client = Client::connect(&daemon.access()).await.unwrap();
    let call = client.store_session("s3cret");
    assert!(!format!("{call:?}").contains("s3cret"));
    assert!(format!("{client:?}").contains("keyfob.sock"));
    assert_eq!(code(call.await), Code::InvalidToken);
}
