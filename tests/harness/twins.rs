//! [`Twins`]: two vaults that are the same for whoever has a grant. In one there is nothing else; in the other there are
//! sessions, key pairs and changes beside it. Whatever is asked through the grant, both have to answer alike, and what is
//! beside it has to stay as it was.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::login::{base64, token};
use crate::model::KeyPair;
use crate::{RawClient, START, TestDaemon};

/// The names that the grant may be on.
const NAMES: [&str; 3] = ["work", "home", "@turnkey/session/v3"];

/// Those that there are beside it.
const BESIDE: [&str; 3] = ["work2", "private", "wor"];

/// Two vaults and a grant on each.
pub struct Twins {
    worlds: [World; 2],
    /// The key pairs: two of the granted sessions, one of others, one that is kept and of both.
    pairs: Vec<KeyPair>,
    now: u64,
    granted: Vec<&'static str>,
    /// What the second vault holds beside the grant.
    beside: Value,
}

/// One of the vaults.
struct World {
    daemon: TestDaemon,
    owner: RawClient,
    guest: RawClient,
    watcher: RawClient,
    /// The public keys that were created through the grant, and what they are called in comparisons.
    created: Vec<String>,
    events: Vec<Value>,
}

impl Twins {
    /// Two vaults, and a grant that `rng` makes up.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let pairs = KeyPair::first(4);
        let granted: Vec<&str> = NAMES[..rng.usize(1..=NAMES.len())].to_vec();
        let mut worlds = [(); 2].map(|()| {
            let daemon = TestDaemon::start();
            let mut owner = daemon.connect();
            let all = ["stamp", "sign", "read", "store", "clear", "watch"];
            let call = json!({ "may": all, "sessionKeys": granted, "name": "g", "callsPerSecond": 1_000_000 });
            let socket = owner.call("createGrant", call)["socket"].clone();
            let connect = || RawClient::connect(Path::new(socket.as_str().expect("a path")));
            let (guest, mut watcher) = (connect(), connect());
            watcher.call("subscribe", json!({}));
            World { daemon, owner, guest, watcher, created: Vec::new(), events: Vec::new() }
        });
        // Kept, and named by a granted session.
        for world in &mut worlds {
            let kept = json!({ "externalKeyPair": pairs[3].external(), "keep": true, "label": "kept" });
            world.owner.call("createApiKeyPair", kept);
        }
        let mut twins = Self { worlds, pairs, now: START, granted, beside: Value::Null };
        twins.fill_beside();
        twins
    }

    /// Puts something into the second vault: what has nothing to do with the grant, and what shares a key pair with it.
    fn fill_beside(&mut self) {
        let owner = &mut self.worlds[1].owner;
        for (name, pair) in BESIDE.iter().zip([2, 0, 3]) {
            owner.call("createApiKeyPair", json!({ "externalKeyPair": self.pairs[pair].external() }));
            let token = token(&self.pairs[pair].public_key, self.now + 100_000);
            owner.call("storeSession", json!({ "sessionToken": token, "sessionKey": name }));
        }
        owner.call("createApiKeyPair", json!({}));
        self.beside = self.look_beside();
    }

    /// What the second vault holds beside the grant.
    fn look_beside(&mut self) -> Value {
        let granted = self.granted.clone();
        let World { owner, created, .. } = &mut self.worlds[1];
        let is_beside = |entry: &Value| !granted.iter().any(|name| entry["sessionKey"] == *name);
        let mut sessions =
            owner.call("getAllSessions", json!({ "limit": 1000 }))["sessions"].as_array().expect("a page").clone();
        sessions.retain(is_beside);
        let mut pairs =
            owner.call("listApiKeyPairs", json!({ "limit": 1000 }))["keyPairs"].as_array().expect("a page").clone();
        for pair in &mut pairs {
            let names = pair["sessionKeys"].as_array_mut().expect("names");
            names.retain(|name| !granted.iter().any(|granted| name == granted));
            pair["sessionCount"] = names.len().into();
        }
        // Those that go with granted sessions alone come and go.
        let is_theirs = |pair: &Value| {
            let key = pair["publicKey"].as_str().expect("a key");
            let is_of_theirs = created.iter().any(|created| created == key) || key == self.pairs[1].public_key;
            pair["sessionCount"] == 0 && is_of_theirs
        };
        pairs.retain(|pair| !is_theirs(pair));
        json!([sessions, pairs, owner.call("getActiveSessionKey", json!({}))])
    }

    /// One random call through both grants, or a change by the owner within them or beside them.
    pub fn step(&mut self, rng: &mut Rng) {
        match rng.u8(0..20) {
            0 => self.owner_within(rng),
            1 => self.owner_beside(rng),
            2 => {
                let seconds = rng.u64(0..300);
                self.now += seconds;
                for world in &mut self.worlds {
                    world.daemon.clock.advance(Duration::from_secs(seconds));
                    // Both take note of it now, and not one of them later.
                    world.owner.call("clearSession", json!({ "sessionKey": "nobody", "ifExists": true }));
                }
            }
            3 => self.garbage(rng),
            _ => self.call(rng),
        }
    }

    /// The same call through both.
    fn call(&mut self, rng: &mut Rng) {
        let (method, params) = self.random_call(rng);
        let said: Vec<Value> = self
            .worlds
            .iter_mut()
            .map(|world| {
                let params = world.filled(&params);
                let answer = world.guest.exchange(method, params);
                if method == "createApiKeyPair"
                    && let Some(key) = answer["result"]["publicKey"].as_str()
                {
                    world.created.push(key.to_owned());
                }
                world.in_placeholders(answer, &self.pairs)
            })
            .collect();
        assert_eq!(said[0], said[1], "{method} {params}");
        assert_eq!(self.look_beside(), self.beside, "{method} {params}");
    }

    fn random_call(&self, rng: &mut Rng) -> (&'static str, Value) {
        let names: Vec<&str> = NAMES.iter().chain(&BESIDE).chain(&["nobody"]).copied().collect();
        let name = *rng.choice(&names).expect("some");
        // Of those that were created, or that there are anyway.
        let created = self.worlds[0].created.len();
        let key = match rng.usize(0..created + 5) {
            at if at < created => format!("<{at}>"),
            at if at < created + 4 => self.pairs[at - created].public_key.clone(),
            _ => "03372068ec5127a7574c60d9831674e0cd003ae881c317b14adec9634b9be887c1".to_owned(),
        };
        let one = if rng.bool() { json!({ "sessionKey": name }) } else { json!({}) };
        match rng.u8(0..16) {
            0 | 1 => ("clearSession", one),
            2 => ("clearAllSessions", json!({ "ifExists": rng.bool() })),
            3..=5 => {
                let token = json!({ "<token>": [key, self.now + rng.u64(0..2000)] });
                let mut call = json!({ "sessionToken": token, "sessionKey": name, "activate": rng.bool() });
                if rng.u8(0..6) == 0 {
                    call["ifPublicKey"] = if rng.bool() { json!(key) } else { Value::Null };
                }
                if rng.u8(0..20) == 0 {
                    call["withoutKeyPair"] = true.into();
                }
                ("storeSession", call)
            }
            6 => (*rng.choice(&["getSession", "describeSession"]).expect("some"), one),
            7 => ("getAllSessions", json!({ "limit": rng.u16(1..4) })),
            8 => ("listSessions", if rng.bool() { json!({ "after": name }) } else { json!({}) }),
            9 => ("setActiveSession", json!({ "sessionKey": name })),
            10 if created < 12 => ("createApiKeyPair", json!({})),
            10 | 11 => ("deleteApiKeyPair", json!({ "publicKey": key, "ifExists": rng.bool() })),
            12 => ("clearUnusedKeyPairs", json!({ "minAgeSeconds": rng.u64(0..1000) })),
            13 => ("listApiKeyPairs", json!({})),
            14 => {
                let signers = [json!({ "sessionKey": name }), json!({ "publicKey": key })];
                let mut call = json!({ "payload": base64("{}") });
                if rng.bool() {
                    call["signer"] = signers[usize::from(rng.bool())].clone();
                }
                (*rng.choice(&["sign", "stamp"]).expect("some"), call)
            }
            _ => {
                let methods =
                    ["status", "getActiveSessionKey", "lock", "shutdown", "listGrants", "revokeAllGrants", "unlock"];
                (*rng.choice(&methods).expect("some"), json!({}))
            }
        }
    }

    /// Lines that are no calls, or nearly some.
    fn garbage(&mut self, rng: &mut Rng) {
        let (method, params) = self.random_call(rng);
        if method == "createApiKeyPair" {
            // What it made would have another name in each.
            return;
        }
        let mut line =
            json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string().into_bytes();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(0..line.len());
            match rng.u8(0..3) {
                0 => line[at] = rng.u8(..),
                1 => line.truncate(at.max(1)),
                _ => line.insert(at, rng.u8(..)),
            }
        }
        line.retain(|byte| *byte != b'\n');
        if line.trim_ascii().is_empty() {
            return;
        }
        let fence = json!({ "jsonrpc": "2.0", "id": "fence", "method": "getActiveSessionKey" });
        let said: Vec<Vec<Value>> = self
            .worlds
            .iter_mut()
            .map(|world| {
                world.guest.send([&line[..], b"\n", fence.to_string().as_bytes(), b"\n"].concat());
                let mut said = Vec::new();
                loop {
                    let answer = world.guest.read();
                    let is_last = answer["id"] == "fence";
                    said.push(world.in_placeholders(answer, &self.pairs));
                    if is_last {
                        return said;
                    }
                }
            })
            .collect();
        assert_eq!(said[0], said[1], "{}", String::from_utf8_lossy(&line));
    }

    /// The owner changes a granted session, in both vaults.
    fn owner_within(&mut self, rng: &mut Rng) {
        let (name, pair) =
            (*rng.choice(&self.granted).expect("some"), &self.pairs[*rng.choice(&[0, 1, 3]).expect("some")]);
        let (token, clears) = (token(&pair.public_key, self.now + rng.u64(1..2000)), rng.u8(0..3) == 0);
        for world in &mut self.worlds {
            if clears {
                world.owner.exchange("clearSession", json!({ "sessionKey": name }));
            } else {
                world.owner.call("createApiKeyPair", json!({ "externalKeyPair": pair.external() }));
                let stored = json!({ "sessionToken": token, "sessionKey": name, "activate": false });
                world.owner.call("storeSession", stored);
            }
        }
        self.beside = self.look_beside();
    }

    /// The owner changes something beside the grant, in the second vault.
    fn owner_beside(&mut self, rng: &mut Rng) {
        let name = *rng.choice(&BESIDE).expect("some");
        let owner = &mut self.worlds[1].owner;
        if rng.bool() {
            owner.call("clearSession", json!({ "sessionKey": name, "ifExists": true }));
        }
        owner.call("clearUnusedKeyPairs", json!({ "minAgeSeconds": 100_000 }));
        self.fill_beside();
    }

    /// What those who watched were told has to be the same, too.
    pub fn compare_events(&mut self) {
        let all = self.worlds.each_mut().map(|world| {
            world.owner.call("lock", json!({}));
            loop {
                let event = world.watcher.read();
                let is_last = event["params"]["type"] == "vaultLocked";
                let event = world.in_placeholders(event, &self.pairs);
                world.events.push(event);
                if is_last {
                    break;
                }
            }
            world.owner.call("unlock", json!({}));
            assert_eq!(world.watcher.read()["params"]["type"], "vaultUnlocked");
            std::mem::take(&mut world.events)
        });
        for (at, (one, other)) in all[0].iter().zip(&all[1]).enumerate() {
            assert_eq!(one, other, "after {:?}", &all[0][at.saturating_sub(3)..at]);
        }
        assert_eq!(all[0].len(), all[1].len());
    }
}

