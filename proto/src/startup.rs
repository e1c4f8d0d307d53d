//! [`Startup`]: what a daemon in the background tells whoever started it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The one line of JSON that `keyfobd --background` writes to its standard output: it ends the wait
/// of whoever started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Startup {
    /// The daemon listens: connect now.
    Listening {
        /// Its process. Absent: a unit of systemd listens, and starts the daemon with the first connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
        /// Its socket.
        socket: PathBuf,
    },
    /// The daemon could not start.
    Failed {
        /// Why, and what to do next: for people.
        message: String,
    },
}
