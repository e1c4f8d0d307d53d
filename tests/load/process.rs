//! [`Server`]: a program to be measured, and [`Usage`]: what a process uses.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use keyfob_tests::{ended, started};

/// A server that this program started. Killed when it is dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Takes charge of a child.
    pub(crate) fn new(child: Child) -> Self {
        started(child.id());
        Self(child)
    }

    /// What it uses.
    pub(crate) fn usage(&self) -> Usage {
        Usage(self.0.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
        ended(self.0.id());
    }
}

/// What a process uses, by its pid.
#[derive(Clone, Copy)]
pub(crate) struct Usage(pub(crate) u32);

impl Usage {
    /// Processor time of all its threads since it started, those that ended included. In steps of 10 ms.
    pub(crate) fn cpu(self) -> Duration {
        let stat = self.read("stat");
        // What follows the name, which is in parentheses; utime and stime are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory in MiB.
    pub(crate) fn rss(self) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process with memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).expect("a running process")
    }
}

/// What the files in a directory take, in MiB.
#[allow(clippy::cast_precision_loss, reason = "disks are not that large")]
pub(crate) fn disk(directory: &Path) -> f64 {
    fn bytes(directory: &Path) -> u64 {
        let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file"));
        files
            .map(|file| match file.metadata() {
                Ok(metadata) if metadata.is_dir() => bytes(&file.path()),
                Ok(metadata) => metadata.len(),
                // Removed in between.
                Err(_) => 0,
            })
            .sum()
    }
    bytes(directory) as f64 / (1024.0 * 1024.0)
}
