//! Who is at the other end of a connection, by the kernel's word.

use std::fs;
use std::io;
use std::path::PathBuf;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon;
use keyfob_proto::{By, Code, Fault};

/// The users that the daemon serves: its own, root, and those it was told.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    own: u32,
    others: Vec<u32>,
    users: KnownUsers,
}

/// The users whom the kernel tells apart for this process. In a user namespace it gives all others one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownUsers {
    /// First numbers, and how many from there; none: the system has no user namespaces.
    ranges: Option<Vec<(u32, u32)>>,
    /// The number that all others have.
    overflow: u32,
}

impl KnownUsers {
    /// Those of this process. A system that does not say has no user namespaces.
    #[must_use]
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        Self::read(read("/proc/self/uid_map").as_deref(), &read("/proc/sys/kernel/overflowuid").unwrap_or_default())
    }

    fn read(map: Option<&str>, overflow: &str) -> Self {
        let range = |line: &str| {
            let numbers: Vec<u32> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            if let [inside, _, count] = numbers[..] { Some((inside, count)) } else { None }
        };
        let ranges = map.map(|map| map.lines().filter_map(range).collect());
        Self { ranges, overflow: overflow.trim().parse().unwrap_or(65_534) }
    }

    /// Whether there are some that are not told apart.
    fn are_hidden(&self) -> bool {
        self.ranges.as_ref().is_some_and(|ranges| *ranges != [(0, u32::MAX)])
    }

    /// Whether this user is told from others.
    #[must_use]
    pub(crate) fn knows(&self, uid: u32) -> bool {
        let is_in = |(first, count): &(u32, u32)| uid >= *first && uid - first < *count;
        !self.are_hidden() || (uid != self.overflow && self.ranges.iter().flatten().any(is_in))
    }
}

impl Allowed {
    /// The daemon's own user, root, and `more`.
    #[must_use]
    pub(crate) fn new(more: &[u32]) -> Self {
        Self { own: rustix::process::getuid().as_raw(), others: more.to_vec(), users: KnownUsers::here() }
    }

    /// Whether other users are let in. They have to be able to connect to the socket's file, and
    /// [`Allowed::check`] alone keeps the rest out.
    #[must_use]
    pub(crate) fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether a user is the daemon's own, or root.
    #[must_use]
    pub(crate) fn is_owner(&self, uid: u32) -> bool {
        uid == self.own || uid == 0
    }

    /// Lets a user in or says why not.
    ///
    /// # Errors
    ///
    /// `ACCESS_DENIED`.
    pub(crate) fn check(&self, uid: u32) -> Result<(), Fault> {
        if self.is_owner(uid) || self.others.contains(&uid) {
            return Ok(());
        }
        let message = if self.users.are_hidden() && uid == self.users.overflow {
            // Not the user's own number: others have it too.
            format!(
                "the system does not tell keyfobd who you are: it runs in a user namespace, as every sandboxed unit of a \
                 user does, where root and all users but {} look alike. Run the command as that user: `sudo -u \\#{0} keyfob`",
                self.own
            )
        } else {
            format!(
                "this vault does not serve user {uid}; its owner may give a part of it with `keyfob grant`, or start keyfobd \
                 with --allow-uid"
            )
        };
        Err(Fault::new(Code::AccessDenied, message))
    }
}

/// The process and user that opened the connection.
///
/// # Errors
///
/// When the kernel does not tell: such a peer is not served.
pub(crate) fn of(stream: &Stream) -> io::Result<By> {
    let credentials = stream.peer_creds()?;
    let uid = credentials.euid().ok_or(io::ErrorKind::Unsupported)?;
    Ok(By { pid: credentials.pid(), uid, grant: None })
}

/// The file of the program that a process runs, where the system tells.
#[must_use]
pub(crate) fn program(pid: Option<i32>) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{}/exe", pid?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_user_namespace_only_some_users_are_known() {
        let everybody = KnownUsers::read(Some("         0          0 4294967295\n"), "65534\n");
        assert!(everybody.knows(0) && everybody.knows(65_534) && !everybody.are_hidden());
        let unit = KnownUsers::read(Some("      1000       1000          1\n"), "65534\n");
        assert!(unit.knows(1000) && !unit.knows(0) && !unit.knows(1001) && !unit.knows(65_534));
        let container = KnownUsers::read(Some("0 1000 1\n1 100000 65536\n"), "");
        assert!(container.knows(0) && container.knows(65_536) && !container.knows(65_537));
        assert!(!container.knows(65_534), "all others have that number too");
        assert!(!KnownUsers::read(Some(""), "").knows(65_534), "a namespace with nobody in it");
        assert!(KnownUsers::read(None, "").knows(7), "a system without namespaces");
    }

    #[test]
    fn one_who_is_not_known_is_never_told_to_be_allowed() {
        let users = KnownUsers::read(Some("1000 1000 1\n"), "65534\n");
        let fault = Allowed { own: 1000, others: Vec::new(), users }.check(65_534).unwrap_err();
        assert!(
            fault.message.contains("sudo -u \\#1000") && !fault.message.contains("--allow-uid"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn a_stranger_is_told_how_to_be_let_in() {
        let allowed = Allowed::new(&[4711]);
        assert!(allowed.check(4711).is_ok() && allowed.check(0).is_ok());
        let fault = allowed.check(4712).unwrap_err();
        assert_eq!(fault.data.code, Code::AccessDenied);
        assert!(fault.message.contains("keyfob grant") && fault.message.contains("--allow-uid"));
    }
}
