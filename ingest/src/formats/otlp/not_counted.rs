//! What is said of spans and records of which something was not counted or not read.

use super::attributes::Attributes;
use std::collections::BTreeMap;

/// The most names of attributes that are noted.
const MAX_NOTED: usize = 64;
/// The most names of attributes that are told, of each kind.
const MAX_NAMES: usize = 10;

/// The attributes of spans or records that were not counted or not read.
#[derive(Debug, Default)]
pub(crate) struct NotRead {
    /// The number of spans with each attribute that says something about usage and is not understood.
    unread: BTreeMap<Box<str>, u64>,
    /// The number of spans with each attribute whose value is not what it should be, with what that is and the first value.
    unreadable: BTreeMap<&'static str, (u64, &'static str, String)>,
}

impl NotRead {
    /// Notes what of attributes is not read.
    pub(crate) fn note(&mut self, attributes: &mut Attributes) {
        for name in attributes.take_unread() {
            if self.unread.len() < MAX_NOTED || self.unread.contains_key(&name) {
                *self.unread.entry(name).or_default() += 1;
            }
        }
        for (name, expected, found) in attributes.unreadable() {
            self.unreadable.entry(name).or_insert((0, expected, found)).0 += 1;
        }
    }

    /// What is told of them. `items` is what they are attributes of.
    pub(crate) fn messages(&self, items: &str) -> Vec<String> {
        let unread = self.unread.iter().map(|(name, count)| {
            format!("the attribute {name:?} of {count} {items} is not understood, and was not counted")
        });
        let unreadable = self.unreadable.iter().map(|(name, (count, expected, found))| {
            format!("the attribute {name:?} of {count} {items} is not {expected}, such as {found:?}, and was not read")
        });
        let mut messages: Vec<_> = unread.take(MAX_NAMES).chain(unreadable.take(MAX_NAMES)).collect();
        let untold = self.unread.len().saturating_sub(MAX_NAMES) + self.unreadable.len().saturating_sub(MAX_NAMES);
        if untold > 0 {
            messages.push(format!("{untold} more attributes of {items} are not understood, and were not counted"));
        }
        messages
    }
}

/// That calls to models whose usage no span states were not counted, if there are any.
pub(crate) fn of_unmeasured(count: u64) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{count} spans are calls to models, but state no usage, nor do spans inside of them: these calls were not counted"
        )
    })
}
