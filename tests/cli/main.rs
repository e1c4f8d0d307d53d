//! The `keyfob` command: in this process against a daemon of the test, and as a program that starts
//! its daemon by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod commands;
mod conditions;
mod misuse;
mod program;
mod shell;
mod shown;

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::Sender;

use keyfob_cli::{Exit, Io, run};

/// What a command did.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

/// Runs `keyfob ARGS` in this process.
fn keyfob(socket: &Path, stdin: &str, args: &[&str]) -> Ran {
    keyfob_asking(socket, stdin, args, false)
}

/// As [`keyfob`], with or without a person to ask.
fn keyfob_asking(socket: &Path, stdin: &str, args: &[&str], can_ask: bool) -> Ran {
    keyfob_on(None, socket, stdin, args, can_ask)
}

/// As [`keyfob_asking`], with a terminal of some width or none.
fn keyfob_on(width: Option<usize>, socket: &Path, stdin: &str, args: &[&str], can_ask: bool) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = {
        let mut io = Io {
            stdin: Box::new(stdin.as_bytes()),
            stdout: Box::new(&mut out),
            stderr: Box::new(&mut err),
            can_ask,
            has_colours: false,
            width,
        };
        let socket = socket.to_str().unwrap();
        run(["keyfob", "--socket", socket, "--no-start"].iter().chain(args), &mut io)
    };
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// As [`keyfob`], and tells when something was said to people: from then on it watches.
fn keyfob_telling(socket: &Path, args: &[&str], told: Sender<()>) -> Ran {
    struct Tell(Sender<()>);
    impl Write for Tell {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Only the first time matters, and only while somebody waits for it.
            let _ = self.0.send(());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut out = Vec::new();
    let mut io = Io {
        stdin: Box::new(io::empty()),
        stdout: Box::new(&mut out),
        stderr: Box::new(Tell(told)),
        can_ask: false,
        has_colours: false,
        width: None,
    };
    let exit = run(["keyfob", "--socket", socket.to_str().unwrap(), "--no-start"].iter().chain(args), &mut io);
    drop(io);
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::new() }
}
