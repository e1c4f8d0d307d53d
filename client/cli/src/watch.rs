use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use keyfob::{Client, Error, Events};
use keyfob_proto::{Event, EventKind, EventType, GrantEnd, RemovalReason, Subscribe};

use super::arguments::Named;
use super::complete::session_names;
use super::escape::printable;
use super::grants::{ends, gives};
use super::output::{count as counted, name, wrapping_key};
use super::time::{local, time_of_day, until};
use super::{Failure, Session};

/// Print the vault's events as they come, until interrupted
///
/// When the daemon stops it ends, with exit code 69; with --reconnect it goes on when a daemon is there again, which a
/// line that says `resync` tells: read again what you need.
///
/// Example: keyfob watch --session work --json
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// End after this many events
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<usize>,

    /// Only events of this type; may be given more than once
    #[arg(long = "type", value_name = "TYPE", value_parser = event_types())]
    types: Vec<EventType>,

    /// Only what happens to this session, and to the vault as a whole, and not to key pairs or grants; up to 100 of them
    #[arg(long = "session", value_name = "KEY", value_parser = Named::read, add = session_names())]
    sessions: Vec<Named>,

    /// Go on when the daemon has stopped and another is there; it is started if need be, unless --no-start is given
    #[arg(long)]
    reconnect: bool,
}

/// Reads a type of event, as it is called on the wire.
fn event_types() -> impl TypedValueParser<Value = EventType> {
    let named = |name: String| EventType::ALL.iter().find(|event_type| event_type.as_str() == name).copied();
    PossibleValuesParser::new(EventType::ALL.iter().map(|event_type| event_type.as_str()))
        .try_map(move |name| named(name).ok_or("no such type"))
}

/// How long it is waited before a daemon that is not there is looked for again.
const PAUSE: Duration = Duration::from_millis(500);

impl Watch {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let wanted = self.wanted(&client)?;
        let mut left = self.count.unwrap_or(usize::MAX);
        let mut events = client.events_blocking(wanted)?;
        session.output.note("watching; interrupt to end")?;
        while left > 0 {
            match events.wait().unwrap_or(Err(Error::Ended)) {
                Ok(event) => {
                    left -= 1;
                    session.output.print(&event, line(&event))?;
                }
                Err(Error::Ended) if self.reconnect => {
                    session.output.note("the daemon has stopped; waiting for another")?;
                    reconnect(&mut events)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The events that are asked for.
    fn wanted(&self, client: &Client) -> Result<Subscribe, Failure> {
        if self.sessions.len() > Subscribe::MAX_SESSIONS {
            return Err(Failure::Input(format!("--session may be given {} times at most", Subscribe::MAX_SESSIONS)));
        }
        let keys = self.sessions.iter().map(|name| name.clone().find(client)).collect::<Result<Vec<_>, _>>()?;
        let types = (!self.types.is_empty()).then(|| self.types.clone());
        Ok(Subscribe { types, session_keys: (!keys.is_empty()).then_some(keys) })
    }
}

/// Subscribes again as soon as there is a daemon.
fn reconnect(events: &mut Events) -> Result<(), Failure> {
    // Nothing is ever sent: this only waits.
    let (_never, wait) = mpsc::channel::<()>();
    loop {
        match events.reconnect_blocking() {
            // One that is about to go takes a connection, and does not answer.
            Err(error) if error.is_unreachable() || matches!(error, Error::Disconnected(_)) => {
                let _ = wait.recv_timeout(PAUSE);
            }
            subscribed => return Ok(subscribed?),
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
            format!("cleared {} ({})", name(session_key), because(*reason))
        }
        EventKind::KeyPairCreated { public_key, kept, label } => {
            let label = label.as_ref().map(|label| format!(" \"{}\"", printable(label.as_str()))).unwrap_or_default();
            format!("key pair {public_key}{label} is there{}", if *kept { ", and kept" } else { "" })
        }
        EventKind::KeyPairDeleted { public_key, reason } => {
            format!("deleted key pair {public_key} ({})", because(*reason))
        }
        EventKind::ActiveSessionChanged { session_key: Some(key), .. } => format!("active is now {}", name(key)),
        EventKind::ActiveSessionChanged { session_key: None, .. } => "no session is active now".to_owned(),
        EventKind::SessionExpiring { session_key, expiry } => {
            format!("{} expires {}, at {}", name(session_key), until(*expiry), local(*expiry))
        }
        EventKind::VaultLocked => "the vault is locked".to_owned(),
        EventKind::VaultRekeyed { key_source } => format!("vault rekeyed; {}", wrapping_key(*key_source)),
        EventKind::VaultUnlocked => "the vault is unlocked".to_owned(),
        EventKind::GrantCreated { grant } => format!("grant {}: {}, ends {}", grant.name, gives(grant), ends(grant)),
        EventKind::GrantEnded { name, reason } => format!("grant {name} has ended ({})", ended(*reason)),
        EventKind::GrantRefused { name, method, code, count } => {
            format!("grant {name}: {} refused, the last {} ({code})", counted(*count, "call"), printable(method))
        }
        EventKind::Resync => "resync: some events were missed, so read the vault again".to_owned(),
        _ => "an event that this release does not know".to_owned(),
    };
    let by = event.by.map(|by| {
        let pid = by.pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
        let grant = by.grant.map(|name| format!(" through grant {name}")).unwrap_or_default();
        format!(" (by {pid}user {}{grant})", by.uid)
    });
    format!("{} {what}{}", event.sequence, by.unwrap_or_default())
}

/// Why a grant has ended.
fn ended(reason: GrantEnd) -> &'static str {
    match reason {
        GrantEnd::Expired => "expired",
        GrantEnd::Revoked => "revoked",
        GrantEnd::UsedUp => "used up",
        GrantEnd::Disconnected => "its program has ended",
        GrantEnd::SessionsGone => "its sessions are gone",
        _ => "unknown reason",
    }
}

/// Why a session or a key pair is gone.
fn because(reason: RemovalReason) -> &'static str {
    match reason {
        RemovalReason::Cleared => "cleared",
        RemovalReason::AllCleared => "all cleared",
        RemovalReason::Expired => "expired",
        RemovalReason::Replaced => "replaced",
        RemovalReason::Deleted => "deleted",
        RemovalReason::Pruned => "pruned",
        _ => "unknown reason",
    }
}
