//! Boots Debian with systemd, in software, and tries what the units and the package promise: each row of a table, and power
//! that fails while clients write. It needs root, and Debian's packages `debootstrap`, `qemu-system-x86` and `qemu-utils`.
//!
//! ```text
//! cargo build --release --workspace --bins && cargo run --release -p keyfob-tests --bin boot
//! ```

mod machine;
mod package;
mod power;
mod root;
mod rows;
mod service;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::machine::Machine;

/// Boot Debian in software, and try the units and the package there.
#[derive(Parser)]
struct Flags {
    /// The releases to boot. `sid` has the latest systemd.
    #[arg(default_values = ["bookworm", "trixie"])]
    suites: Vec<String>,
    /// Try only the rows whose names contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How often the power fails.
    #[arg(long, default_value_t = 10)]
    power_offs: usize,
    /// Where the roots are made, and kept for the next run; 2 GiB each.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp/keyfob-boot")]
    dir: PathBuf,
    /// Where `keyfob` and `keyfobd` are [default: beside this program].
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// A Debian package to install, and one to upgrade to. Without them those rows are left out.
    #[arg(long, value_name = "FILE", num_args = 2)]
    packages: Option<Vec<PathBuf>>,
}

/// How a row went: what was seen, or what was wrong.
type Seen = Result<String, String>;

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            say(&format!("{failed} rows FAILED"));
            ExitCode::FAILURE
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "boot: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Answers how many rows failed.
fn run(flags: &Flags) -> Result<usize, String> {
    root::check_needs()?;
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let programs =
        flags.programs.clone().or_else(|| Some(beside.parent()?.to_owned())).ok_or("where is this program?")?;
    let mut failed = 0;
    for suite in &flags.suites {
        say(&format!("== {suite}"));
        let base = root::base(&flags.dir, suite)?;
        let luggage = root::luggage(&flags.dir, suite, &programs, flags.packages.as_deref().unwrap_or_default())?;
        let mut machine = Machine::boot(&flags.dir, suite, &base, &luggage)?;
        let version = machine.root("systemctl --version | head -n 1")?;
        say(&format!("booted: {}", version.trim()));
        failed += rows::table(&mut machine, &flags.only, flags.packages.is_some());
        if flags.power_offs > 0 && "power".contains(&flags.only) {
            failed += usize::from(!told("the power fails", &power::off(&mut machine, flags.power_offs)));
        }
    }
    Ok(failed)
}

/// Says how a row went. Answers whether it went well.
fn told(name: &str, seen: &Seen) -> bool {
    match seen {
        Ok(text) => say(&format!("ok      {name}: {text}")),
        Err(why) => say(&format!("FAILED  {name}: {why}")),
    }
    seen.is_ok()
}

fn say(line: &str) {
    let mut out = io::stdout();
    // Whoever closed the pipe has seen enough.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says it with the time that it took.
fn timed(name: &str, row: impl FnOnce() -> Seen) -> bool {
    let begun = Instant::now();
    let seen = row().map(|text| format!("{text} ({:.0} s)", begun.elapsed().as_secs_f64()));
    told(name, &seen)
}
