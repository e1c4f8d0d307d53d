//! [`Theme`]: the colours and text styles of a picture, and its head: title, legend and caveat.

use std::collections::BTreeSet;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Failure, Program, SIZE};

/// The system's own font.
const FONT: &str = "system-ui, sans-serif";

/// plotters divides every font size by this when it writes SVG.
const PLOTTERS_SCALE: f64 = 1.24;

/// The colours for a light or a dark page. The programs have colours of the Okabe-Ito palette, which colour-blind
/// readers can tell apart.
#[derive(Clone, Copy)]
pub(super) struct Theme {
    text: RGBColor,
    /// The colour of the axes and the mesh.
    pub(super) grid: RGBColor,
    /// The colour of the caveat.
    caveat: RGBColor,
    keyfob: RGBColor,
}

impl Theme {
    /// For a light page.
    pub(super) const LIGHT: Self = Self {
        text: RGBColor(0x1f, 0x23, 0x28),
        grid: RGBColor(0xd0, 0xd7, 0xde),
        caveat: RGBColor(0xb0, 0x4a, 0x00),
        keyfob: RGBColor(0x00, 0x72, 0xb2),
    };

    /// For a dark page.
    pub(super) const DARK: Self = Self {
        text: RGBColor(0xe6, 0xed, 0xf3),
        grid: RGBColor(0x3d, 0x44, 0x4d),
        caveat: RGBColor(0xe6, 0x9f, 0x00),
        keyfob: RGBColor(0x56, 0xb4, 0xe9),
    };

    /// The colour of a program's points.
    pub(super) fn color(self, program: Program) -> RGBColor {
        match program {
            Program::Keyfob => self.keyfob,
            Program::Redis | Program::SshAgent => RGBColor(0xd5, 0x5e, 0x00),
            Program::Sqlite => RGBColor(0x00, 0x9e, 0x73),
        }
    }

    /// Text of this size in pixels.
    pub(super) fn text(self, size: f64) -> TextStyle<'static> {
        FontDesc::from((FONT, size * PLOTTERS_SCALE)).color(&self.text)
    }

    /// Draws the title, and below it the legend and the caveat.
    pub(super) fn head(
        self,
        area: &Area<'_>,
        title: &str,
        legend: &BTreeSet<Program>,
        caveat: Option<&str>,
    ) -> Result<(), Failure> {
        let bold = FontDesc::from((FONT, 17.0 * PLOTTERS_SCALE)).style(FontStyle::Bold).color(&self.text);
        let left_middle = Pos::new(HPos::Left, VPos::Center);
        area.draw(&Text::new(title, (16, 22), bold.pos(left_middle)))?;
        let mut left = 16;
        for program in legend {
            area.draw(&Rectangle::new([(left, 45), (left + 12, 57)], self.color(*program).filled()))?;
            area.draw(&Text::new(program.name(), (left + 18, 51), self.text(14.0).pos(left_middle)))?;
            // The width of text is unknown here; 8 pixels a character is enough for common fonts.
            left += 18 + 8 * i32::try_from(program.name().len())? + 16;
        }
        if let Some(caveat) = caveat {
            let style = FontDesc::from((FONT, 14.0 * PLOTTERS_SCALE))
                .color(&self.caveat)
                .pos(Pos::new(HPos::Right, VPos::Center));
            area.draw(&Text::new(caveat, (i32::try_from(SIZE.0)? - 16, 51), style))?;
        }
        Ok(())
    }
}
