//! Who is at the other end of a connection, by the kernel's word.

use std::fs;
use std::io;
use std::path::PathBuf;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon;
use keyfob_proto::{By, Code, Fault};

/// The users that the daemon serves: its own, root, and those it was told.
#[derive(Clone, Debug)]
pub struct Allowed {
    own: u32,
    others: Vec<u32>,
}

impl Allowed {
    /// The daemon's own user, root, and `more`.
    #[must_use]
    pub fn new(more: &[u32]) -> Self {
        Self { own: rustix::process::getuid().as_raw(), others: more.to_vec() }
    }

    /// Whether other users are let in. They have to be able to connect to the socket's file, and
    /// [`Allowed::check`] alone keeps the rest out.
    #[must_use]
    pub fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether a user is the daemon's own, or root.
    #[must_use]
    pub fn is_owner(&self, uid: u32) -> bool {
        uid == self.own || uid == 0
    }

    /// Lets a user in or says why not.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED`.
    pub fn check(&self, uid: u32) -> Result<(), Fault> {
        if self.is_owner(uid) || self.others.contains(&uid) {
            return Ok(());
        }
        let message = format!(
            "this vault does not serve user {uid}; its owner may give a part of it with `keyfob grant`, or start keyfobd with \
             --allow-uid"
        );
        Err(Fault::new(Code::AccessDenied, message))
    }
}

/// The process and user that opened the connection.
///
/// # Errors
///
/// When the kernel does not tell: such a peer is not served.
pub fn of(stream: &Stream) -> io::Result<By> {
    let credentials = stream.peer_creds()?;
    let uid = credentials.euid().ok_or(io::ErrorKind::Unsupported)?;
    Ok(By { pid: credentials.pid(), uid, grant: None })
}

/// The file of the program that a process runs, where the system tells.
#[must_use]
pub fn program(pid: Option<i32>) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{}/exe", pid?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_how_to_be_let_in() {
        let allowed = Allowed::new(&[4711]);
        assert!(allowed.check(4711).is_ok() && allowed.check(0).is_ok());
        let fault = allowed.check(4712).unwrap_err();
        assert_eq!(fault.data.code, Code::AccessDenied);
        assert!(fault.message.contains("keyfob grant") && fault.message.contains("--allow-uid"));
    }
}
