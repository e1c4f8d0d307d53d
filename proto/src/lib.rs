//! The wire of keyfob, without any I/O of its own: what an app may say to `keyfobd`, what it
//! answers, and how both become lines of JSON.
//!
//! Protocol 1 is JSON-RPC 2.0, one message per line, over a local socket ([`Endpoint`]). A line of
//! bytes goes through these types, in this order, and back:
//!
//! 1. [`LineBuffer`] cuts the stream into lines and refuses those over [`MAX_LINE_BYTES`].
//! 2. [`Envelope`] is the JSON-RPC frame: an [`Id`] that is echoed and never interpreted, a method,
//!    parameters not yet read.
//! 3. [`Request`] is one of the protocol's calls, fully checked. The table in [`for_each_call!`] is
//!    the whole protocol: it pairs every [`Call`] with its reply.
//! 4. The answer is the call's [`Call::Reply`] or a [`Fault`]; beside it the daemon may push an
//!    [`Event`]. A client reads all three as [`Incoming`].
//!
//! # Invariants
//!
//! - A call and its reply are paired in one place; a daemon that does not serve a call, or answers
//!   it with another type, does not compile.
//! - An unknown field in a call is refused: an old daemon must not silently drop a newer
//!   restriction. An unknown field in a reply, fault or event is ignored.
//! - What clients read may get more fields and variants: it is `non_exhaustive`, but for those who switch the feature
//!   `server` on because they make it.
//! - No error that is made here repeats the input or serde's description of it. It names the
//!   method, the field and the form that it has to have, all from static text.
//! - A [`Secret`] has no `Display`, its `Debug` prints a redaction, and its memory is overwritten
//!   when it is dropped.

pub mod call;
mod codec;
mod duration;
mod endpoint;
mod envelope;
mod event;
mod fault;
mod form;
mod grant;
mod label;
mod place;
mod public_key;
#[cfg(feature = "schema")]
pub mod schema;
mod secret;
mod session;
mod startup;

pub use call::*;
pub use codec::{LineBuffer, LineTooLong, MAX_LINE_BYTES};
pub use duration::{DurationError, parse_age, parse_duration};
pub use endpoint::{Endpoint, EndpointError, MAX_SOCKET_PATH_BYTES};
pub use envelope::{
    Envelope, Id, Incoming, MAX_ID_BYTES, Refused, call_line, write_call, write_event, write_fault, write_reply,
};
pub use event::{By, Event, EventKind, EventType, GrantEnd, RemovalReason};
pub use fault::{Code, Fault, FaultData};
pub use grant::{GrantName, GrantNameError, Granted, MAX_GRANT_NAME_BYTES, Permission, PermissionError, Permissions};
pub use label::{Label, LabelError, MAX_LABEL_BYTES};
pub use place::{Listening, Place, PlaceError, owned_by_another};
pub use public_key::{PublicKey, PublicKeyError};
pub use secret::{Payload, Secret};
pub use session::{DEFAULT_SESSION_KEY, MAX_SESSION_KEY_BYTES, Session, SessionKey, SessionKeyError};
pub use startup::Startup;

/// The version of the protocol. It is an integer of its own: it changes when the wire does, not
/// when a release is made.
pub const PROTOCOL_VERSION: u32 = 1;
