//! From a database that is mostly garbage to a fresh one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Store;
use super::error::StoreError;
use super::records::{self, Batch, Counts, Rewrite, Rewritten, Superseded};
use crate::limits::{GENEROUS_RECORD_BYTES, WORTH_REWRITING_BYTES};
use crate::vault::{Name, Vault};

impl Store {
    /// Whether the database's file is so many times as large as it may be, when it has to hold this many sessions and
    /// key pairs: the rest of it is garbage.
    #[must_use]
    pub fn is_wasteful(&self, records: usize, times: u64) -> bool {
        self.bytes() > times * (WORTH_REWRITING_BYTES + GENEROUS_RECORD_BYTES * records as u64)
    }

    /// Begins to rewrite the records into a fresh database; see [`Rewrite`].
    #[must_use]
    pub fn rewrite(&self) -> Rewrite {
        let state = self.keys.state();
        let number = state.database + 1;
        Rewrite {
            path: records::directory(&self.path, number),
            number,
            generation: state.generation,
            vault_record: self.vault_record(),
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Goes over to a database that was rewritten, once it is told what these names stand for. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When the disk failed. Which of the two a next start would open is then unknown, so nothing can be put any more.
    pub fn switch_to<'a>(
        &mut self,
        mut new: Rewritten,
        changed: impl Iterator<Item = &'a Name>,
        vault: &Vault,
    ) -> Result<Superseded, StoreError> {
        new.catch_up(changed, vault)?;
        let mut batch = Batch::default();
        let counts = Counts { commits: self.commits + 1, writes: self.keys.durable() };
        batch.count(counts);
        let Rewritten { mut database, number, .. } = new;
        database.commit(batch, 1)?;
        self.keys.set_commits(counts.commits);
        self.keys.set_database(number).map_err(|error| self.fails(error))?;
        self.commits = counts.commits;
        self.owed.clear();
        Ok(Superseded(std::mem::replace(&mut self.records, database)))
    }

    /// Removes what a rewriting that failed has left.
    ///
    /// # Errors
    ///
    /// When it cannot be removed; the next start tries again.
    pub fn remove_unfinished(&self) -> Result<(), StoreError> {
        records::remove_others(&self.path, self.keys.state().database)
    }
}