impl World {
    /// A call for this vault: `<n>` is the n-th key pair that was created here, and `<token>` a token that names one.
    fn filled(&self, params: &Value) -> Value {
        let key =
            |text: &str| match text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')?.parse::<usize>().ok()) {
                Some(at) => self.created[at].clone(),
                None => text.to_owned(),
            };
        match params {
            Value::String(text) => key(text).into(),
            Value::Object(fields) => {
                if let Some(token_of) = fields.get("<token>") {
                    let expiry = token_of[1].as_u64().expect("a time");
                    return token(&key(token_of[0].as_str().expect("a key")), expiry).into();
                }
                fields.iter().map(|(name, value)| (name.clone(), self.filled(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// An answer as it has to be the same in both vaults: what a random key pair made of it is left out.
    fn in_placeholders(&self, mut answer: Value, known: &[KeyPair]) -> Value {
        let mut nothing = Value::Null;
        let result = answer.get_mut("result").unwrap_or(&mut nothing);
        let key = result["publicKey"].as_str().unwrap_or_default();
        if !key.is_empty() && !known.iter().any(|pair| pair.public_key == key) {
            for random in ["signature", "stampHeaderValue"] {
                if result.get(random).is_some() {
                    result[random] = "random".into();
                }
            }
        }
        // How long the vault has had a key pair of the owner's is not the same: it may have gone in one and not in the other.
        for pair in result.get_mut("keyPairs").and_then(Value::as_array_mut).into_iter().flatten() {
            if known.iter().any(|known| pair["publicKey"] == known.public_key) {
                pair["createdAt"] = 0.into();
            }
        }
        let names: HashMap<&str, usize> = self.created.iter().enumerate().map(|(at, key)| (&**key, at)).collect();
        sorted(replaced(answer, &names))
    }
}

/// The same with the names of key pairs replaced, and tokens that hold one left out.
fn replaced(value: Value, names: &HashMap<&str, usize>) -> Value {
    match value {
        Value::String(text) if text.starts_with("eyJ") => "token".into(),
        Value::String(text) => {
            let mut text = text;
            for (key, at) in names {
                text = text.replace(key, &format!("<{at}>"));
            }
            text.into()
        }
        Value::Array(values) => values.into_iter().map(|value| replaced(value, names)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, replaced(value, names))).collect(),
        other => other,
    }
}

/// The same with lists of key pairs in an order that does not depend on their names.
fn sorted(mut answer: Value) -> Value {
    for list in ["keyPairs", "deletedPublicKeys"] {
        if let Some(entries) =
            answer.get_mut("result").and_then(|result| result.get_mut(list)).and_then(Value::as_array_mut)
        {
            entries.sort_by_key(Value::to_string);
        }
    }
    answer
}
