//! [`Model`]: the vault's rules on a plain map, as the documents tell them; and [`Step`]: what a client may
//! do to both.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::unnecessary_wraps, reason = "every call may say a fault, though some never do")]

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::Generate;
use serde_json::{Value, json};

use crate::login::token;

/// What a call says that the model knows too: a fault's code, or the reply's essence.
pub type Said = Result<Vec<String>, String>;

/// Everything in the vault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Model {
    /// Seconds since the epoch.
    pub now: u64,
    sessions: BTreeMap<String, (String, u64)>,
    /// The key pairs, when they came, and whether they are kept.
    pairs: BTreeMap<String, (u64, bool)>,
    active: Option<String>,
    /// The names of sessions that have expired.
    expired: BTreeSet<String>,
    /// The session that was active when it expired, until another is.
    expired_active: Option<String>,
}

impl Model {
    /// An empty vault.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self {
            now,
            sessions: BTreeMap::new(),
            pairs: BTreeMap::new(),
            active: None,
            expired: BTreeSet::new(),
            expired_active: None,
        }
    }

    /// The vault that holds this, as [`Model::contents`] shows it.
    #[must_use]
    pub fn of(contents: &[String]) -> Self {
        let mut model = Self::new(0);
        for line in contents {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["session", name, pair, expiry] => {
                    model.sessions.insert(name.to_owned(), (pair.to_owned(), expiry.parse().unwrap()));
                }
                ["pair", pair, at, kept, _] => {
                    model.pairs.insert(pair.to_owned(), (at.parse().unwrap(), kept.parse().unwrap()));
                }
                ["active", "None"] => {}
                _ => {
                    let name = line.strip_prefix("active Some(\"").and_then(|rest| rest.strip_suffix("\")"));
                    model.active = Some(name.expect("the active session").to_owned());
                }
            }
        }
        model
    }

    /// Whether a key pair is in the vault.
    #[must_use]
    pub fn holds(&self, pair: &str) -> bool {
        self.pairs.contains_key(pair)
    }

    /// Whether a session names a key pair.
    #[must_use]
    pub fn names(&self, pair: &str) -> bool {
        self.is_named(pair)
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        let expired: Vec<String> =
            self.sessions.iter().filter(|(_, (_, expiry))| *expiry <= self.now).map(|(name, _)| name.clone()).collect();
        for name in expired {
            let was_active = self.active.as_ref() == Some(&name);
            self.remove(&name);
            if was_active {
                self.expired_active = Some(name.clone());
            }
            self.expired.insert(name);
        }
    }

    /// The removals that a step is, one by one, if it only removes: a prune is as many as it removes key pairs. `None`
    /// where it puts something, or clears all.
    #[must_use]
    pub fn removals(&self, step: &Step, pairs: &[KeyPair]) -> Option<Vec<Removal>> {
        Some(match step {
            Step::Clear { name, if_pair } => {
                let name = name.map(|name| name.to_string()).or_else(|| self.active.clone());
                let expected = if_pair.map(|pair| &pairs[pair].public_key);
                let is_met = |named: &String| expected.is_none_or(|expected| expected == named);
                let is_there = |name: &String| self.sessions.get(name).is_some_and(|(named, _)| is_met(named));
                name.filter(is_there).map(Removal::Session).into_iter().collect()
            }
            Step::Delete { pair } => {
                let pair = pairs[*pair].public_key.clone();
                let is_there = self.pairs.contains_key(&pair) && !self.is_named(&pair);
                is_there.then_some(Removal::KeyPair(pair)).into_iter().collect()
            }
            Step::Prune { .. } => {
                let unused = self.pairs.iter().filter(|(pair, (_, kept))| !kept && !self.is_named(pair));
                unused.map(|(pair, _)| Removal::KeyPair(pair.clone())).collect()
            }
            Step::Sign { .. } | Step::List => Vec::new(),
            Step::Create { .. } | Step::Store { .. } | Step::Activate { .. } | Step::ClearAll => return None,
        })
    }

    /// Every vault that is left when some of these removals are done, and others are not.
    #[must_use]
    pub fn selections(&self, removals: &[Removal]) -> Vec<Self> {
        assert!(removals.len() < 16, "too many to try all of them");
        let selected = |bits: u32| removals.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0);
        let left = |bits| {
            let mut model = self.clone();
            selected(bits).for_each(|(_, removal)| match removal {
                Removal::Session(name) if model.sessions.contains_key(name) => drop(model.remove(name)),
                Removal::KeyPair(pair) if !model.is_named(pair) => drop(model.pairs.remove(pair)),
                _ => {}
            });
            model
        };
        (0..1 << removals.len()).map(left).collect()
    }

    fn is_named(&self, pair: &str) -> bool {
        self.sessions.values().any(|(named, _)| named == pair)
    }

    fn remove(&mut self, name: &str) -> (Option<String>, bool) {
        let (pair, _) = self.sessions.remove(name).unwrap();
        let deleted = self.release(pair);
        let was_active = self.active.as_deref() == Some(name);
        if was_active {
            self.set_active(None);
        }
        (deleted, was_active)
    }

    /// Deletes a key pair that a session named until now, unless another does, or it is kept.
    fn release(&mut self, pair: String) -> Option<String> {
        let goes = !self.is_named(&pair) && self.pairs.get(&pair).is_some_and(|(_, kept)| !kept);
        goes.then(|| self.pairs.remove(&pair).map(|_| pair))?
    }

    fn set_active(&mut self, name: Option<String>) {
        if self.active != name {
            self.expired_active = None;
        }
        self.active = name;
    }

    /// What is said of a name that no session has.
    fn missing(&self, name: &str) -> String {
        if self.expired.contains(name) { "SESSION_EXPIRED" } else { "NOT_FOUND" }.to_owned()
    }

    fn create(&mut self, pair: &str, keep: bool) -> Said {
        let is_new = !self.holds(pair);
        let (_, kept) = self.pairs.entry(pair.to_owned()).or_insert((self.now, keep));
        *kept |= keep;
        Ok(vec![pair.to_owned(), is_new.to_string(), kept.to_string()])
    }

    fn store(
        &mut self,
        name: &str,
        (pair, expiry): (&str, u64),
        terms: Terms,
        public: impl Fn(&usize) -> String,
    ) -> Said {
        if expiry <= self.now {
            return Err("SESSION_EXPIRED".to_owned());
        }
        let there = self.sessions.get(name).map(|(pair, _)| pair.clone());
        if terms.expected.is_some_and(|expected| expected.as_ref().map(public) != there) {
            return Err("CONFLICT".to_owned());
        }
        let has_pair = self.holds(pair);
        if !has_pair && !terms.bare {
            return Err("KEY_PAIR_NOT_FOUND".to_owned());
        }
        if let Some((_, kept)) = self.pairs.get_mut(pair) {
            *kept &= !terms.adopts;
        }
        self.sessions.insert(name.to_owned(), (pair.to_owned(), expiry));
        if let Some(old) = there.clone() {
            self.release(old);
        }
        self.expired.remove(name);
        if self.expired_active.as_deref() == Some(name) {
            self.expired_active = None;
        }
        if !terms.quiet {
            self.set_active(Some(name.to_owned()));
        }
        let is_active = self.active.as_deref() == Some(name);
        Ok(vec![name.to_owned(), there.unwrap_or_default(), has_pair.to_string(), is_active.to_string()])
    }

    fn clear(&mut self, name: Option<&str>, if_pair: Option<&str>) -> Said {
        let name = match name {
            Some(name) if self.sessions.contains_key(name) => name.to_owned(),
            Some(_) => return Err("NOT_FOUND".to_owned()),
            None => self.active.clone().ok_or("NO_SESSION_FOUND")?,
        };
        if if_pair.is_some_and(|expected| self.sessions[&name].0 != expected) {
            return Err("CONFLICT".to_owned());
        }
        let (deleted, was_active) = self.remove(&name);
        Ok(vec![name, deleted.unwrap_or_default(), was_active.to_string()])
    }

    fn clear_all(&mut self) -> Said {
        if self.sessions.is_empty() {
            return Err("NO_SESSION_FOUND".to_owned());
        }
        let sessions = std::mem::take(&mut self.sessions);
        let named: BTreeSet<&String> = sessions.values().map(|(pair, _)| pair).collect();
        let before = self.pairs.len();
        self.pairs.retain(|pair, (_, kept)| *kept || !named.contains(pair));
        (self.active, self.expired_active) = (None, None);
        self.expired.clear();
        Ok(vec![sessions.len().to_string(), (before - self.pairs.len()).to_string()])
    }

    fn activate(&mut self, name: &str) -> Said {
        if !self.sessions.contains_key(name) {
            return Err(self.missing(name));
        }
        self.set_active(Some(name.to_owned()));
        Ok(vec![name.to_owned()])
    }

    fn delete(&mut self, pair: &str) -> Said {
        match (self.pairs.contains_key(pair), self.is_named(pair)) {
            (true, true) => Err("KEY_PAIR_IN_USE".to_owned()),
            (true, false) => {
                self.pairs.remove(pair);
                Ok(vec![pair.to_owned()])
            }
            (false, _) => Err("KEY_PAIR_NOT_FOUND".to_owned()),
        }
    }

    fn prune(&mut self, min_age: u64) -> Said {
        let now = self.now;
        let is_due = |created: &u64| now - created >= min_age;
        let due: Vec<String> = self
            .pairs
            .iter()
            .filter(|(pair, (at, kept))| !kept && is_due(at) && !self.is_named(pair))
            .map(|(pair, _)| pair.clone())
            .collect();
        for pair in &due {
            self.pairs.remove(pair);
        }
        Ok(due)
    }

    fn sign(&self, pair: Option<&str>, name: Option<&str>) -> Said {
        let pair = match (pair, name) {
            (Some(_), Some(_)) => return Err("INVALID_PARAMS".to_owned()),
            (Some(pair), None) => pair.to_owned(),
            (None, name) => {
                let has_expired = self.active.is_none() && self.expired_active.is_some();
                let none = if has_expired { "SESSION_EXPIRED" } else { "NO_SESSION_FOUND" };
                let name = name.map(str::to_owned).or_else(|| self.active.clone()).ok_or(none)?;
                self.sessions.get(&name).ok_or_else(|| self.missing(&name))?.0.clone()
            }
        };
        if self.pairs.contains_key(&pair) { Ok(vec![pair]) } else { Err("KEY_PAIR_NOT_FOUND".to_owned()) }
    }

    /// All sessions and the active session key, as one call lists them.
    fn list(&self) -> Said {
        let sessions = self.sessions.iter().map(|(name, (pair, expiry))| format!("session {name} {pair} {expiry}"));
        Ok(sessions.chain([format!("active {:?}", self.active)]).collect())
    }

    /// All that there is, as [`listed`] shows it.
    #[must_use]
    pub fn contents(&self) -> Vec<String> {
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|(pair, (at, kept))| format!("pair {pair} {at} {kept} {}", self.is_named(pair)));
        self.list().into_iter().flatten().chain(pairs).collect()
    }
}

