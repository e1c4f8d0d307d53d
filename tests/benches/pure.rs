//! The parts that do no I/O, each alone: `cargo bench -p keyfob-tests`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keyfob_proto::{ClearSession, Envelope, GetSession, LineBuffer, Request, Secret, SessionKey, StoreSession};
use keyfob_tests::login::token;
use keyfob_tests::model::KeyPair as Pair;
use keyfobd::clock::Timestamp;
use keyfobd::seal::{Scope, Sealed, Supply};
use keyfobd::vault::{Draft, Login, Mutation, NewKeyPair, Scopes, Signer, Vault};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn wire(criterion: &mut Criterion) {
    let line = br#"{"jsonrpc":"2.0","id":1,"method":"getSession","params":{"sessionKey":"session-5"}}"#;
    criterion.bench_function("read a request", |bencher| {
        bencher.iter(|| {
            let envelope = Envelope::parse(black_box(line)).expect("a request");
            Request::parse(&envelope.method, envelope.params).expect("a call")
        });
    });
    let lines = [line.as_slice(), b"\n"].concat().repeat(32);
    criterion.bench_function("cut 32 lines", |bencher| {
        let mut buffer = LineBuffer::default();
        bencher.iter(|| {
            buffer.space().extend_from_slice(&lines);
            while let Ok(Some(line)) = buffer.next_line() {
                black_box(line);
            }
        });
    });
}

fn login(name: &str, public_key: &str) -> Login {
    let session_key = Some(name.parse().expect("a session key"));
    let session_token = Secret::new(token(public_key, 4_000_000_000));
    Login::read(StoreSession { session_key, session_token }).expect("a token")
}

/// A vault of sessions that share a key pair.
fn vault(sessions: u32) -> Vault {
    let pair = NewKeyPair::generate(NOW).expect("randomness");
    let public_key = pair.public_key().to_string();
    let empty = Vault::empty(Scopes::without_store());
    let mut draft = Draft::new(empty, NOW, Supply::without_store(2 * sessions + 2));
    pair.apply(&mut draft).expect("a key pair");
    for number in 0..sessions {
        login(&number.to_string(), &public_key).apply(&mut draft).expect("a session");
    }
    draft.finish().vault
}

fn rules(criterion: &mut Criterion) {
    let public_key = &Pair::first(1)[0].public_key;
    criterion.bench_function("read a token", |bencher| bencher.iter(|| login("session", black_box(public_key))));
    for sessions in [10, 10_000] {
        let vault = vault(sessions);
        let key: SessionKey = "5".parse().expect("a session key");
        criterion.bench_function(&format!("read a session of {sessions}, as JSON"), |bencher| {
            let call = GetSession { session_key: Some(key.clone()) };
            bencher.iter(|| {
                serde_json::to_vec(&vault.get_session(black_box(&call), NOW).expect("a session")).expect("JSON")
            });
        });
        criterion.bench_function(&format!("clear a session of {sessions}"), |bencher| {
            bencher.iter_batched(
                || (Draft::new(vault.clone(), NOW, Supply::default()), ClearSession { session_key: Some(key.clone()) }),
                |(mut draft, clear)| {
                    clear.apply(&mut draft).expect("a session");
                    draft
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn signatures(criterion: &mut Criterion) {
    let vault = vault(1);
    let pair = vault.signer(Signer::Active, NOW).expect("a session");
    criterion.bench_function("create a key pair", |bencher| bencher.iter(|| NewKeyPair::generate(NOW)));
    criterion.bench_function("stamp 256 bytes", |bencher| bencher.iter(|| pair.stamp(black_box(&[7; 256]))));
}

fn seals(criterion: &mut Criterion) {
    let (scope, plain) = (Scope::without_store(), [7; 600]);
    let seal = || {
        let slot = Supply::without_store(1).slot().expect("a slot");
        Sealed::new(&scope, slot, b"a session", black_box(&plain)).expect("unlocked")
    };
    criterion.bench_function("seal 600 bytes", |bencher| bencher.iter(seal));
    let sealed = seal();
    criterion.bench_function("open 600 bytes", |bencher| bencher.iter(|| sealed.open(b"a session", <[u8]>::len)));
}

criterion_group!(pure, wire, rules, signatures, seals);
criterion_main!(pure);
