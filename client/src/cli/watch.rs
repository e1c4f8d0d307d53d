use clap::Args;
use keyfob_proto::{ClearReason, Event, EventKind};

use super::output::{name, span, wrapping_key};
use super::{Failure, Session};

/// Print the vault's events as they come, until interrupted
///
/// Example: keyfob watch --json
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// End after this many events
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<usize>,
}

impl Watch {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let (_, subscription) = session.connect()?.subscribe()?;
        session.output.note("watching; interrupt to end")?;
        for event in subscription.take(self.count.unwrap_or(usize::MAX)) {
            let event = event?;
            session.output.print(&event, text(&event))?;
        }
        Ok(())
    }
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
            format!("{} expires within {}, at {expiry} (Unix time)", name(session_key), span(60))
        }
        EventKind::VaultLocked => "the vault is locked".to_owned(),
        EventKind::VaultRekeyed { key_source } => format!("vault rekeyed; {}", wrapping_key(*key_source)),
        EventKind::VaultUnlocked => "the vault is unlocked".to_owned(),
        EventKind::Resync => "some events were missed: read the vault again".to_owned(),
        EventKind::Unknown => "an event that this release does not know".to_owned(),
    };
    let by = event.by.map(|by| match by.pid {
        Some(pid) => format!(" (by pid {pid}, user {})", by.uid),
        None => format!(" (by user {})", by.uid),
    });
    format!("{} {what}{}", event.sequence, by.unwrap_or_default())
}
