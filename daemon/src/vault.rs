//! [`Vault`]: every session and key pair, and what may happen to them. No I/O, no clock, no tasks, no locks, no caches.
//!
//! A vault is a plain value made of persistent maps, so copying it costs the same whatever it holds. The reads are
//! methods that take the time and, where they open a record, the keys as parameters. The writes are [`Mutation`]s,
//! applied to a [`Draft`]; whoever wants to know what clearing means reads one of them.
//!
//! # Invariants
//!
//! Checked when a vault is read from the store, kept by [`Draft`]:
//!
//! - the active pointer names a session that is there, or none;
//! - a key pair that is not kept is *in use* exactly when a session names it, else *unused*; a kept one is neither, and
//!   belongs to no session;
//! - what is secret of a session or key pair is sealed, in the scope of its use;
//! - the indexes (sessions by expiry and by key pair, unused key pairs by age) list exactly what there is.

mod attempts;
mod change;
mod chosen;
mod contents;
mod draft;
mod expired;
mod expiry;
mod facts;
mod jwt;
mod key_pair;
mod missing;
mod mutation;
mod part;
mod read;
mod restore;
mod session;
mod signature;
mod token;
mod within;

pub use self::attempts::Attempts;
pub use self::change::{Announcement, Change, Name, Removal};
pub use self::chosen::Chosen;
pub use self::contents::{Record, Vault};
pub use self::draft::{Draft, Drafted};
pub use self::expired::ExpiredName;
pub use self::expiry::WARNING_SECONDS;
pub use self::facts::KeyPairFacts;
pub use self::key_pair::{KeyPair, NewKeyPair};
pub use self::mutation::{Kind, Mutation};
pub use self::part::Part;
pub use self::restore::{Inconsistent, Stored};
pub use self::session::StoredSession;
pub use self::token::Login;
pub use self::within::Within;

#[cfg(test)]
mod tests;
