//! Sorts the fields of a response by the selection, as section 7.2.2 of the GraphQL specification requires.
//!
//! The executor resolves fields concurrently and returns them in the order in which they complete. Here they are sorted by
//! the document: a field that is selected several times has the position of its first selection, and a fragment the
//! position of its spread, if it applies to the object.

use super::select_types::TYPE_KEY;
use super::selections::{Plan, Selections};
use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::SelectionSet;
use async_graphql::{Name, Positioned, Response, Value};

/// The plan for objects of one type, reused for the next object of the same list.
type LastPlan<'a> = Option<(Option<Value>, Plan<'a>)>;

/// Sorts the fields of a response.
pub(crate) fn sort(selections: &Selections, response: &mut Response) {
    selections.sort(&mut response.data, &[&selections.root]);
}

impl Selections {
    /// The recursion is bounded, because the nesting of a response is that of its document.
    fn sort<'a>(&'a self, value: &mut Value, sets: &[&'a Positioned<SelectionSet>]) {
        // A value without selections is a scalar, possibly one of JSON.
        if !sets.is_empty() {
            self.sort_with(value, sets, &mut None);
        }
    }

    fn sort_with<'a>(&'a self, value: &mut Value, sets: &[&'a Positioned<SelectionSet>], last: &mut LastPlan<'a>) {
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
        sets: &[&'a Positioned<SelectionSet>],
        last: &mut LastPlan<'a>,
    ) {
        let object = fields.swap_remove(TYPE_KEY);
        let known = last.take().filter(|(of, _)| *of == object);
        let plan = known.map_or_else(|| self.plan(sets, object.as_ref()), |(_, plan)| plan);
        let mut sorted = IndexMap::with_capacity(fields.len());
        for (key, selected) in &plan {
            if let Some((name, mut value)) = fields.swap_remove_entry(*key) {
                self.sort(&mut value, &selected.sets);
                sorted.insert(name, value);
            }
        }
        // Every selected field is in the plan. A field that is not, is kept.
        sorted.extend(std::mem::take(fields));
        *fields = sorted;
        *last = Some((object, plan));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::document::{SchemaTypes, select_types};
    use async_graphql::parser::types::DocumentOperations;
    use async_graphql::{EmptyMutation, EmptySubscription, Interface, Object, Schema, SimpleObject, Variables};
    use serde_json::json;
    use std::sync::Arc;

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
        let variables = Variables::from_json(variables);
        let types = Arc::new(SchemaTypes::of_sdl(&schema.sdl()).unwrap());
        let selections = Selections::new(&operation.node, &document, &variables, types);
        select_types(&mut document, &selections);
        let mut request = async_graphql::Request::new("").variables(variables);
        request.set_parsed_query(document);
        let mut response = schema.execute(request).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        sort(&selections, &mut response);
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
}
