//! redis with `appendfsync always`: a DEL that is answered is on the disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{VALUE, serve};
use crate::drive::{Connection, Framing, Measured, Script, drive};
use crate::process::Server;

pub(crate) struct Redis {
    server: Server,
    socket: PathBuf,
}

impl Redis {
    /// Starts one; `None` when it is not installed.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        let socket = directory.join("redis.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.args(["--auto-aof-rewrite-percentage", "0", "--unixsocket"]).arg(&socket).arg("--dir").arg(directory);
        Some(Self { server: serve(command, &socket)?, socket })
    }

    /// Deletes `count` keys on each connection, one by one.
    pub(crate) fn deletes(&self, connections: usize, count: usize) -> Measured {
        let name = |connection: usize, key: usize| format!("key-{connection}-{key}");
        let mut filler = Connection::open(&self.socket, Framing::Line);
        let scripts = (0..connections).map(|connection| {
            // Many at once: what is measured is the deletion.
            let pairs = (0..count).map(|key| format!(" {} {VALUE}", name(connection, key))).collect::<Vec<_>>();
            for pairs in pairs.chunks(50) {
                filler.exchange(format!("MSET{}\r\n", pairs.concat()).as_bytes());
            }
            let requests = (0..count).map(|key| format!("DEL {}\r\n", name(connection, key)).into_bytes());
            Script { requests: requests.collect(), repeat: None }
        });
        let scripts = scripts.collect();
        drive(self.server.usage(), &self.socket, Framing::Line, 1, scripts)
    }
}
