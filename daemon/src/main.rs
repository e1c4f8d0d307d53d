//! The program `keyfobd`: the library, and the allocator.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;
use zeroizing_alloc::ZeroAlloc;

/// Memory that is freed is overwritten first: lines, tokens and keys pass through buffers of libraries that do not
/// do that, and through ones that grow. Below is jemalloc: with glibc's allocator threads wait for each other's arenas,
/// and the memory of a large vault stays with the process after its sessions are cleared.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

fn main() -> ExitCode {
    keyfobd::run()
}
