//! [`Undecided`]: what may be on the disk besides the vault that is shown, after a batch that failed.
//!
//! A batch that failed may still come back: the next start finds the vault without the group, which is the one that is
//! shown, or with it. Nothing is put any more until then. What is removed is removed from both, and a slot is
//! overwritten when neither names it afterwards.

use std::collections::VecDeque;

use crate::clock::Timestamp;
use crate::vault::{Change, Draft, Name, Removal, Vault};

/// The other vault, if there is one.
#[derive(Debug, Default)]
pub(super) struct Undecided(Option<Vault>);

impl Undecided {
    /// A batch failed that would have led to this vault.
    pub(super) fn add(&mut self, other: Vault) {
        self.0 = Some(other);
    }

    /// Whether there is one.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// The other vault.
    #[cfg(test)]
    pub(super) fn vault(&self) -> Option<&Vault> {
        self.0.as_ref()
    }

    /// The slots that are in no vault any more when these changes, which led from `before` to `after`, are repeated in the
    /// other one; and that one afterwards. A key pair that is gone from the vault that is shown is gone from the other one
    /// too, whatever names it there: its removal was answered.
    pub(super) fn removed(
        &self,
        changes: &[Change],
        before: &Vault,
        after: &Vault,
        now: Timestamp,
    ) -> (Vec<u32>, Self) {
        let removed = removed(changes);
        let Some(other) = &self.0 else { return (removed.map(|(_, slot)| slot).collect(), Self(None)) };
        let mut stock = VecDeque::new();
        let mut draft = Draft::new(other.clone(), now, None, &mut stock);
        for removal in changes.iter().filter_map(Change::removal) {
            draft.repeat(&removal);
            if removal == Removal::All {
                // Those that were to be kept from now on, when the batch failed.
                let went: Vec<_> = draft.vault().unused_of(before).collect();
                for key in went {
                    draft.repeat(&Removal::KeyPair(key));
                }
            }
        }
        let drafted = draft.finish();
        let is_named = |(name, slot): &(&Name, u32)| {
            let named_by = |vault: &Vault| vault.slot_of(name) == Some(*slot);
            named_by(after) || named_by(&drafted.vault)
        };
        let all = removed.chain(self::removed(&drafted.changes)).filter(|one| !is_named(one));
        let mut slots: Vec<u32> = all.map(|(_, slot)| slot).collect();
        slots.sort_unstable();
        slots.dedup();
        (slots, Self(Some(drafted.vault)))
    }
}

/// What these changes removed: the names, and the slots that they had.
fn removed(changes: &[Change]) -> impl Iterator<Item = (&Name, u32)> {
    changes.iter().filter_map(|change| match change {
        Change::Removed(name, slot) => Some((name, *slot)),
        _ => None,
    })
}

/// The removals that these changes are.
pub(super) fn removals(changes: &[Change]) -> impl Iterator<Item = Removal> {
    changes.iter().filter_map(Change::removal)
}
