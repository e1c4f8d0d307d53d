//! [`Prepared`]: a call before it is made.

use std::future::IntoFuture;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use keyfob_proto::call::{
    Call, ClearAllSessions, ClearSession, ClearUnusedKeyPairs, CreateApiKeyPair, CreateGrant, DeleteApiKeyPair,
    DescribeSession, Expected, ExternalKeyPair, GetAllSessions, GetSession, Limit, ListApiKeyPairs, ListSessions,
    Rekey, RevokeGrant, SetLockAfter, Sign, SignatureFormat, Signer, Stamp, StoreSession, Unlock,
};
use keyfob_proto::{GrantName, Label, PublicKey, Secret, SessionKey};

use crate::{Client, Error};

/// A call that is made when it is awaited, or with [`Prepared::wait`]; and what it may be given before.
#[derive(Debug)]
#[must_use = "a call is made when it is awaited, or with `wait`"]
pub struct Prepared<'a, C> {
    client: &'a Client,
    call: C,
    within: Duration,
}

impl<'a, C: Call> Prepared<'a, C> {
    pub(crate) fn new(client: &'a Client, call: C, within: Duration) -> Self {
        Self { client, call, within }
    }

    /// How long to wait for the answer, in place of [`Deadlines::call`](crate::Deadlines::call).
    pub fn within(self, time: Duration) -> Self {
        Self { within: time, ..self }
    }

    /// Makes the call and blocks the thread until it is answered, for code that is not async.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] when the daemon refuses it; [`Error::TooLong`] when it does not fit a line;
    /// [`Error::Disconnected`] when the connection ends before the answer; [`Error::TimedOut`]; and those of
    /// [`Client::connect`] when the connection had to be made anew.
    pub fn wait(self) -> Result<C::Reply, Error> {
        pollster::block_on(self.client.send(&self.call, self.within))
    }

    fn with(mut self, change: impl FnOnce(&mut C)) -> Self {
        change(&mut self.call);
        self
    }
}

impl<'a, C: Call + Send + Sync + 'a> IntoFuture for Prepared<'a, C>
where
    C::Reply: Send,
{
    type Output = Result<C::Reply, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// Makes the call. Dropping the future before the answer leaves the client usable; the call then took effect or not.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.client.send(&self.call, self.within).await })
    }
}

impl Prepared<'_, ClearSession> {
    /// This session, in place of the active one.
    pub fn named(self, key: &SessionKey) -> Self {
        self.with(|call| call.session_key = Some(key.clone()))
    }

    /// Only while the session names this key pair; else `CONFLICT`.
    pub fn if_public_key(self, key: PublicKey) -> Self {
        self.with(|call| call.if_public_key = Some(key))
    }

    /// Where there is no such session, that is no fault.
    pub fn if_exists(self) -> Self {
        self.with(|call| call.if_exists = true)
    }
}

impl Prepared<'_, ClearAllSessions> {
    /// Where there is no session, that is no fault.
    pub fn if_exists(self) -> Self {
        self.with(|call| call.if_exists = true)
    }
}

impl Prepared<'_, StoreSession> {
    /// Under this name, in place of [`DEFAULT_SESSION_KEY`](keyfob_proto::DEFAULT_SESSION_KEY).
    pub fn named(self, key: &SessionKey) -> Self {
        self.with(|call| call.session_key = Some(key.clone()))
    }

    /// Only in place of a session that names this key pair; else `CONFLICT`.
    pub fn if_public_key(self, key: PublicKey) -> Self {
        self.with(|call| call.if_public_key = Some(Expected::KeyPair(key)))
    }

    /// Only where there is no session of that name; else `CONFLICT`.
    pub fn if_none(self) -> Self {
        self.with(|call| call.if_public_key = Some(Expected::Nothing))
    }

    /// Leaves the active session as it is.
    pub fn without_activating(self) -> Self {
        self.with(|call| call.activate = false)
    }

    /// Though the vault does not have its key pair.
    pub fn without_key_pair(self) -> Self {
        self.with(|call| call.without_key_pair = true)
    }

    /// Its key pair, if it is kept, is kept no longer and goes with the session.
    pub fn adopting_key_pair(self) -> Self {
        self.with(|call| call.adopt_key_pair = true)
    }
}

/// The parameter of the calls that read one session.
macro_rules! readers {
    ($($call:ident)+) => {
        $(impl Prepared<'_, $call> {
            /// This session, in place of the active one.
            pub fn named(self, key: &SessionKey) -> Self {
                self.with(|call| call.session_key = Some(key.clone()))
            }
        })+
    };
}

readers! { GetSession DescribeSession }

/// The parameters of the calls that answer a page.
macro_rules! pages {
    ($($call:ident by $key:ty;)+) => {
        $(impl Prepared<'_, $call> {
            /// The page after this entry: the `next` of the page before.
            pub fn after(self, key: $key) -> Self {
                self.with(|call| call.after = Some(key))
            }

            /// At most so many entries.
            pub fn limit(self, limit: Limit) -> Self {
                self.with(|call| call.limit = Some(limit))
            }
        })+
    };
}

