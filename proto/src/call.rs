//! The calls of protocol 1, each paired with its reply. [`for_each_call!`](crate::for_each_call) is
//! the whole protocol.
//!
//! To add a call:
//!
//! 1. write the call and its reply in the module of its subject, below this one; a type that reads a value of its own
//!    says what form it has to have ([`crate::form`]);
//! 2. add its row to the table in [`for_each_call!`](crate::for_each_call); now the daemon no longer
//!    compiles;
//! 3. serve it in the daemon: a read in the service and the vault's reads, a mutation as a rule;
//! 4. teach the test harness's model the call, if it changes the vault;
//! 5. give its optional parameters their names in the Rust client;
//! 6. add its golden files, renew the schema and the TypeScript types that are generated from it, describe it on the wire
//!    page and in the changelog; tests name what is missing.
//!
//! The clients' methods follow from the table.

mod daemon;
mod grant;
mod key_pair;
mod limit;
mod lock;
mod params;
mod session;
mod signing;
mod store_session;

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use self::daemon::*;
pub use self::grant::*;
pub use self::key_pair::*;
pub use self::limit::Limit;
pub use self::lock::*;
pub use self::session::*;
pub use self::signing::*;
pub use self::store_session::*;
use crate::{Code, Fault};

/// What an app asks of the vault.
pub trait Call: Serialize + DeserializeOwned {
    /// What it gets when nothing is wrong.
    type Reply: Serialize + DeserializeOwned;
    /// The method's name on the wire.
    const METHOD: &'static str;
}