/// The unit in which things go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A session, with its key pair unless another names it, and the pointer if it names the session.
    Session(String),
    /// An unused key pair.
    KeyPair(String),
}

/// What a client may do. Names and key pairs go by number.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the parameters of the calls")]
pub enum Step {
    Create { pair: usize, keep: bool },
    Store { name: usize, pair: usize, lifetime: u64, terms: Terms },
    Clear { name: Option<usize>, if_pair: Option<usize> },
    ClearAll,
    Activate { name: usize },
    Delete { pair: usize },
    Prune { min_age: Option<u64> },
    Sign { pair: Option<usize>, name: Option<usize> },
    List,
}

/// On what terms a session is stored. Key pairs go by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The key pair of the session that has to be there under this name; none: there may be none.
    pub expected: Option<Option<usize>>,
    /// The active session stays as it is.
    pub quiet: bool,
    /// Its key pair need not be there.
    pub bare: bool,
    /// Its key pair is kept no longer.
    pub adopts: bool,
}

impl Terms {
    /// None but that the key pair need not be there.
    pub const BARE: Self = Self { expected: None, quiet: false, bare: true, adopts: false };

    fn params(self, params: &mut Value, public: impl Fn(usize) -> String) {
        if let Some(expected) = self.expected {
            params["ifPublicKey"] = json!(expected.map(public));
        }
        if self.quiet {
            params["activate"] = json!(false);
        }
        for (is_set, name) in [(self.bare, "withoutKeyPair"), (self.adopts, "adoptKeyPair")] {
            if is_set {
                params[name] = json!(true);
            }
        }
    }
}

