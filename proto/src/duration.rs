//! Durations as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// A text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is no duration: write one such as 90s, 15m, 2h or 1d12h, of at least one second")]
pub struct DurationError;

/// Reads a duration of at least a second, such as `90s`, `15m`, `2h 30m`, `1d`; a number alone is seconds. A day has 24
/// hours.
///
/// # Errors
///
/// [`DurationError`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let duration = parse_age(text)?;
    if duration >= Duration::from_secs(1) { Ok(duration) } else { Err(DurationError) }
}

/// As [`parse_duration`], where none at all is good too.
///
/// # Errors
///
/// [`DurationError`].
pub fn parse_age(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).map_err(|_| DurationError);
    }
    let span: Span = text.parse().map_err(|_| DurationError)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| DurationError)?;
    duration.try_into().map_err(|_| DurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("900", 900),
            ("90s", 90),
            ("15m", 900),
            ("15 min", 900),
            ("2h", 7200),
            ("2h30m", 9000),
            ("2h 30m", 9000),
            ("1 hour", 3600),
            ("1d", 86_400),
            ("2 days", 172_800),
            ("1d12h", 129_600),
            ("1d 12h", 129_600),
            (" 5m\n", 300),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let absurd = "9".repeat(30);
        for text in [
            "",
            " ",
            "0",
            "0s",
            "soon",
            "-5m",
            "15x",
            "m",
            "1.5",
            "15m later",
            "d",
            "5mm",
            "999999999999999999d",
            &absurd,
        ] {
            assert_eq!(parse_duration(text), Err(DurationError), "{text}");
        }
        assert_eq!(parse_age("0"), Ok(Duration::ZERO));
    }
}
