//! The daemon of keyfob.
pub mod clock;
pub mod store;
pub mod vault;
