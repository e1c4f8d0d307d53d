//! `keyfob`: the command line over the client.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyfob::cli::run(std::env::args_os(), &mut keyfob::cli::Io::standard()).into()
}
