//! `keyfobd`: flags → config → run → exit code.

use std::future::Future;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use keyfob_proto::Startup;
use keyfobd::background::{self, announce};
use keyfobd::config::{Flags, told};
use keyfobd::{Daemon, Error, log, process, start};
use listenfd::ListenFd;
use tikv_jemallocator::Jemalloc;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use zeroizing_alloc::ZeroAlloc;

/// Memory that is freed is overwritten first: lines, tokens and keys pass through buffers of libraries that do not
/// do that, and through ones that grow. Below is jemalloc: with glibc's allocator threads wait for each other's arenas,
/// and the memory of a large vault stays with the process after its sessions are cleared.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

fn main() -> ExitCode {
    process::leave_inherited();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(message) => return explain(&message),
    };
    if flags.man {
        let page = clap_mangen::Man::new(Flags::command());
        return if page.render(&mut io::stdout()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if flags.background {
        if process::was_passed_a_socket() {
            let message = "a socket was passed on: leave --background out".to_owned();
            announce(&Startup::Failed { message });
            return ExitCode::from(2);
        }
        return background::start();
    }
    process::harden();
    // Before there is another thread: it changes the environment.
    let listener = ListenFd::from_env().take_unix_listener(0).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "keyfobd: the inherited file descriptor is not a socket: {error}");
        None
    });
    match run(&flags, listener) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if flags.detached || flags.check {
                announce(&Startup::Failed { message: error.to_string() });
            } else {
                // Standard error may be closed; the exit code says it too.
                let _ = writeln!(io::stderr(), "keyfobd: {error}");
            }
            error.exit_code()
        }
    }
}

/// Prints what clap has to say. Whoever starts a daemon in the background reads one line on standard output.
fn explain(message: &clap::Error) -> ExitCode {
    let in_background = std::env::args_os().any(|arg| arg == "--background" || arg == background::DETACHED);
    match message.use_stderr() {
        true if in_background => announce(&Startup::Failed { message: told(message) }),
        true => drop(writeln!(io::stderr(), "keyfobd: {}", told(message))),
        false => drop(message.print()),
    }
    ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2))
}

fn run(flags: &Flags, listener: Option<UnixListener>) -> Result<(), Error> {
    process::raise_limits()?;
    let config = flags.config(listener)?;
    let log_file = flags.detached.then(|| config.data_dir.join("keyfobd.log"));
    if flags.check {
        flags.log()?;
        return start::check(&config);
    }
    start::own_data_dir(&config)?;
    if flags.detached {
        process::leave_terminal();
    }
    let cannot_log = |source| Error::Io { action: "log to", path: log_file.clone().unwrap_or_default(), source };
    let guard = log::init(flags.log()?, flags.log_format, log_file.as_deref()).map_err(cannot_log)?;
    let refused = |action| move |source| Error::Io { action, path: "this process".into(), source };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(refused("start threads in"))?;
    let waiting = runtime.block_on(async {
        // A file that may not grow is an error like any other, and not the end.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
        // Until it listens a signal ends it at once: nothing is lost by that.
        let daemon = Daemon::open(config)?;
        let stop = stop_signal(flags.detached).map_err(refused("listen for signals in"))?;
        if flags.detached {
            announce(&Startup::Listening { pid: std::process::id(), socket: daemon.socket().to_owned() });
            process::leave_output().map_err(refused("open /dev/null in"))?;
        }
        Ok::<_, Error>(daemon.serve(stop).await)
    })?;
    // Whoever waited for the end finds all of it in the log.
    drop(guard);
    drop(waiting);
    Ok(())
}

/// Ready when the process is asked to stop. The end of a terminal stops a daemon in the foreground only.
fn stop_signal(detached: bool) -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => if !detached { return },
            }
        }
    })
}
