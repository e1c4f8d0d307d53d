//! Tables that fit the terminal: widths by what is displayed, what is long shortened in its middle.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: usize = 2;

/// A column.
pub(super) struct Column {
    /// What stands above it.
    pub(super) heading: &'static str,
    /// It may be shortened to this many cells.
    pub(super) least: usize,
}

/// Lines of cells, the headings first, each cut to `width` cells where there is a terminal. The last columns are
/// shortened first.
pub(super) fn lines(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let longest = |at: usize| rows.iter().map(|row| row[at].width()).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        columns.iter().enumerate().map(|(at, column)| column.heading.width().max(longest(at))).collect();
    if let Some(width) = width {
        let gaps = GAP * columns.len().saturating_sub(1);
        for at in (0..columns.len()).rev() {
            let over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
            let least = columns[at].least.max(columns[at].heading.width()).min(widths[at]);
            widths[at] = widths[at].saturating_sub(over).max(least);
        }
    }
    let headings = columns.iter().map(|column| column.heading.to_owned()).collect();
    std::iter::once(&headings).chain(rows).map(|row| line(row, &widths, width)).collect()
}

fn line(cells: &[String], widths: &[usize], width: Option<usize>) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = shortened(cell, *width);
        line.push_str(&cell);
        line.extend(std::iter::repeat_n(' ', width - cell.width() + GAP));
    }
    let line = line.trim_end();
    // On a terminal narrower than the least that a table needs.
    width.map_or_else(|| line.to_owned(), |width| shortened(line, width))
}

/// Text of at most `width` cells; of what is longer the beginning and the end.
pub(super) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let tail = (width.saturating_sub(1)) / 3;
    let head = width.saturating_sub(1 + tail);
    let taken = |chars: &mut dyn Iterator<Item = char>, most: usize| {
        let mut cells = 0;
        let fits = |c: &char| {
            cells += c.width().unwrap_or(0);
            cells <= most
        };
        chars.take_while(fits).collect::<Vec<char>>()
    };
    let begin: String = taken(&mut text.chars(), head).into_iter().collect();
    let end: String = taken(&mut text.chars().rev(), tail).into_iter().rev().collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let columns = [
            Column { heading: "SESSION", least: 12 },
            Column { heading: "EXPIRES", least: 9 },
            Column { heading: "KEY PAIR", least: 15 },
        ];
        let key = "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1".to_owned();
        let names = ["work".to_owned(), "x".repeat(512), "日本語".repeat(40), "é".repeat(80)];
        let rows: Vec<_> = names.iter().map(|name| vec![name.clone(), "in 14 min".to_owned(), key.clone()]).collect();
        for width in [40, 60, 80, 132, 200] {
            for line in lines(&columns, &rows, Some(width)) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        let whole = lines(&columns, &rows, None);
        assert!(whole.iter().skip(1).all(|line| line.ends_with(&key)), "into a pipe nothing is shortened");
        assert!(lines(&columns, &rows[..1], Some(100))[1].ends_with(&key), "nor where there is room");
    }

    #[test]
    fn what_is_long_keeps_its_beginning_and_its_end() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 10), "abcdef…ijk");
        assert_eq!(shortened("日本語日本語", 6), "日本…");
    }
}
