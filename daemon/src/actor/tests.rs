//! The actor without a socket: groups, flushes, faults.

use data_encoding::BASE64URL_NOPAD;
use keyfob_proto::{
    ClearAllSessions, ClearSession, ClearUnusedKeyPairs, Code, CreateApiKeyPair, DeleteApiKeyPair, ExternalKeyPair,
    GetSession, PublicKey, Secret, SessionKey, SetActiveSession, StoreSession,
};

use super::*;
use crate::seal::Depth;
use crate::store::StoreError;
use crate::vault::{Login, NewKeyPair};

/// An actor that has not begun to run, over an empty store.
fn actor() -> (tempfile::TempDir, Actor, Handle, Arc<Published>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, vault) = Store::open(dir.path()).unwrap();
    let (clock, _) = Clock::manual(Timestamp::from_secs(1_800_000_000));
    let (mut actor, handle, published) = Actor::new(store, vault, clock);
    actor.unlock_by_itself().unwrap();
    (dir, actor, handle, published)
}

fn new_key_pair() -> NewKeyPair {
    NewKeyPair::generate(Timestamp::from_secs(1_800_000_000)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mutations_that_wait_together_share_one_flush() {
    let (_dir, actor, handle, published) = actor();
    let mut answers = Vec::new();
    for _ in 0..GROUP {
        answers.push(handle.submit(new_key_pair(), (None, Lane::Owner), |reply| reply.public_key).await);
    }
    drop(handle);
    actor.run().await;
    for answer in answers {
        let key = answer.await.unwrap().unwrap();
        assert!(published.vault().key_pair(&key, Timestamp::default()).is_some());
    }
    assert_eq!((published.mutations(), published.flushes()), (GROUP as u64, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_a_group_does_not_disturb_the_others() {
    let (_dir, actor, handle, published) = actor();
    let created = handle.submit(new_key_pair(), (None, Lane::Owner), |reply| reply.public_key).await;
    let fault = handle.submit(ClearSession::default(), (None, Lane::Owner), |_| ()).await;
    let pruned = ClearUnusedKeyPairs { min_age_seconds: Some(0) };
    let pruned = handle.submit(pruned, (None, Lane::Owner), |reply| reply.deleted_public_keys).await;
    drop(handle);
    actor.run().await;
    let key = created.await.unwrap().unwrap();
    assert_eq!(fault.await.unwrap().unwrap_err().data.code, Code::NoSessionFound);
    assert_eq!(pruned.await.unwrap().unwrap(), [key], "they are applied in order");
    assert_eq!((published.mutations(), published.flushes()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_needs_no_flush() {
    let (_dir, actor, handle, published) = actor();
    let pruned = handle.submit(ClearUnusedKeyPairs::default(), (None, Lane::Owner), |reply| reply.more).await;
    drop(handle);
    actor.run().await;
    assert!(!pruned.await.unwrap().unwrap());
    assert_eq!((published.mutations(), published.flushes()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_finds_no_actor_is_told_that_it_had_no_effect() {
    let (_dir, actor, handle, _) = actor();
    drop(actor);
    let created = handle.submit(new_key_pair(), (None, Lane::Owner), |reply| reply.public_key).await;
    assert_eq!(created.await.unwrap().unwrap_err().data.code, Code::ShuttingDown);
}

fn key(name: &str) -> SessionKey {
    name.parse().unwrap()
}

fn login(name: &str, public_key: &PublicKey) -> Login {
    let claims = format!(
        r#"{{"exp":4000000000,"public_key":"{public_key}","session_type":"T","user_id":"u","organization_id":"o"}}"#
    );
    let session_token = Secret::new(format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes())));
    Login::read(StoreSession {
        without_key_pair: true,
        session_key: Some(key(name)),
        ..StoreSession::new(session_token)
    })
    .unwrap()
}

fn clear(name: &str) -> ClearSession {
    ClearSession::from(key(name))
}

/// Serves mutations as one group, and answers their codes: of a fault, or none.
macro_rules! group {
    ($actor:expr, $handle:expr; $($mutation:expr),+) => {{
        let answers = [$($handle.submit($mutation, (None, Lane::Owner), drop).await),+];
        let mut group = Vec::new();
        while let Ok(submission) = $actor.queue.owner.try_recv() {
            group.push(submission);
        }
        $actor.work_off(group.into_iter());
        answers.map(|mut answer| answer.try_recv().expect("it is answered").err().map(|fault| fault.data.code))
    }};
}

/// The names of the sessions after another start, and the number of key pairs.
fn after_restart(dir: &tempfile::TempDir, actor: Actor) -> (Vec<String>, usize) {
    drop(actor);
    let vault = Store::open(dir.path()).unwrap().1;
    let names = vault.list_sessions(&keyfob_proto::ListSessions::default(), Timestamp::default()).sessions;
    let names = names.iter().map(|entry| entry.session_key.to_string()).collect();
    (names, vault.in_use_count() + vault.unused_count())
}

#[tokio::test]
async fn a_group_that_only_removes_waits_for_one_sync_and_tells_the_database_later() {
    let (dir, mut actor, handle, published) = actor();
    let pair = new_key_pair();
    let public_key = *pair.public_key();
    assert!(
        group!(actor, handle; pair, login("a", &public_key), login("b", &public_key), login("c", &public_key))
            .iter()
            .all(Option::is_none)
    );
    let bytes = published.store_bytes();
    assert_eq!(group!(actor, handle; clear("a"), clear("b"), clear("a")), [None, None, Some(Code::NotFound)]);
    assert_eq!((published.flushes(), published.store_bytes(), actor.store.owes()), (2, bytes, 2));
    actor.tell();
    assert_eq!(actor.store.owes(), 0);
    assert_eq!(after_restart(&dir, actor), (vec!["c".to_owned()], 1));
}

#[tokio::test]
async fn a_clear_all_in_a_group_keeps_what_comes_after_and_nothing_of_what_came_before() {
    let (dir, mut actor, handle, published) = actor();
    let pair = new_key_pair();
    let public_key = *pair.public_key();
    let answers = group!(
        actor, handle;
        pair, login("before", &public_key), ClearAllSessions::default(), login("between", &public_key), ClearAllSessions::default(),
        login("after", &public_key), ClearAllSessions::default(), ClearAllSessions::default(), login("last", &public_key)
    );
    let twice = Some(Code::NoSessionFound);
    assert_eq!(answers, [None, None, None, None, None, None, None, twice, None]);
    assert!(
        published
            .open(Depth::Shallow, |vault, keys| vault.get_session(&GetSession::default(), Timestamp::default(), keys))
            .is_ok()
    );
    assert_eq!(after_restart(&dir, actor), (vec!["last".to_owned()], 0));
}

#[tokio::test]
async fn after_a_batch_that_failed_nothing_is_put_and_removing_goes_on() {
    let (dir, mut actor, handle, published) = actor();
    let (pair, spare) = (new_key_pair(), new_key_pair());
    let (public_key, spare_key) = (*pair.public_key(), *spare.public_key());
    assert!(
        group!(actor, handle; pair, spare, login("a", &public_key), login("b", &public_key), login("c", &public_key))
            .iter()
            .all(Option::is_none)
    );
    actor.store.break_database();
    let failed = || Some(Code::StorageError);
    // In one group with what fails, before it and after it.
    let answers = group!(
        actor, handle;
        clear("a"), new_key_pair(), login("d", &public_key), clear("d"), SetActiveSession { session_key: key("b") }
    );
    assert_eq!(answers, [None, failed(), failed(), Some(Code::NotFound), failed()]);
    assert!(published.failure().is_some());
    assert_eq!(group!(actor, handle; new_key_pair(), clear("a")), [failed(), Some(Code::NotFound)]);
    assert_eq!(group!(actor, handle; DeleteApiKeyPair::new(spare_key), clear("b")), [None, None]);
    assert_eq!((published.vault().session_count(), actor.store.owes()), (1, 0));
    assert_eq!(after_restart(&dir, actor), (vec!["c".to_owned()], 1));
}

#[tokio::test]
async fn clearing_all_and_expiry_go_on_after_a_batch_that_failed() {
    let (dir, mut actor, handle, published) = actor();
    let pair = new_key_pair();
    let public_key = *pair.public_key();
    assert!(group!(actor, handle; pair, login("a", &public_key), login("b", &public_key)).iter().all(Option::is_none));
    actor.store.break_database();
    assert_eq!(group!(actor, handle; login("c", &public_key)), [Some(Code::StorageError)]);
    assert_eq!(group!(actor, handle; ClearAllSessions::default()), [None]);
    assert_eq!(group!(actor, handle; ClearAllSessions::default()), [Some(Code::NoSessionFound)]);
    assert!(published.vault().is_empty());
    assert_eq!(after_restart(&dir, actor), (vec![], 0));
}

#[tokio::test]
async fn what_a_batch_that_failed_may_have_put_is_removed_with_what_it_replaced() {
    let (_dir, mut actor, handle, _) = actor();
    let (one, other) = (new_key_pair(), new_key_pair());
    let (key_one, key_other) = (*one.public_key(), *other.public_key());
    assert!(group!(actor, handle; one, other, login("a", &key_one)).iter().all(Option::is_none));
    let before = actor.published.vault();
    actor.store.break_database();
    assert_eq!(group!(actor, handle; login("a", &key_other)), [Some(Code::StorageError)]);
    // The next start may find either of the two: both are cleared, and each key pair that went with them.
    let clear = clear("a");
    let mut stock = std::collections::VecDeque::new();
    let mut draft = Draft::new(Vault::clone(&before), Timestamp::default(), None, &mut stock);
    crate::vault::Mutation::apply(&clear, &mut draft).unwrap();
    let drafted = draft.finish();
    let (slots, _) = actor.undecided.removed(&drafted.changes, &before, &drafted.vault, Timestamp::default());
    // The old session and its key pair; the new session and its key pair in use. The other one's unused place is named
    // by the vault that is shown.
    assert_eq!(slots.len(), 4);
    let unused = before.slot_of(&crate::vault::Name::Unused(key_other)).unwrap();
    assert!(!slots.contains(&unused));
    assert_eq!(group!(actor, handle; clear), [None]);
    assert!(actor.published.vault().key_pair(&key_other, Timestamp::default()).is_some());
}

#[tokio::test]
async fn what_could_not_be_removed_is_removed_with_the_next_group() {
    let (dir, mut actor, handle, published) = actor();
    let pair = new_key_pair();
    let public_key = *pair.public_key();
    assert!(group!(actor, handle; pair, login("a", &public_key), login("b", &public_key)).iter().all(Option::is_none));
    actor.fail(&StoreError::Broken);
    actor.unfinished.push(Removal::Session(key("a")));
    assert_eq!(group!(actor, handle; clear("b")), [None]);
    assert!(published.vault().is_empty() && actor.unfinished.is_empty());
    assert_eq!(after_restart(&dir, actor), (vec![], 0));
}

/// What a start finds when the batch that failed was written after all: the other vault, with these removals.
fn other_vault(actor: &Actor) -> Vault {
    actor.undecided.vault().cloned().expect("a batch failed")
}

#[tokio::test]
async fn a_key_pair_that_was_deleted_is_gone_whatever_a_batch_that_failed_made_of_it() {
    for clears in [false, true] {
        let (_dir, mut actor, handle, _) = actor();
        let pair = new_key_pair();
        let public_key = *pair.public_key();
        assert_eq!(group!(actor, handle; pair), [None]);
        actor.store.break_database();
        assert_eq!(group!(actor, handle; login("a", &public_key)), [Some(Code::StorageError)]);
        assert_eq!(other_vault(&actor).session_count(), 1);
        if clears {
            let min_age_seconds = Some(0);
            assert_eq!(group!(actor, handle; ClearUnusedKeyPairs { min_age_seconds }), [None]);
        } else {
            assert_eq!(group!(actor, handle; DeleteApiKeyPair::new(public_key)), [None]);
        }
        assert!(other_vault(&actor).is_empty(), "the session that may have been stored goes with it");
    }
}

#[tokio::test]
async fn a_key_pair_that_went_with_its_session_is_gone_though_it_may_have_been_kept() {
    for clears_all in [false, true] {
        let (_dir, mut actor, handle, _) = actor();
        let (pair, public_key) = import(false);
        assert_eq!(group!(actor, handle; pair, login("a", &public_key)), [None, None]);
        actor.store.break_database();
        assert_eq!(group!(actor, handle; import(true).0), [Some(Code::StorageError)]);
        assert_eq!(other_vault(&actor).kept_count(), 1);
        if clears_all {
            assert_eq!(group!(actor, handle; ClearAllSessions::default()), [None]);
        } else {
            assert_eq!(group!(actor, handle; clear("a")), [None]);
        }
        assert!(other_vault(&actor).is_empty());
    }
}

#[tokio::test]
async fn a_key_pair_that_went_with_its_session_is_gone_though_another_may_name_it() {
    let (_dir, mut actor, handle, _) = actor();
    let pair = new_key_pair();
    let public_key = *pair.public_key();
    assert_eq!(group!(actor, handle; pair, login("a", &public_key)), [None, None]);
    actor.store.break_database();
    assert_eq!(group!(actor, handle; login("b", &public_key)), [Some(Code::StorageError)]);
    assert_eq!(group!(actor, handle; clear("a")), [None]);
    assert!(other_vault(&actor).is_empty());
}

#[tokio::test]
async fn time_that_passes_repeats_what_could_not_be_removed() {
    let (_dir, mut actor, handle, published) = actor();
    let pair = new_key_pair();
    let public_key = *pair.public_key();
    assert!(group!(actor, handle; pair, login("a", &public_key), login("b", &public_key)).iter().all(Option::is_none));
    actor.unfinished.push(Removal::Session(key("a")));
    actor.pass_time();
    assert!(published.vault().session(&key("a"), Timestamp::default()).is_none() && actor.unfinished.is_empty());
}

/// A key pair that is always the same.
fn import(keep: bool) -> (NewKeyPair, PublicKey) {
    let private_key = Secret::new("d25db12f04aa1ff4a12409efb1e19e5cbbc904b0ac1ba0021a905945c8c66927");
    let public_key = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1".parse().unwrap();
    let external_key_pair = Some(ExternalKeyPair { public_key, private_key });
    let call = CreateApiKeyPair { external_key_pair, keep, label: None };
    (NewKeyPair::of(&call, Timestamp::default()).unwrap(), public_key)
}
