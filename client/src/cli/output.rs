//! [`Output`]: everything that a command prints goes through here, for people or as JSON.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use keyfob_proto::{KeySource, Session, SessionKey};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Exit, Failure, Io};

pub(super) struct Output<'a, 'io> {
    pub(super) json: bool,
    pub(super) io: &'a mut Io<'io>,
}

impl Output<'_, '_> {
    /// Prints a result: the object as one line of JSON, or the text as it is.
    pub(super) fn print(&mut self, object: &impl Serialize, text: impl Display) -> Result<(), Failure> {
        let out = &mut self.io.stdout;
        if self.json {
            serde_json::to_writer(&mut *out, object).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{text}")?;
        }
        Ok(out.flush()?)
    }

    /// Says something that is not data, to people only.
    pub(super) fn note(&mut self, text: impl Display) -> Result<(), Failure> {
        if !self.json {
            writeln!(self.io.stderr, "{text}")?;
        }
        Ok(())
    }

    /// Prints a result that is empty: the object as JSON; to people it is said why there is no data.
    pub(super) fn nothing(&mut self, text: impl Display, object: &impl Serialize) -> Result<(), Failure> {
        if self.json { self.print(object, "") } else { self.note(text) }
    }

    /// Says why the command failed.
    pub(super) fn failure(&mut self, failure: &Failure) -> Exit {
        let exit = failure.exit();
        let fault = failure.fault();
        let said = if exit == Exit::Done {
            Ok(())
        } else if self.json {
            let data = fault.map(|fault| &fault.data);
            let error = json!({ "error": { "message": failure.to_string(), "data": data } });
            writeln!(self.io.stderr, "{error}")
        } else {
            let code = fault.map(|fault| format!(" ({})", fault.data.code)).unwrap_or_default();
            writeln!(self.io.stderr, "keyfob: {failure}{code}")
        };
        // There is nobody left to tell that standard error failed.
        drop(said);
        exit
    }

    /// Text in a style, where standard output takes one.
    pub(super) fn styled(&self, style: Style, text: impl Display) -> String {
        if self.io.has_colours { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

pub(super) const HEADING: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();

/// A session's name as a person can read it. Names are data: one with control characters must not
/// drive the terminal.
pub(super) fn name(key: &SessionKey) -> String {
    let text = key.as_str();
    let is_plain = !text.chars().any(char::is_control) && text.trim() == text;
    if is_plain { text.to_owned() } else { format!("{text:?}") }
}

/// A session as JSON, without its token unless that is asked for.
pub(super) fn session_json(session: &Session, reveal: bool) -> Value {
    let mut value = json!(session);
    if !reveal {
        value.as_object_mut().map(|fields| fields.remove("token"));
    }
    value
}

/// A span of time in its largest unit that fits, such as `23 h`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long a session still lives that expires at this second since the epoch.
#[expect(clippy::disallowed_methods, reason = "for people to read; the daemon decides what has expired")]
pub(super) fn expires_in(expiry: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    span(expiry.saturating_sub(now.as_secs()))
}

/// Where a vault's wrapping key comes from.
pub(super) fn wrapping_key(source: KeySource) -> &'static str {
    match source {
        KeySource::KeyFile => "wrapping key from a file in the data directory",
        KeySource::Passphrase => "wrapping key from a passphrase",
        KeySource::Keyring => "wrapping key from the platform's keyring",
        KeySource::Credential => "wrapping key from systemd's credential",
        KeySource::Unknown => "wrapping key from a source that this release does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(name(&"@turnkey/session/v3".parse().unwrap()), "@turnkey/session/v3");
        assert_eq!(name(&"café".parse().unwrap()), "café");
        assert_eq!(name(&"\u{1b}[2J".parse().unwrap()), r#""\u{1b}[2J""#);
        assert_eq!(name(&" ".parse().unwrap()), "\" \"");
    }
}
