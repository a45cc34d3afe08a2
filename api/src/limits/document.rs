//! The measures of a document: depth, width and size, with all fragments and variables expanded.

use super::complexity::too_complex;
use super::input::{VariableSizes, arguments_size, with_defaults};
use super::introspection;
use crate::config::Limits;
use crate::request_error::request_error;
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned, ServerError};
use std::collections::HashMap;

/// The most levels of selection sets.
const MAX_NESTING: usize = Limits::MAX_NESTING;
/// How many times larger than the request its arguments may be with all variables and fragments expanded.
const MAX_INPUT_EXPANSION: usize = 16;
/// The number of selections, with all fragments expanded, from which validation takes long.
const LARGE_SELECTIONS: usize = 500;
/// The size of arguments from which validation takes long.
const LARGE_INPUT: usize = 64 * 1024;

/// Checks a document against the limits. Returns whether its validation takes long enough to delay other tasks, however
/// short its text is.
///
/// # Errors
/// `TOO_DEEP`, `TOO_COMPLEX`, `TOO_MANY_ALIASES`, `TOO_MANY_DIRECTIVES`, `FRAGMENT_CYCLE`, and `GRAPHQL_VALIDATION_FAILED`
/// for an unused fragment.
pub(crate) fn check_document(
    document: &ExecutableDocument,
    variables: &VariableSizes,
    limits: &Limits,
) -> Result<bool, ServerError> {
    let variables = &with_defaults(document, variables);
    let mut survey = Survey { fragments: &document.fragments, variables, measured: HashMap::new(), limits };
    let mut sum = Measure::default();
    for (_, operation) in document.operations.iter() {
        let mut measured = survey.selections(&operation.node.selection_set, 0)?;
        let definitions = &operation.node.variable_definitions;
        let of_variables: usize = definitions.iter().map(|definition| definition.node.directives.len()).sum();
        measured.directives = measured.directives.saturating_add(operation.node.directives.len() + of_variables);
        survey.check(&measured, operation.pos)?;
        sum.selections = sum.selections.saturating_add(measured.selections);
        sum.input = sum.input.saturating_add(measured.input);
        sum.introspection = sum.introspection.saturating_add(measured.introspection);
    }
    if sum.selections > limits.max_complexity {
        return Err(too_complex(sum.selections, limits.max_complexity));
    }
    let max_input = limits.max_body_bytes.saturating_mul(MAX_INPUT_EXPANSION);
    if sum.input > max_input {
        let message = format!("the arguments have more than {max_input} bytes with all variables expanded");
        return Err(request_error("TOO_COMPLEX", message, None));
    }
    // An unused fragment is not measured, and would be validated nevertheless.
    if let Some((name, fragment)) = document.fragments.iter().find(|(name, _)| !survey.measured.contains_key(name)) {
        let message = format!("the fragment {:?} is never used", name.as_str());
        return Err(request_error("GRAPHQL_VALIDATION_FAILED", message, Some(fragment.pos)));
    }
    Ok(sum.selections > LARGE_SELECTIONS || sum.input > LARGE_INPUT || sum.introspection > introspection::LARGE_VALUES)
}

fn too_deep(at: Pos) -> ServerError {
    let message = format!("the query has more than {MAX_NESTING} levels of selections with all fragments expanded");
    request_error("TOO_DEEP", message, Some(at))
}

/// The measures of a set of selections with all fragments expanded.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    /// Levels of fields.
    depth: usize,
    /// Levels of fields inside introspection.
    introspection_depth: usize,
    /// Levels of selection sets, of fields and of fragments.
    levels: usize,
    selections: usize,
    aliases: usize,
    directives: usize,
    /// The size of all arguments with all variables expanded.
    input: usize,
    /// The values that these fields would return if they were fields of introspection.
    schema_values: usize,
    /// The values that the introspection among these fields returns.
    introspection: usize,
    /// Levels of lists that lead from types to types, if these are fields of introspection.
    schema_cycles: usize,
}

impl Measure {
    fn add(&mut self, other: &Self) {
        self.depth = self.depth.max(other.depth);
        self.introspection_depth = self.introspection_depth.max(other.introspection_depth);
        self.levels = self.levels.max(other.levels);
        self.schema_cycles = self.schema_cycles.max(other.schema_cycles);
        let sums = [
            (&mut self.selections, other.selections),
            (&mut self.aliases, other.aliases),
            (&mut self.directives, other.directives),
            (&mut self.input, other.input),
            (&mut self.schema_values, other.schema_values),
            (&mut self.introspection, other.introspection),
        ];
        for (sum, other) in sums {
            *sum = sum.saturating_add(other);
        }
    }
}

