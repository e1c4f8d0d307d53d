//! [`Refused`]: connections that are refused, told once a second. Whoever is not let in must not fill the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use keyfob_proto::Code;

/// The most users that are told apart.
const MAX_USERS: usize = 100;

/// Connections that were refused and not told yet.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<BTreeMap<(u32, String), u64>>);

impl Refused {
    /// Takes note of one.
    pub(crate) fn note(&self, uid: u32, code: &Code) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (uid, code.as_str().to_owned());
        if counts.len() < MAX_USERS || counts.contains_key(&key) {
            *counts.entry(key).or_default() += 1;
        }
    }

    /// Tells them.
    pub(crate) fn tell(&self) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for ((uid, code), count) in counts {
            tracing::warn!(uid, code, count, "connections were refused");
        }
    }
}
