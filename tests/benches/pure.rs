//! The parts that do no I/O, each alone: `cargo bench -p keyfob-tests`.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keyfob_proto::{ClearSession, Envelope, GetSession, LineBuffer, Request, Secret, SessionKey, Signer, StoreSession};
use keyfob_tests::login::token;
use keyfob_tests::model::KeyPair as Pair;
use keyfobd::clock::Timestamp;
use keyfobd::seal::{Depth, Key, Scope, Sealed, Slot, VaultKeys, on_wiped_stack};
use keyfobd::vault::{Draft, Login, Mutation, NewKeyPair, Vault};

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
    Login::read(StoreSession { session_key, ..StoreSession::new(session_token) }).expect("a token")
}

fn keys() -> VaultKeys {
    VaultKeys::new(Key::fill(|bytes| bytes.fill(1)), b"a generation")
}

/// A vault of sessions that share a key pair.
fn vault(sessions: u32) -> Vault {
    let pair = NewKeyPair::generate(NOW).expect("randomness");
    let public_key = pair.public_key().to_string();
    let (keys, mut stock) = (keys(), Slot::fresh_all(0..2 * sessions + 2).collect());
    let mut draft = Draft::new(Vault::default(), NOW, Some(&keys), &mut stock);
    pair.apply(&mut draft).expect("a key pair");
    for number in 0..sessions {
        login(&number.to_string(), &public_key).apply(&mut draft).expect("a session");
    }
    draft.finish().vault
}

fn rules(criterion: &mut Criterion) {
    let keys = keys();
    let public_key = &Pair::first(1)[0].public_key;
    criterion.bench_function("read a token", |bencher| bencher.iter(|| login("session", black_box(public_key))));
    for sessions in [10, 10_000] {
        let vault = vault(sessions);
        let key: SessionKey = "5".parse().expect("a session key");
        criterion.bench_function(&format!("read a session of {sessions}, as JSON"), |bencher| {
            let call = GetSession::from(key.clone());
            bencher.iter(|| {
                let found = on_wiped_stack(Depth::Shallow, || vault.get_session(black_box(&call), NOW, Some(&keys)));
                serde_json::to_vec(&found.expect("a session")).expect("JSON")
            });
        });
        criterion.bench_function(&format!("clear a session of {sessions}"), |bencher| {
            bencher.iter_batched(
                || (vault.clone(), ClearSession::from(key.clone())),
                |(vault, clear)| {
                    let mut stock = VecDeque::new();
                    let mut draft = Draft::new(vault, NOW, None, &mut stock);
                    clear.apply(&mut draft).expect("a session");
                    draft.finish()
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn signatures(criterion: &mut Criterion) {
    let (vault, keys) = (vault(1), keys());
    let chosen = vault.signer(&Signer::Active, NOW).expect("a session");
    criterion.bench_function("create a key pair", |bencher| bencher.iter(|| NewKeyPair::generate(NOW)));
    criterion.bench_function("stamp 256 bytes", |bencher| {
        bencher.iter(|| on_wiped_stack(Depth::Deep, || chosen.stamp(Some(&keys), black_box(&[7; 256]))));
    });
}

fn seals(criterion: &mut Criterion) {
    let (keys, plain) = (keys(), [7; 600]);
    let seal = || Sealed::new(&keys, Scope::InUse, Slot::fresh(0), b"a session", black_box(&plain));
    criterion.bench_function("seal 600 bytes", |bencher| bencher.iter(seal));
    let sealed = seal();
    let open = || sealed.open(Some(&keys), Scope::InUse, b"a session", <[u8]>::len);
    criterion.bench_function("open 600 bytes", |bencher| bencher.iter(open));
}

criterion_group!(pure, wire, rules, signatures, seals);
criterion_main!(pure);
