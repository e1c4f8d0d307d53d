//! [`RawClient`]: a stranger's client. It knows lines of JSON and none of keyfob's types.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::PATIENCE;

/// A connection that speaks raw lines.
pub struct RawClient {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    last_id: u64,
}

impl RawClient {
    /// Connects to a socket.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        Self::over(UnixStream::connect(socket).expect("the daemon listens"))
    }

    /// Speaks over a stream.
    #[must_use]
    pub fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        let reader = BufReader::new(stream.try_clone().expect("a file descriptor"));
        Self { stream, reader, last_id: 0 }
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the daemon reads");
    }

    /// Writes a request, and does not wait for its answer. Answers its id.
    pub fn request(&mut self, method: &str, params: &Value) -> u64 {
        self.last_id += 1;
        let line = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params });
        self.send(format!("{line}\n"));
        self.last_id
    }

    /// Reads one line; `None` at the end.
    pub fn read_line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line),
            // The daemon closed while it had unread bytes of ours.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the daemon does not answer: {error}"),
        }
    }

    /// Reads one message.
    pub fn read(&mut self) -> Value {
        let line = self.read_line().expect("an answer");
        serde_json::from_str(&line).expect("a line of JSON")
    }

    /// Reads one message, which must not be the end.
    pub fn read_reply(&mut self, id: u64) -> Value {
        let message = self.read();
        assert_eq!(message["id"], id, "answers come in order: {message}");
        message
    }

    /// Makes a call that must succeed, and answers its result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let mut message = self.exchange(method, params);
        assert!(message.get("error").is_none(), "{method}: {message}");
        message["result"].take()
    }

    /// Makes a call that must fail, and answers its error object.
    pub fn fault(&mut self, method: &str, params: Value) -> Value {
        let mut message = self.exchange(method, params);
        assert!(message.get("result").is_none(), "{method} should fail: {message}");
        message["error"].take()
    }

    /// Makes a call that must fail, and answers its stable code.
    pub fn code(&mut self, method: &str, params: Value) -> String {
        self.fault(method, params)["data"]["code"].as_str().expect("every fault has a code").to_owned()
    }

    /// Makes a call, and answers the whole message.
    #[allow(clippy::needless_pass_by_value, reason = "so that tests can write json!({}) in place")]
    pub fn exchange(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, &params);
        self.read_reply(id)
    }

    /// As [`RawClient::call`] on a connection with a subscription: passes over the events.
    #[allow(clippy::needless_pass_by_value, reason = "as above")]
    pub fn call_beside_events(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, &params);
        loop {
            let mut message = self.read();
            if message["id"] == id {
                return message["result"].take();
            }
        }
    }

    /// Sends many requests without waiting for answers, and answers the answers, in order. Writes
    /// while it reads, for the daemon reads no more from a client that does not read.
    pub fn pipeline(&mut self, requests: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<Value> {
        let first = self.last_id + 1;
        let mut lines = String::new();
        for (method, params) in requests {
            self.last_id += 1;
            let line = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        let mut writer = self.duplicate();
        thread::scope(|scope| {
            scope.spawn(move || writer.send(lines));
            (first..=self.last_id).map(|id| self.read_reply(id)).collect()
        })
    }

    /// The same connection again, to write from another thread.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::over(self.stream.try_clone().expect("a file descriptor"))
    }

    /// Says that no more will come, and still reads.
    pub fn end_input(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("a socket");
    }
}
