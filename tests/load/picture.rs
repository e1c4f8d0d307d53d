//! [`Points`]: keeps measured points and draws them as SVG pictures. Measures nothing.

mod axis;
mod theme;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use self::axis::{Axis, three_digits};
use self::theme::Theme;

/// What a plot shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plot {
    /// Durable clears a second, by connections.
    Clears,
    /// Stamps a second, by connections.
    Stamps,
    /// Milliseconds from a start to the first answer, by sessions.
    Start,
    /// Resident memory in MiB, by sessions.
    Memory,
    /// Milliseconds that a clear-all takes, by sessions.
    ClearAll,
}

/// Whose points they are, in the order of the legend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Keyfob,
    Redis,
    Sqlite,
    SshAgent,
}

/// The points of all plots.
#[derive(Default)]
pub(crate) struct Points(BTreeMap<(Plot, Program), Vec<(u32, f64)>>);

impl Points {
    /// Adds a point: a value at a number of connections or of sessions.
    pub(crate) fn add(&mut self, plot: Plot, program: Program, x: usize, y: f64) {
        let x = u32::try_from(x).expect("not that many");
        self.0.entry((plot, program)).or_default().push((x, y));
    }

    /// Writes each picture that has points, once for light and once for dark pages. Every picture shows the caveat.
    pub(crate) fn draw(&self, directory: &Path, caveat: Option<&str>) -> Result<(), Failure> {
        fs::create_dir_all(directory)?;
        for (name, title, plots) in PICTURES {
            let plots: Vec<_> = plots.iter().map(|plot| self.of(*plot)).filter(|plot| !plot.lines.is_empty()).collect();
            if plots.is_empty() {
                continue;
            }
            let legend: BTreeSet<_> =
                plots.iter().flat_map(|plot| plot.lines.iter().map(|(program, _)| *program)).collect();
            for (theme, ending) in [(Theme::LIGHT, ".svg"), (Theme::DARK, "-dark.svg")] {
                let path = directory.join(format!("{name}{ending}"));
                let root = SVGBackend::new(&path, SIZE).into_drawing_area();
                let (head, body) = root.split_vertically(HEAD);
                theme.head(&head, title, &legend, caveat)?;
                for (area, plot) in body.split_evenly((1, plots.len())).iter().zip(&plots) {
                    plot.draw(area, theme)?;
                }
                root.present()?;
            }
        }
        Ok(())
    }

    fn of(&self, plot: Plot) -> Drawn<'_> {
        let lines = self.0.iter().filter(|((of, _), _)| *of == plot);
        Drawn { plot, lines: lines.map(|((_, program), points)| (*program, &points[..])).collect() }
    }
}

/// The pictures: file name, title, and the plots side by side.
const PICTURES: [(&str, &str, &[Plot]); 3] = [
    ("clears", "Durable clears a second, by the number of connections", &[Plot::Clears]),
    ("stamps", "Stamps (P-256 signatures) a second, by the number of connections", &[Plot::Stamps]),
    (
        "growth",
        "Start (ms), memory (MiB) and clear-all (ms), by the number of sessions",
        &[Plot::Start, Plot::Memory, Plot::ClearAll],
    ),
];

/// Pixels, across and down.
const SIZE: (u32, u32) = (900, 420);

/// Pixels for the title and the legend.
const HEAD: i32 = 70;

/// Why there is no picture.
type Failure = Box<dyn Error>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// A plot with its points.
struct Drawn<'a> {
    plot: Plot,
    lines: Vec<(Program, &'a [(u32, f64)])>,
}

