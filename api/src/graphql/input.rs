//! Checks of the fields of mutation inputs.

use super::scalars::Long;
use domain::{Body, Labels, Name, Quantity};
use std::collections::BTreeMap;
use std::fmt::Display;

/// A field of an input that is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, message: impl Display) -> Self {
        Self { field, message: format!("{field}: {message}") }
    }
}

pub(crate) fn name(field: &'static str, text: String) -> Result<Name, Invalid> {
    Name::new(text).map_err(|error| Invalid::new(field, error))
}

pub(crate) fn name_opt(field: &'static str, text: Option<String>) -> Result<Option<Name>, Invalid> {
    text.map(|text| name(field, text)).transpose()
}

pub(crate) fn names(field: &'static str, texts: Option<Vec<String>>) -> Result<Vec<Name>, Invalid> {
    texts.unwrap_or_default().into_iter().map(|text| name(field, text)).collect()
}

pub(crate) fn body(field: &'static str, text: String) -> Result<Body, Invalid> {
    Body::new(text).map_err(|error| Invalid::new(field, error))
}

pub(crate) fn body_opt(field: &'static str, text: Option<String>) -> Result<Option<Body>, Invalid> {
    text.map(|text| body(field, text)).transpose()
}

pub(crate) fn quantity(field: &'static str, number: Option<Long>) -> Result<Quantity, Invalid> {
    Quantity::try_from(number.map_or(0, |number| number.0)).map_err(|error| Invalid::new(field, error))
}

/// A label of an agent: a key and a value.
#[derive(Debug, Clone, PartialEq, Eq, async_graphql::SimpleObject)]
pub(crate) struct Label {
    /// Key of the label, unique within the agent.
    pub(crate) key: String,
    /// Value of the label.
    pub(crate) value: String,
}

/// A label to attach to an agent.
#[derive(Debug, Clone, async_graphql::InputObject)]
pub(crate) struct LabelInput {
    /// Key of the label: one line of at most 256 bytes. A key may occur once.
    pub(crate) key: String,
    /// Value of the label: one line of at most 256 bytes.
    pub(crate) value: String,
}

pub(crate) fn labels(field: &'static str, given: Option<Vec<LabelInput>>) -> Result<Labels, Invalid> {
    let mut labels = BTreeMap::new();
    for label in given.unwrap_or_default() {
        let key = name(field, label.key)?;
        if let Some(other) = labels.insert(key.clone(), name(field, label.value)?) {
            return Err(Invalid::new(field, format!("the key {key:?} occurs twice, first with the value {other:?}")));
        }
    }
    Labels::try_from(labels).map_err(|error| Invalid::new(field, error))
}
