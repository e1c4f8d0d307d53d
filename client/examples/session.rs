//! Usage: session < TOKEN
//!
//! Stores the session token on standard input, stamps a request with it, and clears it; without an async runtime. The
//! token names a key pair of the vault: `keyfob key new` creates one to log in with.

#![allow(clippy::print_stdout, reason = "a command prints")]

use std::io;

use keyfob::proto::SessionKey;
use keyfob::{Access, Client};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let vault = Client::connect_or_start_blocking(&Access::from_env()?)?;
    let name: SessionKey = "session example".parse()?;

    let token = io::read_to_string(io::stdin())?;
    let stored = vault.store_session(token.trim()).named(&name).without_activating().wait()?;
    println!("stored until {}", stored.session.expiry);

    let header = vault.stamp("{}").with_session(&name).wait()?;
    println!("{}: {}", header.stamp_header_name, header.stamp_header_value);

    let cleared = vault.clear_session().named(&name).if_public_key(stored.session.public_key).wait()?;
    println!("cleared, and with it {}", cleared.deleted_public_key.ok_or("its key pair stays")?);
    Ok(())
}
