//! What befalls a vault, done to it on purpose: processes that are killed and power that fails, in the middle
//! of everything, and somebody who has a grant and wants more. Each run says what it did, and ends with an error as soon as anything that was acknowledged
//! is missing.
//!
//! ```text
//! cargo run --release -p keyfob-tests --bin faults
//! ```

mod disk;
mod grant;
mod kill;
mod power_cut;
mod progress;
mod trace;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::progress::Progress;

/// Kill the daemon and cut the power in the middle of work, and look for what was lost.
#[derive(Parser)]
struct Flags {
    /// What to do; everything, at full length, when nothing is named.
    #[command(subcommand)]
    fault: Option<Fault>,
    /// Begins the random numbers. A run with the same seed asks the same and kills at the same points, as far
    /// as the machine's own timing allows.
    #[arg(long, global = true)]
    seed: Option<u64>,
}

#[derive(Subcommand)]
enum Fault {
    /// `kill -9` at random instants while four clients work; then check that what they saw is linearizable.
    Kill {
        /// How often.
        #[arg(long, default_value_t = 1000)]
        kills: u64,
    },
    /// Cut the power at random instants: make the disk as it may be left then, and open the vault on it. Needs
    /// `strace`.
    PowerCut {
        /// How often.
        #[arg(long, default_value_t = 300)]
        cuts: u64,
        /// Pretend that the daemon does not call fdatasync. This has to end with a loss.
        #[arg(long)]
        without_fdatasync: bool,
    },
    /// Ask random things through a grant of two vaults, of which one holds more than is granted, and look for a difference.
    Grant {
        /// For so many seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let seed = flags.seed.unwrap_or_else(|| fastrand::u64(..));
    let result = match flags.fault {
        Some(Fault::Kill { kills }) => kill::run(kills, seed, &mut Progress::new("kill", kills)),
        Some(Fault::PowerCut { cuts, without_fdatasync }) => {
            power_cut::run(cuts, seed, without_fdatasync, &mut Progress::new("power-cut", cuts))
                .map_err(|loss| loss.to_string())
        }
        Some(Fault::Grant { seconds }) => grant::run(Duration::from_secs(seconds), seed),
        None => kill::run(1000, seed, &mut Progress::new("kill", 1000)).and_then(|()| {
            let cuts = power_cut::run(300, seed, false, &mut Progress::new("power-cut", 300));
            cuts.map_err(|loss| loss.to_string())?;
            grant::run(Duration::from_secs(60), seed)
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            let _ = writeln!(io::stderr(), "{what}\nTo repeat it: --seed {seed}");
            ExitCode::FAILURE
        }
    }
}
