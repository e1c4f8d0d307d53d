//! Key pairs that are kept until they are deleted by name.

use super::*;
use keyfob_proto::{CreateApiKeyPair, ExternalKeyPair, Label};

const PUBLIC: &str = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1";
const PRIVATE: &str = "d25db12f04aa1ff4a12409efb1e19e5cbbc904b0ac1ba0021a905945c8c66927";

/// The call that takes in the key pair above.
fn import(keep: bool, label: Option<&str>) -> CreateApiKeyPair {
    let external = ExternalKeyPair { public_key: PUBLIC.parse().unwrap(), private_key: Secret::new(PRIVATE) };
    CreateApiKeyPair { external_key_pair: Some(external), keep, label: label.map(|label| label.parse().unwrap()) }
}

impl Bench {
    fn take_in(&mut self, call: &CreateApiKeyPair) -> keyfob_proto::ApiKeyPairCreated {
        let pair = NewKeyPair::of(call, self.now()).unwrap();
        self.apply(pair).unwrap()
    }

    fn keep(&mut self) -> PublicKey {
        let pair = NewKeyPair::generate(self.now()).unwrap().kept();
        self.apply(pair).unwrap().public_key
    }

    fn signs(&self, signer: &Signer) -> bool {
        let chosen = self.vault.signer(signer, self.now());
        chosen.is_ok_and(|chosen| chosen.stamp(self.keys.as_ref(), b"").is_ok())
    }
}

#[test]
fn a_kept_key_pair_is_never_swept_and_goes_when_it_is_named() {
    let mut bench = Bench::new();
    let (kept, swept) = (bench.keep(), bench.create_key_pair());
    bench.now += 1_000_000;
    let deleted = bench.apply(ClearUnusedKeyPairs { min_age_seconds: Some(0) }).unwrap();
    assert_eq!((deleted.deleted_public_keys, deleted.more), (vec![swept], false));
    assert!(bench.holds(&kept));
    assert_eq!((bench.vault.kept_count(), bench.vault.unused_count()), (1, 0));
    bench.events.clear();
    assert!(bench.apply(DeleteApiKeyPair::new(kept)).unwrap().deleted);
    assert!(!bench.holds(&kept));
    assert_eq!(bench.events, [EventKind::KeyPairDeleted { public_key: kept, reason: RemovalReason::Deleted }]);
}

#[test]
fn a_kept_key_pair_outlives_the_sessions_that_name_it() {
    let mut bench = Bench::new();
    let kept = bench.keep();
    bench.store("a", &kept, 1000).unwrap();
    assert!(bench.signs(&Signer::Session(key("a"))) && bench.signs(&Signer::Active) && bench.signs(&kept.into()));
    assert_eq!(code(bench.apply(DeleteApiKeyPair::new(kept))), Code::KeyPairInUse);
    assert_eq!(bench.clear(None).unwrap().deleted_public_key, None);
    assert!(bench.signs(&kept.into()));

    bench.store("a", &kept, 1000).unwrap();
    let other = bench.log_in("a", 1000);
    assert!(bench.holds(&kept), "replaced");
    bench.store("b", &kept, 1000).unwrap();
    let cleared = bench.apply(ClearAllSessions::default()).unwrap();
    assert_eq!((cleared.cleared_sessions, cleared.deleted_key_pairs), (2, 1));
    assert!(bench.holds(&kept) && !bench.holds(&other));

    bench.store("c", &kept, 10).unwrap();
    bench.now += 10;
    assert!(bench.signs(&kept.into()), "it belongs to no session");
    bench.pass_time(0);
    assert!(bench.signs(&kept.into()));
}

#[test]
fn a_kept_key_pair_of_expired_sessions_can_be_deleted_before_they_are_swept() {
    let mut bench = Bench::new();
    let kept = bench.keep();
    bench.store("a", &kept, 10).unwrap();
    bench.now += 10;
    assert!(bench.apply(DeleteApiKeyPair::new(kept)).unwrap().deleted);
    assert!(!bench.holds(&kept));
}

