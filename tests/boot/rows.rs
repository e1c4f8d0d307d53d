//! The table: what each row is called, and which machines' state it builds on.

use crate::machine::Machine;
use crate::{Seen, package, service, timed};

/// A row: what is promised, and how it is tried.
pub(crate) type Row = (&'static str, fn(&mut Machine) -> Seen);

/// Tries all rows whose names contain `only`. Answers how many failed.
pub(crate) fn table(machine: &mut Machine, only: &str, with_packages: bool) -> usize {
    let packages = if with_packages { &package::ROWS[..] } else { &[] };
    let wanted = service::ROWS.iter().chain(packages).filter(|(name, _)| name.contains(only));
    wanted.filter(|(name, row)| !timed(name, || row(machine))).count()
}

/// Fails unless a text contains another.
pub(crate) fn expect(text: &str, wanted: &str) -> Result<(), String> {
    if text.contains(wanted) { Ok(()) } else { Err(format!("no `{wanted}` in: {}", text.trim())) }
}

/// Fails if a text contains another.
pub(crate) fn refuse(text: &str, unwanted: &str) -> Result<(), String> {
    if text.contains(unwanted) { Err(format!("`{unwanted}` in: {}", text.trim())) } else { Ok(()) }
}
