//! Times and spans as a person reads them. JSON has them exactly.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A span of time in its largest unit that fits, such as `23 h`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// When something happens at this second since the epoch, such as `in 14 min`.
pub(super) fn until(second: u64) -> String {
    match second.checked_sub(now()) {
        Some(left @ 1..) => format!("in {}", span(left)),
        _ => "now".to_owned(),
    }
}

/// How long ago this second since the epoch was, such as `3 d`.
pub(super) fn age(second: u64) -> String {
    span(now().saturating_sub(second))
}

/// The local date and time of a second since the epoch.
pub(super) fn local(second: u64) -> String {
    let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    let local =
        time.map(|time| time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string());
    local.unwrap_or_else(|| format!("second {second} of Unix time"))
}

/// The local time of day.
pub(super) fn time_of_day() -> String {
    local(now()).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The time, in seconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "for people to read; the daemon decides what has expired")]
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_the_largest_unit_that_fits() {
        for (seconds, text) in [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(until(0), "now");
        assert!(until(now() + 1000).starts_with("in 16 min"));
    }
}
