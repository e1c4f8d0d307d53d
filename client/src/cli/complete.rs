//! What a shell offers when a name is to be completed: the sessions and key pairs that there are.

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use keyfob_proto::{ListApiKeyPairs, ListSessions};

use crate::{Access, blocking};

/// The names of the sessions.
pub(super) fn session_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page = vault().and_then(|mut vault| vault.list_sessions(ListSessions::default()).ok());
        let names = page.into_iter().flat_map(|page| page.sessions).map(|session| session.session_key);
        names.map(|key| CompletionCandidate::new(key.as_str())).collect()
    })
}

/// The names of the key pairs.
pub(super) fn key_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let page = vault().and_then(|mut vault| vault.list_api_key_pairs(ListApiKeyPairs::default()).ok());
        let pairs = page.into_iter().flat_map(|page| page.key_pairs);
        pairs.map(|pair| CompletionCandidate::new(pair.public_key.to_string())).collect()
    })
}

/// The vault that the environment names, if its daemon runs: pressing a key starts none.
fn vault() -> Option<blocking::Client> {
    blocking::Client::connect(&Access::from_env()).ok()
}
