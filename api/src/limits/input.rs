//! The size of variables and arguments.
//!
//! A size is the bytes of the text of a value, plus [`VALUE_SIZE`] for each value in it.

use crate::config::Limits;
use crate::request_error::request_error;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Name, Positioned, ServerError};
use async_graphql_value::Value;
use serde_json::Value as Json;
use std::collections::HashMap;

/// The most levels of lists and objects in a variable.
const MAX_NESTING: usize = Limits::MAX_NESTING;
/// The size of one value in addition to its text: about the memory that it takes.
const VALUE_SIZE: usize = 16;

/// The size of each variable, by name.
pub(crate) type VariableSizes = HashMap<String, usize>;

/// The arguments of a field or directive, as the parser represents them.
type Arguments = [(Positioned<Name>, Positioned<Value>)];

/// Measures the variables of a request.
///
/// # Errors
/// `TOO_DEEP` for a variable whose lists and objects are nested more than [`Limits::MAX_NESTING`] levels deep.
pub(crate) fn measure_variables(variables: &serde_json::Map<String, Json>) -> Result<VariableSizes, ServerError> {
    let mut sizes = VariableSizes::with_capacity(variables.len());
    for (name, value) in variables {
        let Some(size) = json_size(value, MAX_NESTING) else {
            let message = format!("the variable {name:?} is nested more than {MAX_NESTING} levels deep");
            return Err(request_error("TOO_DEEP", message, None));
        };
        sizes.insert(name.clone(), size);
    }
    Ok(sizes)
}

fn json_size(value: &Json, levels: usize) -> Option<usize> {
    let size = match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text.len(),
        Json::Array(items) => {
            let levels = levels.checked_sub(1)?;
            items.iter().try_fold(0, |sum, item| Some(sum + json_size(item, levels)?))?
        }
        Json::Object(fields) => {
            let levels = levels.checked_sub(1)?;
            fields.iter().try_fold(0, |sum, (name, field)| Some(sum + name.len() + json_size(field, levels)?))?
        }
    };
    Some(size + VALUE_SIZE)
}

/// Adds the sizes of the defaults of variables that are not given: the largest, if operations have different ones.
pub(super) fn with_defaults(document: &ExecutableDocument, given: &VariableSizes) -> VariableSizes {
    let mut sizes = given.clone();
    for definition in document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions) {
        let (name, default) = (definition.node.name.node.as_str(), &definition.node.default_value);
        if let Some(default) = default.as_ref().filter(|_| !given.contains_key(name)) {
            let size = value_size(&default.node.clone().into_value(), given);
            let known = sizes.entry(name.to_owned()).or_default();
            *known = size.max(*known);
        }
    }
    sizes
}

/// The size of arguments with all variables expanded. The parser bounds their nesting.
pub(super) fn arguments_size(arguments: &Arguments, variables: &VariableSizes) -> usize {
    arguments.iter().fold(0_usize, |sum, (_, value)| sum.saturating_add(value_size(&value.node, variables)))
}

fn value_size(value: &Value, variables: &VariableSizes) -> usize {
    let sum = |sum: usize, item: &Value| sum.saturating_add(value_size(item, variables));
    let inside = match value {
        Value::Variable(name) => variables.get(name.as_str()).copied().unwrap_or_default(),
        Value::String(text) => text.len(),
        Value::List(items) => items.iter().fold(0, sum),
        Value::Object(fields) => fields.values().fold(0, sum),
        _ => 0,
    };
    inside.saturating_add(VALUE_SIZE)
}
