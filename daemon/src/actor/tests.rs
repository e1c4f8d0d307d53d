//! The actor without a socket: groups, flushes, faults.

use keyfob_proto::{ClearSession, ClearUnusedKeyPairs};

use super::*;
use crate::vault::NewKeyPair;

/// An actor that has not begun to run, over an empty store.
fn actor() -> (tempfile::TempDir, Actor, Handle, Arc<Published>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, vault) = Store::open(dir.path()).unwrap();
    store.unlock_by_itself().unwrap();
    let (clock, _) = Clock::manual(Timestamp::from_secs(1_800_000_000));
    let (actor, handle, published) = Actor::new(store, vault, clock);
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
        answers.push(handle.submit(new_key_pair(), None, |reply| reply.public_key).await);
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
    let created = handle.submit(new_key_pair(), None, |reply| reply.public_key).await;
    let fault = handle.submit(ClearSession { session_key: None }, None, |_| ()).await;
    let pruned = ClearUnusedKeyPairs { min_age_seconds: Some(0) };
    let pruned = handle.submit(pruned, None, |reply| reply.deleted_public_keys).await;
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
    let pruned = handle.submit(ClearUnusedKeyPairs::default(), None, |reply| reply.more).await;
    drop(handle);
    actor.run().await;
    assert!(!pruned.await.unwrap().unwrap());
    assert_eq!((published.mutations(), published.flushes()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_commit_every_mutation_is_refused_and_nothing_is_seen() {
    let (_dir, actor, handle, published) = actor();
    let seen = published.vault();
    actor.fail(&StoreError::Engine(sled::Error::Io(std::io::ErrorKind::StorageFull.into())));
    let created = handle.submit(new_key_pair(), None, |reply| reply.public_key).await;
    drop(handle);
    actor.run().await;
    assert_eq!(created.await.unwrap().unwrap_err().data.code, Code::StorageError);
    assert!(published.has_failed() && Arc::ptr_eq(&published.vault(), &seen));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_finds_no_actor_is_told_that_it_had_no_effect() {
    let (_dir, actor, handle, _) = actor();
    drop(actor);
    let created = handle.submit(new_key_pair(), None, |reply| reply.public_key).await;
    assert_eq!(created.await.unwrap().unwrap_err().data.code, Code::ShuttingDown);
}
