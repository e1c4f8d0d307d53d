//! What a cut left: is everything there that was acknowledged, and nothing of what was cleared?

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use keyfob_proto::{GetAllSessions, ListApiKeyPairs};
use keyfob_tests::attacker::{Keys, Loot};
use keyfob_tests::login::token;
use keyfob_tests::model::{KeyPair, Model, listed};
use keyfobd::clock::Timestamp;
use keyfobd::store::Store;
use serde_json::json;

use super::history::History;
use super::{FIRST_ID, LIFETIME, Loss, PIPELINED, TOGETHER, TOKEN_BYTES};
use crate::trace::What;

impl History {
    /// Opens what a cut left and compares.
    pub(super) fn check(&self, data_dir: &Path, cut: usize, pairs: &[KeyPair], loot: &Loot) -> Result<(), Loss> {
        let answered = self.trace.events.iter().filter(|event| event.begun < cut);
        let acknowledged = answered.filter_map(|event| match event.what {
            What::Answer { id } => (usize::try_from(id).expect("an id") + 1).checked_sub(FIRST_ID),
            _ => None,
        });
        let acknowledged = acknowledged.max().unwrap_or(0);
        fs::create_dir_all(data_dir).expect("a directory");
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700)).expect("a directory");
        let states: Vec<Model> = self.states(pairs).skip(acknowledged).collect();
        attack(data_dir, (loot, cut), pairs, &states[..states.len().min(TOGETHER + 1)]).map_err(Loss::Opens)?;
        let found = contents(data_dir)
            .map_err(|error| Loss::Missing(format!("{acknowledged} calls were acknowledged, and {error}")))?;
        let found = Model::of(&found);
        if !states.contains(&found) && !self.is_selection(&found, acknowledged, &states, pairs) {
            let message = "calls were acknowledged, and the vault is not what any later one left";
            let last = &states[0];
            return Err(Loss::Missing(format!("{acknowledged} {message}: {found:?}, the last of them {last:?}")));
        }
        attack(data_dir, (loot, cut), pairs, &[found]).map_err(Loss::Opens)
    }

    /// Whether a vault is what is left when of the removals that were asked for together, and not yet answered, some
    /// were done.
    fn is_selection(&self, found: &Model, acknowledged: usize, states: &[Model], pairs: &[KeyPair]) -> bool {
        (0..=PIPELINED.min(states.len() - 1)).any(|at| {
            let (mut removals, mut model) = (Vec::new(), states[at].clone());
            for step in self.steps.iter().skip(acknowledged + at).take(PIPELINED) {
                let Some(more) = model.removals(step, pairs) else { break };
                removals.extend(more);
                // A fault changes nothing.
                let _ = step.apply(pairs, "", &mut model);
            }
            states[at].selections(&removals).contains(found)
        })
    }

    /// What the vault is before the first call, and after each.
    fn states<'a>(&'a self, pairs: &'a [KeyPair]) -> impl Iterator<Item = Model> + 'a {
        let mut model = Model::new(0);
        std::iter::once(model.clone()).chain(self.steps.iter().map(move |step| {
            // A fault changes nothing.
            let _ = step.apply(pairs, "", &mut model);
            model.clone()
        }))
    }

    /// Every sealed record that was ever written.
    pub(super) fn loot(&self) -> Loot {
        let mut loot = Loot::default();
        for event in &self.trace.events {
            if let What::Write { path, bytes, .. } = &event.what
                && path.ends_with("db")
            {
                loot.search(bytes, event.begun);
            }
        }
        loot
    }
}

/// Tries to open what was written until some time and is in none of the states that the vault may be in.
fn attack(data_dir: &Path, (loot, time): (&Loot, usize), pairs: &[KeyPair], states: &[Model]) -> Result<(), String> {
    // Without the file, or the key file, nothing opens.
    let Some(keys) = Keys::of(data_dir) else { return Ok(()) };
    let secrets: Vec<_> = pairs
        .iter()
        .map(|pair| {
            let key = &pair.public_key;
            let private_key = HEXLOWER.decode(pair.private_key.as_bytes()).expect("hex");
            let (held, named) = (|state: &Model| state.holds(key), |state: &Model| state.names(key));
            (private_key, states.iter().any(held), token(key, LIFETIME), states.iter().any(named))
        })
        .collect();
    for plain in loot.opened(&keys, TOKEN_BYTES + 2, time) {
        for (private_key, is_held, token, is_named) in &secrets {
            if !is_held && plain == *private_key {
                return Err(format!("the private key {} was cleared, and opens", HEXLOWER.encode(private_key)));
            }
            // A token follows its length, of one or two bytes.
            let is_token = [1, 2].iter().any(|at| plain.get(*at..).is_some_and(|rest| begins(rest, token)));
            if !is_named && is_token {
                return Err(format!(
                    "the token of the private key {} was cleared, and opens",
                    HEXLOWER.encode(private_key)
                ));
            }
        }
    }
    Ok(())
}

fn begins(bytes: &[u8], token: &str) -> bool {
    let length = TOKEN_BYTES.min(token.len());
    bytes.get(..length) == Some(&token.as_bytes()[..length])
}

/// All that a store holds, as the model shows it.
fn contents(data_dir: &Path) -> Result<Vec<String>, String> {
    let (store, vault) = Store::open(data_dir).map_err(|error| error.to_string())?;
    let wrapping = store.wrapping_key().map_err(|fault| fault.to_string())?;
    let keys = store.unlock(&wrapping, &vault).map_err(|error| error.to_string())?;
    let now = Timestamp::default();
    let (mut sessions, mut pairs) = (Vec::new(), Vec::new());
    let mut after = None;
    let active = loop {
        let call = GetAllSessions { after: after.take(), ..GetAllSessions::default() };
        let page = vault.get_all_sessions(&call, now, Some(&keys));
        let page = page.map_err(|fault| fault.to_string())?;
        after.clone_from(&page.next);
        let mut page = serde_json::to_value(page).expect("a reply is JSON");
        sessions.append(page["sessions"].as_array_mut().expect("a list"));
        if after.is_none() {
            break page["activeSessionKey"].take();
        }
    };
    let page = vault.list_api_key_pairs(&ListApiKeyPairs::default(), now);
    for mut pair in serde_json::to_value(page.key_pairs).expect("a reply is JSON").as_array().expect("a list").clone() {
        pair["createdAt"] = json!(0);
        pairs.push(pair);
    }
    Ok(listed(&json!({ "sessions": sessions, "activeSessionKey": active }), &json!({ "keyPairs": pairs })))
}
