use clap::Args;
use keyfob_proto::{Payload, PublicKey, SessionKey, SignatureFormat};

use super::input::PayloadSource;
use super::{Failure, Session};

/// Which key pair signs.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Signer {
    /// Sign for this session [default: the active one]
    #[arg(long, value_name = "KEY")]
    session: Option<SessionKey>,

    /// Sign with this key pair
    #[arg(long, value_name = "HEX")]
    key: Option<PublicKey>,
}

/// Make the X-Stamp header for a request body
///
/// The body is read from stdin or a file, to the last byte. The output is a header line that curl
/// takes as it is.
///
/// Example: curl -H "$(keyfob stamp --file body.json)" --data-binary @body.json URL
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
        let Signer { session: session_key, key: public_key } = self.signer;
        let stamped = session.connect()?.stamp(keyfob_proto::Stamp { payload, public_key, session_key })?;
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
        let Signer { session: session_key, key: public_key } = self.signer;
        let format = self.raw.then_some(SignatureFormat::Raw);
        let signed = session.connect()?.sign(keyfob_proto::Sign { payload, public_key, session_key, format })?;
        session.output.print(&signed, &signed.signature)
    }
}
