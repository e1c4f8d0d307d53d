//! [`Axis`]: the range, scale and ticks of an axis, and how numbers are written in a picture.

use std::iter::successors;
use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// From this ratio of the largest value to the smallest, an axis is logarithmic.
const LOG_FROM: f64 = 20.0;

/// An axis is this many times as long as its largest value, so that the label above it has space.
const ABOVE: f64 = 1.15;

/// One axis of a plot.
pub(super) struct Axis {
    is_log: bool,
    range: Range<f64>,
    /// The values with a tick and a label.
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis of counts from tens to a hundred thousand, always logarithmic.
    pub(super) fn counts(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ends(values);
        let range = least / 8.0..most * 3.0;
        Self { is_log: true, ticks: decades(&range, &[1.0]), range }
    }

    /// An axis of measured values: from zero, or logarithmic when they lie far apart.
    pub(super) fn values(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (least, most) = ends(values.clone());
        if most / least > LOG_FROM {
            return Self::log_values(values);
        }
        let (step, top) = (step(most / 4.0), most * ABOVE);
        let ticks = successors(Some(0.0), |tick| Some(tick + step)).take_while(|tick| *tick <= top);
        Self { is_log: false, range: 0.0..top, ticks: ticks.collect() }
    }

    /// A logarithmic axis of measured values.
    pub(super) fn log_values(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ends(values);
        // Even the smallest bar has some height.
        let bottom = 10_f64.powf((least / 1.5).log10().floor());
        // On a shorter axis, noise would look like growth.
        let top = (most * (most / bottom).powf(ABOVE - 1.0)).max(bottom * 100.0);
        let (range, mantissas): (_, &[f64]) =
            (bottom..top, if top / bottom > 500.0 { &[1.0] } else { &[1.0, 2.0, 5.0] });
        Self { is_log: true, ticks: decades(&range, mantissas), range }
    }

    /// An axis of groups of bars, a unit wide each, the first around 0.
    pub(super) fn groups(number: usize) -> Self {
        let ticks: Vec<_> = successors(Some(0.0), |tick| Some(tick + 1.0)).take(number).collect();
        Self { is_log: false, range: -0.5..ticks.last().unwrap_or(&0.0) + 0.5, ticks }
    }

    /// Whether it is logarithmic.
    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }

    fn share(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        if self.is_log { (value.max(start) / start).ln() / (end / start).ln() } else { (value - start) / (end - start) }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation, reason = "pixels are few")]
    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.share(*value) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        match rounded(*value) {
            value @ 1000.0.. => format!("{}k", value / 1000.0),
            value => value.to_string(),
        }
    }
}

/// The smallest and the largest value. Values below 0.001 count as 0.001, because zero has no logarithm.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.map(|value| value.max(0.001));
    values.fold((f64::INFINITY, 0.001), |(least, most), value| (least.min(value), most.max(value)))
}

/// Powers of ten in a range, each times the mantissas.
fn decades(range: &Range<f64>, mantissas: &[f64]) -> Vec<f64> {
    let first = 10_f64.powf(range.start.log10().floor());
    let powers = successors(Some(first), |power| Some(power * 10.0)).take_while(|power| *power <= range.end);
    let ticks = powers.flat_map(|power| mantissas.iter().map(move |mantissa| rounded(mantissa * power)));
    ticks.filter(|tick| (rounded(range.start)..=range.end).contains(tick)).collect()
}

/// The smallest round step (1, 2 or 5 times a power of ten) that is at least this distance.
fn step(distance: f64) -> f64 {
    let power = 10_f64.powf(distance.log10().floor());
    [1.0, 2.0, 5.0].map(|mantissa| mantissa * power).into_iter().find(|step| *step >= distance).unwrap_or(10.0 * power)
}

/// Writes a value for the label of its point, with three significant digits.
pub(super) fn three_digits(value: f64) -> String {
    let rounded = rounded(value);
    let decimals = match rounded {
        100.0.. => 0,
        10.0..100.0 => 1,
        1.0..10.0 => 2,
        0.1..1.0 => 3,
        _ => 4,
    };
    in_thousands(&format!("{rounded:.decimals$}"))
}

/// Rounds to three significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().expect("a number that was written is one")
}

/// Puts commas between thousands.
fn in_thousands(number: &str) -> String {
    let whole = number.find('.').unwrap_or(number.len());
    let comma = |at: usize| at > 0 && at < whole && (whole - at).is_multiple_of(3);
    number.char_indices().flat_map(|(at, digit)| comma(at).then_some(',').into_iter().chain([digit])).collect()
}
