//! The parts of a history in which the power is cut, and their instants.

use std::collections::HashMap;
use std::path::Path;

use super::history::History;
use crate::trace::{Event, What};

impl History {
    /// The parts of the history in which the power is cut, each as often as the others, and their instants.
    pub(super) fn windows(&self) -> Vec<(&'static str, Vec<usize>)> {
        let first = |from, is: &dyn Fn(&What) -> bool| {
            let event = self.trace.events.iter().find(|event| event.begun >= from && is(&event.what));
            event.map_or(self.trace.end(), |event| event.begun)
        };
        let mut windows = Vec::new();
        let names = ["at the first start", "at the start after a kill", "at the next start", "at the last start"];
        for (name, (began, ended)) in names.into_iter().zip(&self.runs) {
            let served = first(*began, &|what| matches!(what, What::Answer { id } if *id > 0));
            windows.push((name, (*began..served).collect()));
            windows.push(("at work", (served..*ended).collect()));
        }
        let begun = first(0, &|what| matches!(what, What::MakeDirectory { path } if path.ends_with("store/records.2")));
        let removed = first(begun, &|what| matches!(what, What::Remove { path } if path.ends_with("store/records.1")));
        assert!(begun < removed && removed < self.trace.end(), "the vault was rewritten");
        windows.push(("while rewriting", (begun..=removed).collect()));
        let begun = first(0, &|what| matches!(what, What::Create { path, .. } if path.ends_with("store/keys.new")));
        let removed = self.trace.events.iter().rev().find_map(|event| match &event.what {
            What::Remove { path } if path.ends_with("store/keys.new") => Some(event.begun),
            _ => None,
        });
        let removed = removed.expect("the vault was rekeyed");
        let rekeying = |event: &&Event| (begun..=removed + 3).contains(&event.begun) && is_of_keys(&event.what);
        windows.push((
            "while rekeying",
            self.trace.events.iter().filter(rekeying).flat_map(|event| [event.begun, event.begun + 1]).collect(),
        ));
        windows.push(("while a part of the file was used again", self.reuses()));
        windows.push(("between the two files", self.between()));
        windows.push(("inside a group of clears", self.inside_clears()));
        windows
    }

    /// The instants just after sled wrote where it had written before.
    pub(super) fn reuses(&self) -> Vec<usize> {
        let mut ends: HashMap<&Path, usize> = HashMap::new();
        let mut instants = Vec::new();
        for event in &self.trace.events {
            if let What::Write { path, offset, bytes } = &event.what
                && path.ends_with("db")
            {
                let end = ends.entry(path).or_default();
                if *offset < *end && bytes.iter().any(|byte| *byte != 0) {
                    instants.extend(event.begun + 1..event.begun + 8);
                }
                *end = (*end).max(offset + bytes.len());
            }
        }
        instants
    }

    /// The instants between the sync of the database and what is written to `keys` then.
    fn between(&self) -> Vec<usize> {
        let mut instants = Vec::new();
        let mut synced = None;
        for event in &self.trace.events {
            match &event.what {
                What::Sync { path, .. } if path.ends_with("db") => synced = Some(event.begun),
                What::Write { path, .. } if path.ends_with("store/keys") => {
                    if let Some(from) = synced.take() {
                        instants.extend(from..=event.begun + 2);
                    }
                }
                _ => {}
            }
        }
        instants
    }

    /// The instants around each write to `keys` that is not the only one before a sync.
    fn inside_clears(&self) -> Vec<usize> {
        let (mut instants, mut writes) = (Vec::new(), Vec::new());
        for event in &self.trace.events {
            match &event.what {
                What::Write { path, .. } if path.ends_with("store/keys") => writes.push(event.begun),
                What::Sync { path, .. } if path.ends_with("store/keys") => {
                    if let [first, .., last] = writes[..] {
                        instants.extend(first..=last + 1);
                        instants.extend([event.begun, event.begun + 1]);
                    }
                    writes.clear();
                }
                _ => {}
            }
        }
        instants
    }
}

/// Whether a call changed or synced something that a rekeying does.
fn is_of_keys(what: &What) -> bool {
    let is_one = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("key") || name == "store" || name == "data"
    };
    match what {
        What::Create { path, .. } | What::Write { path, .. } | What::Remove { path } | What::Sync { path, .. } => {
            is_one(path)
        }
        What::Exchange { .. } => true,
        _ => false,
    }
}
