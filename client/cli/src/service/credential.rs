//! The secret of the wrapping key that systemd passes on as a credential.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::systemd::{ENCRYPTS_FOR_USERS, Systemd, cannot_run};
use crate::{Failure, Session};

/// The least that a daemon takes for a key, in bytes.
const LEAST: u64 = 32;

/// Where the secret is, if one was made, and whether it is encrypted.
pub(super) fn in_use(systemd: &Systemd) -> Result<Option<(PathBuf, bool)>, Failure> {
    let found = paths(systemd)?.into_iter().find(|(path, _)| path.exists());
    match found.as_ref().map(|(path, _)| (path, fs::metadata(path))) {
        Some((path, metadata)) if metadata.as_ref().is_ok_and(|metadata| metadata.len() < LEAST) => {
            Err(Failure::Service(format!("{} is too short to be a secret: remove it, and try again", path.display())))
        }
        _ => Ok(found),
    }
}

fn paths(systemd: &Systemd) -> Result<[(PathBuf, bool); 2], Failure> {
    let units = systemd.unit_dir()?;
    let config = units.ancestors().nth(2).unwrap_or(Path::new("/"));
    let dir = config.join("keyfob");
    Ok([(dir.join("wrapping-key.cred"), true), (dir.join("wrapping-key"), false)])
}

/// Makes the secret, which no command line and no other file ever has. It is on the disk when this returns.
pub(super) fn make(systemd: &Systemd, session: &mut Session<'_, '_>) -> Result<(PathBuf, bool), Failure> {
    if let Some(found) = in_use(systemd)? {
        session.output.note(format!("the credential {} is there already", found.0.display()))?;
        return Ok(found);
    }
    let version = systemd.version().unwrap_or_default();
    let [encrypted, plain] = paths(systemd)?;
    let (path, is_encrypted) = if version >= ENCRYPTS_FOR_USERS { encrypted } else { plain };
    let failed = |source| Failure::File { action: "write", path: path.clone(), source };
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(failed)?;
    let mut secret = Zeroizing::new([0; 32]);
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut *secret)).map_err(failed)?;
    let mut file = NamedTempFile::new_in(dir).map_err(failed)?;
    if is_encrypted {
        file.write_all(&encrypted_by_systemd(&*secret)?).map_err(failed)?;
        session.output.note(format!("made {}: encrypted for you on this machine", path.display()))?;
    } else {
        file.write_all(&*secret).map_err(failed)?;
        session.output.note(format!(
            "made {}, not encrypted: systemd {version} does not decrypt for a user's units, {ENCRYPTS_FOR_USERS} and later do",
            path.display()
        ))?;
    }
    keep(file, &path).map_err(failed)?;
    Ok((path, is_encrypted))
}

/// Gives a file its name once it is on the disk, and waits until that is there too.
fn keep(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    for dir in path.ancestors().skip(1).take(2) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// A secret encrypted for this user on this machine; it goes through a pipe.
fn encrypted_by_systemd(secret: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new("systemd-creds");
    command.args(["encrypt", "--user", "--name=keyfob", "-", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(cannot_run)?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(secret)?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Failure::Service(format!("systemd-creds failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
