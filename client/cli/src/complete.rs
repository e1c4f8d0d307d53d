//! What a shell offers when a name is to be completed: the sessions and key pairs that there are.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use keyfob::{Access, Client};

/// The names of the sessions.
pub(super) fn session_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page = vault().and_then(|vault| vault.list_sessions().wait().ok());
        let names = page.into_iter().flat_map(|page| page.sessions).map(|session| session.session_key);
        names.filter(|key| is_plain(key.as_str())).map(|key| CompletionCandidate::new(key.as_str())).collect()
    })
}

/// The names of the key pairs.
pub(super) fn key_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page = vault().and_then(|vault| vault.list_api_key_pairs().wait().ok());
        let pairs = page.into_iter().flat_map(|page| page.key_pairs);
        pairs.map(|pair| CompletionCandidate::new(pair.public_key.to_string())).collect()
    })
}

/// The names of the grants.
pub(super) fn grant_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let list = vault().and_then(|vault| vault.list_grants().wait().ok());
        let grants = list.into_iter().flat_map(|list| list.grants);
        grants.map(|entry| CompletionCandidate::new(entry.grant.name.to_string())).collect()
    })
}

/// Whether a shell takes a name as it is. One that it would not, such as one with a `$`, is not offered: not every shell
/// quotes what it completes, and a name is data that may come from somebody else.
fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@/_.:+,-".contains(c);
    name.chars().all(is_plain) && !name.starts_with('-')
}

/// The vault that the environment names, if its daemon runs: pressing a key starts none.
fn vault() -> Option<Client> {
    Client::connect_blocking(&Access::from_env().ok()?).ok()
}
