//! `keyfob`: the command line over the client.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Memory that is freed is overwritten first: tokens, keys and passphrases pass through it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    keyfob_cli::run(std::env::args_os(), &mut keyfob_cli::Io::standard()).into()
}
