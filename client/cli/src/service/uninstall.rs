use std::fs;

use clap::Args;
use keyfob::{Access, Client};
use keyfob_proto::KeySource;
use serde_json::json;

use super::systemd::{SERVICE, SOCKET};
use super::{Scope, launchd};
use crate::{Failure, Session};

/// Stop the units and remove them; the vault stays
///
/// From then on the first command or app that needs the daemon starts it.
///
/// Example: keyfob service uninstall
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    scope: Scope,
}

impl Uninstall {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        if cfg!(target_os = "macos") {
            return launchd::uninstall(session);
        }
        let systemd = self.scope.systemd()?;
        if systemd.show(SOCKET, "LoadState")?.get("LoadState").is_none_or(|state| state == "not-found") {
            return session.output.nothing("there are no units of keyfob", &json!({ "removed": [], "masked": false }));
        }
        let access = if self.scope.system { Access::socket(super::SYSTEM_SOCKET) } else { session.access()? };
        let status = Client::connect_blocking(&access).and_then(|client| client.status().wait());
        if status.is_ok_and(|status| status.lock.key_source == Some(KeySource::Credential)) {
            let message = "the vault's wrapping key is the credential that systemd passes on, and nothing else has it: \
                           `keyfob vault rekey key-file` first";
            return Err(Failure::Service(message.to_owned()));
        }
        systemd.run(&["disable", "--now", SOCKET, SERVICE])?;
        let mut removed = Vec::new();
        let dir = systemd.unit_dir()?;
        for path in [SOCKET, SERVICE].map(|name| dir.join(name)) {
            match fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Failure::File { action: "remove", path, source }),
            }
        }
        systemd.run(&["daemon-reload"])?;
        // A package's is enabled for everybody, and this user wants none.
        let state = systemd.show(SOCKET, "UnitFileState")?;
        let is_packaged = state.get("UnitFileState").is_some_and(|state| state.starts_with("enabled"));
        if is_packaged {
            systemd.run(&["mask", SOCKET, SERVICE])?;
        }
        let _ = systemd.run(&["reset-failed", SOCKET, SERVICE]);
        let names: Vec<_> = removed.iter().map(|path| path.display().to_string()).collect();
        let mut text = "the units are stopped".to_owned();
        if !names.is_empty() {
            text = format!("{text}, and removed: {}", names.join(" and "));
        }
        if is_packaged {
            text += "; those of the package are masked, so that they do not start for you";
        }
        session.output.print(&json!({ "removed": removed, "masked": is_packaged }), text)?;
        session.output.note("the vault stays; the next command starts a daemon without systemd")
    }
}
