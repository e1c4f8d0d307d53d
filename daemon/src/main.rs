//! `keyfobd`: flags → config → run → exit code.

use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use clap::Parser;
use keyfob_proto::Startup;
use keyfobd::config::{Config, Flags};
use keyfobd::{Daemon, Error, log, process};
use listenfd::ListenFd;
use tikv_jemallocator::Jemalloc;
use tokio::signal::unix::{SignalKind, signal};
use zeroizing_alloc::ZeroAlloc;

/// Memory that is freed is overwritten first: lines, tokens and keys pass through buffers of libraries that do not
/// do that, and through ones that grow. Below is jemalloc: with glibc's allocator threads wait for each other's arenas,
/// and the memory of a large vault stays with the process after its sessions are cleared.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

fn main() -> ExitCode {
    let flags = Flags::parse();
    process::harden();
    // Before there is another thread: it changes the environment.
    let listener = ListenFd::from_env().take_unix_listener(0).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "keyfobd: what was passed as a socket is none: {error}");
        None
    });
    match run(&flags, listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit code says it too.
            let _ = writeln!(io::stderr(), "keyfobd: {error}");
            if flags.background {
                announce(&Startup::Failed { message: error.to_string() });
            }
            error.exit_code()
        }
    }
}

#[tokio::main]
async fn run(flags: &Flags, listener: Option<UnixListener>) -> Result<(), Error> {
    let config = Config { listener, ..flags.config()? };
    let log_file = flags.background.then(|| config.data_dir.join("keyfobd.log"));
    if flags.background {
        process::leave_terminal();
        keyfobd::start::own_data_dir(&config.data_dir)?;
    }
    let cannot_log = |source| Error::Io { action: "log to", path: log_file.clone().unwrap_or_default(), source };
    let _guard = log::init(flags.log, flags.log_format, log_file.as_deref()).map_err(cannot_log)?;
    let stop = stop_signal(flags.background).map_err(|source| Error::Io {
        action: "listen for signals on",
        path: "/".into(),
        source,
    })?;
    let daemon = Daemon::open(config)?;
    if flags.background {
        announce(&Startup::Listening { pid: std::process::id() });
        process::leave_output();
    }
    daemon.serve(stop).await;
    Ok(())
}

/// Ready when the process is asked to stop. The end of a terminal stops a daemon in the foreground only.
fn stop_signal(background: bool) -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => if !background { return },
            }
        }
    })
}

/// Tells whoever started the daemon how it went; that they are gone by now is no error.
fn announce(startup: &Startup) {
    let line = serde_json::to_string(startup).expect("a startup is JSON");
    let _ = writeln!(io::stdout(), "{line}");
}
