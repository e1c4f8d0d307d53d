//! `keyfob grants` and `keyfob revoke`.

use clap::Args;
use keyfob_proto::{GrantEntry, GrantName, GrantTerms, RevokeGrant};

use super::complete::grant_names;
use super::escape::printable;
use super::grant::grant_name;
use super::output::{HEADING, count, name};
use super::table::{Column, lines};
use super::time::{age, until};
use super::{Failure, Session};

/// List the grants: who holds what, until when, used how often, last by whom
///
/// Example: keyfob grants
#[derive(Debug, Args)]
pub(super) struct Grants {}

impl Grants {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let list = session.connect()?.list_grants().wait()?;
        if list.grants.is_empty() {
            return session.output.nothing("no grants; `keyfob grant` makes one", &list);
        }
        let columns = [
            Column { heading: "GRANT", least: 8 },
            Column { heading: "GIVES", least: 12 },
            Column { heading: "FOR", least: 8 },
            Column { heading: "ENDS", least: 10 },
            Column { heading: "USED", least: 6 },
            Column { heading: "LAST", least: 10 },
        ];
        let rows: Vec<_> = list.grants.iter().map(row).collect();
        let styled = lines(&columns, &rows, session.output.io.width).into_iter().enumerate();
        let styled = styled.map(|(at, line)| if at == 0 { session.output.styled(HEADING, line) } else { line });
        let text = styled.collect::<Vec<_>>().join("\n");
        session.output.print(&list, text)
    }
}

/// End a grant: its socket goes, and so do the connections to it
///
/// Example: keyfob revoke --all
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The grant
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all", value_parser = grant_name, add = grant_names())]
    name: Option<GrantName>,

    /// All grants
    #[arg(long)]
    all: bool,

    /// It is no fault where there is no such grant
    #[arg(long)]
    if_exists: bool,
}

impl Revoke {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let client = session.connect()?;
        let Some(name) = self.name else {
            let revoked = client.revoke_all_grants().wait()?;
            return match revoked.names.len() as u64 {
                0 => session.output.nothing("there was no grant", &revoked),
                many => session.output.print(&revoked, format!("revoked {}", count(many, "grant"))),
            };
        };
        let revoked = client.call(RevokeGrant { name, if_exists: self.if_exists }).wait()?;
        if !revoked.revoked {
            return session.output.nothing("there was no such grant", &revoked);
        }
        session.output.print(&revoked, format!("revoked {name}"))
    }
}

fn row(entry: &GrantEntry) -> Vec<String> {
    let GrantEntry { grant, used, refused, last_use, .. } = entry;
    let refused = if *refused > 0 { format!(", {refused} refused") } else { String::new() };
    let last = last_use.as_ref().map(|last| {
        let program = last.program.as_ref().and_then(|program| program.file_name());
        let program = program.map_or_else(|| "a program".to_owned(), |name| printable(&name.to_string_lossy()));
        let pid = last.pid.map(|pid| format!(" ({pid})")).unwrap_or_default();
        format!("{} ago: {} by {program}{pid}, user {}", age(last.at), last.method, last.uid)
    });
    vec![
        grant.name.to_string(),
        gives(grant),
        grant.uid.map_or_else(|| "yourself".to_owned(), |uid| format!("user {uid}")),
        ends(grant),
        format!("{used}{refused}"),
        last.unwrap_or_else(|| "never".to_owned()),
    ]
}

/// What a grant gives.
pub(super) fn gives(terms: &GrantTerms) -> String {
    let sessions = match &terms.session_keys {
        None => "all sessions".to_owned(),
        Some(keys) => keys.iter().map(name).collect::<Vec<_>>().join(", "),
    };
    format!("{} with {sessions}", terms.may)
}

/// When a grant ends.
pub(super) fn ends(terms: &GrantTerms) -> String {
    let program = if terms.until_disconnect { " or with its program" } else { "" };
    let uses = terms.uses_left.map(|left| format!(" or after {}", count(left, "use"))).unwrap_or_default();
    format!("{}{program}{uses}", until(terms.expires_at))
}