struct Survey<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a VariableSizes,
    /// The measure of each fragment; none while it is being measured, which detects cycles.
    measured: HashMap<&'a Name, Option<Measure>>,
    limits: &'a Limits,
}

impl<'a> Survey<'a> {
    fn check(&self, measured: &Measure, at: Pos) -> Result<(), ServerError> {
        let limits = self.limits;
        let depths = [
            ("the query", measured.depth, limits.max_depth),
            ("the introspection", measured.introspection_depth, Limits::INTROSPECTION_DEPTH),
        ];
        for (what, depth, limit) in depths {
            if depth > limit {
                let message = format!("{what} has {depth} levels of fields, the limit is {limit}");
                return Err(request_error("TOO_DEEP", message, Some(at)));
            }
        }
        if measured.introspection > introspection::MAX_VALUES {
            let (found, limit) = (measured.introspection, introspection::MAX_VALUES);
            let message = format!("the introspection would return about {found} values, the limit is {limit}");
            return Err(request_error("TOO_COMPLEX", message, Some(at)));
        }
        let counted = [
            ("TOO_MANY_ALIASES", "aliases", measured.aliases, limits.max_aliases),
            ("TOO_MANY_DIRECTIVES", "directives", measured.directives, limits.max_directives),
        ];
        for (code, what, found, limit) in counted {
            if found > limit {
                let message = format!("the query has {found} {what}, the limit is {limit}");
                return Err(request_error(code, message, Some(at)));
            }
        }
        Ok(())
    }

    /// `level` is the number of selection sets around this one, those of fragments included. It bounds the recursion.
    fn selections(&mut self, set: &'a Positioned<SelectionSet>, level: usize) -> Result<Measure, ServerError> {
        if level > MAX_NESTING {
            return Err(too_deep(set.pos));
        }
        let mut sum = Measure::default();
        for selection in &set.node.items {
            let measured = match &selection.node {
                Selection::Field(field) => self.field(&field.node, level + 1)?,
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set, level + 1)?,
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos, level + 1)?
                }
            };
            sum.add(&measured);
            sum.selections = sum.selections.saturating_add(1);
            self.add_directives(&mut sum, selection.node.directives());
        }
        sum.levels += 1;
        Ok(sum)
    }

    fn add_directives(&self, sum: &mut Measure, directives: &[Positioned<Directive>]) {
        sum.directives = sum.directives.saturating_add(directives.len());
        for directive in directives {
            sum.input = sum.input.saturating_add(arguments_size(&directive.node.arguments, self.variables));
        }
    }

    fn field(&mut self, field: &'a Field, level: usize) -> Result<Measure, ServerError> {
        let name = field.name.node.as_str();
        let mut measured = self.selections(&field.selection_set, level)?;
        measured.aliases = measured.aliases.saturating_add(usize::from(field.alias.is_some()));
        measured.input = measured.input.saturating_add(arguments_size(&field.arguments, self.variables));
        let values = measured.schema_values.saturating_add(1).saturating_mul(introspection::list_length(name));
        if introspection::CYCLES.contains(&name) {
            measured.schema_cycles += 1;
        }
        if name.starts_with("__") {
            if measured.schema_cycles > introspection::MAX_CYCLES {
                let (found, limit) = (measured.schema_cycles, introspection::MAX_CYCLES);
                let names = introspection::CYCLES.join(", ");
                let message = format!("the introspection nests {found} of the lists {names}, the limit is {limit}");
                return Err(request_error("TOO_DEEP", message, Some(field.name.pos)));
            }
            measured.schema_cycles = 0;
            measured.introspection_depth = measured.introspection_depth.max(measured.depth) + 1;
            measured.depth = 0;
            measured.introspection = measured.introspection.saturating_add(values);
            measured.schema_values = 0;
        } else {
            measured.depth += 1;
            measured.schema_values = values;
        }
        Ok(measured)
    }

    fn fragment(&mut self, name: &'a Name, at: Pos, level: usize) -> Result<Measure, ServerError> {
        match self.measured.get(name) {
            Some(Some(measured)) if level + measured.levels > MAX_NESTING => Err(too_deep(at)),
            Some(Some(measured)) => Ok(*measured),
            Some(None) => {
                Err(request_error("FRAGMENT_CYCLE", format!("the fragment {name:?} contains itself"), Some(at)))
            }
            None => {
                // Validation rejects a fragment that does not exist.
                let Some(fragment) = self.fragments.get(name) else { return Ok(Measure::default()) };
                self.measured.insert(name, None);
                let mut measured = self.selections(&fragment.node.selection_set, level)?;
                self.add_directives(&mut measured, &fragment.node.directives);
                self.measured.insert(name, Some(measured));
                Ok(measured)
            }
        }
    }
}
