use clap::Args;
use keyfob::{Client, proto};
use keyfob_proto::{Payload, SignatureFormat};

use super::arguments::{KeyName, Named};
use super::complete::{key_names, session_names};
use super::input::PayloadSource;
use super::{Failure, Session};

/// Which key pair signs.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Signer {
    /// Sign for this session [default: the one that KEYFOB_SESSION names, else the active one]
    #[arg(long, value_name = "KEY", value_parser = Named::read, add = session_names())]
    session: Option<Named>,

    /// Sign with this key pair, named by its public key or the first 8 or more characters of it
    #[arg(long, value_name = "HEX", value_parser = KeyName::read, add = key_names())]
    key: Option<KeyName>,
}

impl Signer {
    /// The session or key pair that is meant; neither: the active session.
    fn find(self, client: &Client, session: &Session<'_, '_>) -> Result<proto::Signer, Failure> {
        if let Some(key) = self.key {
            return Ok(key.find(client)?.into());
        }
        Ok(session.named_session(self.session, client)?.map(proto::Signer::from).unwrap_or_default())
    }
}

/// Make the X-Stamp header for a request body
///
/// The body is read from stdin or a file, to the last byte. The output is a header line that curl
/// takes as it is.
///
/// Example: header=$(keyfob stamp --file body.json) && curl -H "$header" --data-binary @body.json URL
#[derive(Debug, Args)]
pub(super) struct Stamp {
    #[command(flatten)]
    signer: Signer,

    #[command(flatten)]
    payload: PayloadSource,
}

impl Stamp {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let payload = Payload::new(self.payload.read(session)?.as_slice());
        let client = session.connect()?;
        let signer = self.signer.find(&client, session)?;
        let call = proto::Stamp { payload, signer };
        let stamped = session.unlocked(&client, |client| client.call(call.clone()).wait())?;
        session.output.print(&stamped, format!("{}: {}", stamped.stamp_header_name, stamped.stamp_header_value))
    }
}

/// Sign bytes: ECDSA on P-256 over SHA-256, in hex
///
/// The bytes are read from stdin or a file, to the last one.
///
/// Example: printf hello | keyfob sign --raw
#[derive(Debug, Args)]
pub(super) struct Sign {
    #[command(flatten)]
    signer: Signer,

    #[command(flatten)]
    payload: PayloadSource,

    /// Print r and s, 64 bytes, instead of DER
    #[arg(long)]
    raw: bool,
}

impl Sign {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let payload = Payload::new(self.payload.read(session)?.as_slice());
        let client = session.connect()?;
        let who = self.signer.find(&client, session)?;
        let format = self.raw.then_some(SignatureFormat::Raw);
        let call = proto::Sign { payload, signer: who, format };
        let signed = session.unlocked(&client, |client| client.call(call.clone()).wait())?;
        session.output.print(&signed, &signed.signature)
    }
}
