//! Turnkey's own client over a vault: requests are stamped inside it, and a login, a refresh or a log-out is one atomic step
//! there.
//!
//! The feature `turnkey` has the stamper and [`log_out`], the feature `turnkey-client` the rest, over the crate
//! `turnkey_client`. That crate depends on `qos_p256`, which is under the AGPL 3.0: see whether your program may.
//!
#![cfg_attr(
    feature = "turnkey-client",
    doc = r#"
```no_run
use std::time::Duration;

use keyfob::proto::{PublicKey, SessionKey};
use keyfob::turnkey::{VaultStamper, log_in, log_out, refresh};
use keyfob::{Access, Client};
use turnkey_client::TurnkeyClient;

# async fn example(api_key: PublicKey, organization: String) -> Result<(), Box<dyn std::error::Error>> {
let vault = Client::connect_or_start(&Access::from_env()?).await?;
let work: SessionKey = "work".parse()?;
let hour = Duration::from_secs(3600);

// Stamped by an API key that the vault keeps.
let api = TurnkeyClient::builder().api_key(VaultStamper::new(&vault, api_key)).build()?;
log_in(&vault, &api, organization, &work, hour).await?;

// Stamped by the session from now on.
let api = TurnkeyClient::builder().api_key(VaultStamper::new(&vault, work.clone())).build()?;
refresh(&vault, &api, &work, hour).await?;
log_out(&vault, &work).await?;
# Ok(())
# }
```
"#
)]

#[cfg(feature = "turnkey-client")]
mod login;

use keyfob_proto::call::{SessionCleared, Signer};
use keyfob_proto::{Fault, SessionKey};
use turnkey_api_key_stamper::{Stamp, StampHeader, StamperError};

#[cfg(feature = "turnkey-client")]
pub use self::login::{LoginError, log_in, refresh};
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

/// Clears a session and its key pair, in one step. It works on a locked vault, and twice.
///
/// # Errors
///
/// Those of [`Prepared::wait`](crate::Prepared::wait).
pub async fn log_out(vault: &Client, key: &SessionKey) -> Result<SessionCleared, Error> {
    vault.clear_session().named(key).if_exists().await
}
