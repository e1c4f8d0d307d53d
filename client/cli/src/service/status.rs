use std::collections::BTreeMap;

use clap::Args;
use keyfob::{Access, Client};
use serde_json::json;

use super::systemd::{ENCRYPTS_FOR_USERS, SERVICE, SOCKET, Systemd};
use super::{Scope, launchd};
use crate::escape::printable;
use crate::output::name_of_starter;
use crate::{Failure, Session};

/// What systemd is asked about each unit.
const PROPERTIES: &str =
    "LoadState,ActiveState,SubState,UnitFileState,Listen,FragmentPath,StatusText,Result,NeedDaemonReload";

/// Show the units, and what is not as it should be; exit code 1 says that something is not
///
/// Example: keyfob service status
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    scope: Scope,
}

impl Status {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        if cfg!(target_os = "macos") {
            return launchd::status(session);
        }
        let systemd = self.scope.systemd()?;
        let (socket, service) = (systemd.show(SOCKET, PROPERTIES)?, systemd.show(SERVICE, PROPERTIES)?);
        if of(&socket, "LoadState") != "loaded" {
            let object = json!({ "installed": false });
            return session.output.nothing("not installed; `keyfob service install` does it", &object);
        }
        let mut wrong = what_is_wrong(&systemd, &socket, &service);
        let access = if self.scope.system { Access::socket(super::SYSTEM_SOCKET) } else { session.access()? };
        let starter = started_by(&access, &mut wrong);
        let state = |unit| {
            let enabled = of(unit, "UnitFileState");
            format!("{} ({}), {enabled}, {}", of(unit, "ActiveState"), of(unit, "SubState"), of(unit, "FragmentPath"))
        };
        let mut lines = vec![
            format!("{:13} {}", "socket", state(&socket)),
            format!("{:13} {}", "listens on", of(&socket, "Listen").trim_end_matches(" (Stream)")),
            format!("{:13} {}", "service", state(&service)),
        ];
        lines.extend(starter.map(|starter| format!("{:13} {starter}", "started by")));
        lines.push(format!("{:13} {}", "credential", credentials(&systemd)));
        lines.extend(wrong.iter().map(|wrong| format!("{:13} {}", "!!", printable(wrong))));
        let object = json!({ "installed": true, "socket": socket, "service": service, "wrong": wrong });
        session.output.print(&object, lines.join("\n"))?;
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Failure::Diagnosed(crate::output::count(wrong.len() as u64, "thing")))
        }
    }
}

/// A property of a unit; empty where systemd does not give it.
fn of<'a>(unit: &'a BTreeMap<String, String>, property: &str) -> &'a str {
    unit.get(property).map_or("", |value| value)
}

/// What is not as it should be about the units.
fn what_is_wrong(
    systemd: &Systemd,
    socket: &BTreeMap<String, String>,
    service: &BTreeMap<String, String>,
) -> Vec<String> {
    let command = systemd.command();
    let mut wrong = Vec::new();
    if of(socket, "ActiveState") != "active" {
        wrong.push(format!("the socket does not listen: `{command} start {SOCKET}`"));
    }
    if !of(socket, "UnitFileState").starts_with("enabled") {
        wrong.push(format!(
            "the socket is not enabled, so nothing listens after the next login: `{command} enable {SOCKET}`"
        ));
    }
    if of(service, "ActiveState") == "failed" {
        let why = Some(of(service, "StatusText")).filter(|text| !text.is_empty());
        wrong.push(format!("the daemon does not start: {}", why.unwrap_or_else(|| of(service, "Result"))));
    }
    if [socket, service].iter().any(|unit| of(unit, "NeedDaemonReload") == "yes") {
        wrong.push(format!("the files of the units have changed: `{command} daemon-reload`"));
    }
    wrong
}

/// Who started the daemon that answers.
fn started_by(access: &Access, wrong: &mut Vec<String>) -> Option<&'static str> {
    match Client::connect_blocking(access).and_then(|client| client.status().wait()) {
        Ok(status) => status.started_by.map(name_of_starter),
        Err(error) => {
            wrong.push(error.to_string());
            None
        }
    }
}

/// Which way there is on this system to keep the wrapping key with systemd.
fn credentials(systemd: &Systemd) -> String {
    match (systemd, systemd.version()) {
        (Systemd::User(_), Some(version)) if version >= ENCRYPTS_FOR_USERS => {
            format!("systemd {version}: `keyfob service install --credential` (LoadCredentialEncrypted=keyfob:PATH)")
        }
        (Systemd::User(_), Some(version)) => format!(
            "systemd {version}: `keyfob service install --credential`, not encrypted (LoadCredential=keyfob:PATH; {ENCRYPTS_FOR_USERS} \
             and later decrypt for a user's units)"
        ),
        (Systemd::System, Some(version)) => {
            format!(
                "systemd {version}: LoadCredentialEncrypted=keyfob:PATH, made by `systemd-creds encrypt --name=keyfob`"
            )
        }
        (_, None) => "systemd does not say its version".to_owned(),
    }
}
