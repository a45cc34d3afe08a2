//! Sorts the fields of a response by the selection, as section 7.2.2 of the GraphQL specification requires.
//!
//! The executor resolves fields concurrently and returns them in the order in which they complete. Here they are sorted by
//! the document: a field that is selected several times has the position of its first selection, and a fragment the
//! position of its spread, if it applies to the object. The types of objects are selected in addition to the client's
//! selections, under a key that a client cannot write.

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned, Response, Value, Variables};
use async_graphql_value::Value as InputValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The response key of an object's type. It contains a space, which no name does.
const TYPE_KEY: &str = " type";

/// The interfaces of each object type.
#[derive(Debug, Default)]
pub(crate) struct Interfaces(HashMap<String, HashSet<String>>);

impl Interfaces {
    /// Reads them from a schema in the schema definition language, as the library formats it.
    pub(crate) fn of_sdl(sdl: &str) -> Self {
        let declared = sdl.lines().filter_map(|line| {
            let (name, interfaces) = line.strip_prefix("type ")?.strip_suffix(" {")?.split_once(" implements ")?;
            Some((name.to_owned(), interfaces.split(" & ").map(str::to_owned).collect()))
        });
        Self(declared.collect())
    }

    /// Whether a fragment on a type applies to an object.
    fn applies(&self, condition: &str, object: &str) -> bool {
        condition == object || self.0.get(object).is_some_and(|interfaces| interfaces.contains(condition))
    }
}

/// The selections of an operation, by which its response is sorted.
pub(crate) struct SelectionOrder {
    selection_set: SelectionSet,
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
    variables: Variables,
    interfaces: Arc<Interfaces>,
}

/// Response keys in order, each with the selections inside it.
type Plan<'a> = IndexMap<&'a str, Vec<&'a SelectionSet>>;

/// The plan for objects of one type, reused for the next object of the same list.
type LastPlan<'a> = Option<(Option<Value>, Plan<'a>)>;

impl SelectionOrder {
    pub(crate) fn new(
        selection_set: &SelectionSet,
        document: &ExecutableDocument,
        variables: &Variables,
        interfaces: Arc<Interfaces>,
    ) -> Self {
        // Only conditions are evaluated, which are booleans.
        let conditions = variables.iter().filter(|(_, value)| matches!(value, Value::Boolean(_)));
        let conditions: Vec<_> = conditions.map(|(name, value)| (name.clone(), value.clone())).collect();
        let variables = Variables::from_value(Value::Object(conditions.into_iter().collect()));
        Self { selection_set: selection_set.clone(), fragments: document.fragments.clone(), variables, interfaces }
    }

    /// Sorts the fields of a response.
    pub(crate) fn apply(&self, response: &mut Response) {
        self.sort(&mut response.data, &[&self.selection_set]);
    }

    /// The recursion is bounded, because the nesting of a response is that of its document.
    fn sort<'a>(&'a self, value: &mut Value, sets: &[&'a SelectionSet]) {
        // A value without selections is a scalar, possibly one of JSON.
        if !sets.is_empty() {
            self.sort_with(value, sets, &mut None);
        }
    }

