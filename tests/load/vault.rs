//! [`Vault`]: the real daemon, in a process and a directory of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyfob_tests::{DaemonProcess, RawClient, login};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::drive::{Connection, Framing, Measured, Script, drive};
use crate::process::{Usage, disk};

/// Far enough ahead that nothing expires.
const EXPIRY: u64 = 4_000_000_000;

/// How many calls are prepared and sent together when a vault is filled.
const TOGETHER: usize = 2000;

pub(crate) struct Vault {
    daemon: DaemonProcess,
    directory: TempDir,
}

impl Vault {
    /// Starts a daemon with an empty vault.
    pub(crate) fn empty() -> Self {
        Self::start(tempfile::tempdir().expect("a temporary directory"))
    }

    fn start(directory: TempDir) -> Self {
        Self { daemon: DaemonProcess::start(directory.path()), directory }
    }

    /// The directory of its own.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the daemon uses.
    pub(crate) fn usage(&self) -> Usage {
        Usage(self.daemon.child.id())
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> RawClient {
        self.daemon.connect()
    }

    /// Creates key pairs and answers their public keys.
    pub(crate) fn create_keys(&self, count: usize) -> Vec<String> {
        let mut client = self.connect();
        let mut keys = Vec::new();
        while keys.len() < count {
            let now = TOGETHER.min(count - keys.len());
            let created = client.pipeline((0..now).map(|_| ("createApiKeyPair", json!({}))));
            keys.extend(created.iter().map(|reply| text(&reply["result"]["publicKey"])));
        }
        keys
    }

    /// Stores sessions of these names, each with a key pair of its own.
    pub(crate) fn fill(&self, names: impl IntoIterator<Item = String>) {
        let names: Vec<_> = names.into_iter().collect();
        let mut client = self.connect();
        for names in names.chunks(TOGETHER) {
            let keys = self.create_keys(names.len());
            let stores = names.iter().zip(&keys).map(|(name, key)| ("storeSession", store(name, key)));
            for reply in client.pipeline(stores) {
                assert!(reply.get("error").is_none(), "{reply}");
            }
        }
    }

    /// The length of the answer to a request, in bytes.
    pub(crate) fn answer_bytes(&self, request: &[u8]) -> usize {
        Connection::open(&self.socket(), Framing::Line).exchange(request).len()
    }

    /// The same request on each connection, for some time.
    pub(crate) fn repeat(&self, connections: usize, depth: usize, request: &[u8], time: Duration) -> Measured {
        let script = || Script { requests: vec![request.to_vec(); depth], repeat: Some(time) };
        self.drive(depth, (0..connections).map(|_| script()).collect())
    }

    /// Stores sessions over and over, each connection its own.
    pub(crate) fn stores(&self, connections: usize, time: Duration) -> Measured {
        let keys = self.create_keys(connections);
        let script = |(number, key): (usize, &String)| Script {
            requests: vec![request("storeSession", &store(&format!("stored-{number}"), key))],
            repeat: Some(time),
        };
        self.drive(1, keys.iter().enumerate().map(script).collect())
    }

    /// Stores `count` new sessions on each connection, one by one, each with a key pair that is made first.
    pub(crate) fn new_stores(&self, connections: usize, count: usize) -> Measured {
        let keys = self.create_keys(connections * count);
        let script = |(connection, keys): (usize, &[String])| {
            let name = |number| format!("new-{connection}-{number}");
            let numbered = keys.iter().enumerate();
            let requests = numbered.map(|(number, key)| request("storeSession", &store(&name(number), key)));
            Script { requests: requests.collect(), repeat: None }
        };
        let measured = self.drive(1, keys.chunks(count).enumerate().map(script).collect());
        self.clear_all();
        measured
    }

    /// Clears `count` sessions on each connection, one by one; they are stored first.
    pub(crate) fn clears(&self, connections: usize, count: usize) -> Measured {
        let name = |connection: usize, number: usize| format!("cleared-{connection}-{number}");
        self.fill((0..connections).flat_map(|connection| (0..count).map(move |number| name(connection, number))));
        let script = |connection| Script {
            requests: (0..count)
                .map(|number| request("clearSession", &json!({ "sessionKey": name(connection, number) })))
                .collect(),
            repeat: None,
        };
        self.drive(1, (0..connections).map(script).collect())
    }

    /// Clears all sessions.
    pub(crate) fn clear_all(&self) -> Measured {
        let script = Script { requests: vec![request("clearAllSessions", &json!({}))], repeat: None };
        self.drive(1, vec![script])
    }

    /// Stores and clears sessions, `count` times.
    pub(crate) fn churn(&self, count: usize) {
        let mut client = self.connect();
        let keys = self.create_keys(TOGETHER);
        for _ in 0..count.div_ceil(TOGETHER) {
            let cycle = |key: &String| {
                let create = ("createApiKeyPair", json!({}));
                [create, ("storeSession", store("churned", key)), ("clearSession", json!({ "sessionKey": "churned" }))]
            };
            for reply in client.pipeline(keys.iter().flat_map(cycle)) {
                assert!(reply.get("error").is_none(), "{reply}");
            }
            client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }));
            client.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 0 }));
        }
    }

    /// Waits until what was cleared is out of the data directory too, but not for ever.
    pub(crate) fn wait_until_tidy(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.disk() > 16.0 && Instant::now() < until {
            std::thread::yield_now();
        }
    }

    /// Stops the daemon, starts it again, and answers how long it took from the start of its process to
    /// its first answer.
    pub(crate) fn restart(self) -> (Self, Duration) {
        let Self { mut daemon, directory } = self;
        daemon.connect().call("shutdown", json!({}));
        assert!(daemon.child.wait().expect("a child").success());
        Self::start_again(directory)
    }

    /// As [`Vault::restart`], after a kill.
    pub(crate) fn restart_killed(self) -> (Self, Duration) {
        let Self { daemon, directory } = self;
        daemon.kill();
        Self::start_again(directory)
    }

    fn start_again(directory: TempDir) -> (Self, Duration) {
        let began = Instant::now();
        let new = Self::start(directory);
        new.connect().call("getSession", json!({}));
        (new, began.elapsed())
    }

    /// Starts a daemon where none has been, and answers how long it took to its first answer.
    pub(crate) fn first_start() -> Duration {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let began = Instant::now();
        Self::start(directory).connect().call("getSession", json!({}));
        began.elapsed()
    }

    /// What the data directory takes, in MiB.
    pub(crate) fn disk(&self) -> f64 {
        disk(&self.directory().join("data"))
    }

    fn drive(&self, depth: usize, scripts: Vec<Script>) -> Measured {
        drive(self.usage(), &self.socket(), Framing::Line, depth, scripts)
    }

    /// Where the daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory().join("keyfob.sock")
    }
}

/// A request as a line.
pub(crate) fn request(method: &str, params: &Value) -> Vec<u8> {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).into_bytes()
}

fn store(name: &str, key: &str) -> Value {
    json!({ "sessionToken": login::token(key, EXPIRY), "sessionKey": name, "withoutKeyPair": true })
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
