//! The program: flags → config → run → exit code.

use std::future::Future;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use keyfob_proto::{StartedBy, Startup};
use sd_notify::NotifyState;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::background::{self, announce};
use crate::config::{Flags, told};
use crate::passed::Passed;
use crate::{Daemon, Error, log, process, start};

/// Does what the program `keyfobd` does, with the arguments and the environment of this process.
#[must_use]
pub fn run() -> ExitCode {
    process::leave_inherited();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(message) => {
            let code = explain(&message);
            if message.use_stderr() {
                Passed::take(false).unwrap_or_default().explain(&Error::Usage(told(&message)));
            }
            return code;
        }
    };
    if flags.man {
        let page = clap_mangen::Man::new(Flags::command());
        return if page.render(&mut io::stdout()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if flags.background {
        if process::was_passed_a_socket() {
            let message = "a socket was passed on: leave --background out".to_owned();
            announce(&Startup::Failed { message: message.clone() });
            Passed::take(false).unwrap_or_default().explain(&Error::Usage(message));
            return ExitCode::from(2);
        }
        return background::start(&flags);
    }
    process::harden();
    let started_by = process::started_by(flags.detached);
    let directory = std::env::current_dir().ok();
    // What is installed later is found by where this one was.
    let _ = process::program();
    // Before there is another thread: it changes the environment.
    let mut passed = match Passed::take(flags.successor) {
        Ok(passed) => passed,
        Err(source) => {
            let path = "the socket that was passed on".into();
            return failed(&flags, Passed::default(), &Error::Io { action: "take over", path, source });
        }
    };
    match serve(&flags, &mut passed, started_by) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(socket)) => {
            // Whoever connected meanwhile is told, if it comes to that.
            let kept = socket.try_clone().map(Passed::from).unwrap_or_default();
            let error = process::become_successor(socket, directory.as_deref());
            failed(&flags, kept, &error)
        }
        Err(error) => failed(&flags, passed, &error),
    }
}

/// Says why the daemon does not run, to whoever started it and to whoever waits for it.
fn failed(flags: &Flags, passed: Passed, error: &Error) -> ExitCode {
    if flags.detached || flags.check {
        announce(&Startup::Failed { message: error.to_string() });
    } else {
        let priority = if log::is_journal() { log::JOURNAL_ERROR } else { "" };
        // Standard error may be closed; the exit code says it too.
        let _ = writeln!(io::stderr(), "{priority}keyfobd: {error}");
    }
    process::tell_service_manager(&[NotifyState::Status(&error.to_string())]);
    passed.explain(error);
    error.exit_code()
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

/// Runs the daemon until its end. Answers its socket if another one is to take its place.
fn serve(flags: &Flags, passed: &mut Passed, started_by: StartedBy) -> Result<Option<UnixListener>, Error> {
    process::raise_limits()?;
    let config = flags.config(passed.socket()?, started_by)?;
    let log_file = flags.detached.then(|| config.data_dir.join("keyfobd.log"));
    if flags.check {
        flags.log()?;
        return start::check(&config).map(|()| None);
    }
    start::own_data_dir(&config)?;
    if flags.detached {
        process::leave_terminal();
    }
    let cannot_log = |source| Error::Io { action: "log to", path: log_file.clone().unwrap_or_default(), source };
    let guard = log::init(flags.log()?, flags.log_format, log_file.as_deref()).map_err(cannot_log)?;
    let refused = |action| move |source| Error::Io { action, path: "this process".into(), source };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(refused("start threads in"))?;
    let drained = runtime.block_on(async {
        // A file that may not grow is an error like any other, and not the end.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
        // Until it listens a signal ends it at once: nothing is lost by that.
        let opened = Daemon::open(config);
        let daemon = opened.inspect_err(|error| tracing::error!(%error, "the daemon does not start"))?;
        passed.let_go();
        let stop = stop_signal(flags.detached).map_err(refused("listen for signals in"))?;
        if flags.detached {
            announce(&Startup::Listening { pid: Some(std::process::id()), socket: daemon.socket().to_owned() });
            process::leave_output().map_err(refused("open /dev/null in"))?;
        }
        process::tell_service_manager(&[NotifyState::Ready]);
        Ok::<_, Error>(daemon.serve(stop).await)
    })?;
    // Whoever waited for the end finds all of it in the log.
    drop(guard);
    drop(drained.waiting);
    Ok(drained.successor)
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
