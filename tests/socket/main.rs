//! The daemon over its socket, as a stranger's client sees it: raw lines, every method, every fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod apps;
mod bad_input;
mod calls;
mod crowd;
mod events;
mod expiry;
mod grants;
mod limits;
mod order;
mod private_keys;
