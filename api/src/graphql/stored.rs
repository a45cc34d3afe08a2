//! Values that read models store by name.

use super::errors;
use async_graphql::Result;

/// Finds the value whose stored name is in a row.
///
/// # Errors
/// `INTERNAL` if no value has this name.
pub(crate) fn from_stored_name<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T> {
    all.iter()
        .copied()
        .find(|&value| name(value) == text)
        .ok_or_else(|| errors::internal(&UnknownName(text.to_owned())))
}

/// The counts of all values, in their order, of rows that have the stored name of a value and how often it occurs.
///
/// # Errors
/// As for [`from_stored_name`].
pub(crate) fn counts<T: Copy + PartialEq, const N: usize>(
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    rows: Vec<(String, i64)>,
) -> Result<[(T, i64); N]> {
    let mut counts = all.map(|value| (value, 0));
    for (text, count) in rows {
        let found = from_stored_name(&all, &name, &text)?;
        counts.iter_mut().filter(|(value, _)| *value == found).for_each(|(_, counted)| *counted += count);
    }
    Ok(counts)
}

#[derive(Debug, thiserror::Error)]
#[error("a row of a read model contains the unknown name {0:?}")]
struct UnknownName(String);
