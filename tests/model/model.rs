//! [`Model`]: the vault's rules on a plain map, as the documents tell them.

#![allow(clippy::unnecessary_wraps, reason = "every call may say a fault, though some never do")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a call says that the model knows too: a fault's code, or the reply's essence.
pub(super) type Said = Result<Vec<String>, String>;

/// Everything in the vault.
#[derive(Debug)]
pub(super) struct Model {
    /// Seconds since the epoch.
    pub(super) now: u64,
    sessions: BTreeMap<String, (String, u64)>,
    /// The key pairs, and when they came.
    pairs: BTreeMap<String, u64>,
    active: Option<String>,
}

impl Model {
    pub(super) fn new(now: u64) -> Self {
        Self { now, sessions: BTreeMap::new(), pairs: BTreeMap::new(), active: None }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        let expired: Vec<String> =
            self.sessions.iter().filter(|(_, (_, expiry))| *expiry <= self.now).map(|(name, _)| name.clone()).collect();
        for name in expired {
            self.remove(&name);
        }
    }

    fn is_named(&self, pair: &str) -> bool {
        self.sessions.values().any(|(named, _)| named == pair)
    }

    fn remove(&mut self, name: &str) -> (Option<String>, bool) {
        let (pair, _) = self.sessions.remove(name).unwrap();
        let is_last = !self.is_named(&pair);
        let deleted = if is_last { self.pairs.remove(&pair).map(|_| pair) } else { None };
        let was_active = self.active.as_deref() == Some(name);
        if was_active {
            self.active = None;
        }
        (deleted, was_active)
    }

    pub(super) fn create(&mut self, pair: &str) -> Said {
        self.pairs.entry(pair.to_owned()).or_insert(self.now);
        Ok(vec![pair.to_owned()])
    }

    pub(super) fn store(&mut self, name: &str, pair: &str, expiry: u64) -> Said {
        if expiry <= self.now {
            return Err("SESSION_EXPIRED".to_owned());
        }
        let old = self.sessions.insert(name.to_owned(), (pair.to_owned(), expiry));
        if let Some((old_pair, _)) = &old
            && !self.is_named(old_pair)
        {
            self.pairs.remove(old_pair);
        }
        self.active = Some(name.to_owned());
        Ok(vec![name.to_owned(), old.is_some().to_string()])
    }

    pub(super) fn clear(&mut self, name: Option<&str>) -> Said {
        let name = match name {
            Some(name) if self.sessions.contains_key(name) => name.to_owned(),
            Some(_) => return Err("NOT_FOUND".to_owned()),
            None => self.active.clone().ok_or("NO_SESSION_FOUND")?,
        };
        let (deleted, was_active) = self.remove(&name);
        Ok(vec![name, deleted.unwrap_or_default(), was_active.to_string()])
    }

    pub(super) fn clear_all(&mut self) -> Said {
        if self.sessions.is_empty() {
            return Err("NO_SESSION_FOUND".to_owned());
        }
        let sessions = std::mem::take(&mut self.sessions);
        let named: BTreeSet<&String> = sessions.values().map(|(pair, _)| pair).collect();
        let before = self.pairs.len();
        self.pairs.retain(|pair, _| !named.contains(pair));
        self.active = None;
        Ok(vec![sessions.len().to_string(), (before - self.pairs.len()).to_string()])
    }

    pub(super) fn activate(&mut self, name: &str) -> Said {
        if !self.sessions.contains_key(name) {
            return Err("NOT_FOUND".to_owned());
        }
        self.active = Some(name.to_owned());
        Ok(vec![name.to_owned()])
    }

    pub(super) fn delete(&mut self, pair: &str) -> Said {
        match (self.pairs.contains_key(pair), self.is_named(pair)) {
            (true, true) => Err("KEY_PAIR_IN_USE".to_owned()),
            (true, false) => {
                self.pairs.remove(pair);
                Ok(vec![pair.to_owned()])
            }
            (false, _) => Err("NOT_FOUND".to_owned()),
        }
    }

    pub(super) fn prune(&mut self, min_age: u64) -> Said {
        let now = self.now;
        let is_due = |created: &u64| now - created >= min_age;
        let due: Vec<String> = self
            .pairs
            .iter()
            .filter(|(pair, at)| is_due(at) && !self.is_named(pair))
            .map(|(pair, _)| pair.clone())
            .collect();
        for pair in &due {
            self.pairs.remove(pair);
        }
        Ok(due)
    }

    pub(super) fn sign(&self, pair: Option<&str>, name: Option<&str>) -> Said {
        let pair = match (pair, name) {
            (Some(_), Some(_)) => return Err("INVALID_PARAMS".to_owned()),
            (Some(pair), None) => pair.to_owned(),
            (None, name) => {
                let name = name.map(str::to_owned).or_else(|| self.active.clone()).ok_or("NO_SESSION_FOUND")?;
                self.sessions.get(&name).ok_or("NOT_FOUND")?.0.clone()
            }
        };
        if self.pairs.contains_key(&pair) { Ok(vec![pair]) } else { Err("NOT_FOUND".to_owned()) }
    }

    /// All that there is, as [`listed`] shows it.
    pub(super) fn contents(&self) -> Vec<String> {
        let sessions = self.sessions.iter().map(|(name, (pair, expiry))| format!("session {name} {pair} {expiry}"));
        let pairs = self.pairs.iter().map(|(pair, at)| format!("pair {pair} {at} {}", self.is_named(pair)));
        let active = std::iter::once(format!("active {:?}", self.active));
        sessions.chain(pairs).chain(active).collect()
    }
}

/// What a reply says that the model knows too.
pub(super) fn essence(method: &str, result: &Value) -> Vec<String> {
    let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
    let other = |field: &str| result[field].to_string();
    match method {
        "createApiKeyPair" | "deleteApiKeyPair" | "sign" => vec![text("publicKey")],
        "storeSession" => vec![text("sessionKey"), other("replaced")],
        "clearSession" => vec![text("sessionKey"), text("deletedPublicKey"), other("wasActive")],
        "clearAllSessions" => vec![other("clearedSessions"), other("deletedKeyPairs")],
        "setActiveSession" => vec![text("sessionKey")],
        "clearUnusedKeyPairs" => {
            let keys = result["deletedPublicKeys"].as_array().unwrap();
            let mut keys: Vec<String> = keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
            // The oldest come first; the model knows them by name.
            keys.sort();
            keys
        }
        _ => panic!("the model does not know {method}"),
    }
}

/// What the daemon lists, as [`Model::contents`] shows it.
pub(super) fn listed(sessions: &Value, pairs: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let active = format!("active {:?}", sessions["activeSessionKey"].as_str());
    let sessions = sessions["sessions"].as_array().unwrap().iter().map(|entry| {
        let (name, session) = (text(&entry["sessionKey"]), &entry["session"]);
        format!("session {name} {} {}", text(&session["publicKey"]), session["expiry"])
    });
    let pairs = pairs["keyPairs"].as_array().unwrap().iter().map(|pair| {
        let is_named = !pair["sessionKeys"].as_array().unwrap().is_empty();
        format!("pair {} {} {is_named}", text(&pair["publicKey"]), pair["createdAt"])
    });
    sessions.chain(pairs).chain([active]).collect()
}
