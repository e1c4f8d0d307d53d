//! [`Report`]: the rows, as a table and as JSON, and the points of the pictures.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::Measured;
use crate::picture::{Plot, Points, Program};

/// What a row should reach.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn show(self) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {bound}"),
            Self::AtMost(bound) => format!("<= {bound}"),
        }
    }
}

/// One line of the table.
pub(crate) struct Row {
    /// What was done.
    name: String,
    /// What was measured besides the value.
    load: Option<Load>,
    /// The value that counts, usually a ratio.
    value: f64,
    /// The value's unit, or what it is a ratio to.
    unit: String,
    aim: Option<Aim>,
}

struct Load {
    rate: f64,
    p50: Duration,
    p99: Duration,
    cpu: Duration,
    rss: Option<f64>,
}

/// Prints rows as they come and keeps them.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    points: Points,
}

impl Report {
    /// Prints the head of the table.
    pub(crate) fn begin() {
        Self::print(&format!(
            "{:<46} {:>9} {:>9} {:>9} {:>8} {:>7}  {:>9}  {:<27} {:<9}",
            "", "ops/s", "p50 µs", "p99 µs", "cpu µs", "MiB", "value", "unit, or × what", "aim"
        ));
    }

    /// A load and its ratio to something.
    pub(crate) fn load(
        &mut self,
        name: impl Into<String>,
        measured: &Measured,
        rss: Option<f64>,
        (value, unit): (f64, &str),
        aim: Option<Aim>,
    ) {
        let (p50, p99) = (measured.quantile(0.5), measured.quantile(0.99));
        let load = Load { rate: measured.rate, p50, p99, cpu: measured.cpu, rss };
        self.add(Row { name: name.into(), load: Some(load), value, unit: unit.to_owned(), aim });
    }

    /// One number.
    pub(crate) fn value(&mut self, name: impl Into<String>, value: f64, unit: &str, aim: Option<Aim>) {
        self.add(Row { name: name.into(), load: None, value, unit: unit.to_owned(), aim });
    }

    /// A point of a picture: a value at a number of connections or of sessions.
    pub(crate) fn point(&mut self, plot: Plot, program: Program, x: usize, y: f64) {
        self.points.add(plot, program, x, y);
    }

    /// The points of the pictures.
    pub(crate) fn points(&self) -> &Points {
        &self.points
    }

    /// Something that was not measured, and why.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        Self::print(&format!("({note})"));
        self.notes.push(note);
    }

    fn add(&mut self, row: Row) {
        let load = row.load.as_ref().map_or_else(
            || format!("{:>9} {:>9} {:>9} {:>8} {:>7}", "", "", "", "", ""),
            |load| {
                let rss = load.rss.map_or_else(String::new, |rss| format!("{rss:.1}"));
                let (p50, p99, cpu) = (micros(load.p50), micros(load.p99), micros(load.cpu));
                format!("{:>9.0} {p50:>9.1} {p99:>9.1} {cpu:>8.1} {rss:>7}", load.rate)
            },
        );
        let (value, aim) = (significant(row.value), row.aim.map(Aim::show).unwrap_or_default());
        let verdict = match row.aim {
            Some(aim) if aim.is_met(row.value) => "met",
            Some(_) => "MISSED",
            None => "",
        };
        Self::print(&format!("{:<46} {load}  {value:>9}  {:<27} {aim:<9} {verdict}", row.name, row.unit));
        self.rows.push(row);
    }

    fn print(line: &str) {
        // Whoever closed the pipe has seen enough.
        let _ = writeln!(io::stdout(), "{}", line.trim_end());
    }

    /// Everything, for programs. Times in microseconds, memory and disk in MiB.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let mut value = json!({ "name": row.name, "value": row.value, "unit": row.unit });
            if let Some(load) = &row.load {
                value["opsPerSecond"] = load.rate.into();
                value["p50"] = micros(load.p50).into();
                value["p99"] = micros(load.p99).into();
                value["cpu"] = micros(load.cpu).into();
                value["rss"] = load.rss.into();
            }
            if let Some(aim) = row.aim {
                value["aim"] = aim.show().into();
                value["met"] = aim.is_met(row.value).into();
            }
            value
        });
        json!({ "rows": rows.collect::<Vec<_>>(), "notes": self.notes })
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Three digits are as many as such a measurement has.
fn significant(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
