//! The client library against the real daemon, and against one that misbehaves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod calls;
mod events;
mod fake;
mod loss;
mod runtimes;

use keyfob::Client;
use keyfob::proto::{PublicKey, SessionKey};
use keyfob_tests::START;
use keyfob_tests::login::token;

fn key(name: &str) -> SessionKey {
    name.parse().unwrap()
}

/// Creates a key pair and stores a session that names it.
async fn log_in(client: &Client, name: &str) -> PublicKey {
    let pair = client.create_api_key_pair().await.unwrap();
    let token = token(&pair.public_key.to_string(), START + 1000);
    client.store_session(token).named(&key(name)).await.unwrap();
    pair.public_key
}