pages! {
    GetAllSessions by SessionKey;
    ListSessions by SessionKey;
    ListApiKeyPairs by PublicKey;
}

impl Prepared<'_, CreateApiKeyPair> {
    /// Takes this key pair in, in place of a fresh one.
    pub fn importing(self, pair: ExternalKeyPair) -> Self {
        self.with(|call| call.external_key_pair = Some(pair))
    }

    /// It stays until it is deleted by name.
    pub fn kept(self) -> Self {
        self.with(|call| call.keep = true)
    }

    /// What people call it.
    pub fn labelled(self, label: Label) -> Self {
        self.with(|call| call.label = Some(label))
    }
}

impl Prepared<'_, DeleteApiKeyPair> {
    /// Where there is no such key pair, that is no fault.
    pub fn if_exists(self) -> Self {
        self.with(|call| call.if_exists = true)
    }
}

impl Prepared<'_, ClearUnusedKeyPairs> {
    /// Those of this age and older, in place of 15 minutes. Counted in whole seconds.
    pub fn from_age(self, age: Duration) -> Self {
        self.with(|call| call.min_age_seconds = Some(age.as_secs()))
    }
}

/// The parameter of the calls that sign.
macro_rules! signers {
    ($($call:ident)+) => {
        $(impl Prepared<'_, $call> {
            /// With the key pair of this session, or this key pair, in place of the active session's.
            pub fn by(self, signer: impl Into<Signer>) -> Self {
                self.with(|call| call.signer = signer.into())
            }

            /// With the key pair of this session.
            pub fn with_session(self, key: &SessionKey) -> Self {
                self.by(key.clone())
            }

            /// With this key pair.
            pub fn with_key_pair(self, key: PublicKey) -> Self {
                self.by(key)
            }
        })+
    };
}

signers! { Sign Stamp }

impl Prepared<'_, Sign> {
    /// The signature as `r` and `s`, 32 bytes each, in place of DER.
    pub fn raw(self) -> Self {
        self.with(|call| call.format = Some(SignatureFormat::Raw))
    }
}

impl Prepared<'_, CreateGrant> {
    /// With this session, besides those that were named before; in place of all sessions.
    pub fn on(self, key: &SessionKey) -> Self {
        self.with(|call| call.session_keys.get_or_insert_default().push(key.clone()))
    }

    /// By this name.
    pub fn named(self, name: GrantName) -> Self {
        self.with(|call| call.name = Some(name))
    }

    /// With its socket at this path, which begins with `/`.
    pub fn at(self, socket: impl Into<PathBuf>) -> Self {
        self.with(|call| call.socket = Some(socket.into()))
    }

    /// For this user, besides the vault's own.
    pub fn to_user(self, uid: u32) -> Self {
        self.with(|call| call.uid = Some(uid))
    }

    /// For so long, in whole seconds and at least one, in place of a day.
    pub fn lasting(self, time: Duration) -> Self {
        self.with(|call| call.seconds = Some(NonZeroU64::new(time.as_secs()).unwrap_or(NonZeroU64::MIN)))
    }

    /// For so many uses.
    pub fn uses(self, uses: NonZeroU64) -> Self {
        self.with(|call| call.uses = Some(uses))
    }

    /// For so many calls a second.
    pub fn calls_per_second(self, calls: NonZeroU32) -> Self {
        self.with(|call| call.calls_per_second = Some(calls))
    }

    /// Until the connection of this client ends.
    pub fn until_disconnect(self) -> Self {
        self.with(|call| call.until_disconnect = true)
    }
}

impl Prepared<'_, RevokeGrant> {
    /// Where there is no such grant, that is no fault.
    pub fn if_exists(self) -> Self {
        self.with(|call| call.if_exists = true)
    }
}

impl Prepared<'_, Unlock> {
    /// With this passphrase.
    pub fn with_passphrase(self, passphrase: Secret) -> Self {
        self.with(|call| call.passphrase = Some(passphrase))
    }
}

impl Prepared<'_, Rekey> {
    /// The new passphrase.
    pub fn to_passphrase(self, passphrase: Secret) -> Self {
        self.with(|call| call.passphrase = Some(passphrase))
    }

    /// The passphrase that the vault has now.
    pub fn from_passphrase(self, passphrase: Secret) -> Self {
        self.with(|call| call.current_passphrase = Some(passphrase))
    }
}

impl Prepared<'_, SetLockAfter> {
    /// After this time, in whole seconds and at least one, in place of never.
    pub fn after(self, time: Duration) -> Self {
        self.with(|call| call.lock_after_seconds = Some(NonZeroU64::new(time.as_secs()).unwrap_or(NonZeroU64::MIN)))
    }
}