/// Hands the protocol's table to a macro of the caller: one row per call, with its documentation, as
/// `method_name(required_param: ItsType): CallType => ReplyType = "methodOnTheWire";`. A call that needs a parameter is
/// made by its `new`, any other by `default`. The call that turns a connection into a stream of events stands apart from
/// those that are done with their reply.
#[macro_export]
macro_rules! for_each_call {
    ($then:ident) => {
        $then! {
            calls {
                /// Removes a session, its key pair unless another session names it too or it is kept, and the active
                /// pointer if it names this session: one atomic, durable step.
                ///
                /// Faults: `NOT_FOUND`; `NO_SESSION_FOUND` when no session is named and none is active; `CONFLICT`.
                clear_session(): ClearSession => SessionCleared = "clearSession";
                /// Removes every session, every key pair that a session names, and the active pointer:
                /// one atomic, durable step, however many there are. Unused key pairs stay, for another
                /// app's login may be in flight; so do kept ones.
                ///
                /// Faults: `NO_SESSION_FOUND` when there is no session.
                clear_all_sessions(): ClearAllSessions => AllSessionsCleared = "clearAllSessions";
                /// Stores a session under its name, makes it the active one unless the call says otherwise, and deletes the
                /// key pair of the session that it replaces unless that is still in use or kept: one atomic, durable step.
                ///
                /// Faults: `INVALID_TOKEN`, `SESSION_EXPIRED`, `KEY_PAIR_NOT_FOUND`, `CONFLICT`, `VAULT_LOCKED`.
                store_session(session_token: Secret): StoreSession => SessionStored = "storeSession";
                /// Reads a session, by default the active one.
                ///
                /// Faults: `SESSION_EXPIRED`, `VAULT_LOCKED`. Where there is no session, `session` is null.
                get_session(): GetSession => SessionFound = "getSession";
                /// Reads what is known of a session without its token, by default of the active one. Answered by a
                /// locked vault too.
                ///
                /// Faults: `SESSION_EXPIRED`. Where there is no session, `session` is null.
                describe_session(): DescribeSession => SessionDescribed = "describeSession";
                /// Reads the sessions in the order of their names, a page at a time.
                ///
                /// Faults: `VAULT_LOCKED`.
                get_all_sessions(): GetAllSessions => SessionPage = "getAllSessions";
                /// Reads the names of the sessions with what is known of them without their tokens, a page at a
                /// time. Answered by a locked vault too.
                ///
                /// Faults: none.
                list_sessions(): ListSessions => SessionList = "listSessions";
                /// Reads the name of the active session.
                ///
                /// Faults: none; where none is active, the name is null.
                get_active_session_key(): GetActiveSessionKey => ActiveSessionKey = "getActiveSessionKey";
                /// Makes a session the active one.
                ///
                /// Faults: `NOT_FOUND`, `SESSION_EXPIRED`.
                set_active_session(session_key: SessionKey): SetActiveSession => ActiveSessionSet = "setActiveSession";
                /// Creates a key pair inside the vault, or takes one in. Taking in one that the vault
                /// has changes nothing but whether it is kept, and its label.
                ///
                /// Faults: `INVALID_KEY_PAIR`, `VAULT_LOCKED`.
                create_api_key_pair(): CreateApiKeyPair => ApiKeyPairCreated = "createApiKeyPair";
                /// Reads the key pairs in the order of their names, a page at a time.
                ///
                /// Faults: none.
                list_api_key_pairs(): ListApiKeyPairs => ApiKeyPairPage = "listApiKeyPairs";
                /// Deletes a key pair that no session names, kept or not.
                ///
                /// Faults: `KEY_PAIR_NOT_FOUND`, `KEY_PAIR_IN_USE`.
                delete_api_key_pair(public_key: PublicKey): DeleteApiKeyPair => ApiKeyPairDeleted = "deleteApiKeyPair";
                /// Deletes unused key pairs from a certain age on, but for kept ones.
                ///
                /// Faults: none.
                clear_unused_key_pairs(): ClearUnusedKeyPairs => UnusedKeyPairsCleared = "clearUnusedKeyPairs";
                /// Signs bytes with a key pair of the vault, by default the active session's: ECDSA on
                /// P-256 over SHA-256 of the payload.
                ///
                /// Faults: `NOT_FOUND`; `KEY_PAIR_NOT_FOUND`; `NO_SESSION_FOUND` when nothing is named and no session is
                /// active; `SESSION_EXPIRED`; `VAULT_LOCKED`.
                sign(payload: Payload): Sign => Signed = "sign";
                /// Makes the header that authenticates a request to Turnkey's API.
                ///
                /// Faults: as for `sign`.
                stamp(payload: Payload): Stamp => Stamped = "stamp";
                /// Locks the vault: its keys leave the daemon's memory. It still tells names and clears.
                ///
                /// Faults: none.
                lock(): Lock => VaultLocked = "lock";
                /// Unlocks the vault.
                ///
                /// Faults: `WRONG_PASSPHRASE`, `UNLOCK_DELAYED`, `KEY_UNAVAILABLE`.
                unlock(): Unlock => VaultUnlocked = "unlock";
                /// Gives the vault a new root key, wrapped under a key from the source that is named: one atomic,
                /// durable step. What was wrapped under the old one is overwritten. A vault that has a passphrase
                /// needs it for this, though it is unlocked.
                ///
                /// Faults: `VAULT_LOCKED`, `WRONG_PASSPHRASE`, `UNLOCK_DELAYED`, `KEY_UNAVAILABLE`; `ACCESS_DENIED` to
                /// a user that is not the vault's own.
                rekey(key_source: KeySource): Rekey => VaultRekeyed = "rekey";
                /// Says after how long without use the vault locks itself. The vault keeps it; a daemon that was told
                /// otherwise when it was started does that.
                ///
                /// Faults: `ACCESS_DENIED` to a user that is not the vault's own.
                set_lock_after(): SetLockAfter => LockAfterSet = "setLockAfter";
                /// Gives a part of the vault for a while, through a socket of its own. It ends with its time, its uses, the
                /// last of its sessions, the connection that it was made on if it says so, or the daemon.
                ///
                /// Faults: `NOT_FOUND` when a session is named that is not there and that may not be stored;
                /// `GRANT_EXISTS`; `SOCKET_UNAVAILABLE`; `LIMIT_REACHED`; `ACCESS_DENIED`.
                create_grant(may: Permissions): CreateGrant => GrantCreated = "createGrant";
                /// Reads the grants: who holds what, until when, how often it was used, and by whom last.
                ///
                /// Faults: `ACCESS_DENIED`.
                list_grants(): ListGrants => GrantList = "listGrants";
                /// Ends a grant at once.
                ///
                /// Faults: `GRANT_NOT_FOUND`, `ACCESS_DENIED`.
                revoke_grant(name: GrantName): RevokeGrant => GrantRevoked = "revokeGrant";
                /// Ends all grants at once.
                ///
                /// Faults: `ACCESS_DENIED`.
                revoke_all_grants(): RevokeAllGrants => AllGrantsRevoked = "revokeAllGrants";
                /// Reads the state of the daemon; behind a grant's socket only what concerns the grant.
                ///
                /// Faults: none.
                status(): Status => DaemonStatus = "status";
                /// Stops the daemon: it answers, finishes what it was asked before, and exits; or gives way to the program
                /// that is installed now.
                ///
                /// Faults: `ACCESS_DENIED`.
                shutdown(): Shutdown => ShutdownBegun = "shutdown";
            }
            subscriptions {
                /// Asks for the vault's events on this connection, from the next one on: all of them, or those of some
                /// types or sessions.
                ///
                /// Faults: none.
                subscribe(): Subscribe => Subscribed = "subscribe";
            }
        }
    };
}

