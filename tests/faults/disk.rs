//! [`Disk`]: what a disk may hold when the power fails.
//!
//! It is crueller than any real one: of what was not synced, each write may be there or not, or in part, in
//! any order; a directory's changes are there up to some point; and only `fsync` and `fdatasync` promise
//! anything. (`sync_file_range` does not.)

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Component, Path};

use fastrand::Rng;

use crate::trace::{Event, Trace, What};

/// What becomes of writes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// None is there.
    Lost,
    /// All are there.
    Kept,
    /// Each is there, or not, or in part.
    Random,
    /// The last of them are there, and not those before.
    OnlyLast,
    /// Only what replaced bytes that had been on the disk is there: a part of the file that was used again.
    OnlyOverwrites,
}

impl Fate {
    pub(crate) const ALL: [Self; 5] = [Self::Lost, Self::Kept, Self::Random, Self::OnlyLast, Self::OnlyOverwrites];
}

/// A disk below one directory.
pub(crate) struct Disk {
    nodes: Vec<Node>,
    /// What the running system sees: the names in each directory.
    live: HashMap<usize, BTreeMap<String, usize>>,
}

enum Node {
    File { durable: Vec<u8>, pending: Vec<(usize, Change)> },
    Directory { durable: BTreeMap<String, usize>, pending: Vec<(usize, Vec<Naming>)> },
}

/// A change to a file.
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// A change to a directory.
enum Naming {
    Link(String, usize),
    Unlink(String),
}

const ROOT: usize = 0;

impl Disk {
    /// The disk under `root` when the power fails at `cut`.
    pub(crate) fn at(trace: &Trace, root: &Path, cut: usize, ignore_fdatasync: bool) -> Self {
        let root_node = Node::Directory { durable: BTreeMap::new(), pending: Vec::new() };
        let mut disk = Self { nodes: vec![root_node], live: HashMap::from([(ROOT, BTreeMap::new())]) };
        // A sync is worth something when it is over, and until then the calls go on.
        let mut events: Vec<(usize, &Event)> = trace.events.iter().map(|event| (effective(event), event)).collect();
        events.sort_by_key(|(at, _)| *at);
        for (at, event) in events {
            if at < cut {
                disk.take(event, root, ignore_fdatasync);
            }
        }
        disk
    }

    fn take(&mut self, event: &Event, root: &Path, ignore_fdatasync: bool) {
        match &event.what {
            What::Create { path, truncate } => match self.find(path, root) {
                Some(file) if *truncate => self.change(file, event.over, Change::Truncate { length: 0 }),
                Some(_) => {}
                None => self.link(path, root, event.over, Node::File { durable: Vec::new(), pending: Vec::new() }),
            },
            What::MakeDirectory { path } => {
                self.link(path, root, event.over, Node::Directory { durable: BTreeMap::new(), pending: Vec::new() });
            }
            What::Write { path, offset, bytes } => {
                if let Some(file) = self.find(path, root) {
                    self.change(file, event.over, Change::Write { offset: *offset, bytes: bytes.clone() });
                }
            }
            What::Truncate { path, length } => {
                if let Some(file) = self.find(path, root) {
                    self.change(file, event.over, Change::Truncate { length: *length });
                }
            }
            What::Rename { from, to } => self.rename(from, to, root, event.over),
            What::Exchange { one, other } => self.exchange(one, other, root, event.over),
            What::Remove { path } => {
                if let Some((directory, name)) = self.parent(path, root) {
                    self.live.get_mut(&directory).expect("a directory").remove(&name);
                    self.rename_in(directory, event.over, vec![Naming::Unlink(name)]);
                }
            }
            What::Sync { path, is_fdatasync } if !(*is_fdatasync && ignore_fdatasync) => {
                if let Some(node) = self.find(path, root) {
                    self.nodes[node].sync(event.begun);
                }
            }
            What::Sync { .. } | What::Answer { .. } => {}
        }
    }

    /// Writes what is left after a fate into a directory.
    pub(crate) fn write(&self, directory: &Path, fate: Fate, rng: &mut Rng) {
        self.write_node(ROOT, directory, fate, rng);
    }

    fn write_node(&self, node: usize, path: &Path, fate: Fate, rng: &mut Rng) {
        match &self.nodes[node] {
            Node::File { durable, pending } => {
                fs::write(path, after(durable, pending, fate, rng)).expect("a file");
            }
            Node::Directory { durable, pending } => {
                if node != ROOT {
                    fs::create_dir(path).expect("a directory");
                }
                let mut names = durable.clone();
                let kept = match fate {
                    Fate::Lost => 0,
                    Fate::Kept => pending.len(),
                    _ => rng.usize(0..=pending.len()),
                };
                for (_, namings) in &pending[..kept] {
                    for naming in namings {
                        naming.apply(&mut names);
                    }
                }
                for (name, node) in names {
                    self.write_node(node, &path.join(name), fate, rng);
                }
            }
        }
    }

    fn change(&mut self, file: usize, over: usize, change: Change) {
        if let Node::File { pending, .. } = &mut self.nodes[file] {
            pending.push((over, change));
        }
    }