impl Step {
    /// The step as a call, for a vault in which it is `now`. Names begin with `prefix`.
    #[must_use]
    pub fn call(&self, pairs: &[KeyPair], prefix: &str, now: u64) -> (&'static str, Value) {
        let name = |number: &usize| format!("{prefix}{number}");
        let public = |number: &usize| &pairs[*number].public_key;
        match self {
            Self::Create { pair, keep } => {
                let KeyPair { public_key, private_key } = &pairs[*pair];
                let external = json!({ "publicKey": public_key, "privateKey": private_key });
                ("createApiKeyPair", json!({ "externalKeyPair": external, "keep": keep }))
            }
            Self::Store { name: number, pair, lifetime, terms } => {
                let token = token(public(pair), now + lifetime);
                let mut params = json!({ "sessionToken": token, "sessionKey": name(number) });
                terms.params(&mut params, |pair| public(&pair).clone());
                ("storeSession", params)
            }
            Self::Clear { name: number, if_pair } => {
                let mut params = json!({});
                if let Some(number) = number {
                    params["sessionKey"] = json!(name(number));
                }
                if let Some(pair) = if_pair {
                    params["ifPublicKey"] = json!(public(pair));
                }
                ("clearSession", params)
            }
            Self::ClearAll => ("clearAllSessions", json!({})),
            Self::Activate { name: number } => ("setActiveSession", json!({ "sessionKey": name(number) })),
            Self::Delete { pair } => ("deleteApiKeyPair", json!({ "publicKey": public(pair) })),
            Self::Prune { min_age: None } => ("clearUnusedKeyPairs", json!({})),
            Self::Prune { min_age: Some(age) } => ("clearUnusedKeyPairs", json!({ "minAgeSeconds": age })),
            Self::Sign { pair, name: number } => {
                let mut params = json!({ "payload": "" });
                if let Some(pair) = pair {
                    params["signer"] = json!({ "publicKey": public(pair) });
                }
                if let Some(number) = number {
                    params["signer"]["sessionKey"] = json!(name(number));
                }
                ("sign", params)
            }
            Self::List => ("getAllSessions", json!({})),
        }
    }

