//! The thread that reads and writes for all clients of a program.
//!
//! It has a runtime of its own, so that a client works under any runtime, under several one after the other, and under
//! none: what a caller awaits is only an answer that somebody else sends.

use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use tokio::runtime::{Builder, Handle};

use crate::Error;

/// The thread's runtime, once it runs.
static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);

/// The runtime of the thread, which is started if need be and runs as long as the program.
pub(crate) fn runtime() -> Result<Handle, Error> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*runtime {
        return Ok(handle.clone());
    }
    let handle = start().map_err(Error::NoThread)?;
    *runtime = Some(handle.clone());
    Ok(handle)
}

fn start() -> io::Result<Handle> {
    let (built, is_built) = mpsc::channel();
    // Built in the thread: a runtime must not be dropped where somebody else's runs.
    let run = move || match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _ = built.send(Ok(runtime.handle().clone()));
            runtime.block_on(std::future::pending::<()>());
        }
        Err(error) => drop(built.send(Err(error))),
    };
    thread::Builder::new().name("keyfob".to_owned()).spawn(run)?;
    is_built.recv().map_err(io::Error::other)?
}
