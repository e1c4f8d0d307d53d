//! [`Failure`]: why a command did not do what it was asked.

use std::io;
use std::path::PathBuf;

use keyfob::Error;
use keyfob_proto::{Code, Fault};

use super::Exit;
use super::arguments::shown;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The vault refused, or was not reached.
    #[error(transparent)]
    Vault(#[from] Error),
    /// Standard output or standard error failed.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", shown(path))]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What was given is not what the command takes.
    #[error("{0}")]
    Input(String),
    /// A person was asked and said no.
    #[error("nothing was done")]
    Declined,
    /// The disk has failed, as was printed.
    #[error("the storage has failed")]
    Unwell,
    /// Something is wrong, as was printed.
    #[error("{0} to look at")]
    Diagnosed(String),
    /// The program that was run with a grant ended like this, and has said why itself.
    #[error("the program failed")]
    Program(Exit),
    /// The program that was to be run with a grant was not.
    #[error("cannot run the program: {source}")]
    NotRun {
        /// The exit code, as a shell has it.
        code: u8,
        /// The system's reason.
        source: io::Error,
    },
    /// The service manager refuses, or is not there.
    #[error("{0}")]
    Service(String),
    /// The tour saw something that it should not.
    #[error("the tour went wrong: {0}")]
    Tour(&'static str),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Vault(fault.into())
    }
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Vault(error) if error.is_unreachable() => Exit::Unreachable,
            Self::Input(_) => Exit::Usage,
            Self::Program(exit) => *exit,
            Self::NotRun { code, .. } => Exit::Program(*code),
            // A reader that left early (`| head`) has seen what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Vault(_)
            | Self::Output(_)
            | Self::File { .. }
            | Self::Declined
            | Self::Unwell
            | Self::Diagnosed(_)
            | Self::Service(_)
            | Self::Tour(_) => Exit::Failed,
        }
    }

    /// Whether it is that there is no such key pair.
    pub(super) fn is_no_key_pair(&self) -> bool {
        self.fault().is_some_and(|fault| fault.data.code == Code::KeyPairNotFound)
    }

    /// The fault's code, if it is one.
    pub(super) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Vault(Error::Fault(fault)) => Some(fault),
            _ => None,
        }
    }
}
