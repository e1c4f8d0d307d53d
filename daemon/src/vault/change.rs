//! [`Change`]: what mutations did to a vault, told once, for the store and for whoever else has to know.

use std::sync::Arc;

use keyfob_proto::{By, EventKind, PublicKey, SessionKey};

use super::key_pair::KeyPair;
use super::session::StoredSession;

/// What a mutation did.
#[derive(Clone, Debug)]
pub enum Change {
    /// A session is there now.
    PutSession(SessionKey, Arc<StoredSession>),
    /// A key pair that a session names is there now.
    PutInUse(Arc<KeyPair>),
    /// A key pair that no session names is there now.
    PutUnused(Arc<KeyPair>),
    /// The active pointer.
    SetActive(Option<SessionKey>),
    /// After how long without use the vault locks itself.
    SetLockAfter,
    /// The wrong passphrases so far.
    SetAttempts,
    /// What is remembered of a session that has expired.
    Noted(SessionKey),
    /// What had this name and was sealed with the slot of this number is gone.
    Removed(Name, u32),
    /// An unused key pair came into use, and is sealed with another slot now.
    Moved(PublicKey, u32),
    /// All sessions, all key pairs in use and the active pointer are gone.
    ClearedAll,
}

/// What a record is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A session.
    Session(SessionKey),
    /// A key pair that a session names.
    InUse(PublicKey),
    /// A key pair that no session names.
    Unused(PublicKey),
    /// The active pointer.
    Active,
    /// A session that has expired and is remembered.
    Expired(SessionKey),
    /// After how long without use the vault locks itself.
    LockAfter,
    /// The wrong passphrases so far.
    Attempts,
}

/// The unit in which things go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A session, its key pair unless another names it, and the pointer if it names the session.
    Session(SessionKey),
    /// A key pair, with the sessions that name it: where it is removed by itself there are none, but after a batch that
    /// failed the disk may have one.
    KeyPair(PublicKey),
    /// All sessions, all key pairs in use and the pointer.
    All,
}

/// An event that has no sequence number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What happened.
    pub kind: EventKind,
    /// Who asked for it.
    pub by: Option<By>,
}

impl Change {
    /// Whether something is there now that was not there before, or not in this form.
    #[must_use]
    pub fn is_put(&self) -> bool {
        match self {
            Self::PutSession(..)
            | Self::PutInUse(_)
            | Self::PutUnused(_)
            | Self::SetActive(Some(_))
            | Self::SetLockAfter
            | Self::SetAttempts => true,
            Self::SetActive(None) | Self::Noted(_) | Self::Removed(..) | Self::Moved(..) | Self::ClearedAll => false,
        }
    }

    /// The name that it concerns, unless it concerns all.
    #[must_use]
    pub fn name(&self) -> Option<Name> {
        Some(match self {
            Self::PutSession(key, _) => Name::Session(key.clone()),
            Self::PutInUse(pair) => Name::InUse(*pair.public_key()),
            Self::PutUnused(pair) => Name::Unused(*pair.public_key()),
            Self::SetActive(_) => Name::Active,
            Self::SetLockAfter => Name::LockAfter,
            Self::SetAttempts => Name::Attempts,
            Self::Noted(key) => Name::Expired(key.clone()),
            Self::Removed(name, _) => name.clone(),
            Self::Moved(key, _) => Name::Unused(*key),
            Self::ClearedAll => return None,
        })
    }

    /// The removal that it is, if it is that of a session or a key pair, or of all. Of changes that only remove.
    #[must_use]
    pub fn removal(&self) -> Option<Removal> {
        match self {
            Self::Removed(Name::Session(key), _) => Some(Removal::Session(key.clone())),
            Self::Removed(Name::Unused(key) | Name::InUse(key), _) => Some(Removal::KeyPair(*key)),
            Self::ClearedAll => Some(Removal::All),
            _ => None,
        }
    }
}
