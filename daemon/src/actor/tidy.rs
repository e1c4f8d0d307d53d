//! Tidying up: the database is told what was removed, and rewritten when most of it is garbage.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Actor;
use super::rewriting::{Rewriting, remove_in_background};
use crate::store::{Rewritten, StoreError};

impl Actor {
    /// Makes the reserve for a start on a full disk, on nobody's time.
    pub(super) fn make_reserve(&self) {
        let reserve = self.store.reserve();
        self.background.spawn_blocking(move || {
            if let Err(error) = reserve.make() {
                tracing::warn!(%error, "there is no reserve for a start on a full disk");
            }
        });
    }

    /// Tells the database some of what was removed.
    pub(super) fn tell(&mut self) {
        if self.store.owes() == 0 {
            return;
        }
        if let Err(error) = self.store.tell(&self.published.vault()) {
            // What was removed is gone all the same.
            self.notice(&error);
        }
    }

    /// Begins to rewrite the vault if the database is so many times as large as it may be.
    pub(super) fn rewrite_if_wasteful(&mut self, times: u64) {
        if self.rewriting.is_some()
            || self.store.is_broken()
            || self.store.bytes() < self.rewrite_from
            || !self.store.is_wasteful(self.published.vault().record_count(), times)
        {
            return;
        }
        self.rewriting = Some(Rewriting::begin(&self.store, Arc::clone(&self.published)));
    }

    /// Goes over to a database that was rewritten, once it has what was committed in the meantime.
    pub(super) fn switch_to(&mut self, rewritten: Result<Option<Rewritten>, StoreError>) {
        let changed = self.rewriting.take().and_then(Rewriting::changed);
        match (rewritten, changed) {
            (Ok(Some(new)), Some(changed)) if !self.store.is_broken() => {
                match self.store.switch_to(new, changed.iter(), &self.published.vault()) {
                    Ok(old) => remove_in_background(old),
                    Err(error) => self.notice(&error),
                }
                self.rewrite_from = 2 * self.store.bytes();
                self.published.store_bytes.store(self.store.bytes(), Ordering::Relaxed);
            }
            (unfinished, changed) => {
                // Without an error it was given up, or the disk failed in the meantime.
                let error = unfinished.err();
                tracing::warn!(error = error.as_ref().map(tracing::field::display), "the vault was not rewritten");
                let was_given_up = changed.is_none();
                self.rewrite_from = if was_given_up { 0 } else { 2 * self.store.bytes() };
                if let Err(error) = self.store.remove_unfinished() {
                    tracing::warn!(%error, "what the rewriting left stays for now");
                }
            }
        }
    }
}
