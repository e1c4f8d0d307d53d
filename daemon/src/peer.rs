//! Who is at the other end of a connection, by the kernel's word.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon;
use keyfob_proto::{By, Code, Fault};

use crate::limits::SHARE_OF_OTHERS;

/// The users that the daemon serves: its own, root, and those it was told.
#[derive(Clone, Debug)]
pub struct Allowed {
    own: u32,
    others: Vec<u32>,
    open: Arc<Open>,
}

/// How many connections each of the other users has.
#[derive(Debug, Default)]
struct Open(Mutex<HashMap<u32, usize>>);

impl Open {
    fn counts(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A peer that was let in; dropped when its connection ends.
#[derive(Debug)]
pub struct Admitted {
    other: Option<(u32, Arc<Open>)>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((uid, open)) = &self.other {
            open.counts().entry(*uid).and_modify(|count| *count -= 1);
        }
    }
}

impl Allowed {
    /// The daemon's own user, root, and `more`.
    #[must_use]
    pub fn new(more: &[u32]) -> Self {
        let own = rustix::process::getuid().as_raw();
        Self { own, others: more.to_vec(), open: Arc::default() }
    }

    /// Whether other users are let in. They have to be able to connect to the socket's file, and
    /// [`Allowed::admit`] alone keeps the rest out.
    #[must_use]
    pub fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether a user is the daemon's own, or root.
    #[must_use]
    pub fn is_owner(&self, uid: u32) -> bool {
        uid == self.own || uid == 0
    }

    /// Lets a peer in or says why not, where `max_connections` are served at once.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED`; `TOO_MANY_CONNECTIONS` to a user that has its share.
    pub fn admit(&self, by: By, max_connections: usize) -> Result<Admitted, Fault> {
        if self.is_owner(by.uid) {
            return Ok(Admitted { other: None });
        }
        if !self.others.contains(&by.uid) {
            let message =
                format!("this vault does not serve user {}; its owner may start keyfobd with --allow-uid", by.uid);
            return Err(Fault::new(Code::AccessDenied, message));
        }
        let mut counts = self.open.counts();
        let count = counts.entry(by.uid).or_default();
        if *count >= max_connections.div_ceil(SHARE_OF_OTHERS) {
            return Err(too_many(&format!("user {} has as many connections as one user may", by.uid)));
        }
        *count += 1;
        Ok(Admitted { other: Some((by.uid, Arc::clone(&self.open))) })
    }
}

/// The fault of somebody who has to close a connection first.
pub(crate) fn too_many(who: &str) -> Fault {
    Fault::new(Code::TooManyConnections, format!("{who}; close one and try again"))
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
        assert!(allowed.admit(By { pid: None, uid: 4711, grant: None }, 1).is_ok());
        assert!(allowed.admit(By { pid: None, uid: 0, grant: None }, 1).is_ok());
        let fault = allowed.admit(By { pid: Some(1), uid: 4712, grant: None }, 1).unwrap_err();
        assert_eq!(fault.data.code, Code::AccessDenied);
        assert!(fault.message.contains("--allow-uid"));
    }

    #[test]
    fn another_user_leaves_connections_to_the_rest() {
        let allowed = Allowed::new(&[4711, 4712]);
        let admit = |uid| allowed.clone().admit(By { pid: None, uid, grant: None }, 8);
        let (first, _second) = (admit(4711).unwrap(), admit(4711).unwrap());
        assert_eq!(admit(4711).unwrap_err().data.code, Code::TooManyConnections);
        let _others = (admit(4712).unwrap(), admit(0).unwrap());
        drop(first);
        assert!(admit(4711).is_ok());
    }
}
