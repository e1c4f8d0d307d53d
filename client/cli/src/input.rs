//! Reading what must not be an argument: tokens, private keys, passphrases, payloads.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use clap::Args;
use keyfob_proto::{MAX_LINE_BYTES, Rekey};
use zeroize::Zeroizing;

use super::{Failure, Session};

/// The longest secret, in bytes: far more than a token or a key has.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The longest payload, in bytes: in base64, four characters for three bytes, it fits a line of the
/// protocol beside the rest of the call.
const MAX_PAYLOAD_BYTES: u64 = (MAX_LINE_BYTES as u64 - 8 * 1024) / 4 * 3;

/// Where a secret comes from: standard input unless told otherwise.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct SecretSource {
    /// Read it from this file instead of stdin
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// Read it from this environment variable instead of stdin
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

impl SecretSource {
    /// The secret without the white space around it, such as the line feed that `echo` adds. A person is asked for it,
    /// and does not see it.
    pub(super) fn read(&self, what: &str, session: &mut Session<'_, '_>) -> Result<Zeroizing<String>, Failure> {
        let text = match (&self.file, &self.env) {
            (None, Some(name)) => {
                let none =
                    |_| Failure::Input("the environment has no text in the variable that --env names".to_owned());
                Zeroizing::new(std::env::var(name).map_err(none)?)
            }
            (Some(path), _) => utf8(read_file(path, MAX_SECRET_BYTES)?)?,
            (None, None) => {
                if session.output.io.can_ask {
                    session.ask_secret(&format!("Paste {what} (it is not shown): "))?
                } else {
                    utf8(read_all(&mut session.output.io.stdin, MAX_SECRET_BYTES)?)?
                }
            }
        };
        let text = Zeroizing::new(text.trim().to_owned());
        if text.is_empty() { Err(Failure::Input(format!("{what} is empty"))) } else { Ok(text) }
    }
}

/// Where a passphrase comes from: the terminal unless told otherwise.
#[derive(Debug, Default, Args)]
pub(super) struct PassphraseSource {
    /// Read the passphrase from this file descriptor (0 is stdin) instead of asking on the terminal
    #[arg(long, value_name = "FD")]
    passphrase_fd: Option<u32>,
}

/// Where the passphrase comes from that the vault has now: the terminal unless told otherwise.
#[derive(Debug, Args)]
pub(super) struct CurrentPassphraseSource {
    /// Read the passphrase that the vault has now from this file descriptor (0 is stdin) instead of asking on the
    /// terminal
    #[arg(long, value_name = "FD")]
    current_passphrase_fd: Option<u32>,
}

impl CurrentPassphraseSource {
    /// Whether one was named.
    pub(super) fn is_given(&self) -> bool {
        self.current_passphrase_fd.is_some()
    }

    /// The passphrase, without the end of its line.
    pub(super) fn read(&self, session: &mut Session<'_, '_>) -> Result<Zeroizing<String>, Failure> {
        let how = ("Current passphrase: ", "--current-passphrase-fd");
        read_passphrase(self.current_passphrase_fd, how, session)
    }
}

impl PassphraseSource {
    /// Whether one was named.
    pub(super) fn is_given(&self) -> bool {
        self.passphrase_fd.is_some()
    }

    /// The passphrase, without the end of its line.
    pub(super) fn read(&self, prompt: &str, session: &mut Session<'_, '_>) -> Result<Zeroizing<String>, Failure> {
        read_passphrase(self.passphrase_fd, (prompt, "--passphrase-fd"), session)
    }

    /// A new passphrase; a person is asked twice.
    pub(super) fn read_new(&self, session: &mut Session<'_, '_>) -> Result<Zeroizing<String>, Failure> {
        const LEAST: usize = Rekey::MIN_PASSPHRASE_CHARS;
        let passphrase = self.read(&format!("New passphrase, at least {LEAST} characters: "), session)?;
        if passphrase.chars().count() < LEAST {
            let message = format!("a passphrase has at least {LEAST} characters; nothing was changed");
            return Err(Failure::Input(message));
        }
        if self.is_given() || *self.read("The same again: ", session)? == *passphrase {
            Ok(passphrase)
        } else {
            Err(Failure::Input("that was another passphrase; nothing was changed".to_owned()))
        }
    }
}

fn read_passphrase(
    descriptor: Option<u32>,
    (prompt, flag): (&str, &str),
    session: &mut Session<'_, '_>,
) -> Result<Zeroizing<String>, Failure> {
    let text = match descriptor {
        Some(0) => utf8(read_all(&mut session.output.io.stdin, MAX_SECRET_BYTES)?)?,
        Some(descriptor) => utf8(read_file(&format!("/dev/fd/{descriptor}").into(), MAX_SECRET_BYTES)?)?,
        None if session.output.io.can_ask => session.ask_secret(prompt)?,
        None => {
            let message = format!("there is no terminal to ask on: pass the passphrase with {flag} FD");
            return Err(Failure::Input(message));
        }
    };
    let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if text.is_empty() { Err(Failure::Input("the passphrase is empty".to_owned())) } else { Ok(text) }
}

/// Where a payload comes from: standard input unless told otherwise.
#[derive(Debug, Args)]
pub(super) struct PayloadSource {
    /// Read the payload from this file instead of stdin
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

impl PayloadSource {
    /// The payload to the last byte.
    pub(super) fn read(&self, session: &mut Session<'_, '_>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match &self.file {
            Some(path) => read_file(path, MAX_PAYLOAD_BYTES),
            None => read_all(&mut session.output.io.stdin, MAX_PAYLOAD_BYTES),
        }
    }
}

fn read_file(path: &PathBuf, max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |source| Failure::File { action: "read", path: path.clone(), source };
    read_all(&mut File::open(path).map_err(failed)?, max)
}

fn read_all(from: &mut dyn Read, max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Input(format!("cannot read the input: {error}")))?;
    if bytes.len() as u64 > max {
        return Err(Failure::Input(format!("the input is over {max} bytes")));
    }
    Ok(bytes)
}

fn utf8(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Failure> {
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new).map_err(|_| Failure::Input("the input is not UTF-8".to_owned()))
}

/// One line of a person's answer.
pub(super) fn line(from: &mut dyn Read) -> io::Result<String> {
    const MAX_BYTES: u64 = 1024;
    let mut line = String::new();
    BufReader::new(from.take(MAX_BYTES)).read_line(&mut line)?;
    Ok(line)
}
