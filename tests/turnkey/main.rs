//! Turnkey's own client over a vault, against a mock of the API that verifies every stamp.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod examples;

use std::error::Error as _;
use std::time::Duration;

use keyfob::proto::{Code, PublicKey, SessionKey, Signer};
use keyfob::turnkey::{LoginError, VaultStamper, fault, log_in, log_out, refresh};
use keyfob::{Client, Error};
use keyfob_tests::login::token;
use keyfob_tests::{START, TestDaemon};
use keyfob_turnkey_tests::Api;
use tokio::runtime::Builder;
use turnkey_api_key_stamper::{Stamp, StamperError};
use turnkey_client::generated::GetWhoamiRequest;
use turnkey_client::{TurnkeyClient, TurnkeyClientError};

const LIFETIME: Duration = Duration::from_secs(3600);

fn work() -> SessionKey {
    "work".parse().unwrap()
}

/// A vault with the session `work`, which is not the active one.
async fn logged_in(daemon: &TestDaemon) -> (Client, PublicKey) {
    let vault = Client::connect(&daemon.access()).await.unwrap();
    let mut key = None;
    for name in ["work", "other"] {
        let pair = vault.create_api_key_pair().await.unwrap().public_key;
        let name: SessionKey = name.parse().unwrap();
        vault.store_session(token(&pair.to_string(), START + 900)).named(&name).await.unwrap();
        key.get_or_insert(pair);
    }
    (vault, key.unwrap())
}

fn client(vault: &Client, api: &Api, signer: impl Into<Signer>) -> TurnkeyClient<VaultStamper> {
    TurnkeyClient::builder().api_key(VaultStamper::new(vault, signer)).base_url(api.url()).build().unwrap()
}

async fn who_am_i<S: Stamp>(api: &TurnkeyClient<S>) -> Result<String, TurnkeyClientError> {
    let request = GetWhoamiRequest { organization_id: "o".to_owned() };
    api.get_whoami(request).await.map(|answer| answer.username)
}

/// The fault that a request failed with.
fn fault_of(error: &TurnkeyClientError) -> Code {
    let TurnkeyClientError::StamperError(error) = error else { panic!("{error}") };
    fault(error).unwrap_or_else(|| panic!("{error}")).data.code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_are_stamped_by_a_session_a_key_pair_or_the_active_one_two_hundred_at_once() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let (vault, key) = logged_in(&daemon).await;
    let active = vault.describe_session().await.unwrap().session.unwrap().public_key;
    for (signer, expected) in [(work().into(), key), (key.into(), key), (Signer::Active, active)] {
        let client = std::sync::Arc::new(client(&vault, &api, signer));
        let requests = (0..200).map(|_| {
            let client = std::sync::Arc::clone(&client);
            tokio::spawn(async move { who_am_i(&client).await.unwrap() })
        });
        for request in requests.collect::<Vec<_>>() {
            assert_eq!(request.await.unwrap(), expected.to_string(), "whom the API takes it to be from");
        }
    }
    assert_eq!(vault.status().await.unwrap().counts.connections, Some(1));
}

#[test]
fn a_runtime_of_one_thread_and_none_at_all_will_do() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (vault, key) = runtime.block_on(logged_in(&daemon));
    let client = client(&vault, &api, work());
    let names = runtime.block_on(async {
        let mut names = Vec::new();
        for _ in 0..20 {
            names.push(who_am_i(&client).await.unwrap());
        }
        names
    });
    assert!(names.iter().all(|name| *name == key.to_string()));
    drop(runtime);
    assert_eq!(VaultStamper::new(&vault, work()).stamp(b"{}").unwrap().name, "X-Stamp");
}

#[tokio::test]
async fn a_login_stores_a_session_of_a_new_key_pair_or_leaves_none() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let vault = Client::connect(&daemon.access()).await.unwrap();
    let api_key = vault.create_api_key_pair().kept().await.unwrap().public_key;
    let client = client(&vault, &api, api_key);
    let stored = log_in(&vault, &client, "o".to_owned(), &work(), LIFETIME).await.unwrap();
    assert!(stored.active && stored.has_key_pair && stored.session.public_key != api_key);
    assert_eq!(api.last_login().stamped_by, api_key.to_string());
    api.refuse_logins();
    assert!(log_in(&vault, &client, "o".to_owned(), &work(), LIFETIME).await.is_err());
    let counts = vault.status().await.unwrap().counts;
    assert_eq!((counts.key_pairs_in_use, counts.key_pairs_unused, counts.key_pairs_kept), (1, 0, 1));
}

