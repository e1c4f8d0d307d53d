//! A daemon that does what a test says.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use keyfob::Access;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A daemon whose connections a test serves, one after the other.
pub(crate) struct Fake {
    dir: TempDir,
    thread: Option<JoinHandle<()>>,
}

/// A connection to it.
pub(crate) struct Peer {
    reader: BufReader<UnixStream>,
}

impl Fake {
    pub(crate) fn serve(serve: impl FnOnce(&mut dyn Iterator<Item = Peer>) + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let thread = thread::spawn(move || {
            serve(&mut listener.incoming().map(|stream| Peer { reader: BufReader::new(stream.unwrap()) }));
        });
        Self { dir, thread: Some(thread) }
    }

    pub(crate) fn access(&self) -> Access {
        Access::socket(self.dir.path().join("s"))
    }

    /// Waits until it has served what it was told to.
    pub(crate) fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Peer {
    /// The next request; none when the client has gone.
    pub(crate) fn request(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    pub(crate) fn say(&mut self, message: &Value) {
        // The client may have gone.
        let _ = writeln!(self.reader.get_mut(), "{message}");
    }

    pub(crate) fn answer(&mut self, request: &Value, result: &Value) {
        self.say(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    }

    /// Answers with a fault that names no request.
    pub(crate) fn refuse(&mut self, code: &str) {
        let error = json!({ "code": -32000, "message": "no", "data": { "code": code } });
        self.say(&json!({ "jsonrpc": "2.0", "id": null, "error": error }));
    }
}
