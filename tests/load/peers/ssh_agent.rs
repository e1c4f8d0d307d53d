//! ssh-agent with P-256 keys. Its messages are those of draft-ietf-sshm-ssh-agent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use p256::ecdsa::SigningKey;

use super::serve;
use crate::drive::{Connection, Framing, Measured, Script, drive};
use crate::process::Server;

const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
const ADD_IDENTITY: u8 = 17;
const REMOVE_IDENTITY: u8 = 18;
const REMOVE_ALL_IDENTITIES: u8 = 19;

pub(crate) struct SshAgent {
    server: Server,
    socket: PathBuf,
}

impl SshAgent {
    /// Starts one; `None` when it is not installed.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        let socket = directory.join("ssh-agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        Some(Self { server: serve(command, &socket)?, socket })
    }

    /// Adds keys number 1 to `count`.
    pub(crate) fn add(&self, count: u32) {
        let mut connection = self.connect();
        for number in 1..=count {
            let point = point(number);
            let private = private(number);
            let body = [string(b"ecdsa-sha2-nistp256"), string(b"nistp256"), string(&point), mpint(&private)].concat();
            connection.exchange(&message(ADD_IDENTITY, &[body, string(b"key")].concat()));
        }
    }

    /// Signs with key 1 on each connection.
    pub(crate) fn signs(&self, connections: usize, time: Duration) -> Measured {
        let body = [string(&blob(1)), string(&[7; 256]), vec![0; 4]].concat();
        self.repeat(connections, &message(SIGN_REQUEST, &body), time)
    }

    /// Lists all keys on each connection.
    pub(crate) fn lists(&self, connections: usize, time: Duration) -> Measured {
        self.repeat(connections, &message(REQUEST_IDENTITIES, &[]), time)
    }

    /// Removes keys number 1 to `count`, one by one.
    pub(crate) fn removes(&self, count: u32) -> Measured {
        let requests = (1..=count).map(|number| message(REMOVE_IDENTITY, &string(&blob(number)))).collect();
        drive(self.server.usage(), &self.socket, Framing::Length, 1, vec![Script { requests, repeat: None }])
    }

    /// Removes all keys at once.
    pub(crate) fn remove_all(&self) -> Measured {
        let script = Script { requests: vec![message(REMOVE_ALL_IDENTITIES, &[])], repeat: None };
        drive(self.server.usage(), &self.socket, Framing::Length, 1, vec![script])
    }

    fn repeat(&self, connections: usize, request: &[u8], time: Duration) -> Measured {
        let script = || Script { requests: vec![request.to_vec()], repeat: Some(time) };
        let scripts = (0..connections).map(|_| script()).collect();
        drive(self.server.usage(), &self.socket, Framing::Length, 1, scripts)
    }

    fn connect(&self) -> Connection {
        Connection::open(&self.socket, Framing::Length)
    }
}

/// ssh-agent refuses keys that are small numbers.
fn private(number: u32) -> Vec<u8> {
    [&[7; 28][..], &number.to_be_bytes()].concat()
}

fn point(number: u32) -> Vec<u8> {
    let key = SigningKey::from_slice(&private(number)).expect("a private key");
    key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
}

/// The public key as ssh writes it.
fn blob(number: u32) -> Vec<u8> {
    [string(b"ecdsa-sha2-nistp256"), string(b"nistp256"), string(&point(number))].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short string");
    [&length.to_be_bytes(), bytes].concat()
}

/// A positive number, without zeros before it.
fn mpint(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let digits = &bytes[first..];
    let sign = if digits.first().is_some_and(|byte| byte & 0x80 != 0) { &[0][..] } else { &[] };
    string(&[sign, digits].concat())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    string(&[&[kind], body].concat())
}