macro_rules! define_requests {
    (calls { $($calls:tt)+ } subscriptions { $($subscriptions:tt)+ }) => {
        define_requests! { $($calls)+ $($subscriptions)+ }
    };
    ($($(#[doc = $doc:literal])+ $snake:ident($($param:ident: $type:ident)?): $call:ident => $reply:ident = $method:literal;)+) => {
        $(
            impl Call for $call {
                type Reply = $reply;
                const METHOD: &'static str = $method;
            }
        )+

        /// One of the protocol's calls, its parameters read and checked.
        #[derive(Clone, Debug)]
        pub enum Request {
            $($(#[doc = $doc])+ $call($call),)+
        }

        impl Request {
            /// Every method of the protocol, in the order of the documentation.
            pub const METHODS: &[&str] = &[$($method),+];

            /// Reads a call from its method and parameters; absent parameters mean `{}`.
            ///
            /// # Errors
            ///
            /// `METHOD_NOT_FOUND`, `INVALID_PARAMS`.
            pub fn parse(method: &str, params: Option<&RawValue>) -> Result<Self, Fault> {
                let params = params.map_or("{}", RawValue::get);
                match method {
                    $($method => parse_params(params).map(Self::$call),)+
                    _ => {
                        let known = Self::METHODS.join(", ");
                        let message = format!("protocol {} has no such method; it has {known}", crate::PROTOCOL_VERSION);
                        Err(Fault::new(Code::MethodNotFound, message))
                    }
                }
            }

            /// The method's name on the wire.
            #[must_use]
            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$call(_) => $method,)+
                }
            }
        }
    };
}

for_each_call!(define_requests);

fn parse_params<C: Call>(params: &str) -> Result<C, Fault> {
    // An array would be read as a struct by position, which the protocol does not offer.
    if !params.starts_with('{') {
        let message = format!("the params of {} must be an object", C::METHOD);
        return Err(Fault::new(Code::InvalidParams, message).on_params(C::METHOD, None));
    }
    serde_json::from_str(params).map_err(|_| params::why_invalid::<C>(params))
}

/// For optional parameters: absent is `None`, and an explicit null is refused. A client that means
/// to name a session and sends null must not clear the active one.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Like [`present`] for a parameter that is a struct: serde would also read an array as its fields by
/// position, which the protocol does not offer.
fn present_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(Object(PhantomData)).map(Some)
}
