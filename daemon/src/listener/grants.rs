//! The sockets of grants: whoever connects there has that grant.

use std::sync::Arc;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Listener as _;
use keyfob_proto::{Code, Fault, GrantEnd};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::interval;
use tracing::{Instrument, debug, info_span, warn};

use super::{drain, refuse};
use crate::access::Access;
use crate::account::Account;
use crate::connection;
use crate::grants::Grant;
use crate::limits::{ACCEPT_PAUSE, TELL_REFUSALS_EVERY};
use crate::peer;
use crate::service::{Caller, GrantSocket, Service};

/// Serves the sockets of grants as they are made, until the daemon drains.
pub(crate) async fn accept(mut sockets: UnboundedReceiver<GrantSocket>, service: Arc<Service>) {
    let mut tell = interval(TELL_REFUSALS_EVERY);
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(socket) = sockets.recv() => {
                tasks.spawn(serve(socket, Arc::clone(&service)));
            }
            Some(_) = tasks.join_next() => {}
            _ = tell.tick() => {
                service.published().grants.tell_refusals();
                service.refused.tell();
            }
            () = service.shutdown.cancelled() => break,
        }
    }
    // Whoever makes one now is told that the daemon shuts down.
    sockets.close();
    while tasks.join_next().await.is_some() {}
}

/// Serves a grant's socket until the grant ends.
async fn serve(GrantSocket { grant, listener }: GrantSocket, service: Arc<Service>) {
    let account = service.accounts.grant(grant.terms().calls_per_second);
    let mut connections = JoinSet::new();
    let expired = service.clock().reached(grant.terms().expires_at);
    tokio::pin!(expired);
    loop {
        tokio::select! {
            biased;
            () = grant.ended().cancelled() => break,
            () = service.shutdown.cancelled() => break,
            () = &mut expired, if !grant.ended().is_cancelled() => {
                service.published().grants.end(&grant, GrantEnd::Expired, None);
            }
            Some(_) = connections.join_next() => grant.connected(false),
            stream = listener.accept() => match stream {
                Ok(stream) => {
                    grant.connected(true);
                    connections.spawn(admit(stream, Arc::clone(&grant), Arc::clone(&account), Arc::clone(&service)));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drain(connections).await;
}

/// Serves one connection, or tells it why not.
async fn admit(stream: Stream, grant: Arc<Grant>, account: Arc<Account>, service: Arc<Service>) -> Option<Stream> {
    let mut by = peer::of(&stream).inspect_err(|error| debug!(%error, "a connection without credentials")).ok()?;
    by.grant = Some(grant.terms().name);
    let own = rustix::process::getuid().as_raw();
    let is_theirs = by.uid == own || by.uid == 0 || Some(by.uid) == grant.terms().uid;
    let not_theirs = || Fault::new(Code::AccessDenied, format!("this grant is not for user {}", by.uid));
    match if is_theirs { account.connect() } else { Err(not_theirs()) } {
        Ok(_connected) => {
            let span = info_span!("grant", name = %grant.terms().name, pid = by.pid, uid = by.uid);
            let caller = Caller::new(by, Access::Granted(grant), account, service.published().grants.clone());
            connection::serve(stream, caller, service).instrument(span).await
        }
        Err(fault) => {
            grant.refuse("connect", &fault.data.code);
            refuse(&stream, &fault).await;
            None
        }
    }
}