    fn sort_with<'a>(&'a self, value: &mut Value, sets: &[&'a SelectionSet], last: &mut LastPlan<'a>) {
        match value {
            Value::List(items) => items.iter_mut().for_each(|item| self.sort_with(item, sets, last)),
            Value::Object(fields) => self.sort_fields(fields, sets, last),
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_) => {}
        }
    }

    fn sort_fields<'a>(
        &'a self,
        fields: &mut IndexMap<Name, Value>,
        sets: &[&'a SelectionSet],
        last: &mut LastPlan<'a>,
    ) {
        let object = fields.swap_remove(TYPE_KEY);
        let known = last.take().filter(|(of, _)| *of == object);
        let plan = known.map_or_else(|| self.plan(sets, object.as_ref()), |(_, plan)| plan);
        let mut sorted = IndexMap::with_capacity(fields.len());
        for (key, inside) in &plan {
            if let Some((name, mut value)) = fields.swap_remove_entry(*key) {
                self.sort(&mut value, inside);
                sorted.insert(name, value);
            }
        }
        // Every selected field is in the plan. A field that is not, is kept.
        sorted.extend(std::mem::take(fields));
        *fields = sorted;
        *last = Some((object, plan));
    }

    fn plan<'a>(&'a self, sets: &[&'a SelectionSet], object: Option<&Value>) -> Plan<'a> {
        let object = match object {
            Some(Value::String(name)) => Some(name.as_str()),
            _ => None,
        };
        let mut plan = Plan::new();
        let mut seen = HashSet::new();
        for set in sets {
            self.collect(set, object, &mut plan, &mut seen);
        }
        plan
    }

    fn collect<'a>(
        &'a self,
        set: &'a SelectionSet,
        object: Option<&str>,
        plan: &mut Plan<'a>,
        seen: &mut HashSet<&'a str>,
    ) {
        let applies = |condition: &str| object.is_none_or(|object| self.interfaces.applies(condition, object));
        for selection in set.items.iter().filter(|selection| !self.is_skipped(selection.node.directives())) {
            match &selection.node {
                Selection::Field(field) => {
                    let inside = plan.entry(field.node.response_key().node.as_str()).or_default();
                    if !field.node.selection_set.node.items.is_empty() {
                        inside.push(&field.node.selection_set.node);
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

/// Selects the type of every object whose selections depend on it.
pub(crate) fn select_types(document: &mut ExecutableDocument) {
    for fragment in document.fragments.values_mut() {
        select_in_set(&mut fragment.node.selection_set);
    }
    match &mut document.operations {
        async_graphql::parser::types::DocumentOperations::Single(operation) => {
            select_in_set(&mut operation.node.selection_set);
        }
        async_graphql::parser::types::DocumentOperations::Multiple(operations) => {
            operations.values_mut().for_each(|operation| select_in_set(&mut operation.node.selection_set));
        }
    }
}

fn select_in_set(set: &mut Positioned<SelectionSet>) {
    let mut depends = false;
    for selection in &mut set.node.items {
        match &mut selection.node {
            Selection::Field(field) => select_in_set(&mut field.node.selection_set),
            Selection::InlineFragment(fragment) => {
                depends |= fragment.node.type_condition.is_some();
                select_in_set(&mut fragment.node.selection_set);
            }
            Selection::FragmentSpread(_) => depends = true,
        }
    }
    if depends {
        set.node.items.push(type_name(set.pos));
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
    use async_graphql::parser::types::DocumentOperations;
    use async_graphql::{EmptyMutation, EmptySubscription, Interface, Object, Schema, SimpleObject};
    use serde_json::json;

    #[derive(SimpleObject, Clone)]
    struct Tea {
        id: i32,
        name: String,
        leaf: String,
    }

    #[derive(SimpleObject, Clone)]
    struct Cup {
        id: i32,
        name: String,
        tea: Tea,
    }

    #[derive(Interface)]
    #[graphql(field(name = "id", ty = "&i32"))]
    enum Thing {
        Tea(Tea),
        Cup(Cup),
    }

    struct Query;

    /// Yields to other resolvers.
    async fn later(yields: usize) {
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    #[Object]
    impl Query {
        async fn slow(&self) -> i32 {
            later(3).await;
            1
        }
        async fn fast(&self) -> i32 {
            2
        }
        async fn things(&self) -> Vec<Thing> {
            later(1).await;
            let tea = Tea { id: 1, name: "assam".to_owned(), leaf: "black".to_owned() };
            vec![Thing::Tea(tea.clone()), Thing::Cup(Cup { id: 2, name: "mug".to_owned(), tea })]
        }
    }

    async fn execute(query: &str, variables: serde_json::Value) -> String {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let mut document = super::super::parse(query, &Limits::default()).unwrap();
        let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
        let set = operation.node.selection_set.node.clone();
        let variables = Variables::from_json(variables);
        let interfaces = Arc::new(Interfaces::of_sdl(&schema.sdl()));
        let order = SelectionOrder::new(&set, &document, &variables, interfaces);
        select_types(&mut document);
        let mut request = async_graphql::Request::new("").variables(variables);
        request.set_parsed_query(document);
        let mut response = schema.execute(request).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        order.apply(&mut response);
        serde_json::to_string(&response.data).unwrap()
    }

    #[tokio::test]
    async fn the_keys_of_a_response_have_the_order_of_the_selection() {
        let none = json!({});
        for (query, expected) in [
            ("{ slow fast }", r#"{"slow":1,"fast":2}"#),
            ("{ b: slow a: fast slow b: slow }", r#"{"b":1,"a":2,"slow":1}"#),
            ("{ ... { slow } fast ...F } fragment F on Query { z: fast slow }", r#"{"slow":1,"fast":2,"z":2}"#),
            ("{ fast ... on Query { fast slow } }", r#"{"fast":2,"slow":1}"#),
            (
                "{ things { ... on Cup { name id tea { leaf id } } ... on Tea { leaf id name } } fast }",
                r#"{"things":[{"leaf":"black","id":1,"name":"assam"},{"name":"mug","id":2,"tea":{"leaf":"black","id":1}}],"fast":2}"#,
            ),
            (
                "{ things { ... on Cup { tea { id } } id ... on Thing { k: id ...C } } } fragment C on Cup { tea { leaf id } name }",
                r#"{"things":[{"id":1,"k":1},{"tea":{"id":1,"leaf":"black"},"id":2,"k":2,"name":"mug"}]}"#,
            ),
            ("{ things { ... on Tea { id } } }", r#"{"things":[{"id":1},{}]}"#),
            (
                "{ __schema { queryType { name kind } } fast __typename }",
                r#"{"__schema":{"queryType":{"name":"Query","kind":"OBJECT"}},"fast":2,"__typename":"Query"}"#,
            ),
        ] {
            assert_eq!(execute(query, none.clone()).await, expected, "{query}");
        }
    }

    #[tokio::test]
    async fn skipped_fields_do_not_affect_the_order() {
        let query = "query ($no: Boolean!) { fast @include(if: $no) slow ...F @skip(if: true) fast } fragment F on Query { fast }";
        assert_eq!(execute(query, json!({ "no": false })).await, r#"{"slow":1,"fast":2}"#);
        assert_eq!(execute(query, json!({ "no": true })).await, r#"{"fast":2,"slow":1}"#);
    }

    #[test]
    fn interfaces_are_read_from_the_schema() {
        let interfaces = Interfaces::of_sdl(&crate::schema_sdl());
        assert!(interfaces.applies("Node", "Agent") && interfaces.applies("UserError", "TaskCommandError"));
        assert!(interfaces.applies("Agent", "Agent") && !interfaces.applies("UserError", "Agent"));
    }
}
