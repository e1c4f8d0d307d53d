//! A history of what several clients asked and were told, and whether it is linearizable: whether there is
//! one order of all their steps that keeps to what came after what, gives every answer that was given, and
//! ends with what was found afterwards.
//!
//! The search is that of Wing and Gong, with Lowe's memory of the states that led nowhere.

use std::collections::HashSet;

use crate::model::{KeyPair, Model, Said, Step};

/// One step of one client.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was asked.
    pub step: Step,
    /// When, on a counter that all clients share.
    pub asked: u64,
    /// What was said, and when. `None` when the daemon was killed before: it may have taken effect or not.
    pub answer: Option<(u64, Said)>,
}

/// Looks for an order of the clients' steps that leads from one vault to another. Each client's entries are
/// in the order in which it made them, one after the other.
#[must_use]
pub fn is_linearizable(before: &Model, clients: &[Vec<Entry>], after: &[String], pairs: &[KeyPair]) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(vec![0; clients.len()], before.clone())];
    while let Some((taken, model)) = open.pop() {
        let next = || clients.iter().zip(&taken).map(|(entries, at)| entries.get(*at));
        if next().flatten().all(|entry| entry.answer.is_none()) && model.contents() == after {
            return true;
        }
        // A step that was answered before another was asked comes before it.
        let first_answer = next().flatten().filter_map(|entry| Some(entry.answer.as_ref()?.0)).min();
        for (client, entry) in next().enumerate() {
            let Some(entry) = entry.filter(|entry| first_answer.is_none_or(|answer| entry.asked < answer)) else {
                continue;
            };
            for model in after_step(entry, &model, pairs) {
                let mut taken = taken.clone();
                taken[client] += 1;
                if seen.insert((taken.clone(), model.clone())) {
                    open.push((taken, model));
                }
            }
        }
    }
    false
}

/// The vaults that a step may lead to. Of a prune that was not answered, any part may have been done.
fn after_step(entry: &Entry, model: &Model, pairs: &[KeyPair]) -> Vec<Model> {
    let Some((_, answer)) = &entry.answer else {
        if matches!(entry.step, Step::Prune { .. })
            && let Some(removals) = model.removals(&entry.step, pairs)
        {
            return model.selections(&removals);
        }
        let mut model = model.clone();
        // A fault changes nothing.
        let _ = entry.step.apply(pairs, "", &mut model);
        return vec![model];
    };
    let mut model = model.clone();
    if entry.step.apply(pairs, "", &mut model) == *answer { vec![model] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Terms;

    /// A model in which the given steps were taken, and what it then holds.
    fn model(steps: &[Step]) -> Model {
        let mut model = Model::new(0);
        for step in steps {
            step.apply(&KeyPair::first(2), "", &mut model).unwrap();
        }
        model
    }

    fn answered(step: Step, asked: u64, at: u64, said: &[&str]) -> Entry {
        Entry { step, asked, answer: Some((at, Ok(said.iter().map(ToString::to_string).collect()))) }
    }

    const STORE: Step = Step::Store { name: 0, pair: 0, lifetime: 9, terms: Terms::BARE };
    const CLEAR: Step = Step::Clear { name: Some(0), if_pair: None };

    fn check(clients: &[Vec<Entry>], after: &[Step]) -> bool {
        is_linearizable(&model(&[]), clients, &model(after).contents(), &KeyPair::first(2))
    }

    #[test]
    fn steps_at_the_same_time_may_take_effect_in_any_order() {
        let stored = || answered(STORE, 1, 9, &["0", "", "false", "true"]);
        let cleared = || answered(CLEAR, 2, 8, &["0", "", "true"]);
        let missed = || Entry { answer: Some((8, Err("NOT_FOUND".to_owned()))), ..cleared() };
        assert!(check(&[vec![stored()], vec![cleared()]], &[]));
        assert!(check(&[vec![stored()], vec![missed()]], &[STORE]));
        assert!(!check(&[vec![stored()], vec![cleared()]], &[STORE]), "the answer says that it was cleared");
        assert!(!check(&[vec![stored()], vec![missed()]], &[]), "the answer says that it was not");
    }

    #[test]
    fn what_was_answered_first_takes_effect_first() {
        let stored = answered(STORE, 1, 2, &["0", "", "false", "true"]);
        let missed = Entry { answer: Some((4, Err("NOT_FOUND".to_owned()))), step: CLEAR, asked: 3 };
        assert!(!check(&[vec![stored], vec![missed]], &[STORE]), "it was there when the clear was asked");
    }

    #[test]
    fn what_was_acknowledged_must_be_there_and_what_was_not_may() {
        let stored = answered(STORE, 1, 2, &["0", "", "false", "true"]);
        assert!(!check(&[vec![stored.clone()]], &[]), "lost");
        let unanswered = Entry { step: CLEAR, asked: 3, answer: None };
        assert!(check(&[vec![stored.clone(), unanswered.clone()]], &[STORE]));
        assert!(check(&[vec![stored, unanswered.clone()]], &[]));
        assert!(!check(&[vec![unanswered]], &[STORE]), "out of nowhere");
    }

    #[test]
    fn a_prune_that_was_answered_is_whole_and_another_may_be_done_in_part() {
        const CREATE: [Step; 2] = [Step::Create { pair: 0, keep: false }, Step::Create { pair: 1, keep: false }];
        let (both, one) = (model(&CREATE), model(&CREATE[..1]));
        let pairs = KeyPair::first(2);
        let mut names: Vec<&str> = pairs.iter().map(|pair| &*pair.public_key).collect();
        names.sort_unstable();
        let prune = Step::Prune { min_age: Some(0) };
        let unanswered = vec![vec![Entry { step: prune.clone(), asked: 1, answer: None }]];
        let answered = vec![vec![answered(prune, 1, 2, &names)]];
        for (left, of_unanswered, of_answered) in [(&both, true, false), (&one, true, false), (&model(&[]), true, true)]
        {
            assert_eq!(is_linearizable(&both, &unanswered, &left.contents(), &pairs), of_unanswered);
            assert_eq!(is_linearizable(&both, &answered, &left.contents(), &pairs), of_answered);
        }
    }

    #[test]
    fn a_read_shows_one_moment() {
        let stored = answered(STORE, 1, 2, &["0", "", "false", "true"]);
        let listed = answered(Step::List, 3, 4, &["active None"]);
        assert!(!check(&[vec![stored], vec![listed]], &[STORE]), "it shows what was before");
    }
}
