//! Who is at the other end of a connection, by the kernel's word.

use std::io;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon;
use keyfob_proto::{By, Code, Fault};

/// The users that the daemon serves: its own, root, and those it was told.
#[derive(Clone, Debug)]
pub struct Allowed {
    uids: Vec<u32>,
    has_others: bool,
}

impl Allowed {
    /// The daemon's own user, root, and `more`.
    #[must_use]
    pub fn new(more: &[u32]) -> Self {
        let own = rustix::process::getuid().as_raw();
        Self { uids: [&[own, 0], more].concat(), has_others: !more.is_empty() }
    }

    /// Whether other users are let in. They have to be able to connect to the socket's file, and
    /// [`Allowed::check`] alone keeps the rest out.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.has_others
    }

    /// Lets a peer in or says why not.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED`.
    pub fn check(&self, by: By) -> Result<(), Fault> {
        if self.uids.contains(&by.uid) {
            return Ok(());
        }
        let message =
            format!("this vault does not serve user {}; its owner may start keyfobd with --allow-uid", by.uid);
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
    Ok(By { pid: credentials.pid(), uid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_how_to_be_let_in() {
        let allowed = Allowed::new(&[4711]);
        assert!(allowed.check(By { pid: None, uid: 4711 }).is_ok());
        assert!(allowed.check(By { pid: None, uid: 0 }).is_ok());
        let fault = allowed.check(By { pid: Some(1), uid: 4712 }).unwrap_err();
        assert_eq!(fault.data.code, Code::AccessDenied);
        assert!(fault.message.contains("--allow-uid"));
    }
}
