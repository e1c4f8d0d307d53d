//! The daemon of keyfob: one session vault for every app on the machine.
//!
//! # The way of a request
//!
//! ```text
//! socket → listener → connection → service ──mutation──→ actor → store → keys, records (sled)
//!                         ↑           │                    │
//!                         └── answer ─┤                    ├─ publishes the new vault
//!                                     └──read, sign── vault ←┘ events → subscribers
//! ```
//!
//! A [`listener::Socket`] accepts connections from the users that [`peer::Allowed`] lets in; whoever connects to the socket
//! of one of the [`grants`] has that. A [`connection`] cuts lines, within what the [`account`] of its user may hold;
//! [`access`] says whether a call is for them, and [`service::Service`] which call is a read and which a mutation. Reads and
//! signatures are answered at once from the published [`vault::Vault`]. Mutations go to the one [`actor::Actor`], which
//! applies waiting ones together to a copy of the vault, makes their changes durable in the [`store::Store`] with one sync,
//! publishes the copy, and then lets [`events`] and replies go. What happened is written to the [`audit`].
//!
//! Those who have a grant see a projection of the vault ([`vault::Part`]): their reads are of that, and their mutations
//! ([`vault::Within`]) look at it before they change what is behind it. The store, the seal and the rules themselves know no grants.
//!
//! What is secret in the vault is [`seal::Sealed`], on the disk and in memory. It is opened where a call needs it, with
//! keys that are in one place and only while the vault is unlocked. The store has two halves: the records say what
//! there is, the file `keys` says what of it lives. Overwriting a record's slot there is what clears it.
//!
//! The [`architecture`] page tells it step by step, and names the test that holds each invariant. What is public here is
//! there for the program and for the tests, and promises nothing.
//!
//! # Invariants
//!
//! - A reply to a mutation means that it is on the disk. What cannot be written is never seen.
//! - When the reply to a removal goes out, nobody can open what was removed any more. Removing needs no key and no room.
//! - Only the actor changes the vault, only the store's records know sled and only its keys know slots, only the
//!   [`clock`] asks for the time of day, only the vault knows what a call means.
//! - An exclusive lock on the data directory is held before the vault in it, or the socket, is touched.
//! - No private key leaves the daemon, and nothing of a request but its method is logged. The audit has
//!   the names of sessions and key pairs besides.
//! - Whoever is not the owner waits for the owner and for each other. The owner waits for nobody else, but for one small
//!   group of their mutations that is at work.
//! - Every bound on what clients can make the daemon do is in [`limits`].

mod access;
mod account;
mod actor;
mod audit;
mod background;
pub mod clock;
pub mod config;
mod connection;
mod directory;
mod error;
mod events;
mod file_lock;
mod grants;
pub mod limits;
mod listener;
mod log;
mod passed;
mod peer;
mod process;
mod refused;
mod run;
pub mod seal;
mod service;
mod socket_file;
mod start;
pub mod store;
mod unit;
pub mod vault;

#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}

pub use self::error::Error;
pub use self::run::run;
pub use self::start::{Daemon, Drained};
