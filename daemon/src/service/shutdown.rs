//! The end of the daemon, as `shutdown` asks for it.

use std::sync::atomic::Ordering;

use keyfob_proto::{Code, Fault, Shutdown, ShutdownBegun};

use super::Service;
use crate::process;

impl Service {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "all reads are alike")]
    pub(super) fn begin_shutdown(&self, call: &Shutdown) -> Result<ShutdownBegun, Fault> {
        if call.restart {
            if self.shutdown.is_cancelled() && !self.gives_way() {
                return Err(Fault::new(Code::ShuttingDown, "the daemon is stopping; this had no effect"));
            }
            process::program().map_err(|error| {
                let message = format!("{error}: `keyfob stop`, and the next command starts the one that is installed");
                Fault::new(Code::NotStarted, message)
            })?;
        }
        // Whoever asked last decides: one that is to stop does.
        self.gives_way.store(call.restart, Ordering::Relaxed);
        self.shutdown.cancel();
        Ok(ShutdownBegun {})
    }

    /// Whether the daemon is to give way to the program that is installed now.
    #[must_use]
    pub(crate) fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Relaxed)
    }
}
