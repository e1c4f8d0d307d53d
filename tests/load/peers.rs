//! Others that do the same work, where they are installed.

mod redis;
mod sqlite;
mod ssh_agent;

pub(crate) use redis::Redis;
pub(crate) use sqlite::Sqlite;
pub(crate) use ssh_agent::SshAgent;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Server;

/// What a session's record takes.
const VALUE: &str = match std::str::from_utf8(&[b'v'; 700]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Starts a server and waits until its socket is there; `None` when the program is not installed.
fn serve(mut command: Command, socket: &Path) -> Option<Server> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let server = match child {
        Ok(child) => Server::new(child),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{command:?}: {error}"),
    };
    while !socket.exists() {
        std::thread::yield_now();
    }
    Some(server)
}