    /// What the model says to the same step.
    ///
    /// # Errors
    ///
    /// The code of the fault.
    pub fn apply(&self, pairs: &[KeyPair], prefix: &str, model: &mut Model) -> Said {
        let name = |number: &usize| format!("{prefix}{number}");
        let public = |number: &usize| pairs[*number].public_key.clone();
        match self {
            Self::Create { pair, keep } => model.create(&public(pair), *keep),
            Self::Store { name: number, pair, lifetime, terms } => {
                let expiry = model.now + lifetime;
                model.store(&name(number), (&public(pair), expiry), *terms, public)
            }
            Self::Clear { name: number, if_pair } => {
                model.clear(number.as_ref().map(name).as_deref(), if_pair.as_ref().map(public).as_deref())
            }
            Self::ClearAll => model.clear_all(),
            Self::Activate { name: number } => model.activate(&name(number)),
            Self::Delete { pair } => model.delete(&public(pair)),
            Self::Prune { min_age } => model.prune(min_age.unwrap_or(900)),
            Self::Sign { pair, name: number } => {
                model.sign(pair.as_ref().map(public).as_deref(), number.as_ref().map(name).as_deref())
            }
            Self::List => model.list(),
        }
    }
}

/// What the daemon said to a call.
///
/// # Errors
///
/// The code of the fault.
pub fn said(method: &str, answer: &Value) -> Said {
    match answer["error"]["data"]["code"].as_str() {
        Some(code) => Err(code.to_owned()),
        None => Ok(essence(method, &answer["result"])),
    }
}

