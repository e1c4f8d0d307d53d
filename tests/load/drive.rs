//! [`drive`]: several connections that send requests and wait for the answers, as fast as they can.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Usage;

/// How the answers of a server end.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    /// With a line feed.
    Line,
    /// After as many bytes as the first four say, big-endian.
    Length,
}

/// What one connection sends.
pub(crate) struct Script {
    /// The requests, whole.
    pub(crate) requests: Vec<Vec<u8>>,
    /// How long to go through them again and again; `None`: once.
    pub(crate) repeat: Option<Duration>,
}

/// What was seen.
pub(crate) struct Measured {
    /// Answers a second.
    pub(crate) rate: f64,
    /// How long each answer took, the shortest first.
    latencies: Vec<Duration>,
    /// Processor time of the server for each answer.
    pub(crate) cpu: Duration,
}

impl Measured {
    /// The measure of `operations` that took these times.
    pub(crate) fn new(mut latencies: Vec<Duration>, elapsed: Duration, cpu: Duration) -> Self {
        latencies.sort_unstable();
        let count = u32::try_from(latencies.len()).expect("not that many");
        Self { rate: f64::from(count) / elapsed.as_secs_f64(), latencies, cpu: cpu / count }
    }

    /// The time that this share (0 to 1) of the answers did not exceed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len() - 1;
        self.latencies[((last as f64) * share).round() as usize]
    }
}

/// Runs each script on a connection of its own, all at once, `depth` requests under way on each.
pub(crate) fn drive(server: Usage, socket: &Path, framing: Framing, depth: usize, scripts: Vec<Script>) -> Measured {
    let start = Barrier::new(scripts.len() + 1);
    let (latencies, elapsed, cpu) = thread::scope(|scope| {
        let connections: Vec<_> = scripts
            .into_iter()
            .map(|script| {
                let start = &start;
                let mut connection = Connection::open(socket, framing);
                scope.spawn(move || {
                    start.wait();
                    connection.run(&script, depth)
                })
            })
            .collect();
        start.wait();
        let (began, cpu) = (Instant::now(), server.cpu());
        let latencies: Vec<_> = connections.into_iter().flat_map(|one| one.join().expect("a connection")).collect();
        (latencies, began.elapsed(), server.cpu().saturating_sub(cpu))
    });
    Measured::new(latencies, elapsed, cpu)
}

/// One blocking connection.
pub(crate) struct Connection {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    framing: Framing,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(socket: &Path, framing: Framing) -> Self {
        let writer = UnixStream::connect(socket).expect("the server listens");
        let reader = BufReader::with_capacity(64 * 1024, writer.try_clone().expect("a file descriptor"));
        Self { writer, reader, framing, answer: Vec::new() }
    }

    /// Sends one request and answers its answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> &[u8] {
        self.writer.write_all(request).expect("the server reads");
        self.read();
        &self.answer
    }

    fn read(&mut self) {
        self.answer.clear();
        let read = match self.framing {
            Framing::Line => self.reader.read_until(b'\n', &mut self.answer).map(|_| ()),
            Framing::Length => read_counted(&mut self.reader, &mut self.answer),
        };
        read.expect("the server answers");
        assert!(is_success(self.framing, &self.answer), "refused: {}", self.answer.escape_ascii());
    }

    fn run(&mut self, script: &Script, depth: usize) -> Vec<Duration> {
        let until = script.repeat.map(|time| Instant::now() + time);
        let mut latencies = Vec::new();
        let mut together = Vec::new();
        loop {
            for requests in script.requests.chunks(depth) {
                let began = Instant::now();
                match requests {
                    [one] => self.writer.write_all(one),
                    many => {
                        together.clear();
                        for request in many {
                            together.extend_from_slice(request);
                        }
                        self.writer.write_all(&together)
                    }
                }
                .expect("the server reads");
                for _ in requests {
                    self.read();
                    latencies.push(began.elapsed());
                }
                if until.is_some_and(|until| Instant::now() >= until) {
                    return latencies;
                }
            }
            if until.is_none() {
                return latencies;
            }
        }
    }
}

fn read_counted(reader: &mut impl Read, answer: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    answer.resize(u32::from_be_bytes(length) as usize, 0);
    reader.read_exact(answer)
}

/// Whether an answer is not an error: of JSON-RPC, of redis, of `sqlite3`, of ssh-agent.
fn is_success(framing: Framing, answer: &[u8]) -> bool {
    const SSH_AGENT_FAILURE: u8 = 5;
    match (framing, answer.first()) {
        (_, None) => false,
        (Framing::Line, Some(b'{')) => !answer[..answer.len().min(64)].windows(8).any(|at| at == b"\"error\":"),
        (Framing::Line, Some(first)) => *first != b'-',
        (Framing::Length, Some(kind)) => *kind != SSH_AGENT_FAILURE,
    }
}
