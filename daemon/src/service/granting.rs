//! The calls on grants, which are the owner's.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use interprocess::local_socket::tokio::Listener;
use keyfob_proto::{
    AllGrantsRevoked, By, Call, Code, CreateGrant, Fault, GrantCreated, GrantEnd, GrantList, GrantName, GrantRevoked,
    Permission, RevokeGrant, SessionKey,
};

use super::{Caller, Service};
use crate::grants::{Grant, Terms, sockets};
use crate::limits::CALLS_PER_SECOND;
use crate::peer::KnownUsers;
use crate::seal::random;

/// The socket of a grant, to be listened on.
#[derive(Debug)]
pub(crate) struct GrantSocket {
    /// The grant.
    pub grant: Arc<Grant>,
    /// Its socket.
    pub listener: Listener,
}

impl Service {
    pub(super) fn create_grant(&self, call: CreateGrant, caller: &Caller) -> Result<GrantCreated, Fault> {
        let terms = self.terms(&call)?;
        if let Some(uid) = terms.uid.filter(|uid| !KnownUsers::here().knows(*uid)) {
            let message = format!(
                "keyfobd runs in a user namespace, as every sandboxed unit of a user does, where the system does not tell it \
                 who user {uid} is: a grant to another user needs a daemon outside of one (`keyfob service uninstall`, or an \
                 administrator's unit)"
            );
            return Err(wrong_param("uid", &message));
        }
        let socket = match call.socket {
            Some(path) => path,
            None => sockets::beside(&self.paths.socket, &terms.name, terms.uid)?,
        };
        let until_disconnect = terms.until_disconnect;
        let grant = Grant::new(terms, socket);
        let (grant, listener) =
            self.published.grants.add(grant, caller.by, |grant| sockets::bind(grant.socket(), grant.terms().uid))?;
        if !grant.look(&self.published.vault()) {
            self.published.grants.end(&grant, GrantEnd::SessionsGone, None);
            return Err(Fault::new(Code::NotFound, "the sessions were cleared meanwhile; there is nothing to grant"));
        }
        let Terms { name, expires_at, .. } = grant.terms();
        let reply = GrantCreated { name: *name, socket: PathBuf::from(grant.socket()), expires_at: expires_at.secs() };
        tracing::info!(grant = %name, until = %expires_at, "a grant was made");
        if until_disconnect {
            caller.tie(Arc::clone(&grant));
        }
        if self.grant_sockets.send(GrantSocket { grant: Arc::clone(&grant), listener }).is_err() {
            self.published.grants.end(&grant, GrantEnd::Revoked, None);
            return Err(Fault::new(Code::ShuttingDown, "the daemon is shutting down; this had no effect"));
        }
        Ok(reply)
    }

    pub(super) fn list_grants(&self) -> GrantList {
        GrantList { grants: self.published.grants.all().iter().map(|grant| grant.entry()).collect() }
    }

    pub(super) async fn revoke_grant(&self, call: RevokeGrant, by: By) -> Result<GrantRevoked, Fault> {
        let RevokeGrant { name, if_exists } = call;
        let Some(grant) = self.published.grants.get(&name) else {
            let message = format!("there is no grant {name}; `keyfob grants` shows those there are");
            let none = Fault::new(Code::GrantNotFound, message);
            return if if_exists { Ok(GrantRevoked { revoked: false, name }) } else { Err(none) };
        };
        self.published.grants.end(&grant, GrantEnd::Revoked, Some(by));
        grant.settle().await;
        Ok(GrantRevoked { revoked: true, name })
    }

    pub(super) async fn revoke_all_grants(&self, by: By) -> AllGrantsRevoked {
        let grants = self.published.grants.all();
        for grant in &grants {
            self.published.grants.end(grant, GrantEnd::Revoked, Some(by));
        }
        for grant in &grants {
            grant.settle().await;
        }
        AllGrantsRevoked { names: grants.iter().map(|grant| grant.terms().name).collect() }
    }

    /// What a call asks for, checked.
    fn terms(&self, call: &CreateGrant) -> Result<Terms, Fault> {
        let seconds = call.seconds.map_or(CreateGrant::DEFAULT_SECONDS, std::num::NonZeroU64::get);
        if seconds > CreateGrant::MAX_SECONDS {
            let message = format!("a grant lasts at most {} s (30 days)", CreateGrant::MAX_SECONDS);
            return Err(wrong_param("seconds", &message));
        }
        let now = self.clock.now();
        Ok(Terms {
            name: call.name.map_or_else(random_name, Ok)?,
            may: call.may.clone(),
            sessions: self.named(call)?.map(Arc::new),
            uid: call.uid,
            created_at: now,
            expires_at: now.after(Duration::from_secs(seconds)),
            uses: call.uses.map(std::num::NonZeroU64::get),
            calls_per_second: call.calls_per_second.map_or(CALLS_PER_SECOND, std::num::NonZeroU32::get),
            until_disconnect: call.until_disconnect,
        })
    }

    /// The sessions that a grant is to be for. They have to be there, unless they may be stored.
    fn named(&self, call: &CreateGrant) -> Result<Option<BTreeSet<SessionKey>>, Fault> {
        const MAX: usize = CreateGrant::MAX_SESSIONS;
        let Some(keys) = &call.session_keys else { return Ok(None) };
        if !(1..=MAX).contains(&keys.len()) {
            return Err(wrong_param("sessionKeys", &format!("`sessionKeys` is an array of 1 to {MAX} session keys")));
        }
        let (vault, now) = (self.published.vault(), self.clock.now());
        let missing = keys.iter().find(|key| vault.session(key, now).is_none());
        match missing.filter(|_| !call.may.contains(Permission::Store)) {
            Some(key) => Err(vault.no_session(key, now)),
            None => Ok(Some(keys.iter().cloned().collect())),
        }
    }
}

/// A name that nobody guesses.
fn random_name() -> Result<GrantName, Fault> {
    let name = BASE32_NOPAD.encode(&*random::<5>()).to_ascii_lowercase();
    name.parse().map_err(|_| Fault::new(Code::InternalError, "no name was found for the grant"))
}

fn wrong_param(field: &'static str, message: &str) -> Fault {
    Fault::new(Code::InvalidParams, message).on_params(CreateGrant::METHOD, Some(field))
}