#[tokio::test]
async fn a_refresh_puts_a_new_session_in_place_of_the_old_and_moves_nothing_else() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let (vault, old) = logged_in(&daemon).await;
    let stored = refresh(&vault, &client(&vault, &api, work()), &work(), LIFETIME).await.unwrap();
    assert_eq!((stored.replaced_public_key, stored.active, stored.has_key_pair), (Some(old), false, true));
    assert_eq!(api.last_login().expiration_seconds, "3600");
    assert_eq!(api.last_login().stamped_by, old.to_string());
    assert_eq!(vault.get_active_session_key().await.unwrap().session_key, Some("other".parse().unwrap()));
    assert_eq!(who_am_i(&client(&vault, &api, work())).await.unwrap(), stored.session.public_key.to_string());
    let counts = vault.status().await.unwrap().counts;
    assert_eq!((counts.key_pairs_in_use, counts.key_pairs_unused), (2, 0), "the old key pair is gone");
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins_and_the_other_leaves_no_key_pair() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let (vault, _) = logged_in(&daemon).await;
    let other = Client::connect(&daemon.access()).await.unwrap();
    // Both have their session from the API before either stores it.
    api.hold_logins(2);
    let (one, two) = (client(&vault, &api, work()), client(&other, &api, work()));
    let name = work();
    let (one, two) = tokio::join!(refresh(&vault, &one, &name, LIFETIME), refresh(&other, &two, &name, LIFETIME));
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    let public_key = won.unwrap().session.public_key;
    match lost.unwrap_err() {
        LoginError::Vault(Error::Fault(fault)) => {
            assert_eq!((fault.data.code, fault.data.public_key), (Code::Conflict, Some(public_key)));
        }
        error => panic!("{error}"),
    }
    let counts = vault.status().await.unwrap().counts;
    assert_eq!((counts.key_pairs_in_use, counts.key_pairs_unused), (2, 0));
}

#[tokio::test]
async fn a_session_that_is_cleared_while_it_is_refreshed_does_not_come_back() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let (vault, _) = logged_in(&daemon).await;
    let client = client(&vault, &api, work());
    api.hold_logins(2);
    let name = work();
    let clear = async {
        api.login_is_held().await;
        vault.clear_all_sessions().await.unwrap();
        api.let_go();
    };
    let (refreshed, ()) = tokio::join!(refresh(&vault, &client, &name, LIFETIME), clear);
    let LoginError::Vault(Error::Fault(fault)) = refreshed.unwrap_err() else { panic!("a fault") };
    assert_eq!((fault.data.code, fault.data.public_key), (Code::Conflict, None));
    let counts = vault.status().await.unwrap().counts;
    assert_eq!((counts.sessions, counts.key_pairs_in_use, counts.key_pairs_unused), (0, 0, 0));
}

#[tokio::test]
async fn a_refresh_that_the_api_refuses_changes_nothing() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let (vault, old) = logged_in(&daemon).await;
    api.refuse_logins();
    let error = refresh(&vault, &client(&vault, &api, work()), &work(), LIFETIME).await.unwrap_err();
    assert!(matches!(error, LoginError::Api(TurnkeyClientError::UnexpectedHttpStatus(403, _))), "{error}");
    assert_eq!(vault.describe_session().named(&work()).await.unwrap().session.unwrap().public_key, old);
    assert_eq!(vault.status().await.unwrap().counts.key_pairs_unused, 0);
    let none: SessionKey = "none".parse().unwrap();
    let error = refresh(&vault, &client(&vault, &api, none.clone()), &none, LIFETIME).await.unwrap_err();
    assert!(matches!(error, LoginError::Vault(Error::Fault(fault)) if fault.data.code == Code::NotFound));
}

#[tokio::test]
async fn a_log_out_works_on_a_locked_vault_and_twice() {
    let daemon = TestDaemon::start();
    let (vault, key) = logged_in(&daemon).await;
    vault.lock().await.unwrap();
    assert_eq!(log_out(&vault, &work()).await.unwrap().deleted_public_key, Some(key));
    assert!(!log_out(&vault, &work()).await.unwrap().cleared);
}

#[tokio::test]
async fn the_vaults_fault_is_reached_through_turnkeys_errors() {
    let (daemon, api) = (TestDaemon::start(), Api::start());
    let (vault, key) = logged_in(&daemon).await;
    let client = client(&vault, &api, work());
    vault.lock().await.unwrap();
    assert_eq!(fault_of(&who_am_i(&client).await.unwrap_err()), Code::VaultLocked);
    vault.unlock().await.unwrap();
    log_out(&vault, &work()).await.unwrap();
    let error = who_am_i(&client).await.unwrap_err();
    assert_eq!(fault_of(&error), Code::NotFound);
    let source = error.source().unwrap().downcast_ref::<StamperError>().unwrap();
    assert_eq!(fault(source).unwrap().data.session_key, Some(work()));
    let of_pair = VaultStamper::new(&vault, key).stamp(b"").unwrap_err();
    assert_eq!(fault(&of_pair).unwrap().data.public_key, Some(key));
    assert_eq!(fault(&StamperError::HexDecode("x".to_owned())), None);
    let _ = daemon.stop();
    let error = VaultStamper::new(&vault, key).stamp(b"").unwrap_err();
    assert!(fault(&error).is_none() && error.to_string().contains("keyfobd"), "{error}");
}