#[test]
fn a_session_that_adopts_its_kept_key_pair_takes_it_with_it() {
    let mut bench = Bench::new();
    let kept = bench.keep();
    let mut login = login("a", &kept, START + 1000);
    login.adopts_key_pair = true;
    bench.events.clear();
    assert!(bench.apply(login).unwrap().has_key_pair);
    assert_eq!(bench.events[0], EventKind::KeyPairCreated { public_key: kept, kept: false, label: None });
    assert_eq!((bench.vault.kept_count(), bench.vault.in_use_count()), (0, 1));
    assert!(bench.signs(&Signer::Active));
    assert_eq!(bench.clear(None).unwrap().deleted_public_key, Some(kept));
}

#[test]
fn taking_in_a_key_pair_once_more_can_keep_it_and_name_it() {
    let mut bench = Bench::new();
    let first = bench.take_in(&import(false, None));
    assert!(first.created && !first.kept);
    bench.now += 5;
    assert_eq!(
        bench.take_in(&import(false, None)),
        keyfob_proto::ApiKeyPairCreated { created: false, ..first.clone() }
    );
    bench.events.clear();
    let kept = bench.take_in(&import(true, Some("CI")));
    assert!(!kept.created && kept.kept);
    assert_eq!(kept.label.as_ref().map(Label::as_str), Some("CI"));
    let public_key = kept.public_key;
    assert_eq!(bench.events, [EventKind::KeyPairCreated { public_key, kept: true, label: kept.label.clone() }]);
    assert_eq!(bench.take_in(&import(false, None)), kept, "it stays as it is");
    bench.take_in(&import(false, Some("deploy")));
    assert_eq!(bench.events.len(), 2, "another label");
    let listed = bench.vault.list_api_key_pairs(&ListApiKeyPairs::default(), bench.now()).key_pairs;
    assert_eq!((listed[0].created_at, listed[0].kept), (START, true));
    assert_eq!(listed[0].label.as_ref().map(Label::as_str), Some("deploy"));
    assert!(bench.signs(&public_key.into()));
}

#[test]
fn a_key_pair_in_use_that_is_kept_from_now_on_outlives_its_sessions() {
    let mut bench = Bench::new();
    let public_key = bench.take_in(&import(false, None)).public_key;
    bench.store("a", &public_key, 1000).unwrap();
    let old = bench.vault.slot_of(&Name::InUse(public_key)).unwrap();
    let mut stock = stock();
    let mut draft = Draft::new(bench.vault.clone(), bench.now(), bench.keys.as_ref(), &mut stock);
    NewKeyPair::of(&import(true, None), bench.now()).unwrap().apply(&mut draft).unwrap();
    let drafted = draft.finish();
    let removed = |change: &Change| matches!(change, Change::Removed(Name::InUse(key), slot) if (*key, *slot) == (public_key, old));
    assert!(drafted.changes.iter().any(removed) && drafted.changes.iter().any(Change::is_put));
    bench.adopt(drafted);
    assert!(bench.signs(&Signer::Active));
    bench.clear(None).unwrap();
    assert!(bench.signs(&public_key.into()));
}

#[test]
fn a_locked_vault_tells_what_is_kept_and_sweeps_the_rest() {
    let mut bench = Bench::new();
    let (kept, _) = (bench.keep(), bench.create_key_pair());
    bench.keys = None;
    assert_eq!(bench.apply(ClearUnusedKeyPairs { min_age_seconds: Some(0) }).unwrap().deleted_public_keys.len(), 1);
    let listed = bench.vault.list_api_key_pairs(&ListApiKeyPairs::default(), bench.now()).key_pairs;
    assert_eq!(listed.iter().map(|pair| (pair.public_key, pair.kept)).collect::<Vec<_>>(), [(kept, true)]);
}

#[test]
fn sweeping_very_many_announces_a_resync() {
    let mut bench = Bench::new();
    for _ in 0..=MAX_ANNOUNCED {
        let pair = NewKeyPair::generate(bench.now()).unwrap();
        let pair = pair.seal(pair.facts().clone(), &keys(1), Scope::Unused, Slot::fresh(0));
        bench.vault.insert_unused(Arc::new(pair));
    }
    bench.apply(ClearUnusedKeyPairs { min_age_seconds: Some(0) }).unwrap();
    assert_eq!(bench.events, [EventKind::Resync]);
}
