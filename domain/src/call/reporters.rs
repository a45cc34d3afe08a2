//! Who reported a call: which imports, and whether reports that belong to no import did.
//!
//! An import that is taken back takes with it the calls that it alone reported. So every call knows its reporters, as the
//! union of those of its records, which does not depend on their order. The set is bounded: a call that more imports reported
//! than it lists is reported by others, and stays.
//!
//! Most events of an import say that it alone reported their call, and their correlation id is its id. So an event is written
//! without reporters that its correlation id says already, and completed when it is folded.

use crate::ids::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Who reported a call. Without any import, reports that belong to no import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reporters {
    /// The imports that reported the call: those with the lowest ids if there are more than 16; absent if no import did.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("minItems" = 1, "maxItems" = Reporters::MAX_IMPORTS))]
    imports: BTreeSet<ImportId>,
    /// Whether others reported the call too: a report that belongs to no import, or more imports than are listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    others: bool,
    /// Whether it is the import that the correlation id of the event names, alone. Nothing but an event as it is written says so.
    #[serde(skip)]
    is_of_event: bool,
}

impl Reporters {
    /// The most imports that a call lists.
    pub const MAX_IMPORTS: usize = 16;

    /// The reporter of one record: the import that it belongs to, if it belongs to one.
    #[must_use]
    pub fn of(import_id: Option<ImportId>) -> Self {
        Self { imports: import_id.into_iter().collect(), ..Self::default() }
    }

    /// The reporters in an event that does not state any: the import that its correlation id names.
    pub(crate) fn of_event() -> Self {
        Self { is_of_event: true, ..Self::default() }
    }

    pub(crate) fn is_of_event(&self) -> bool {
        self.is_of_event
    }

    /// Leaves out what the correlation id of the event says already.
    pub(crate) fn abridge(&mut self, correlation_id: Uuid) {
        if *self == Self::of(Some(ImportId(correlation_id))) {
            *self = Self::of_event();
        }
    }

    /// Adds what was left out.
    pub(crate) fn complete(&mut self, correlation_id: Uuid) {
        if self.is_of_event {
            *self = Self::of(Some(ImportId(correlation_id)));
        }
    }

    /// The reporters of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let others = [self, other].iter().any(|reporters| reporters.others || reporters.imports.is_empty());
        let imports = self.imports.union(&other.imports).copied().collect();
        Self { imports, others, is_of_event: false }.bounded()
    }

    /// What is to be added to others, of which this is a union with more, to have this.
    #[must_use]
    pub fn beyond(&self, others: &Self) -> Self {
        let imports = self.imports.difference(&others.imports).copied().collect();
        Self { imports, others: self.others && !others.others, is_of_event: false }.bounded()
    }

    /// Whether no import is among them.
    #[must_use]
    pub fn is_without_import(&self) -> bool {
        self.imports.is_empty()
    }

    /// Whether an import is among those that are listed.
    #[must_use]
    pub fn contains(&self, import_id: ImportId) -> bool {
        self.imports.contains(&import_id)
    }

    /// The reporters but for an import; none if there are no others.
    #[must_use]
    pub fn without(&self, import_id: ImportId) -> Option<Self> {
        let mut left = self.clone();
        left.imports.remove(&import_id);
        match (left.imports.is_empty(), left.others || self.imports.is_empty()) {
            (true, true) => Some(Self::default()),
            (true, false) => None,
            (false, _) => Some(left),
        }
    }

    /// The imports that are listed, ordered by id.
    #[cfg(test)]
    pub(crate) fn imports(&self) -> impl Iterator<Item = ImportId> + '_ {
        self.imports.iter().copied()
    }

    /// Whether others than the listed imports reported the call.
    #[cfg(test)]
    pub(crate) fn has_others(&self) -> bool {
        self.others || self.imports.is_empty()
    }

    fn bounded(mut self) -> Self {
        while self.imports.len() > Self::MAX_IMPORTS {
            self.imports.pop_last();
            self.others = true;
        }
        // One form for what belongs to no import.
        self.others &= !self.imports.is_empty();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::uuid;
    use proptest::prelude::*;

    fn of(imports: &[u128]) -> Reporters {
        let each = imports.iter().map(|id| Reporters::of(Some(ImportId(uuid(*id)))));
        each.reduce(|one, other| one.union(&other)).unwrap_or_default()
    }

    #[test]
    fn an_import_that_is_alone_leaves_none() {
        let import = |id| ImportId(uuid(id));
        assert_eq!(of(&[1]).without(import(1)), None);
        assert_eq!(of(&[1, 2]).without(import(1)), Some(of(&[2])));
        let directly = of(&[1]).union(&Reporters::of(None));
        assert!(directly.has_others() && directly.contains(import(1)));
        assert_eq!(directly.without(import(1)), Some(Reporters::of(None)));
        assert_eq!(Reporters::of(None).without(import(1)), Some(Reporters::of(None)), "it was never one of them");
    }

    #[test]
    fn more_imports_than_are_listed_are_others() {
        let ids: Vec<_> = (1..=17).collect();
        let many = of(&ids);
        assert_eq!((many.imports().count(), many.has_others()), (Reporters::MAX_IMPORTS, true));
        let left = (1..=16).fold(many, |left, id| left.without(ImportId(uuid(id))).unwrap());
        assert_eq!(left, Reporters::default(), "the seventeenth reported it, too");
    }

    proptest! {
        #[test]
        fn the_union_does_not_depend_on_order_grouping_or_repetition(
            mut records in prop::collection::vec(prop::option::of(1_u128..40), 1..40), turn in any::<prop::sample::Index>(),
        ) {
            let reporter = |id: &Option<u128>| Reporters::of(id.map(|id| ImportId(uuid(id))));
            let all = |records: &[Option<u128>]| {
                records.iter().map(reporter).reduce(|one, other| one.union(&other)).unwrap()
            };
            let expected = all(&records);
            let (left, right) = records.split_at(records.len() / 2);
            if !left.is_empty() {
                prop_assert_eq!(&all(left).union(&all(right)), &expected);
            }
            // There is no form for nothing to be added.
            if !left.is_empty() && all(left) != expected {
                prop_assert_eq!(&all(left).union(&expected.beyond(&all(left))), &expected);
            }
            records.extend(records.clone());
            let turn = turn.index(records.len());
            records.rotate_left(turn);
            records.reverse();
            prop_assert_eq!(all(&records), expected);
        }
    }
}
