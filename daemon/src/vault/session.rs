//! [`StoredSession`]: a session as the vault keeps it, its token sealed.

use keyfob_proto::{PublicKey, Secret, Session, SessionKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::limits::MAX_SEALED_BYTES;
use crate::seal::{OpenError, Scope, Sealed, Slot, VaultKeys};

/// A session. Its expiry and its key pair's name are readable in a locked vault too, which has to clear it when it
/// expires, and its key pair with it; all else is sealed.
#[derive(Debug)]
pub struct StoredSession {
    public_key: PublicKey,
    expiry: u64,
    sealed: Sealed,
}

/// What is sealed. postcard, in the order of the fields.
#[derive(Serialize, Deserialize)]
struct Contents<'a> {
    token: &'a str,
    expiration_seconds: &'a str,
    session_type: &'a str,
    user_id: &'a str,
    organization_id: &'a str,
    session_profile_id: Option<&'a str>,
    scope: Option<&'a str>,
}

impl StoredSession {
    /// Seals a session.
    pub(super) fn seal(key: &SessionKey, session: &Session, keys: &VaultKeys, slot: Slot) -> Self {
        let contents = Contents {
            token: session.token.expose(),
            expiration_seconds: &session.expiration_seconds,
            session_type: &session.session_type,
            user_id: &session.user_id,
            organization_id: &session.organization_id,
            session_profile_id: session.session_profile_id.as_deref(),
            scope: session.scope.as_deref(),
        };
        let mut bytes = Zeroizing::new(vec![0; MAX_SEALED_BYTES]);
        let plain = postcard::to_slice(&contents, &mut bytes).expect("a session is plain data of a bounded size");
        let identity = identity(key, &session.public_key, session.expiry);
        let sealed = Sealed::new(keys, Scope::InUse, slot, &identity, plain);
        Self { public_key: session.public_key, expiry: session.expiry, sealed }
    }

    /// The session that a record holds. Whether it can be opened shows when it is.
    #[must_use]
    pub fn restore(public_key: PublicKey, expiry: u64, sealed: Sealed) -> Self {
        Self { public_key, expiry, sealed }
    }

    /// The same session, sealed under another root key.
    #[must_use]
    pub(super) fn with_sealed(&self, sealed: Sealed) -> Self {
        Self { public_key: self.public_key, expiry: self.expiry, sealed }
    }

    /// The session, with its token. Call it in [`on_wiped_stack`](crate::seal::on_wiped_stack).
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(&self, key: &SessionKey, keys: Option<&VaultKeys>) -> Result<Session, OpenError> {
        let session = |bytes: &[u8]| {
            let contents: Contents<'_> = postcard::from_bytes(bytes).ok()?;
            Some(Session {
                session_type: contents.session_type.to_owned(),
                user_id: contents.user_id.to_owned(),
                organization_id: contents.organization_id.to_owned(),
                expiry: self.expiry,
                expiration_seconds: contents.expiration_seconds.to_owned(),
                public_key: self.public_key,
                token: Secret::new(contents.token),
                session_profile_id: contents.session_profile_id.map(str::to_owned),
                scope: contents.scope.map(str::to_owned),
            })
        };
        let identity = identity(key, &self.public_key, self.expiry);
        self.sealed.open(keys, Scope::InUse, &identity, session)?.ok_or(OpenError::Altered)
    }

    /// Whether it opens with these keys; `None` where its slot is damaged.
    pub(super) fn check(&self, key: &SessionKey, keys: &VaultKeys) -> Option<bool> {
        let identity = identity(key, &self.public_key, self.expiry);
        match self.sealed.open(Some(keys), Scope::InUse, &identity, |_| ()) {
            Err(OpenError::SlotDamaged) => None,
            opened => Some(opened.is_ok()),
        }
    }

    /// The key pair that signs for it.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// When it expires, in seconds since the epoch.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.expiry
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn sealed(&self) -> &Sealed {
        &self.sealed
    }
}

/// What the sealed part belongs to: format 1, a session, its readable part, its name.
fn identity(key: &SessionKey, public_key: &PublicKey, expiry: u64) -> Vec<u8> {
    [b"\x01s", public_key.as_bytes().as_slice(), &expiry.to_be_bytes(), key.as_str().as_bytes()].concat()
}