/// A key pair in hex.
pub struct KeyPair {
    /// 66 characters.
    pub public_key: String,
    /// 64 characters.
    pub private_key: String,
}

impl KeyPair {
    /// Key pairs that every run shares: those of the private keys 1 to `count`.
    #[must_use]
    pub fn first(count: usize) -> Vec<Self> {
        (1..=count)
            .map(|number| {
                let scalar = HEXLOWER.decode(format!("{number:064x}").as_bytes()).expect("hex");
                Self::of(&SigningKey::from_slice(&scalar).expect("a private key"))
            })
            .collect()
    }

    /// A key pair of its own, whose private key is nowhere by chance.
    #[must_use]
    pub fn random() -> Self {
        Self::of(&SigningKey::try_generate().expect("randomness"))
    }

    /// As `createApiKeyPair` takes it.
    #[must_use]
    pub fn external(&self) -> Value {
        json!({ "publicKey": self.public_key, "privateKey": self.private_key })
    }

    fn of(key: &SigningKey) -> Self {
        let public_key = HEXLOWER.encode(key.verifying_key().to_sec1_point(true).as_bytes());
        Self { public_key, private_key: HEXLOWER.encode(&key.to_bytes()) }
    }
}

/// What a reply says that the model knows too.
fn essence(method: &str, result: &Value) -> Vec<String> {
    let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
    let other = |field: &str| result[field].to_string();
    match method {
        "deleteApiKeyPair" | "sign" => vec![text("publicKey")],
        "createApiKeyPair" => vec![text("publicKey"), other("created"), other("kept")],
        "storeSession" => vec![text("sessionKey"), text("replacedPublicKey"), other("hasKeyPair"), other("active")],
        "clearSession" => vec![text("sessionKey"), text("deletedPublicKey"), other("wasActive")],
        "clearAllSessions" => vec![other("clearedSessions"), other("deletedKeyPairs")],
        "setActiveSession" => vec![text("sessionKey")],
        "getAllSessions" => listed_sessions(result),
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
#[must_use]
pub fn listed(sessions: &Value, pairs: &Value) -> Vec<String> {
    let pairs = pairs["keyPairs"].as_array().unwrap().iter().map(|pair| {
        let is_named = !pair["sessionKeys"].as_array().unwrap().is_empty();
        format!("pair {} {} {} {is_named}", text(&pair["publicKey"]), pair["createdAt"], pair["kept"])
    });
    listed_sessions(sessions).into_iter().chain(pairs).collect()
}

fn listed_sessions(reply: &Value) -> Vec<String> {
    let active = format!("active {:?}", reply["activeSessionKey"].as_str());
    let sessions = reply["sessions"].as_array().unwrap().iter().map(|entry| {
        let (name, session) = (text(&entry["sessionKey"]), &entry["session"]);
        format!("session {name} {} {}", text(&session["publicKey"]), session["expiry"])
    });
    sessions.chain([active]).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
