//! `SQLite` in WAL mode with full synchronisation, through its shell: a DELETE that is answered is on the
//! disk. A shell for each connection, as several apps on one database would have it.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::VALUE;
use crate::drive::Measured;

pub(crate) struct Sqlite {
    database: PathBuf,
}

impl Sqlite {
    /// Makes a database; `None` when `sqlite3` is not installed.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        match Command::new("sqlite3").arg("--version").stdout(Stdio::null()).status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            status => assert!(status.expect("a program").success()),
        }
        let new = Self { database: directory.join("sqlite.db") };
        Shell::open(&new.database).run("CREATE TABLE sessions (name TEXT PRIMARY KEY, value TEXT);");
        Some(new)
    }

    /// Deletes `count` rows on each connection, one by one.
    pub(crate) fn deletes(&self, connections: usize, count: usize) -> Measured {
        let name = |connection: usize, row: usize| format!("row-{connection}-{row}");
        let mut filler = Shell::open(&self.database);
        let rows = (0..connections).flat_map(|connection| (0..count).map(move |row| (connection, row)));
        let rows = rows.map(|(connection, row)| format!("('{}','{VALUE}')", name(connection, row)));
        filler.run(&format!("INSERT INTO sessions VALUES {};", rows.collect::<Vec<_>>().join(",")));
        let mut shells: Vec<_> = (0..connections).map(|_| Shell::open(&self.database)).collect();
        let began = Instant::now();
        let latencies = thread::scope(|scope| {
            let shells = shells.iter_mut().enumerate().map(|(connection, shell)| {
                scope.spawn(move || {
                    let delete = |row| {
                        let began = Instant::now();
                        shell.run(&format!("DELETE FROM sessions WHERE name = '{}';", name(connection, row)));
                        began.elapsed()
                    };
                    (0..count).map(delete).collect::<Vec<_>>()
                })
            });
            let shells: Vec<_> = shells.collect();
            shells.into_iter().flat_map(|shell| shell.join().expect("a shell")).collect()
        });
        Measured::new(latencies, began.elapsed(), Duration::ZERO)
    }
}

struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn open(database: &Path) -> Self {
        let mut command = Command::new("sqlite3");
        command.arg("-batch").arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("`sqlite3` runs");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut shell = Self { child, input, output };
        shell.run(
            ".timeout 60000\n.output /dev/null\nPRAGMA journal_mode = WAL;\n.output stdout\nPRAGMA synchronous = FULL;",
        );
        shell
    }

    /// Runs statements that say nothing, and waits until they are done.
    fn run(&mut self, statements: &str) {
        writeln!(self.input, "{statements}\nSELECT 'done';").expect("the shell reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the shell answers");
        assert_eq!(line.trim(), "done");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
