//! The client of keyfob, the session vault that the apps of one machine share.
//!
//! ```no_run
//! use keyfob::proto::SessionKey;
//! use keyfob::{Access, Client};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let vault = Client::connect_or_start(&Access::from_env()?).await?;
//! let work: SessionKey = "work".parse()?;
//! let header = vault.stamp(r#"{"organizationId":"…"}"#).with_session(&work).await?;
//! println!("{}: {}", header.stamp_header_name, header.stamp_header_value);
//! vault.clear_session().named(&work).await?;
//! vault.clear_all_sessions().if_exists().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is a handle on a vault; its methods are the protocol's calls, one each. What they answer is
//! [`Prepared`]: it takes what the call may be given besides, and is made when it is awaited, or, where there is no async
//! runtime, with [`Prepared::wait`]. [`Client::events`] is a stream of what happens in the vault. [`Access`] says which
//! vault is meant, and starts the daemon when none answers. With the features `turnkey` and
//! `turnkey-client`, the module `turnkey` puts a vault under Turnkey's own client.
//!
//! One thread of the program reads and writes for all its clients. A call goes from [`Client`] to the task that owns its
//! connection, from there as a line to the daemon, and its answer the same way back.
//!
//! # Invariants
//!
//! - A call that returns `Ok` took effect and is durable. [`Error::is_unknown`] tells those errors after which it is not
//!   known whether the call took effect; after any other it did not.
//! - A call is sent once or not at all. A connection that is lost is made anew for the next call.
//! - Dropping the future of a call leaves the client usable: the answer that nobody waits for any more is skipped.
//! - Each wait has an end, see [`Deadlines`].
//! - Nothing here keeps or shows a private key. The vault does not give one out.

mod access;
mod client;
mod driver;
mod error;
mod events;
mod io;
mod link;
mod prepared;
#[cfg(feature = "turnkey")]
pub mod turnkey;

pub use keyfob_proto as proto;

pub use access::{Access, Deadlines};
pub use client::Client;
pub use error::Error;
pub use events::Events;
pub use link::Direction;
pub use prepared::Prepared;
