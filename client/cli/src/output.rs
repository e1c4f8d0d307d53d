//! [`Output`]: everything that a command prints goes through here, for people or as JSON.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use keyfob_proto::{KeySource, Session, SessionKey, StartedBy};
use serde::Serialize;
use serde_json::{Value, json};

use super::escape::{printable, printable_json, printable_lines};
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
            writeln!(out, "{}", printable_json(&serde_json::to_string(object).map_err(io::Error::from)?))?;
        } else {
            writeln!(out, "{text}")?;
        }
        Ok(out.flush()?)
    }

    /// Says something that is not data, to people only.
    pub(super) fn note(&mut self, text: impl Display) -> Result<(), Failure> {
        if !self.json {
            writeln!(self.io.stderr, "{}", printable_lines(&text.to_string()))?;
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
        let said = if exit == Exit::Done || matches!(failure, Failure::Program(_)) {
            Ok(())
        } else if self.json {
            let data = fault.map(|fault| &fault.data);
            let error = json!({ "error": { "message": failure.to_string(), "data": data } });
            writeln!(self.io.stderr, "{}", printable_json(&error.to_string()))
        } else {
            let code = fault.map(|fault| format!(" ({})", fault.data.code)).unwrap_or_default();
            writeln!(self.io.stderr, "keyfob: {}", printable_lines(&format!("{failure}{code}")))
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

/// A session's name as a person can read it. Names are data: one that is hard to tell from another, or that would drive
/// the terminal, is in quotes.
pub(super) fn name(key: &SessionKey) -> String {
    let text = key.as_str();
    let shown = printable(text);
    if shown == text && text.trim() == text { shown } else { format!("\"{shown}\"") }
}

/// So many of a thing, such as `1 session` and `2 sessions`.
pub(super) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A session as JSON, without its token unless that is asked for.
pub(super) fn session_json(session: &Session, reveal: bool) -> Value {
    let mut value = json!(session);
    if !reveal {
        value.as_object_mut().map(|fields| fields.remove("token"));
    }
    value
}

/// Where a vault's wrapping key comes from.
pub(super) fn wrapping_key(source: KeySource) -> &'static str {
    match source {
        KeySource::KeyFile => "wrapping key from a file in the data directory",
        KeySource::Passphrase => "wrapping key from a passphrase",
        KeySource::Keyring => "wrapping key from the platform's keyring",
        KeySource::Credential => "wrapping key from systemd's credential",
        _ => "wrapping key from a source that this release does not know",
    }
}

/// Who started a daemon.
pub(super) fn name_of_starter(starter: StartedBy) -> &'static str {
    match starter {
        StartedBy::Systemd => "systemd",
        StartedBy::Launchd => "launchd",
        StartedBy::Client => "the first command or app that needed it",
        StartedBy::Command => "somebody who ran keyfobd",
        _ => "something that this release does not know",
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
        assert_eq!(name(&"a\u{202e}b".parse().unwrap()), r#""a\u{202e}b""#);
        assert_eq!((count(1, "session"), count(0, "session")), ("1 session".to_owned(), "0 sessions".to_owned()));
    }
}
