//! [`Caller`]: who is at the other end of a connection, and what they may do.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use keyfob_proto::{By, Code, GrantEnd};

use super::Answer;
use crate::access::Access;
use crate::account::Account;
use crate::grants::{Grant, Grants, Used};
use crate::peer;

/// Who is at the other end of a connection. Dropped when it ends, and with it the grants that were made for as long.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The kernel's word.
    pub by: By,
    /// What they may do.
    pub access: Access,
    /// What they may make the daemon hold and do.
    pub account: Arc<Account>,
    /// Their program's file, where it was asked for and the system tells.
    program: Option<PathBuf>,
    grants: Grants,
    tied: Mutex<Vec<Arc<Grant>>>,
}

impl Caller {
    /// A caller who may do this.
    #[must_use]
    pub(crate) fn new(by: By, access: Access, account: Arc<Account>, grants: Grants) -> Self {
        let program = if matches!(access, Access::Granted(_)) { peer::program(by.pid) } else { None };
        Self { by, access, account, program, grants, tied: Mutex::default() }
    }

    /// Takes note of an answer: the owner is told of what is refused to those who have a grant.
    pub(crate) fn note(&self, method: &'static str, answer: &Answer) {
        if let (Access::Granted(grant), Err(fault)) = (&self.access, answer)
            && matches!(fault.data.code, Code::AccessDenied | Code::LimitReached)
        {
            grant.refuse(method, &fault.data.code);
        }
    }

    /// Ends a grant with the connection.
    pub(super) fn tie(&self, grant: Arc<Grant>) {
        self.tied.lock().unwrap_or_else(PoisonError::into_inner).push(grant);
    }

    pub(super) fn used(&self) -> Used {
        Used { by: self.by, program: self.program.clone() }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        for grant in self.tied.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.grants.end(&grant, GrantEnd::Disconnected, Some(self.by));
        }
    }
}
