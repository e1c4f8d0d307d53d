//! Power cuts: a daemon works under `strace`; then, again and again, a disk is made as it may be left when
//! the power fails at some instant, and the vault on it is opened. It has to hold what was acknowledged by
//! then, and be what it was after some call, not between two. And whoever kept every byte that was ever written
//! must not open what was acknowledged as cleared by then, neither before the vault is opened nor afterwards.

mod check;
mod history;
mod windows;

use std::process::{Command, Stdio};

use fastrand::Rng;
use keyfob_tests::model::KeyPair;

use self::history::record;
use crate::disk::{Disk, Fate};
use crate::progress::Progress;

const NAMES: usize = 6;
const PAIRS: usize = 6;
const LIFETIME: u64 = 4_000_000_000;

/// The id of the first call. Smaller ones are those of calls that change nothing.
const FIRST_ID: usize = 1000;

/// Calls that are sent at once at most: so many may be in flight when the power fails.
const TOGETHER: usize = 100;

/// Calls that are sent at once elsewhere.
const PIPELINED: usize = 4;

/// As much of a token as tells whose it is, in bytes.
const TOKEN_BYTES: usize = 300;

/// Sessions that are stored so that a clear-all leaves a file worth rewriting.
const MANY: usize = 2400;

/// Records one history and cuts the power in it this many times.
///
/// # Errors
///
/// What was lost, or that `strace` is not there.
pub(crate) fn run(cuts: u64, seed: u64, without_fdatasync: bool, progress: &mut Progress) -> Result<(), Loss> {
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        return Err(Loss::NoStrace);
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let pairs = KeyPair::first(PAIRS);
    let mut rng = Rng::with_seed(seed);
    let history = record(directory.path(), &pairs, &mut rng);
    let windows = history.windows();
    let loot = history.loot();
    let reuses = history.reuses().len() / 7;
    let (calls, of_system) = (history.steps.len(), history.trace.events.len());
    let sealed = loot.len();
    progress.say(&format!(
        "{calls} calls of the vault, {of_system} of the system, {reuses} of them where it wrote before; {sealed} sealed \
         records"
    ));

    let mut tried = vec![0; windows.len()];
    for cut in 1..=cuts {
        let mut rng = Rng::with_seed(seed.wrapping_add(cut << 32));
        let window = rng.usize(0..windows.len());
        let instants = &windows[window].1;
        let at = instants[rng.usize(0..instants.len())];
        let fate = Fate::ALL[rng.usize(0..Fate::ALL.len())];
        let disk = Disk::at(&history.trace, directory.path(), at, without_fdatasync);
        let copy = tempfile::tempdir().expect("a temporary directory");
        disk.write(copy.path(), fate, &mut rng);
        history.check(&copy.path().join("data"), at, &pairs, &loot).map_err(|loss| {
            loss.told(|what| {
                let window = windows[window].0;
                format!("seed {seed}, cut {cut}, {window}, fate of what was not synced: {fate:?}: {what}")
            })
        })?;
        tried[window] += 1;
        progress.step(cut, "nothing lost, nothing left");
    }
    let tried: Vec<_> = windows.iter().zip(tried).map(|((name, _), count)| format!("{count} {name}")).collect();
    progress.done(&format!("{cuts} cuts, nothing lost, nothing left of what was cleared: {}", tried.join(", ")));
    Ok(())
}

/// What a run of power cuts ended with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Loss {
    /// Nothing was tried.
    #[error("strace is not installed, and power cuts are made from what it records")]
    NoStrace,
    /// Something that was acknowledged is not there, or the vault does not open.
    #[error("{0}")]
    Missing(String),
    /// Something that was acknowledged as cleared opens.
    #[error("{0}")]
    Opens(String),
}

impl Loss {
    /// The same, told in another way.
    fn told(self, tell: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NoStrace => self,
            Self::Missing(what) => Self::Missing(tell(what)),
            Self::Opens(what) => Self::Opens(tell(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_cuts_lose_nothing_and_without_fdatasync_they_do() {
        match run(40, fastrand::u64(..), false, &mut Progress::silent()) {
            Err(Loss::NoStrace) => {
                // CI has to have it; a person need not.
                assert!(std::env::var_os("CI").is_none(), "strace is not installed");
                return Progress::skipped("strace is not installed");
            }
            result => result.unwrap_or_else(|loss| panic!("{loss}")),
        }
        // Either loss shows that the cuts are real: which comes first depends on what the daemon had time for.
        let lost = run(300, fastrand::u64(..), true, &mut Progress::silent());
        assert!(matches!(lost, Err(Loss::Missing(_) | Loss::Opens(_))), "{lost:?}");
    }
}
