//! What is said of spans whose usage was not counted.

use std::collections::BTreeMap;

/// The most names of attributes that are told.
const MAX_NAMES: usize = 10;

/// Of each attribute that says something about usage and is not understood, that it was not counted.
pub(crate) fn of_unread(unread: &BTreeMap<Box<str>, u64>) -> impl Iterator<Item = String> {
    let told = unread.iter().take(MAX_NAMES);
    told.map(|(name, count)| format!("the attribute {name:?} of {count} spans is not understood, and was not counted"))
}

/// That calls to models whose usage no span states were not counted, if there are any.
pub(crate) fn of_unmeasured(count: u64) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} spans are calls to models, but state no usage, nor do spans inside of them: these calls were not counted"
        )
    })
}