    fn link(&mut self, path: &Path, root: &Path, over: usize, node: Node) {
        let Some((directory, name)) = self.parent(path, root) else { return };
        let number = self.nodes.len();
        if matches!(node, Node::Directory { .. }) {
            self.live.insert(number, BTreeMap::new());
        }
        self.nodes.push(node);
        self.live.get_mut(&directory).expect("a directory").insert(name.clone(), number);
        self.rename_in(directory, over, vec![Naming::Link(name, number)]);
    }

    fn rename(&mut self, from: &Path, to: &Path, root: &Path, over: usize) {
        let (Some((directory, from)), Some((same, to))) = (self.parent(from, root), self.parent(to, root)) else {
            return;
        };
        assert_eq!(directory, same, "the store renames within a directory");
        let names = self.live.get_mut(&directory).expect("a directory");
        let node = names.remove(&from).expect("what is renamed");
        names.insert(to.clone(), node);
        self.rename_in(directory, over, vec![Naming::Unlink(from), Naming::Link(to, node)]);
    }

    fn exchange(&mut self, one: &Path, other: &Path, root: &Path, over: usize) {
        let (Some((directory, one)), Some((same, other))) = (self.parent(one, root), self.parent(other, root)) else {
            return;
        };
        assert_eq!(directory, same, "the store exchanges within a directory");
        let names = self.live.get_mut(&directory).expect("a directory");
        let (first, second) = (names[&one], names[&other]);
        names.extend([(one.clone(), second), (other.clone(), first)]);
        self.rename_in(directory, over, vec![Naming::Link(one, second), Naming::Link(other, first)]);
    }

    fn rename_in(&mut self, directory: usize, over: usize, namings: Vec<Naming>) {
        if let Node::Directory { pending, .. } = &mut self.nodes[directory] {
            pending.push((over, namings));
        }
    }

    fn find(&self, path: &Path, root: &Path) -> Option<usize> {
        let mut node = ROOT;
        for component in path.strip_prefix(root).ok()?.components() {
            let Component::Normal(name) = component else { return None };
            node = *self.live.get(&node)?.get(name.to_str()?)?;
        }
        Some(node)
    }

    fn parent(&self, path: &Path, root: &Path) -> Option<(usize, String)> {
        // The root itself is there from the start.
        let directory = self.find(path.strip_prefix(root).ok().and(path.parent())?, root)?;
        Some((directory, path.file_name()?.to_str()?.to_owned()))
    }
}

/// When a call counts: a sync when it is over, all else when it began.
fn effective(event: &Event) -> usize {
    if matches!(event.what, What::Sync { .. }) { event.over } else { event.begun }
}

impl Node {
    /// Makes durable what was over when a sync began.
    fn sync(&mut self, begun: usize) {
        match self {
            Self::File { durable, pending } => {
                for (_, change) in pending.extract_if(.., |(over, _)| *over < begun) {
                    change.apply(durable);
                }
            }
            Self::Directory { durable, pending } => {
                for (_, namings) in pending.extract_if(.., |(over, _)| *over < begun) {
                    for naming in namings {
                        naming.apply(durable);
                    }
                }
            }
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Unlink(name) => drop(names.remove(name)),
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                if file.len() < offset + bytes.len() {
                    file.resize(offset + bytes.len(), 0);
                }
                file[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Self::Truncate { length } => file.resize(*length, 0),
        }
    }

    /// Whether it replaces something that was on the disk.
    fn overwrites(&self, durable: &[u8]) -> bool {
        match self {
            Self::Write { offset, bytes } => {
                let end = durable.len().min(offset + bytes.len());
                *offset < end && durable[*offset..end].iter().any(|byte| *byte != 0)
            }
            Self::Truncate { length } => *length < durable.len(),
        }
    }

    /// A part of a write, as a disk that works in sectors may leave it.
    fn torn(&self, rng: &mut Rng) -> Self {
        const SECTOR: usize = 512;
        match self {
            Self::Write { offset, bytes } => {
                let sectors = bytes.len().div_ceil(SECTOR);
                let kept = (rng.usize(0..=sectors) * SECTOR).min(bytes.len());
                Self::Write { offset: *offset, bytes: bytes[..kept].to_vec() }
            }
            Self::Truncate { length } => Self::Truncate { length: *length },
        }
    }
}

fn after(durable: &[u8], pending: &[(usize, Change)], fate: Fate, rng: &mut Rng) -> Vec<u8> {
    let mut file = durable.to_vec();
    let from = if matches!(fate, Fate::OnlyLast) { rng.usize(0..=pending.len()) } else { 0 };
    for (_, change) in &pending[from..] {
        match fate {
            Fate::Lost => {}
            Fate::Kept | Fate::OnlyLast => change.apply(&mut file),
            Fate::OnlyOverwrites => {
                if change.overwrites(durable) {
                    change.apply(&mut file);
                }
            }
            Fate::Random => match rng.u32(0..3) {
                0 => {}
                1 => change.apply(&mut file),
                _ => change.torn(rng).apply(&mut file),
            },
        }
    }
    file
}
