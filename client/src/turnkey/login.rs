//! Sessions that Turnkey's API gives for a key pair of the vault.

use std::time::Duration;

use keyfob_proto::call::SessionStored;
use keyfob_proto::{Code, Fault, PublicKey, SessionKey};
use turnkey_api_key_stamper::Stamp;
use turnkey_client::generated::StampLoginIntent;
use turnkey_client::{TurnkeyClient, TurnkeyClientError};

use crate::{Client, Error};

/// Why there is no new session. What was there is as it was; after an error for which [`Error::is_unknown`] holds, ask the
/// vault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The vault refused, or was not reached. `CONFLICT`: somebody else has refreshed or cleared the session meanwhile.
    #[error(transparent)]
    Vault(#[from] Error),
    /// The API refused, or was not reached; or stamping failed, see [`fault`](super::fault).
    #[error("the API gave no session: {0}")]
    Api(#[from] TurnkeyClientError),
}

/// Logs in by a request that is stamped with an API key: a key pair is created in the vault, the API gives a session for
/// it, and this is stored under a name and becomes the active one. The requests of `api` have to be stamped by a key pair
/// that the organization knows, see [`VaultStamper`](super::VaultStamper); the session lives for `lifetime`, in whole seconds.
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
/// stamped by the session, see [`VaultStamper`](super::VaultStamper); the new session lives for `lifetime`, in whole seconds.
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
