//! launchd, on macOS. Written by its documentation and not run by its authors, which it says.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyfob::{Access, Client};
use serde_json::json;

use super::systemd::cannot_run;
use crate::output::name_of_starter;
use crate::{Failure, Session};

const LABEL: &str = "dev.keyfob.keyfobd";
const TEXT: &str = include_str!("../../service/dev.keyfob.keyfobd.plist");
const UNRUN: &str = "keyfob's authors have not run this on macOS yet: please tell them how it went";

/// The file that launchd reads.
fn plist() -> Result<PathBuf, Failure> {
    let home = env::home_dir().ok_or_else(|| Failure::Service("there is no home directory: set HOME".to_owned()))?;
    Ok(home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}

/// What it says, with the paths that are true here.
fn text(daemon: &Path, data_dir: &Path, socket: &Path, home: &Path) -> String {
    let escaped = |path: &Path| path.display().to_string().replace('&', "&amp;").replace('<', "&lt;");
    TEXT.replace("/usr/local/bin/keyfobd", &escaped(daemon))
        .replace("/Users/YOU/Library/Application Support/keyfob", &escaped(data_dir))
        .replace("/Users/YOU/keyfob.sock", &escaped(socket))
        .replace("/Users/YOU", &escaped(home))
}

fn launchctl(args: &[&str]) -> Result<(), Failure> {
    let output = Command::new("launchctl").args(args).output().map_err(cannot_run)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
    Err(Failure::Service(format!("`launchctl {}` failed: {said}", args.join(" "))))
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

/// A daemon that runs finishes what it was asked, and gives way.
fn stop(access: &Access) -> Result<(), Failure> {
    match Client::connect_blocking(access) {
        Err(error) if error.is_absent() => Ok(()),
        client => {
            let client = client?;
            client.shutdown().wait()?;
            client.closed_blocking();
            Ok(())
        }
    }
}

pub(super) fn install(session: &mut Session<'_, '_>) -> Result<(), Failure> {
    let access = session.access()?;
    let path = plist()?;
    let data_dir = access.place.data_dir().map_err(keyfob::Error::from)?;
    let endpoint = access.place.endpoint().map_err(keyfob::Error::from)?;
    let home = env::home_dir().unwrap_or_default();
    let failed = |source| Failure::File { action: "write", path: path.clone(), source };
    let daemon = super::install::absolute(&access.daemon)?;
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    fs::write(&path, text(&daemon, &data_dir, endpoint.path(), &home)).map_err(failed)?;
    stop(&access)?;
    // It may be there from before.
    let _ = launchctl(&["bootout", &format!("{}/{LABEL}", domain())]);
    launchctl(&["bootstrap", &domain(), &path.display().to_string()])?;
    session.output.print(&json!({ "wrote": [path] }), format!("wrote {}, and started it", path.display()))?;
    session.output.note(UNRUN)
}

pub(super) fn uninstall(session: &mut Session<'_, '_>) -> Result<(), Failure> {
    let path = plist()?;
    if !path.exists() {
        return session.output.nothing("it is not installed", &json!({ "removed": [], "masked": false }));
    }
    launchctl(&["bootout", &format!("{}/{LABEL}", domain())])?;
    fs::remove_file(&path).map_err(|source| Failure::File { action: "remove", path: path.clone(), source })?;
    session
        .output
        .print(&json!({ "removed": [path], "masked": false }), format!("stopped, and removed {}", path.display()))?;
    session.output.note("the vault stays; the next command starts a daemon without launchd")
}

pub(super) fn status(session: &mut Session<'_, '_>) -> Result<(), Failure> {
    let path = plist()?;
    if !path.exists() {
        let object = json!({ "installed": false });
        return session.output.nothing("not installed; `keyfob service install` does it", &object);
    }
    let status = Client::connect_blocking(&session.access()?)?.status().wait()?;
    let starter = status.started_by.map_or("unknown", name_of_starter);
    let text = format!("{:13} {}\n{:13} {starter}", "installed", path.display(), "started by");
    session.output.print(&json!({ "installed": true, "startedBy": status.started_by }), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_the_one_that_is_true() {
        let path = Path::new;
        let text = text(path("/opt/a&b/keyfobd"), path("/Users/x/data"), path("/tmp/s"), path("/Users/x"));
        assert!(text.contains("<string>/opt/a&amp;b/keyfobd</string>") && text.contains("<string>/tmp/s</string>"));
        assert!(text.contains("<string>/Users/x/Library/Logs/keyfobd.log</string>") && !text.contains("YOU"), "{text}");
    }
}
