//! What the owner's calls cost beside somebody who takes all that they can get. They come through a grant, so that they are
//! to the daemon what another user is.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use keyfob_tests::{RawClient, login};
use serde_json::{Value, json};

use crate::drive::Measured;
use crate::neighbours::show;
use crate::report::Aim::AtMost;
use crate::report::Report;
use crate::rows::Effort;
use crate::vault::{Vault, request};

/// Connections of each of them.
const MANY: usize = 1000;

/// Those that flood the actor.
const FLOODS: usize = 32;

pub(crate) fn rows(effort: Effort, report: &mut Report) {
    let vault = Vault::empty();
    vault.fill((0..effort.sessions(5000)).map(|number| format!("session-{number}")));
    let sign = request("sign", &json!({ "payload": login::base64(vec![7; 75_000]) }));
    let one = request("getSession", &json!({ "sessionKey": "session-5" }));
    let (signs, reads) = (|| vault.repeat(1, 1, &sign, effort.time), || vault.repeat(1, 1, &one, effort.time));
    let stores = || vault.stores(1, effort.time);
    let rss = vault.usage().rss();

    let beside = Beside { vault: &vault, effort };
    beside.row(report, "sign 100 kB beside 100 stuck long lines", &signs, |socket| stuck(socket, 100));
    beside.row(report, "read beside 1,000 who read no page", &reads, |socket| deaf(socket, MANY));
    beside.row(report, "  connect and ask beside them", &|| connects(&vault, effort), |socket| deaf(socket, MANY));
    let nothing = |_: &mut RawClient| json!({});
    beside.flood(report, "read beside 32 who ask for pages without end", &reads, ("getAllSessions", nothing));
    beside.flood(report, "store beside 32 who create key pairs without end", &stores, ("createApiKeyPair", nothing));
    let login = |guest: &mut RawClient| {
        let key = guest.call("createApiKeyPair", json!({}))["publicKey"].as_str().expect("a key").to_owned();
        json!({ "sessionToken": login::token(&key, 4_000_000_000), "sessionKey": "flood" })
    };
    beside.flood(report, "store beside 32 who store without end", &stores, ("storeSession", login));
    report.value("  RSS more than before", vault.usage().rss() - rss, "MiB", Some(AtMost(64.0)));
}

/// Measures the owner alone, and beside somebody.
struct Beside<'a> {
    vault: &'a Vault,
    effort: Effort,
}

impl Beside<'_> {
    /// Beside connections that are gathered first.
    fn row(
        &self,
        report: &mut Report,
        name: &str,
        measure: &dyn Fn() -> Measured,
        gather: impl FnOnce(&Path) -> Vec<UnixStream>,
    ) {
        let alone = self.rounds(measure);
        let neighbours = gather(&self.grant());
        let beside = self.rounds(measure);
        drop(neighbours);
        self.end(report, name, &alone, &beside);
    }

    /// Beside threads that make one call after the other.
    fn flood(
        &self,
        report: &mut Report,
        name: &str,
        measure: &dyn Fn() -> Measured,
        (method, params): (&str, fn(&mut RawClient) -> Value),
    ) {
        let alone = self.rounds(measure);
        let (socket, stop) = (self.grant(), AtomicBool::new(false));
        let line = request(method, &params(&mut RawClient::connect(&socket)));
        let beside = thread::scope(|scope| {
            for _ in 0..FLOODS {
                scope.spawn(|| flood(&socket, &line, &stop));
            }
            let beside = self.rounds(measure);
            stop.store(true, Ordering::Relaxed);
            self.vault.connect().call("revokeAllGrants", json!({}));
            beside
        });
        self.end(report, name, &alone, &beside);
    }

    fn rounds(&self, measure: &dyn Fn() -> Measured) -> Vec<Measured> {
        (0..self.effort.rounds).map(|_| measure()).collect()
    }

    fn grant(&self) -> PathBuf {
        let all = json!({ "may": ["stamp", "sign", "read", "store", "clear", "watch"] });
        self.vault.connect().call("createGrant", all)["socket"].as_str().expect("a path").into()
    }

    fn end(&self, report: &mut Report, name: &str, alone: &[Measured], beside: &[Measured]) {
        show(report, name, alone, beside, self.vault);
        self.vault.connect().call("revokeAllGrants", json!({}));
    }
}

/// Connects so often, sends most of a long line on each, and says no more.
fn stuck(socket: &Path, count: usize) -> Vec<UnixStream> {
    let mut streams: Vec<_> = (0..count).map(|_| UnixStream::connect(socket).expect("a grant")).collect();
    for stream in &mut streams {
        stream.write_all(&b" ".repeat(70_000)).expect("the daemon, or the system, takes it");
    }
    streams
}

/// Asks for many pages on each connection, and reads none.
fn deaf(socket: &Path, count: usize) -> Vec<UnixStream> {
    let ask = request("getAllSessions", &json!({ "limit": 1000 })).repeat(20);
    let connect = |_| UnixStream::connect(socket).expect("a grant");
    let mut streams: Vec<_> = (0..count).map(connect).collect();
    for stream in &mut streams {
        stream.write_all(&ask).expect("the system takes it");
    }
    streams
}

/// One call after the other, four at a time, until it is to stop or the grant has ended.
fn flood(socket: &Path, line: &[u8], stop: &AtomicBool) {
    let mut stream = UnixStream::connect(socket).expect("a grant");
    let (lines, mut answers) = (line.repeat(4), vec![0; 1024 * 1024]);
    while !stop.load(Ordering::Relaxed) && stream.write_all(&lines).is_ok() {
        // Whatever has come.
        if !matches!(stream.read(&mut answers), Ok(1..)) {
            return;
        }
    }
}

/// Connects and asks, again and again.
fn connects(vault: &Vault, effort: Effort) -> Measured {
    let line = request("getActiveSessionKey", &json!({}));
    let (began, cpu, mut latencies) = (Instant::now(), vault.usage().cpu(), Vec::new());
    while began.elapsed() < effort.time {
        let asked = Instant::now();
        let mut stream = UnixStream::connect(vault.socket()).expect("the daemon listens");
        stream.write_all(&line).expect("the daemon reads");
        assert!(stream.read(&mut [0; 256]).expect("it answers") > 0);
        latencies.push(asked.elapsed());
    }
    Measured::new(latencies, began.elapsed(), vault.usage().cpu().saturating_sub(cpu))
}
