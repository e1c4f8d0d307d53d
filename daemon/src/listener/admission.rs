//! Who is served, and who is told why not.

use std::sync::Arc;

use interprocess::local_socket::tokio::Stream;
use keyfob_proto::{Fault, write_fault};
use tokio::io::AsyncWriteExt;
use tracing::{Instrument, info_span, warn};

use crate::access::Access;
use crate::account::too_many;
use crate::connection;
use crate::peer::{self, Allowed};
use crate::service::{Caller, Service};

/// Serves one connection, unless there are as many as there may be, or tells it why not.
pub(super) async fn admit(
    stream: Stream,
    number: u64,
    service: Arc<Service>,
    allowed: Allowed,
    is_full: bool,
) -> Option<Stream> {
    let by =
        peer::of(&stream).inspect_err(|error| warn!(%error, "a connection without credentials is not served")).ok()?;
    let is_owner = allowed.is_owner(by.uid);
    let admitted = allowed.check(by.uid).and_then(|()| {
        let account = if is_owner { service.accounts.owner() } else { service.accounts.user(by.uid) };
        match account.connect() {
            Ok(_) if is_full => Err(too_many("the daemon serves as many connections as it may")),
            connected => Ok((connected?, account)),
        }
    });
    match admitted {
        Ok((_connected, account)) => {
            let span = info_span!("connection", number, pid = by.pid, uid = by.uid);
            let access = if is_owner { Access::Owner } else { Access::Allowed };
            let caller = Caller::new(by, access, account, service.published().grants.clone());
            connection::serve(stream, caller, service).instrument(span).await
        }
        Err(fault) => {
            service.refused.note(by.uid, &fault.data.code);
            refuse(&stream, &fault).await;
            None
        }
    }
}

/// Tells somebody why they are not served.
pub(crate) async fn refuse(mut stream: &Stream, fault: &Fault) {
    let mut line = Vec::new();
    write_fault(&mut line, None, fault);
    // They may have hung up already.
    let _ = stream.write_all(&line).await;
}
