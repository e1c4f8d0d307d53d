//! What those who are not the owner may store, checked before and counted after.

use std::sync::Arc;

use keyfob_proto::{ApiKeyPairCreated, CreateApiKeyPair, Fault, StoreSession};

use super::{Caller, Service};
use crate::vault::{Login, NewKeyPair};

impl Service {
    /// Reads a login, if there may be another session of that size.
    pub(super) fn read_login(&self, call: StoreSession, caller: &Caller) -> Result<Login, Fault> {
        let login = Login::read(call)?;
        let (key, bytes) = (login.session_key(), login.token_bytes());
        let room = caller.account.stored(|stored| stored.check_session(key, bytes, &self.published.vault()));
        room.unwrap_or(Ok(())).map(|()| login)
    }

    /// The key pair that is asked for, if there may be another.
    pub(super) fn new_key_pair(&self, call: &CreateApiKeyPair, caller: &Caller) -> Result<NewKeyPair, Fault> {
        let room = caller.account.stored(|stored| stored.check_key_pair(&self.published.vault()));
        room.unwrap_or(Ok(())).and_then(|()| NewKeyPair::of(call, self.clock.now()))
    }
}

/// Takes note of a session that was stored.
pub(super) fn stores(login: &Login, caller: &Caller) -> impl FnOnce() + Send + use<> {
    let (account, key, bytes) = (Arc::clone(&caller.account), login.session_key().clone(), login.token_bytes());
    move || {
        account.stored(|stored| stored.stored(key, bytes));
    }
}

/// Takes note of a key pair that was created.
pub(super) fn creates(caller: &Caller) -> impl FnOnce(&ApiKeyPairCreated) + Send + use<> {
    let account = Arc::clone(&caller.account);
    move |reply| {
        if reply.created {
            account.stored(|stored| stored.created(reply.public_key));
        }
    }
}
