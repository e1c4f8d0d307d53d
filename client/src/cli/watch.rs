use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use keyfob_proto::{ClearReason, Event, EventKind, Subscribed};

use super::output::{name, wrapping_key};
use super::time::{local, time_of_day, until};
use super::{Failure, Session};
use crate::Error;
use crate::blocking::Subscription;

/// Print the vault's events as they come, until interrupted
///
/// When the daemon stops it ends, with exit code 69; with --reconnect it goes on when a daemon is there again, which a
/// line that says `resync` tells: read again what you need.
///
/// Example: keyfob watch --json
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// End after this many events
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<usize>,

    /// Go on when the daemon has stopped and another is there; it is started if need be, unless --no-start is given
    #[arg(long)]
    reconnect: bool,
}

/// How long it is waited before a daemon that is not there is looked for again.
const PAUSE: Duration = Duration::from_millis(500);

impl Watch {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let mut left = self.count.unwrap_or(usize::MAX);
        let (_, mut events) = session.connect()?.subscribe()?;
        session.output.note("watching; interrupt to end")?;
        while left > 0 {
            match events.next().unwrap_or(Err(Error::Ended)) {
                Ok(event) => {
                    left -= 1;
                    session.output.print(&event, line(&event))?;
                }
                Err(Error::Ended) if self.reconnect => {
                    session.output.note("the daemon has stopped; waiting for another")?;
                    let (subscribed, again) = reconnect(session)?;
                    events = again;
                    left -= 1;
                    // What happened in between is not known.
                    let resync = Event { sequence: subscribed.sequence, kind: EventKind::Resync, by: None };
                    session.output.print(&resync, line(&resync))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A subscription as soon as there is a daemon.
fn reconnect(session: &Session<'_, '_>) -> Result<(Subscribed, Subscription), Failure> {
    // Nothing is ever sent: this only waits.
    let (_never, wait) = mpsc::channel::<()>();
    loop {
        match session.connect().and_then(|client| Ok(client.subscribe()?)) {
            // One that is about to go takes a connection, and does not answer.
            Err(Failure::Vault(error)) if error.is_unreachable() || matches!(error, Error::Disconnected(_)) => {
                let _ = wait.recv_timeout(PAUSE);
            }
            subscribed => return subscribed,
        }
    }
}

/// An event as a person reads it, with the time.
fn line(event: &Event) -> String {
    format!("{} {}", time_of_day(), text(event))
}

fn text(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::SessionStored { session_key, public_key, .. } => {
            format!("stored {} with key pair {public_key}", name(session_key))
        }
        EventKind::SessionCleared { session_key, reason } => {
            let reason = match reason {
                ClearReason::Cleared => "cleared",
                ClearReason::AllCleared => "all cleared",
                ClearReason::Expired => "expired",
                ClearReason::Replaced => "replaced",
                ClearReason::Unknown => "unknown reason",
            };
            format!("cleared {} ({reason})", name(session_key))
        }
        EventKind::ActiveSessionChanged { session_key: Some(key) } => format!("active is now {}", name(key)),
        EventKind::ActiveSessionChanged { session_key: None } => "no session is active now".to_owned(),
        EventKind::SessionExpiring { session_key, expiry } => {
            format!("{} expires {}, at {}", name(session_key), until(*expiry), local(*expiry))
        }
        EventKind::VaultLocked => "the vault is locked".to_owned(),
        EventKind::VaultRekeyed { key_source } => format!("vault rekeyed; {}", wrapping_key(*key_source)),
        EventKind::VaultUnlocked => "the vault is unlocked".to_owned(),
        EventKind::Resync => "resync: some events were missed, so read the vault again".to_owned(),
        EventKind::Unknown => "an event that this release does not know".to_owned(),
    };
    let by = event.by.map(|by| match by.pid {
        Some(pid) => format!(" (by pid {pid}, user {})", by.uid),
        None => format!(" (by user {})", by.uid),
    });
    format!("{} {what}{}", event.sequence, by.unwrap_or_default())
}
