//! Bounded memory of what an input had lately.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A map that forgets: the older of two generations is dropped when the younger one is full.
pub(crate) struct Recent<K, V> {
    max_entries: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// A map of at most two generations of `max_entries`.
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { max_entries, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.max_entries {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// Counts how often each item has occurred, so that equal items of an input are told apart.
pub(crate) struct Occurrences(Recent<u64, u64>);

impl Occurrences {
    /// Remembers at most two generations of `max_items` different items.
    pub(crate) fn new(max_items: usize) -> Self {
        Self(Recent::new(max_items))
    }

    /// Counts an item, and returns the number of equal items before it.
    pub(crate) fn count(&mut self, item: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = DefaultHasher::new();
        item.hash(&mut hasher);
        let hash = hasher.finish();
        let before = self.0.get(&hash).copied().unwrap_or(0);
        self.0.insert(hash, before + 1);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_in_bounded_memory() {
        let mut counter = Occurrences::new(100);
        assert_eq!((counter.count(&1), counter.count(&1), counter.count(&1)), (0, 1, 2));
        for n in 2..100_u64 {
            assert_eq!((counter.count(&n), counter.count(&1)), (0, n + 1));
        }
        for n in 1_000..10_000_u64 {
            counter.count(&n);
            assert!(counter.0.young.len() + counter.0.old.len() <= 200);
        }
    }
}
