//! Selects the types of objects, in addition to what the client selects.

use super::selections::Selections;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned};
use std::collections::HashSet;

/// The response key of an object's type. It contains a space, which no name does.
pub(super) const TYPE_KEY: &str = " type";

/// Selects the type of every object
/// - whose fields depend on it, because there are fragments among them;
/// - that may have no fields, because all of them have conditions: the executor returns null for such an object;
/// - that is selected several times: if all fields of one selection fail, the executor returns null for it, and drops what the
///   others return.
pub(crate) fn select_types(document: &mut ExecutableDocument, selections: &Selections) {
    let repeated = selections.repeated();
    for fragment in document.fragments.values_mut() {
        select_inside(&mut fragment.node.selection_set.node, &repeated);
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => select_in_operation(&mut operation.node, &repeated),
        DocumentOperations::Multiple(operations) => {
            operations.values_mut().for_each(|operation| select_in_operation(&mut operation.node, &repeated));
        }
    }
}

fn select_in_operation(operation: &mut OperationDefinition, repeated: &HashSet<Pos>) {
    match operation.ty {
        OperationType::Query | OperationType::Mutation => select_in_object(&mut operation.selection_set, repeated),
        // Its root is one field without fragments, and the executor would subscribe to a second one.
        OperationType::Subscription => select_inside(&mut operation.selection_set.node, repeated),
    }
}

fn select_in_object(set: &mut Positioned<SelectionSet>, repeated: &HashSet<Pos>) {
    let items = &set.node.items;
    if items.is_empty() {
        return;
    }
    let has_fragments = items.iter().any(|selection| !matches!(selection.node, Selection::Field(_)));
    let is_conditional = items.iter().all(|selection| !selection.node.directives().is_empty());
    select_inside(&mut set.node, repeated);
    if has_fragments || is_conditional || repeated.contains(&set.pos) {
        set.node.items.push(type_name(set.pos));
    }
}

/// Selects the types of the objects inside of a set. Beside fragments, the type of their object is selected already.
fn select_inside(set: &mut SelectionSet, repeated: &HashSet<Pos>) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => select_in_object(&mut field.node.selection_set, repeated),
            Selection::InlineFragment(fragment) => select_inside(&mut fragment.node.selection_set.node, repeated),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn type_name(at: Pos) -> Positioned<Selection> {
    let named = |name: &str| Positioned::new(Name::new(name), at);
    let field = Field {
        alias: Some(named(TYPE_KEY)),
        name: named("__typename"),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, at)), at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::document::parse;
    use async_graphql::Variables;
    use std::sync::Arc;

    /// The keys of objects whose type is selected, each as often as it is; that of the root is empty.
    fn typed(query: &str) -> Vec<String> {
        let mut document = parse(query, &Limits::default()).unwrap();
        let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
        let selections = Selections::new(&operation.node, &document, &Variables::default(), Arc::default());
        select_types(&mut document, &selections);
        let mut typed = Vec::new();
        for (_, operation) in document.operations.iter() {
            collect(&operation.node.selection_set.node, "", &mut typed);
        }
        for fragment in document.fragments.values() {
            collect(&fragment.node.selection_set.node, "fragment", &mut typed);
        }
        typed.sort();
        typed
    }

    fn collect(set: &SelectionSet, of: &str, typed: &mut Vec<String>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.response_key().node == TYPE_KEY => typed.push(of.to_owned()),
                Selection::Field(field) => {
                    collect(&field.node.selection_set.node, &field.node.response_key().node, typed);
                }
                Selection::InlineFragment(fragment) => collect(&fragment.node.selection_set.node, "fragment", typed),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    #[test]
    fn types_are_selected_only_where_they_are_needed() {
        for (query, expected) in [
            ("{ a { b { c } } d { b { c } } }", &[][..]),
            ("{ a { ... on A { b } } }", &["a"]),
            ("{ a { ...F } } fragment F on A { b { c } }", &["a"]),
            ("{ a { ... { b { ... on B { c } } } } }", &["a", "b"]),
            ("{ a { b @skip(if: true) } }", &["a"]),
            ("{ a { b @skip(if: true) c } }", &[]),
            ("{ a @skip(if: true) }", &[""]),
            ("{ a { b { c } } a { b { d } } }", &["a", "a", "b", "b"]),
            ("{ a { b } ...F } fragment F on Query { a { c } d { e } }", &["", "a", "a"]),
            ("{ ...F ...G } fragment F on Query { a { b } } fragment G on Query { c: a { b } }", &[""]),
            ("{ a { ...F } b { ...F } } fragment F on A { c { d } }", &["a", "b"]),
            ("subscription { a { ...F } } fragment F on A { b }", &["a"]),
            ("subscription { a @skip(if: true) { b } }", &[]),
        ] {
            assert_eq!(typed(query), expected, "{query}");
        }
    }
}
