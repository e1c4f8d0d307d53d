//! [`Crowd`]: clients that do nothing good.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// As much as fits a line, nearly.
const LONG_LINE_BYTES: usize = 4_000_000;

/// A daemon that has taken nothing for so long does not mean to.
const TAKES_NO_MORE: Duration = Duration::from_millis(500);

/// How many there are of each kind.
#[derive(Clone, Copy)]
pub struct Crowd {
    /// They connect and say nothing.
    pub silent: usize,
    /// They begin a line and do not end it.
    pub half_a_line: usize,
    /// They begin a line of nearly the longest length, send what the daemon takes of it, and do not end it.
    pub long_line: usize,
    /// They subscribe and do not read.
    pub stalled_subscribers: usize,
    /// They ask until nothing more goes in, and never read.
    pub deaf: usize,
}

impl Crowd {
    /// Connects them all; they stay until they are dropped.
    #[must_use]
    pub fn gather(self, socket: &Path) -> Vec<UnixStream> {
        let Self { silent, half_a_line, stalled_subscribers, deaf, .. } = self;
        let connect = || UnixStream::connect(socket).expect("the daemon listens");
        let mut all: Vec<_> = (0..silent).map(|_| connect()).collect();
        let saying = |bytes: &[u8]| {
            let mut stream = connect();
            stream.write_all(bytes).expect("the daemon reads");
            stream
        };
        all.extend((0..half_a_line).map(|_| saying(br#"{"jsonrpc":"2.0","id":1,"method":"#)));
        all.extend(thread::scope(|scope| {
            let lines: Vec<_> = (0..self.long_line).map(|_| scope.spawn(|| long_line(connect()))).collect();
            lines.into_iter().map(|line| line.join().expect("a client")).collect::<Vec<_>>()
        }));
        all.extend((0..stalled_subscribers).map(|_| saying(&line("subscribe"))));
        all.extend((0..deaf).map(|_| shout(connect())));
        all
    }
}

/// Asks for more and more, until the daemon takes no more.
fn shout(mut stream: UnixStream) -> UnixStream {
    let list = line("getAllSessions");
    stream.set_nonblocking(true).expect("a socket");
    let mut refusals = 0;
    while refusals < 1000 {
        match stream.write(&list) {
            Ok(_) => refusals = 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => refusals += 1,
            Err(error) => panic!("{error}"),
        }
    }
    stream
}

/// Sends most of a long line, or as much of it as the daemon takes.
fn long_line(mut stream: UnixStream) -> UnixStream {
    stream.set_write_timeout(Some(TAKES_NO_MORE)).expect("a socket");
    match stream.write_all(&vec![b' '; LONG_LINE_BYTES]) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
        _ => stream,
    }
}

fn line(method: &str) -> Vec<u8> {
    let call: Value = json!({ "jsonrpc": "2.0", "id": 1, "method": method });
    format!("{call}\n").into_bytes()
}
