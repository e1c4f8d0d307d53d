//! The state of the daemon, as `status` tells it.

use std::sync::atomic::Ordering;

use keyfob_proto::{
    Counts, DaemonStatus, Health, Limits, LockStatus, MAX_LINE_BYTES, MAX_SESSION_KEY_BYTES, PROTOCOL_VERSION,
    Rekeying, StorageStatus,
};

use super::Service;
use crate::clock::Timestamp;
use crate::limits::{LINE_TIMEOUT, MAX_TOKEN_BYTES, ROOM_TO_PUT};
use crate::process;
use crate::store::{FileSystem, StoreError};
use crate::vault::Vault;

impl Service {
    pub(super) fn status(&self) -> DaemonStatus {
        let vault = self.published.vault();
        let (health, storage) = self.storage();
        DaemonStatus {
            protocol_version: PROTOCOL_VERSION,
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
            grant: None,
            pid: Some(std::process::id()),
            uptime_seconds: Some(self.started.elapsed().as_secs()),
            started_by: Some(self.started_by),
            health: Some(health),
            storage: Some(storage),
            lock: self.lock_status(),
            memory: Some(process::memory_status()),
            active_session_key: vault.active(self.clock.now()).cloned(),
            counts: Counts {
                connections: Some(self.connections.load(Ordering::Relaxed)),
                mutations: Some(self.published.mutations()),
                flushes: Some(self.published.flushes()),
                store_bytes: Some(self.published.store_bytes()),
                ..counts(&vault, self.clock.now())
            },
            limits: limits(self.max_connections),
            paths: Some(self.paths.clone()),
        }
    }

    /// What the vault is kept on, and whether it takes anything.
    fn storage(&self) -> (Health, StorageStatus) {
        let file_system = FileSystem::of(&self.paths.data_dir);
        let failure = self.published.failure();
        let is_full = file_system.as_ref().is_ok_and(|file_system| file_system.free < ROOM_TO_PUT);
        let (health, fault) = match (&file_system, failure) {
            (_, Some(failure)) => (Health::StorageFailed, Some(failure)),
            (Ok(file_system), None) if is_full => {
                (Health::StorageFull, Some(StoreError::Full(file_system.clone()).to_string()))
            }
            _ => (Health::Ok, None),
        };
        let known = file_system.ok();
        let storage = StorageStatus {
            free_bytes: known.as_ref().map(|known| known.free),
            overwrites_in_place: known.as_ref().and_then(|known| known.overwrites_in_place),
            file_system: known.map_or_else(|| "unknown".to_owned(), |known| known.kind),
            fault,
        };
        (health, storage)
    }

    fn lock_status(&self) -> LockStatus {
        LockStatus {
            locked: self.published.is_locked(),
            key_source: Some(self.published.origin().kind()),
            lock_after_seconds: self.idle.lock_after().map(|after| after.as_secs()),
            lock_after_overridden: self.idle.is_told(),
            rekeying: self.published.rekeying.now().map(|(done, total)| Rekeying { done, total }),
        }
    }
}

/// What there is in a vault, or in a part of one.
pub(super) fn counts(vault: &Vault, now: Timestamp) -> Counts {
    Counts {
        sessions: vault.live_count(now) as u64,
        key_pairs_in_use: vault.in_use_count() as u64,
        key_pairs_unused: vault.unused_count() as u64,
        key_pairs_kept: vault.kept_count() as u64,
        ..Counts::default()
    }
}

/// What the daemon accepts.
pub(super) fn limits(max_connections: usize) -> Limits {
    Limits {
        line_bytes: MAX_LINE_BYTES as u64,
        session_key_bytes: MAX_SESSION_KEY_BYTES as u64,
        session_token_bytes: MAX_TOKEN_BYTES as u64,
        connections: max_connections as u64,
        line_seconds: LINE_TIMEOUT.as_secs(),
    }
}
