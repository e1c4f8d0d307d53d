//! Turnkey's own client over a vault: requests are stamped inside it, and a login, a refresh or a log-out is one atomic step
//! there.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use keyfob::proto::SessionKey;
//! use keyfob::turnkey::{VaultStamper, log_out, refresh};
//! use keyfob::{Access, Client};
//! use turnkey_client::TurnkeyClient;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let vault = Client::connect_or_start(&Access::from_env()?).await?;
//! let work: SessionKey = "work".parse()?;
//! let api = TurnkeyClient::builder().api_key(VaultStamper::new(&vault, work.clone())).build()?;
//! // … every request of `api` is stamped by the session `work` …
//! refresh(&vault, &api, &work, Duration::from_secs(3600)).await?;
//! log_out(&vault, &work).await?;
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use keyfob_proto::call::{SessionCleared, SessionStored, Signer};
use keyfob_proto::{Code, Fault, PublicKey, SessionKey};
use turnkey_api_key_stamper::{Stamp, StampHeader, StamperError};
use turnkey_client::generated::StampLoginIntent;
use turnkey_client::{TurnkeyClient, TurnkeyClientError};

use crate::{Client, Error};

/// Stamps requests inside a vault, for whoever takes Turnkey's trait [`Stamp`].
///
/// The trait is not async: stamping blocks the thread until the daemon answers, usually a fraction of a millisecond, and
/// within the client's [`Deadlines`](crate::Deadlines). It works under any runtime and under none.
#[derive(Clone, Debug)]
pub struct VaultStamper {
    vault: Client,
    signer: Signer,
}

impl VaultStamper {
    /// A stamper that signs with a session's key pair, with a key pair, or with [`Signer::Active`], the key pair of the
    /// session that is active when it stamps.
    pub fn new(vault: &Client, signer: impl Into<Signer>) -> Self {
        Self { vault: vault.clone(), signer: signer.into() }
    }
}

impl Stamp for VaultStamper {
    fn stamp(&self, body: &[u8]) -> Result<StampHeader, StamperError> {
        match self.vault.stamp(body).by(self.signer.clone()).wait() {
            Ok(stamped) => Ok(StampHeader { name: stamped.stamp_header_name, value: stamped.stamp_header_value }),
            Err(error) => Err(StamperError::Io(VAULT.to_owned(), said(&error))),
        }
    }
}

/// What stands in place of a path in the errors of a [`VaultStamper`].
const VAULT: &str = "the vault of keyfob";

/// Between what an error says and the fault that it is. JSON on one line has none in it.
const FAULT: char = '\n';

/// An error as a text that has the fault in it, for Turnkey's errors take nothing else.
fn said(error: &Error) -> String {
    match error {
        Error::Fault(fault) => {
            let json = serde_json::to_string(fault).unwrap_or_default();
            format!("{error} ({}){FAULT}{json}", fault.data.code)
        }
        error => error.to_string(),
    }
}

/// The fault that a [`VaultStamper`] failed with, if it was one.
#[must_use]
pub fn fault(error: &StamperError) -> Option<Fault> {
    match error {
        StamperError::Io(place, text) if place == VAULT => serde_json::from_str(text.rsplit_once(FAULT)?.1).ok(),
        _ => None,
    }
}

/// Why there is no new session. What was there is as it was; after an error for which [`Error::is_unknown`] holds, ask the
/// vault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The vault refused, or was not reached. `CONFLICT`: somebody else has refreshed or cleared the session meanwhile.
    #[error(transparent)]
    Vault(#[from] Error),
    /// The API refused, or was not reached; or stamping failed, see [`fault`].
    #[error("the API gave no session: {0}")]
    Api(#[from] TurnkeyClientError),
}

/// Logs in by a request that is stamped with an API key: a key pair is created in the vault, the API gives a session for
/// it, and this is stored under a name and becomes the active one. The requests of `api` have to be stamped by a key pair
/// that the organization knows, see [`VaultStamper`]; the session lives for `lifetime`, in whole seconds.
///
/// If anything goes wrong, the new key pair is deleted. Where the vault is not reached for that, or the future is dropped
/// before its end, the key pair stays unused and is swept later.
///
/// # Errors
///
/// [`LoginError`].
pub async fn log_in<S: Stamp>(
    vault: &Client,
    api: &TurnkeyClient<S>,
    organization_id: String,
    key: &SessionKey,
    lifetime: Duration,
) -> Result<SessionStored, LoginError> {
    with_new_key_pair(vault, async |next| {
        let token = token(api, organization_id, next, lifetime).await?;
        Ok(vault.store_session(token).named(key).await?)
    })
    .await
}

/// Puts a new session in place of one: a key pair is created in the vault, the API gives a session for it, and this is
/// stored if the session is still the one that it was, without making it the active one. The requests of `api` have to be
/// stamped by the session, see [`VaultStamper`]; the new session lives for `lifetime`, in whole seconds.
///
/// Of concurrent refreshes of a session, one wins and the others get `CONFLICT`. If anything goes wrong, the new key pair is
/// deleted. Where the vault is not reached for that, or the future is dropped before its end, the key pair stays unused and
/// is swept later.
///
/// # Errors
///
/// [`LoginError`]; `NOT_FOUND` when there is no such session.
pub async fn refresh<S: Stamp>(
    vault: &Client,
    api: &TurnkeyClient<S>,
    key: &SessionKey,
    lifetime: Duration,
) -> Result<SessionStored, LoginError> {
    let Some(session) = vault.get_session().named(key).await?.session else {
        let message = format!("no session {:?} to refresh", key.as_str());
        return Err(Error::from(Fault::new(Code::NotFound, message).on_session(key)).into());
    };
    let (organization_id, public_key) = (session.organization_id, session.public_key);
    with_new_key_pair(vault, async |next| {
        let token = token(api, organization_id, next, lifetime).await?;
        Ok(vault.store_session(token).named(key).if_public_key(public_key).without_activating().await?)
    })
    .await
}

/// Does something with a new key pair, which is deleted if that fails.
async fn with_new_key_pair(
    vault: &Client,
    store: impl AsyncFnOnce(PublicKey) -> Result<SessionStored, LoginError>,
) -> Result<SessionStored, LoginError> {
    let next = vault.create_api_key_pair().await?.public_key;
    let stored = store(next).await;
    if stored.is_err() {
        // If the session was stored after all, the key pair is in use and stays.
        let _ = vault.delete_api_key_pair(next).if_exists().await;
    }
    stored
}

/// A session token for a key pair, by a request that is stamped with another.
async fn token<S: Stamp>(
    api: &TurnkeyClient<S>,
    organization_id: String,
    public_key: PublicKey,
    lifetime: Duration,
) -> Result<String, TurnkeyClientError> {
    let intent = StampLoginIntent {
        public_key: public_key.to_string(),
        expiration_seconds: Some(lifetime.as_secs().to_string()),
        invalidate_existing: None,
        session_profile_id: None,
    };
    let login = api.stamp_login(organization_id, api.current_timestamp(), intent).await?;
    Ok(login.result.session)
}

/// Clears a session and its key pair, in one step. It works on a locked vault, and twice.
///
/// # Errors
///
/// Those of [`Prepared::wait`](crate::Prepared::wait).
pub async fn log_out(vault: &Client, key: &SessionKey) -> Result<SessionCleared, Error> {
    vault.clear_session().named(key).if_exists().await
}
