//! Null for what failed, as section 6.4.4 of the GraphQL specification requires.
//!
//! A field that failed is null. If it may not be null, its object is null instead, and so on, up to a field or an element of
//! a list that may be null, or up to `data`. The executor leaves such a field out of its object, and returns null for an
//! object whose fields all failed. Here the selections of a response with errors are walked with the types of the schema.
//!
//! The type of an object is known where there are fragments among its selections, because it is selected in addition
//! ([`super::select_types`]). Elsewhere all its fields are declared by the type of the field that it is the value of. If that
//! is an interface, its fields have the same types in all objects, which a test of [`super::types`] requires.

use super::select_types::TYPE_KEY;
use super::selections::Selections;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, OperationType, SelectionSet, Type};
use async_graphql::{Name, PathSegment, Positioned, Response, ServerError, Value};
use std::collections::HashMap;

/// Completes the data of a response with errors.
pub(crate) fn complete(selections: &Selections, response: &mut Response) {
    if response.errors.is_empty() {
        return;
    }
    let failed = Failed::of(&response.errors);
    let is_subscription = selections.operation == OperationType::Subscription;
    // Without data, either nothing was executed, or all fields of the root failed. A subscription without data did not start.
    if response.data == Value::Null && (is_subscription || failed.is_leaf()) {
        return;
    }
    if let Some(root) = selections.types.root(selections.operation) {
        let ty = Type { base: BaseType::Named(root.clone()), nullable: true };
        selections.complete_value(&mut response.data, &ty, &[&selections.root], Some(&failed));
    }
}

impl Selections {
    /// Completes a value, and makes it null if it failed. Returns whether its type allows the result.
    fn complete_value<'a>(
        &'a self,
        value: &mut Value,
        ty: &Type,
        sets: &[&'a Positioned<SelectionSet>],
        failed: Option<&Failed>,
    ) -> bool {
        let holds = match (&ty.base, &mut *value) {
            (BaseType::List(inner), Value::List(items)) => items
                .iter_mut()
                .enumerate()
                .all(|(index, item)| self.complete_value(item, inner, sets, inside(failed, Segment::Index(index)))),
            (BaseType::List(_), Value::Null) => false,
            (BaseType::Named(name), Value::Object(fields)) if self.types.has_fields(name) => {
                self.complete_fields(fields, name, sets, failed)
            }
            (BaseType::Named(name), Value::Null) if self.types.has_fields(name) => {
                // It is an object whose fields all failed if errors are inside it, and otherwise no object.
                let mut fields = IndexMap::new();
                let is_object = failed.is_some_and(|failed| !failed.is_leaf());
                let holds = is_object && self.complete_fields(&mut fields, name, sets, failed);
                *value = Value::Object(fields);
                holds
            }
            // A scalar, possibly one of JSON, which may be null or an object.
            _ => true,
        };
        if !holds {
            *value = Value::Null;
        }
        holds || ty.nullable
    }

    /// Adds what is missing of an object. Returns false if the object has to be null.
    fn complete_fields<'a>(
        &'a self,
        fields: &mut IndexMap<Name, Value>,
        declared: &str,
        sets: &[&'a Positioned<SelectionSet>],
        failed: Option<&Failed>,
    ) -> bool {
        let selected_type = fields.get(TYPE_KEY);
        let plan = self.plan(sets, selected_type);
        let object = match selected_type {
            Some(Value::String(name)) => name.clone(),
            _ => declared.to_owned(),
        };
        plan.iter().all(|(key, selected)| {
            // Fields of introspection do not fail.
            let Some(ty) = self.types.field(&object, selected.field) else { return true };
            let Some(value) = fields.get_mut(*key) else {
                fields.insert(Name::new(key), Value::Null);
                return ty.nullable;
            };
            self.complete_value(value, ty, &selected.sets, inside(failed, Segment::Field(key)))
        })
    }
}

/// The paths of errors, as a tree.
#[derive(Default)]
struct Failed<'a>(HashMap<Segment<'a>, Failed<'a>>);

#[derive(PartialEq, Eq, Hash)]
enum Segment<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> Failed<'a> {
    fn of(errors: &'a [ServerError]) -> Self {
        let mut root = Self::default();
        for error in errors {
            let mut at = &mut root;
            for segment in &error.path {
                at = at.0.entry(Segment::of(segment)).or_default();
            }
        }
        root
    }

    /// Whether there are no errors inside the value at this path.
    fn is_leaf(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Segment<'a> {
    fn of(segment: &'a PathSegment) -> Self {
        match segment {
            PathSegment::Field(name) => Self::Field(name),
            PathSegment::Index(index) => Self::Index(*index),
        }
    }
}

fn inside<'f, 'a>(failed: Option<&'f Failed<'a>>, segment: Segment<'a>) -> Option<&'f Failed<'a>> {
    failed?.0.get(&segment)
}

#[cfg(test)]
mod tests;
