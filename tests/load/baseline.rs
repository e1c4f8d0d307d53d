//! What the rows are compared with, measured in the same run: an echo, an append with fdatasync, a
//! signature, and the start of a program that does nothing.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use tempfile::TempDir;

use crate::drive::{Framing, Measured, Script, drive};
use keyfob_tests::programs;

use crate::process::Server;

/// The word on the command line that makes this program an echo server.
pub(crate) const ECHO: &str = "echo-server";

/// An echo server in a process of its own: a thread per connection, blocking. It answers each line with a
/// line of a fixed length, so that the bytes on the socket are as many as the vault's.
pub(crate) struct Echo {
    server: Server,
    socket: PathBuf,
    _directory: TempDir,
}

impl Echo {
    /// Starts one whose answers have this many bytes.
    pub(crate) fn start(answer: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("echo.sock");
        // Building the programs may have replaced the file that this process runs.
        let program = programs().join("load");
        let mut command = Command::new(program);
        command.arg(ECHO).arg(&socket).arg(answer.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the server starts");
        Self { server: Server::new(child), socket, _directory: directory }
    }

    /// The same line on each connection, for some time.
    pub(crate) fn repeat(&self, connections: usize, depth: usize, line: &[u8], time: Duration) -> Measured {
        let script = || Script { requests: vec![line.to_vec(); depth], repeat: Some(time) };
        let scripts = (0..connections).map(|_| script()).collect();
        drive(self.server.usage(), &self.socket, Framing::Line, depth, scripts)
    }

    /// The server itself; runs until it is killed.
    pub(crate) fn serve(socket: &Path, answer: usize) -> io::Result<()> {
        let listener = UnixListener::bind(socket)?;
        writeln!(io::stdout(), "listening")?;
        for stream in listener.incoming() {
            let mut stream = stream?;
            thread::spawn(move || {
                let mut answers = Vec::new();
                let mut reader = BufReader::with_capacity(16 * 1024, stream.try_clone()?);
                let mut line = Vec::new();
                loop {
                    line.clear();
                    if reader.read_until(b'\n', &mut line)? == 0 {
                        return Ok::<(), io::Error>(());
                    }
                    answers.resize(answers.len() + answer - 1, b'x');
                    answers.push(b'\n');
                    // Answers to a pipeline go together, as the vault's do.
                    if reader.buffer().is_empty() {
                        stream.write_all(&answers)?;
                        answers.clear();
                    }
                }
            });
        }
        Ok(())
    }
}

/// Appends of 4 KiB, each followed by fdatasync, in a file in `directory`.
pub(crate) fn appends(directory: &Path, time: Duration) -> Measured {
    let path = directory.join("appends");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file");
    let block = [7; 4096];
    let measured = repeat(time, || {
        file.write_all(&block).expect("the disk takes it");
        file.sync_data().expect("the disk takes it");
    });
    std::fs::remove_file(path).expect("a file");
    measured
}

/// Signatures by this many threads. Signatures a second.
pub(crate) fn signatures(threads: usize, time: Duration) -> f64 {
    let key = SigningKey::from_slice(&[7; 32]).expect("a private key");
    let payload = [7; 256];
    thread::scope(|scope| {
        let sign = || {
            repeat(time, || {
                let signature: Signature = key.sign(black_box(&payload));
                black_box(signature.to_der());
            })
            .rate
        };
        let signers: Vec<_> = (0..threads).map(|_| scope.spawn(sign)).collect();
        signers.into_iter().map(|signer| signer.join().expect("a signer")).sum()
    })
}

/// How long a program takes from start to end, each time.
pub(crate) fn runs(program: &Path, arguments: &[&str], times: usize) -> Measured {
    let began = Instant::now();
    let latencies = (0..times).map(|_| {
        let began = Instant::now();
        let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().expect("a program");
        assert!(status.success());
        began.elapsed()
    });
    Measured::new(latencies.collect(), began.elapsed(), Duration::ZERO)
}

fn repeat(time: Duration, mut once: impl FnMut()) -> Measured {
    let began = Instant::now();
    let mut latencies = Vec::new();
    while began.elapsed() < time {
        let began = Instant::now();
        once();
        latencies.push(began.elapsed());
    }
    Measured::new(latencies, began.elapsed(), Duration::ZERO)
}
