//! [`Trace`]: what a daemon did to its files, call by call, as `strace` saw it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One system call. Calls of several threads overlap.
pub(crate) struct Event {
    /// When it began, as its place among all that was seen.
    pub(crate) begun: usize,
    /// When it was over; `usize::MAX` when it never was.
    pub(crate) over: usize,
    /// What it did.
    pub(crate) what: What,
}

/// What a system call did. Paths are absolute.
pub(crate) enum What {
    /// Made a file, or emptied it if it was there.
    Create { path: PathBuf, truncate: bool },
    /// Made a directory.
    MakeDirectory { path: PathBuf },
    /// Wrote bytes at an offset.
    Write { path: PathBuf, offset: usize, bytes: Vec<u8> },
    /// Set a file's length.
    Truncate { path: PathBuf, length: usize },
    /// Gave a file or directory another name.
    Rename { from: PathBuf, to: PathBuf },
    /// Gave two files each other's names.
    Exchange { one: PathBuf, other: PathBuf },
    /// Removed a name.
    Remove { path: PathBuf },
    /// Brought a file or directory to the disk.
    Sync { path: PathBuf, is_fdatasync: bool },
    /// Sent answers; the highest id among them.
    Answer { id: u64 },
}

/// Everything that was seen, in order.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) events: Vec<Event>,
    /// How many lines were read.
    clock: usize,
    /// Where the next `write` of a descriptor goes.
    positions: HashMap<u64, usize>,
}

/// The calls that `strace` has to show.
pub(crate) const CALLS: &str = "trace=openat,pwrite64,write,ftruncate,fdatasync,fsync,rename,renameat,renameat2,\
                                unlink,unlinkat,rmdir,mkdir,mkdirat,sendto";

impl Trace {
    /// Where the trace ends now.
    pub(crate) fn end(&self) -> usize {
        self.clock
    }

    /// Adds what one run of `strace -f -y -xx` wrote.
    pub(crate) fn add(&mut self, text: &str) {
        // The calls that have begun and are not over: by thread, their text and their events' place.
        let mut begun: HashMap<&str, (&str, Option<usize>)> = HashMap::new();
        for line in text.lines() {
            self.clock += 1;
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if call.starts_with("<... ") {
                let (Some((start, event)), Some((_, end))) = (begun.remove(thread), call.split_once("resumed>")) else {
                    continue;
                };
                match event {
                    Some(event) if !is_failure(end) => self.events[event].over = self.clock,
                    // It had no effect.
                    Some(event) => self.events[event].what = What::Answer { id: 0 },
                    None => self.read(start, end, self.clock),
                }
            } else if let Some(start) = call.strip_suffix(" <unfinished ...>") {
                // What a call may do, it may have done as soon as it began; but for its descriptor, which
                // shows at the end.
                let event = if start.starts_with("openat(") {
                    None
                } else {
                    let place = self.events.len();
                    self.read(start, "", usize::MAX);
                    (self.events.len() > place).then_some(place)
                };
                begun.insert(thread, (start, event));
            } else if !is_failure(call) {
                self.read(call, "", self.clock);
            }
        }
        self.positions.clear();
    }

    /// Reads one call, the two halves of its text put together.
    fn read(&mut self, start: &str, end: &str, over: usize) {
        let text = format!("{start}{end}");
        let Some((name, arguments)) = text.split_once('(') else { return };
        let arguments = Arguments(arguments);
        let what = match name {
            "openat" => {
                let flags = arguments.0;
                let Some((descriptor, path)) = flags.rsplit_once(" = ").and_then(|(_, result)| descriptor(result))
                else {
                    return;
                };
                self.positions.insert(descriptor, 0);
                if !flags.contains("O_CREAT") {
                    return;
                }
                What::Create { path, truncate: flags.contains("O_TRUNC") }
            }
            "mkdir" | "mkdirat" => What::MakeDirectory { path: arguments.path(0) },
            "pwrite64" => {
                let Some((_, path)) = descriptor(arguments.0) else { return };
                let (bytes, rest) = arguments.bytes();
                let offset =
                    rest.trim_start_matches(", ").split([',', ')']).nth(1).and_then(|at| at.trim().parse().ok());
                What::Write { path, offset: offset.expect("an offset"), bytes }
            }
            "write" => {
                let Some((descriptor, path)) = descriptor(arguments.0) else { return };
                let (bytes, _) = arguments.bytes();
                let position = self.positions.entry(descriptor).or_default();
                let offset = *position;
                *position += bytes.len();
                What::Write { path, offset, bytes }
            }
            "ftruncate" => {
                let Some((_, path)) = descriptor(arguments.0) else { return };
                let length = arguments.0.rsplit_once(", ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
                What::Truncate { path, length: length.expect("a length") }
            }
            "renameat2" if arguments.0.contains("RENAME_EXCHANGE") => {
                What::Exchange { one: arguments.path(0), other: arguments.path(1) }
            }
            "rename" | "renameat" | "renameat2" => What::Rename { from: arguments.path(0), to: arguments.path(1) },
            "unlink" | "rmdir" => What::Remove { path: arguments.path(0) },
            "unlinkat" => {
                // Relative to a directory that is open, unless the path is absolute.
                let directory = descriptor(arguments.0).map(|(_, path)| path).unwrap_or_default();
                What::Remove { path: directory.join(arguments.path(0)) }
            }
            "fsync" | "fdatasync" => {
                let Some((_, path)) = descriptor(arguments.0) else { return };
                What::Sync { path, is_fdatasync: name == "fdatasync" }
            }
            "sendto" => {
                let (bytes, _) = arguments.bytes();
                let Some(id) = last_id(&bytes) else { return };
                What::Answer { id }
            }
            _ => return,
        };
        self.events.push(Event { begun: self.clock, over, what });
    }
}

fn is_failure(call: &str) -> bool {
    call.rsplit_once(" = ").is_some_and(|(_, result)| result.starts_with("-1"))
}

/// The text between the parentheses of a call.
struct Arguments<'a>(&'a str);

impl Arguments<'_> {
    /// The string argument of this number.
    fn path(&self, number: usize) -> PathBuf {
        let text = self.0.split('"').nth(2 * number + 1).unwrap_or_default();
        Path::new(&String::from_utf8(unescape(text)).expect("a path in UTF-8")).to_owned()
    }

    /// The first string argument, and what follows it.
    fn bytes(&self) -> (Vec<u8>, &str) {
        let mut parts = self.0.splitn(3, '"');
        let (_, text, rest) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        assert!(!rest.starts_with("..."), "strace left bytes out");
        (unescape(text), rest)
    }
}

/// A descriptor and its path, which `-y` shows as `3<path>`.
fn descriptor(text: &str) -> Option<(u64, PathBuf)> {
    let (number, rest) = text.split_once('<')?;
    let path = String::from_utf8(unescape(rest.split_once('>')?.0)).ok()?;
    Some((number.trim().parse().ok()?, path.into()))
}

/// The bytes that `-xx` writes as `\x6b\x66`.
fn unescape(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let text = text.as_bytes().chunks_exact(4);
    text.filter_map(|escape| Some(digit(escape[2])? << 4 | digit(escape[3])?)).collect()
}

/// The highest id in lines of JSON-RPC.
fn last_id(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let ids = text.lines().filter_map(|line| line.strip_prefix(r#"{"jsonrpc":"2.0","id":"#));
    ids.filter_map(|rest| rest.split(',').next()?.parse().ok()).max()
}
