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

#[derive(Debug, thiserror::Error)]
#[error("a row of a read model contains the unknown name {0:?}")]
struct UnknownName(String);
