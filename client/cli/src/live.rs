//! What is drawn again at each change of the vault, and as time passes.

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use keyfob::Error;
use keyfob_proto::Subscribe;

use super::{Failure, Session};

/// How often the times are counted down.
const TICK: Duration = Duration::from_secs(1);

/// From here on the screen is cleared: the cursor goes home, and what is below it goes.
const HOME: &str = "\u{1b}[H\u{1b}[J";

/// Draws what `text` answers until interrupted, or until the daemon stops.
pub(super) fn run(
    session: &mut Session<'_, '_>,
    mut text: impl FnMut(&Session<'_, '_>) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let mut events = session.connect()?.events_blocking(Subscribe::default())?;
    let (sender, changes) = mpsc::channel();
    // It ends with the process, or when the daemon stops.
    thread::spawn(move || {
        while let Some(event) = events.wait() {
            let is_over = event.is_err();
            if sender.send(event.map(drop)).is_err() || is_over {
                return;
            }
        }
    });
    loop {
        let text = match text(session) {
            // The daemon went between two events.
            Err(Failure::Vault(Error::Disconnected(_))) => return Err(Error::Ended.into()),
            text => text?,
        };
        let out = &mut session.output.io.stdout;
        // Into a file each list follows the one before.
        let begin = if session.output.io.width.is_some() { HOME } else { "" };
        writeln!(out, "{begin}{text}")?;
        out.flush()?;
        match changes.recv_timeout(TICK) {
            Ok(change) => change?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Ended.into()),
        }
        // What came together is shown together.
        for change in changes.try_iter() {
            change?;
        }
    }
}
