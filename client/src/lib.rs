//! The client of keyfob, the session vault that the apps of one machine share.
//!
//! ```no_run
//! use keyfob::{Access, Client};
//! use keyfob::proto::{ClearSession, Payload, Stamp};
//!
//! # async fn example() -> Result<(), keyfob::Error> {
//! let mut vault = Client::connect_or_start(&Access::from_env()).await?;
//! let body = Payload::new(r#"{"organizationId":"…"}"#);
//! let header = vault.stamp(Stamp { payload: body, public_key: None, session_key: None }).await?;
//! println!("{}: {}", header.stamp_header_name, header.stamp_header_value);
//! vault.clear_session(ClearSession { session_key: None }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is one connection; its methods are the protocol's calls, one each, and
//! [`Client::call`] is the way they all go. With [`Client::subscribe`] it becomes a
//! [`Subscription`], a stream of events. [`Access`] says which vault is meant, and starts the daemon when
//! none answers. The module
//! [`blocking`] has the same for programs without async, over the same code.
//!
//! # Invariants
//!
//! - A call that returns `Ok` took effect and is durable. [`Error::Fault`] says that it did not take
//!   effect, unless its code is `STORAGE_ERROR` or `INTERNAL_ERROR`: these say themselves what is known.
//!   After [`Error::Disconnected`] it is not known.
//! - Dropping the future of a call leaves the client usable: the answer that nobody waits for any
//!   more is skipped. A call that was dropped half written is finished by the next one; the daemon
//!   waits 30 seconds for that.
//! - Nothing here keeps or shows a private key. The vault does not give one out.

mod access;
pub mod blocking;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod error;
mod link;
mod subscription;

pub use keyfob_proto as proto;

pub use access::Access;
pub use client::Client;
pub use error::Error;
pub use link::Direction;
pub use subscription::Subscription;
