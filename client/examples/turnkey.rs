//! Usage: turnkey login | whoami | refresh | logout
//!
//! Logs in to Turnkey with an API key of this machine. Its key pair and the session are in the vault: nothing is kept here
//! between two commands. Once, before the first login: `keyfob key new --keep` creates the key pair and prints its public
//! key. Add that to a user of your organization as an API key, and set `TURNKEY_API_KEY` to it and
//! `TURNKEY_ORGANIZATION_ID` to the organization.

#![allow(clippy::print_stdout, reason = "a command prints")]

use std::env;
use std::error::Error;
use std::time::Duration;

use keyfob::proto::{PublicKey, SessionKey, Signer};
use keyfob::turnkey::{VaultStamper, log_in, log_out, refresh};
use keyfob::{Access, Client};
use turnkey_client::TurnkeyClient;
use turnkey_client::generated::GetWhoamiRequest;

const LIFETIME: Duration = Duration::from_secs(900);

/// A client of the API whose requests this key pair or session stamps.
fn api(vault: &Client, signer: impl Into<Signer>) -> Result<TurnkeyClient<VaultStamper>, Box<dyn Error>> {
    let url = env::var("TURNKEY_API_BASE_URL").unwrap_or_else(|_| "https://api.turnkey.com".to_owned());
    Ok(TurnkeyClient::builder().api_key(VaultStamper::new(vault, signer)).base_url(url).build()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let vault = Client::connect_or_start(&Access::from_env()?).await?;
    let session: SessionKey = "turnkey example".parse()?;
    let organization_id = env::var("TURNKEY_ORGANIZATION_ID")?;
    let said = match env::args().nth(1).as_deref() {
        Some("login") => {
            let key: PublicKey = env::var("TURNKEY_API_KEY")?.parse()?;
            log_in(&vault, &api(&vault, key)?, organization_id, &session, LIFETIME).await?;
            "logged in".to_owned()
        }
        Some("whoami") => {
            let api = api(&vault, session)?;
            api.get_whoami(GetWhoamiRequest { organization_id }).await?.username
        }
        Some("refresh") => {
            refresh(&vault, &api(&vault, session.clone())?, &session, LIFETIME).await?;
            "refreshed".to_owned()
        }
        Some("logout") => {
            log_out(&vault, &session).await?;
            "logged out".to_owned()
        }
        _ => return Err("usage: turnkey login | whoami | refresh | logout".into()),
    };
    println!("{said}");
    Ok(())
}
