//! The order of the fields in an answer: that of the selection, by section 7.2.2 of the GraphQL specification.
//!
//! The executor resolves fields at the same time and writes them in the order in which they are ready. Here they are
//! sorted by the document: fields that are selected several times stand where they are selected first, and fragments
//! stand where they are spread, if they apply to the object. Which type an object has is asked for beside a client's own
//! selections, under a key that no client can write.

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Directive, ExecutableDocument, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned, Response, Value, Variables};
use async_graphql_value::Value as InputValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The key of an object's type in a response. A blank is in no name.
const TYPE_KEY: &str = " type";

/// The interfaces of each object type.
#[derive(Debug, Default)]
pub(crate) struct Interfaces(HashMap<String, HashSet<String>>);

impl Interfaces {
    /// Those of a schema in GraphQL's own language, as the library writes it.
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

/// The order in which an operation asks for fields.
pub(crate) struct Order {
    selection_set: SelectionSet,
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
    variables: Variables,
    interfaces: Arc<Interfaces>,
}

/// Keys in their order, each with what is selected inside it.
type Plan<'a> = IndexMap<&'a str, Vec<&'a SelectionSet>>;

/// The plan for objects of one type, kept for the next object of the same list.
type LastPlan<'a> = Option<(Option<Value>, Plan<'a>)>;

impl Order {
    pub(crate) fn new(
        selection_set: &SelectionSet,
        document: &ExecutableDocument,
        variables: &Variables,
        interfaces: Arc<Interfaces>,
    ) -> Self {
        // Of the variables only conditions are looked at.
        let conditions = variables.iter().filter(|(_, value)| matches!(value, Value::Boolean(_)));
        let conditions: Vec<_> = conditions.map(|(name, value)| (name.clone(), value.clone())).collect();
        let variables = Variables::from_value(Value::Object(conditions.into_iter().collect()));
        Self { selection_set: selection_set.clone(), fragments: document.fragments.clone(), variables, interfaces }
    }

    /// Puts the fields of a response in order.
    pub(crate) fn apply(&self, response: &mut Response) {
        self.sort(&mut response.data, &[&self.selection_set]);
    }

    /// The nesting of a response is that of its document, which is bounded.
    fn sort<'a>(&'a self, value: &mut Value, sets: &[&'a SelectionSet]) {
        // Without a selection it is a scalar, be it one of JSON.
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
        // Nothing is left that was selected; were there anything, it would not be lost.
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

/// Asks for the type of each object on which it depends what is selected.
pub(crate) fn ask_for_types(document: &mut ExecutableDocument) {
    for fragment in document.fragments.values_mut() {
        ask_in_set(&mut fragment.node.selection_set);
    }
    match &mut document.operations {
        async_graphql::parser::types::DocumentOperations::Single(operation) => {
            ask_in_set(&mut operation.node.selection_set);
        }
        async_graphql::parser::types::DocumentOperations::Multiple(operations) => {
            operations.values_mut().for_each(|operation| ask_in_set(&mut operation.node.selection_set));
        }
    }
}

fn ask_in_set(set: &mut Positioned<SelectionSet>) {
    let mut depends = false;
    for selection in &mut set.node.items {
        match &mut selection.node {
            Selection::Field(field) => ask_in_set(&mut field.node.selection_set),
            Selection::InlineFragment(fragment) => {
                depends |= fragment.node.type_condition.is_some();
                ask_in_set(&mut fragment.node.selection_set);
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
    use crate::Limits;
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

    /// Resolves after others, the more so the longer.
    async fn later(turns: usize) {
        for _ in 0..turns {
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

    async fn answer(query: &str, variables: serde_json::Value) -> String {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let mut document = super::super::parse(query, &Limits::default()).unwrap();
        let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
        let set = operation.node.selection_set.node.clone();
        let variables = Variables::from_json(variables);
        let interfaces = Arc::new(Interfaces::of_sdl(&schema.sdl()));
        let order = Order::new(&set, &document, &variables, interfaces);
        ask_for_types(&mut document);
        let mut request = async_graphql::Request::new("").variables(variables);
        request.set_parsed_query(document);
        let mut response = schema.execute(request).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        order.apply(&mut response);
        serde_json::to_string(&response.data).unwrap()
    }

    #[tokio::test]
    async fn the_keys_of_an_answer_come_in_the_order_of_the_selection() {
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
            assert_eq!(answer(query, none.clone()).await, expected, "{query}");
        }
    }

    #[tokio::test]
    async fn fields_that_are_left_out_do_not_count_for_the_order() {
        let query = "query ($no: Boolean!) { fast @include(if: $no) slow ...F @skip(if: true) fast } fragment F on Query { fast }";
        assert_eq!(answer(query, json!({ "no": false })).await, r#"{"slow":1,"fast":2}"#);
        assert_eq!(answer(query, json!({ "no": true })).await, r#"{"fast":2,"slow":1}"#);
    }

    #[test]
    fn interfaces_are_read_from_the_schema() {
        let interfaces = Interfaces::of_sdl(&crate::schema_sdl());
        assert!(interfaces.applies("Node", "Agent") && interfaces.applies("UserError", "TaskCommandError"));
        assert!(interfaces.applies("Agent", "Agent") && !interfaces.applies("UserError", "Agent"));
    }
}
