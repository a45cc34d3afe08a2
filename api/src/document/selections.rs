//! The selections of an operation, and what they select of an object.
//!
//! What fields an object has can depend on its type, which is then selected in addition to what the client selects, under a
//! key that a client cannot write: see [`super::select_types`].

use super::types::SchemaTypes;
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{
    Directive, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, Value, Variables};
use async_graphql_value::Value as InputValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The selections of an operation, by which its response is completed and sorted.
pub(crate) struct Selections {
    pub(super) operation: OperationType,
    pub(super) root: Positioned<SelectionSet>,
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
    variables: Variables,
    pub(super) types: Arc<SchemaTypes>,
}

/// What the selections of an object select under one response key.
pub(super) struct Selected<'a> {
    /// The name of the field.
    pub(super) field: &'a str,
    /// The selections inside it.
    pub(super) sets: Vec<&'a Positioned<SelectionSet>>,
}

/// Response keys in order.
pub(super) type Plan<'a> = IndexMap<&'a str, Selected<'a>>;

impl Selections {
    pub(crate) fn new(
        operation: &OperationDefinition,
        document: &ExecutableDocument,
        variables: &Variables,
        types: Arc<SchemaTypes>,
    ) -> Self {
        // Only conditions are evaluated, which are booleans.
        let conditions = variables.iter().filter(|(_, value)| matches!(value, Value::Boolean(_)));
        let conditions: Vec<_> = conditions.map(|(name, value)| (name.clone(), value.clone())).collect();
        let variables = Variables::from_value(Value::Object(conditions.into_iter().collect()));
        Self {
            operation: operation.ty,
            root: operation.selection_set.clone(),
            fragments: document.fragments.clone(),
            variables,
            types,
        }
    }

    /// The fields of an object. If its type is not selected, they do not depend on it.
    pub(super) fn plan<'a>(&'a self, sets: &[&'a Positioned<SelectionSet>], object: Option<&Value>) -> Plan<'a> {
        let object = match object {
            Some(Value::String(name)) => Some(name.as_str()),
            _ => None,
        };
        let mut plan = Plan::new();
        let mut seen = HashSet::new();
        for set in sets {
            self.collect(&set.node, object, &mut plan, &mut seen);
        }
        plan
    }

    /// The positions of sets that select fields of one object beside other sets, whatever its type.
    pub(super) fn repeated(&self) -> HashSet<Pos> {
        let mut repeated = HashSet::new();
        self.collect_repeated(&[&self.root], &mut repeated);
        repeated
    }

    /// The recursion is bounded, because the document with its fragments expanded is.
    fn collect_repeated(&self, sets: &[&Positioned<SelectionSet>], repeated: &mut HashSet<Pos>) {
        if sets.len() > 1 {
            repeated.extend(sets.iter().map(|set| set.pos));
        }
        for selected in self.plan(sets, None).values() {
            self.collect_repeated(&selected.sets, repeated);
        }
    }

    fn collect<'a>(
        &'a self,
        set: &'a SelectionSet,
        object: Option<&str>,
        plan: &mut Plan<'a>,
        seen: &mut HashSet<&'a str>,
    ) {
        let applies = |condition: &str| object.is_none_or(|object| self.types.applies(condition, object));
        for selection in set.items.iter().filter(|selection| !self.is_skipped(selection.node.directives())) {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let selected = || Selected { field: &field.name.node, sets: Vec::new() };
                    let selected = plan.entry(field.response_key().node.as_str()).or_insert_with(selected);
                    if !field.selection_set.node.items.is_empty() {
                        selected.sets.push(&field.selection_set);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|condition| applies(&condition.node.on.node)) {
                        self.collect(&fragment.node.selection_set.node, object, plan, seen);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) else { continue };
                    let is_first = seen.insert(spread.node.fragment_name.node.as_str());
                    if is_first && applies(&fragment.node.type_condition.node.on.node) {
                        self.collect(&fragment.node.selection_set.node, object, plan, seen);
                    }
                }
            }
        }
    }

    fn is_skipped(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let wanted = match directive.node.name.node.as_str() {
                "skip" => false,
                "include" => true,
                _ => return false,
            };
            let condition = directive.node.get_argument("if").map(|condition| &condition.node);
            let holds = match condition {
                Some(InputValue::Boolean(holds)) => *holds,
                Some(InputValue::Variable(name)) => matches!(self.variables.get(name), Some(Value::Boolean(true))),
                _ => false,
            };
            holds != wanted
        })
    }
}
