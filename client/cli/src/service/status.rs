use clap::Args;
use keyfob::{Access, Client};
use serde_json::json;

use super::systemd::{ENCRYPTS_FOR_USERS, Manager, SERVICE, SOCKET};
use super::{Scope, launchd};
use crate::escape::printable;
use crate::output::name_of_starter;
use crate::{Failure, Session};

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
        let manager = self.scope.manager()?;
        let unit = |unit| {
            manager.show(
                unit,
                "LoadState,ActiveState,SubState,UnitFileState,Listen,FragmentPath,StatusText,Result,NeedDaemonReload",
            )
        };
        let (socket, service) = (unit(SOCKET)?, unit(SERVICE)?);
        let of =
            |unit: &std::collections::BTreeMap<String, String>, name: &str| unit.get(name).cloned().unwrap_or_default();
        if of(&socket, "LoadState") != "loaded" {
            let object = json!({ "installed": false });
            return session.output.nothing("not installed; `keyfob service install` does it", &object);
        }
        let mut wrong = Vec::new();
        if of(&socket, "ActiveState") != "active" {
            wrong.push(format!("the socket does not listen: `{} start {SOCKET}`", manager.command()));
        }
        if !of(&socket, "UnitFileState").starts_with("enabled") {
            wrong.push(format!(
                "the socket is not enabled, so nothing listens after the next login: `{} enable {SOCKET}`",
                manager.command()
            ));
        }
        if of(&service, "ActiveState") == "failed" {
            let why = Some(of(&service, "StatusText")).filter(|text| !text.is_empty());
            wrong.push(format!("the daemon does not start: {}", why.unwrap_or_else(|| of(&service, "Result"))));
        }
        if [&socket, &service].iter().any(|unit| of(unit, "NeedDaemonReload") == "yes") {
            wrong.push(format!("the files of the units have changed: `{} daemon-reload`", manager.command()));
        }
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
        lines.push(format!("{:13} {}", "credential", credentials(&manager)));
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
fn credentials(manager: &Manager) -> String {
    match (manager, manager.version()) {
        (Manager::User(_), Some(version)) if version >= ENCRYPTS_FOR_USERS => {
            format!("systemd {version}: `keyfob service install --credential` (LoadCredentialEncrypted=keyfob:PATH)")
        }
        (Manager::User(_), Some(version)) => format!(
            "systemd {version}: `keyfob service install --credential`, not encrypted (LoadCredential=keyfob:PATH; {ENCRYPTS_FOR_USERS} \
             and later decrypt for a user's units)"
        ),
        (Manager::System, Some(version)) => {
            format!(
                "systemd {version}: LoadCredentialEncrypted=keyfob:PATH, made by `systemd-creds encrypt --name=keyfob`"
            )
        }
        (_, None) => "systemd does not say its version".to_owned(),
    }
}