impl Drawn<'_> {
    fn draw(&self, area: &Area<'_>, theme: Theme) -> Result<(), Failure> {
        let xs: BTreeSet<_> = self.lines.iter().flat_map(|(_, points)| points.iter().map(|(x, _)| *x)).collect();
        match self.plot {
            Plot::Clears | Plot::Stamps => self.draw_bars(area, theme, &xs),
            Plot::Start | Plot::Memory | Plot::ClearAll => self.draw_lines(area, theme, &xs),
        }
    }

    /// Draws a group of bars for each x, one for each program.
    fn draw_bars(&self, area: &Area<'_>, theme: Theme, xs: &BTreeSet<u32>) -> Result<(), Failure> {
        let places: BTreeMap<_, _> = xs.iter().copied().zip((0_u32..).map(f64::from)).collect();
        let name = |at: &f64| {
            let found = places.iter().find(|(_, place)| (*place - at).abs() < BAR / 2.0);
            found.map(|(x, _)| x.to_string()).unwrap_or_default()
        };
        let mut chart = self.axes(area, theme, Axis::groups(places.len()), &name)?;
        // How far the middle of a bar is from the middle of its group.
        let mut shift = -BAR / 2.0 * self.lines.iter().skip(1).fold(0.0, |before, _| before + 1.0);
        for (program, points) in &self.lines {
            let points: Vec<_> = points.iter().map(|(x, y)| (places[x] + shift, *y)).collect();
            bars(&mut chart, theme, *program, &points)?;
            shift += BAR;
        }
        Ok(())
    }

    /// Draws a line for each program.
    fn draw_lines(&self, area: &Area<'_>, theme: Theme, xs: &BTreeSet<u32>) -> Result<(), Failure> {
        let x_axis = Axis::counts(xs.iter().copied().map(f64::from));
        let mut chart = self.axes(area, theme, x_axis, &Axis::format)?;
        for (program, points) in &self.lines {
            let points: Vec<_> = points.iter().map(|(x, y)| (f64::from(*x), *y)).collect();
            line(&mut chart, theme, *program, &points)?;
        }
        Ok(())
    }

    /// Draws the axes and the mesh.
    fn axes<'a, 'b>(
        &self,
        area: &'a Area<'b>,
        theme: Theme,
        x_axis: Axis,
        x_label: &dyn Fn(&f64) -> String,
    ) -> Result<Chart<'a, 'b>, Failure> {
        let ys = self.lines.iter().flat_map(|(_, points)| points.iter().map(|(_, y)| *y));
        // With both axes logarithmic, growth in proportion is a straight line.
        let y_axis = if x_axis.is_log() { Axis::log_values(ys) } else { Axis::values(ys) };
        let (x_name, y_name) = self.plot.axes();
        let y_name = if y_axis.is_log() { format!("{y_name} (log scale)") } else { y_name.to_owned() };
        let mut chart = ChartBuilder::on(area)
            .margin_left(10)
            .margin_right(16)
            .margin_bottom(6)
            .x_label_area_size(48)
            .y_label_area_size(62)
            .build_cartesian_2d(x_axis, y_axis)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(theme.grid)
            .light_line_style(TRANSPARENT)
            .axis_style(theme.grid)
            .label_style(theme.text(13.0))
            .axis_desc_style(theme.text(14.0))
            .x_desc(x_name)
            .y_desc(y_name)
            .x_label_formatter(&x_label)
            .draw()?;
        Ok(chart)
    }
}

/// The width of a bar, where that of its group is 1.
const BAR: f64 = 0.26;

/// Draws a bar for each point, its value above it.
fn bars(chart: &mut Chart<'_, '_>, theme: Theme, program: Program, points: &[(f64, f64)]) -> Result<(), Failure> {
    let (half, bottom) = (BAR * 0.46, chart.y_range().start);
    let bar = |(x, y): &(f64, f64)| Rectangle::new([(x - half, bottom), (x + half, *y)], theme.color(program).filled());
    chart.draw_series(points.iter().map(bar))?;
    let above = theme.text(13.0).pos(Pos::new(HPos::Center, VPos::Bottom));
    let label = |(x, y): &(f64, f64)| EmptyElement::at((*x, *y)) + Text::new(three_digits(*y), (0, -2), above.clone());
    chart.draw_series(points.iter().map(label))?;
    Ok(())
}

/// Draws a line with a marker and a value at each point. Places the values so that the line does not cross them.
fn line(chart: &mut Chart<'_, '_>, theme: Theme, program: Program, points: &[(f64, f64)]) -> Result<(), Failure> {
    let style = theme.color(program).filled().stroke_width(2);
    chart.draw_series(LineSeries::new(points.iter().copied(), style).point_size(4))?;
    let is_higher = |than: f64, other: Option<&(f64, f64)>| other.is_some_and(|(_, y)| *y > than);
    let label = |(number, (x, y)): (usize, &(f64, f64))| {
        let before = number.checked_sub(1).and_then(|before| points.get(before));
        let (horizontal, vertical, offset) = match (is_higher(*y, before), is_higher(*y, points.get(number + 1))) {
            (true, true) => (HPos::Center, VPos::Top, (0, 7)),
            (true, false) => (HPos::Left, VPos::Bottom, (-4, -7)),
            (false, true) => (HPos::Right, VPos::Bottom, (1, -7)),
            (false, false) => (HPos::Center, VPos::Bottom, (0, -7)),
        };
        let style = theme.text(13.0).pos(Pos::new(horizontal, vertical));
        EmptyElement::at((*x, *y)) + Text::new(three_digits(*y), offset, style)
    };
    chart.draw_series(points.iter().enumerate().map(label))?;
    Ok(())
}

impl Plot {
    /// What its axes are called.
    fn axes(self) -> (&'static str, &'static str) {
        match self {
            Self::Clears => ("connections", "clears a second"),
            Self::Stamps => ("connections", "stamps a second"),
            Self::Start => ("sessions", "start to first answer, ms"),
            Self::Memory => ("sessions", "resident memory, MiB"),
            Self::ClearAll => ("sessions", "clear all sessions, ms"),
        }
    }
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Keyfob => "keyfob",
            Self::Redis => "redis (appendfsync always)",
            Self::Sqlite => "SQLite (WAL, FULL)",
            Self::SshAgent => "ssh-agent",
        }
    }
}
