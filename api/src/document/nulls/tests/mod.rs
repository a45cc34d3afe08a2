mod generated;

use super::*;
use crate::config::Limits;
use crate::document::{SchemaTypes, parse, select_types, sort};
use async_graphql::parser::types::DocumentOperations;
use async_graphql::{Context, Interface, Json, Object, Request, Schema, Subscription, Union, Variables};
use futures::{Stream, StreamExt};
use serde_json::{Value as JsonValue, json};
use std::sync::Arc;

/// The cup has fields of every type, and the tea shares some of them.
struct Cup;
struct Tea;

#[derive(Interface)]
#[graphql(field(name = "id", ty = "i32"), field(name = "spilt", ty = "Result<Option<i32>, String>"))]
enum Thing {
    Cup(Cup),
    Tea(Tea),
}

#[derive(Union)]
enum Drink {
    Cup(Cup),
    Tea(Tea),
}

fn failed<T>() -> Result<T, String> {
    Err("it failed".to_owned())
}

/// Fields that may be null have short names, and those that may not begin with `must`.
#[Object]
impl Cup {
    async fn id(&self) -> i32 {
        1
    }
    async fn name(&self) -> Option<&str> {
        Some("mug")
    }
    async fn spilt(&self) -> Result<Option<i32>, String> {
        failed()
    }
    async fn must(&self) -> Result<i32, String> {
        failed()
    }
    async fn later(&self) -> Result<Option<i32>, String> {
        tokio::task::yield_now().await;
        failed()
    }
    async fn cup(&self) -> Option<Cup> {
        Some(Cup)
    }
    async fn must_cup(&self) -> Cup {
        Cup
    }
    async fn no_cup(&self) -> Option<Cup> {
        None
    }
    async fn json(&self) -> Json<JsonValue> {
        Json(JsonValue::Null)
    }
    async fn object(&self) -> Json<JsonValue> {
        Json(json!({ "id": { "name": null } }))
    }
    async fn cups(&self) -> Vec<Option<Cup>> {
        vec![Some(Cup), None, Some(Cup)]
    }
    async fn must_cups(&self) -> Option<Vec<Cup>> {
        vec![Cup, Cup].into()
    }
    /// The elements fail themselves.
    async fn broken_cups(&self) -> Option<Vec<Result<Cup, String>>> {
        vec![Ok(Cup), failed()].into()
    }
    async fn grid(&self) -> Vec<Vec<Option<Cup>>> {
        vec![vec![Some(Cup)], vec![], vec![None, Some(Cup)]]
    }
    /// A row may be null, and a cup of a row may not.
    async fn rows(&self) -> Vec<Option<Vec<Cup>>> {
        vec![Some(vec![Cup, Cup]), Some(vec![]), None]
    }
}

#[Object]
impl Tea {
    async fn id(&self) -> i32 {
        2
    }
    async fn leaf(&self) -> Result<Option<i32>, String> {
        failed()
    }
    async fn spilt(&self) -> Result<Option<i32>, String> {
        Ok(None)
    }
    async fn must(&self) -> i32 {
        3
    }
}

struct Query;

#[Object]
impl Query {
    async fn cup(&self) -> Option<Cup> {
        Some(Cup)
    }
    async fn must_cup(&self) -> Cup {
        Cup
    }
    async fn ok(&self) -> i32 {
        1
    }
    async fn spilt(&self) -> Result<Option<i32>, String> {
        failed()
    }
    async fn must(&self) -> Result<i32, String> {
        failed()
    }
    async fn things(&self) -> Vec<Option<Thing>> {
        vec![Some(Thing::Cup(Cup)), Some(Thing::Tea(Tea))]
    }
    async fn drinks(&self) -> Vec<Option<Drink>> {
        vec![Some(Drink::Cup(Cup)), Some(Drink::Tea(Tea))]
    }
    /// An argument can be invalid only where the field is resolved.
    async fn of(&self, _ctx: &Context<'_>, #[graphql(validator(maximum = 1))] count: i32) -> Option<i32> {
        Some(count)
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn ok(&self) -> i32 {
        1
    }
    async fn spilt(&self) -> Result<Option<i32>, String> {
        failed()
    }
    async fn must(&self) -> Result<i32, String> {
        failed()
    }
    async fn cup(&self) -> Cup {
        Cup
    }
}

struct Events;

#[Subscription]
impl Events {
    async fn cups(&self) -> impl Stream<Item = Cup> {
        futures::stream::iter([Cup, Cup])
    }
    async fn maybe(&self) -> impl Stream<Item = Option<Cup>> {
        futures::stream::iter([Some(Cup), None])
    }
    async fn refused(&self) -> Result<futures::stream::Empty<Option<Cup>>, String> {
        failed()
    }
}

/// Executes an operation, and returns the data of its responses and the paths of their errors.
async fn execute_all(query: &str, variables: JsonValue) -> Vec<(JsonValue, Vec<String>)> {
    let schema = Schema::new(Query, Mutation, Events);
    let mut document = parse(query, &Limits::default()).unwrap();
    let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
    let variables = Variables::from_json(variables);
    let types = Arc::new(SchemaTypes::of_sdl(&schema.sdl()).unwrap());
    let selections = Selections::new(&operation.node, &document, &variables, types);
    select_types(&mut document, &selections);
    let mut request = Request::new("").variables(variables);
    request.set_parsed_query(document);
    let responses = schema.execute_stream(request).map(|mut response| {
        complete(&selections, &mut response);
        sort(&selections, &mut response);
        (response.data.into_json().unwrap(), response.errors.iter().map(path).collect())
    });
    responses.collect().await
}

fn path(error: &ServerError) -> String {
    let segments = error.path.iter().map(|segment| match segment {
        PathSegment::Field(name) => name.clone(),
        PathSegment::Index(index) => index.to_string(),
    });
    segments.collect::<Vec<_>>().join(".")
}

#[track_caller]
fn only<T>(all: Vec<T>) -> T {
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

/// Executes a query that fails.
async fn failing(query: &str) -> JsonValue {
    let (data, errors) = only(execute_all(query, json!({})).await);
    assert!(!errors.is_empty() && errors.iter().all(|path| !path.is_empty()), "{query}: {errors:?}");
    data
}

#[tokio::test]
async fn a_nullable_field_that_failed_is_null() {
    assert_eq!(failing("{ ok spilt }").await, json!({ "ok": 1, "spilt": null }));
    assert_eq!(failing("{ cup { id spilt } }").await, json!({ "cup": { "id": 1, "spilt": null } }));
    assert_eq!(failing("{ ok of(count: 2) }").await, json!({ "ok": 1, "of": null }));
}

#[tokio::test]
async fn an_object_whose_fields_all_failed_is_an_object() {
    assert_eq!(failing("{ spilt a: spilt }").await, json!({ "spilt": null, "a": null }));
    assert_eq!(failing("{ cup { spilt } }").await, json!({ "cup": { "spilt": null } }));
    assert_eq!(
        failing("{ mustCup { cup { spilt later } } }").await,
        json!({ "mustCup": { "cup": { "spilt": null, "later": null } } })
    );
    assert_eq!(
        failing("{ cup { cups { spilt } } }").await["cup"]["cups"],
        json!([{ "spilt": null }, null, { "spilt": null }])
    );
}

#[tokio::test]
async fn a_field_that_may_not_be_null_makes_its_object_null() {
    assert_eq!(failing("{ ok cup { id must } }").await, json!({ "ok": 1, "cup": null }));
    assert_eq!(failing("{ ok cup { must } }").await, json!({ "ok": 1, "cup": null }));
    assert_eq!(failing("{ ok cup { id mustCup { mustCup { id must } } } }").await, json!({ "ok": 1, "cup": null }));
    assert_eq!(
        failing("{ cup { cup { id must } mustCup { id } } }").await,
        json!({ "cup": { "cup": null, "mustCup": { "id": 1 } } })
    );
}

#[tokio::test]
async fn the_data_are_null_if_nothing_above_may_be_null() {
    for query in [
        "{ must }",
        "{ ok must }",
        "{ ok mustCup { id must } }",
        "{ ok mustCup { must } }",
        "{ ...F } fragment F on Query { ok must }",
    ] {
        assert_eq!(failing(query).await, JsonValue::Null, "{query}");
    }
}

#[tokio::test]
async fn elements_of_lists_are_null_or_make_their_list_null() {
    assert_eq!(failing("{ cup { cups { id must } } }").await, json!({ "cup": { "cups": [null, null, null] } }));
    assert_eq!(failing("{ cup { cups { id spilt } } }").await["cup"]["cups"][2], json!({ "id": 1, "spilt": null }));
    assert_eq!(failing("{ cup { id mustCups { id must } } }").await, json!({ "cup": { "id": 1, "mustCups": null } }));
    assert_eq!(failing("{ cup { id mustCups { must } } }").await, json!({ "cup": { "id": 1, "mustCups": null } }));
    assert_eq!(
        failing("{ cup { id brokenCups { id } spilt } }").await,
        json!({ "cup": { "id": 1, "brokenCups": null, "spilt": null } })
    );
}

#[tokio::test]
async fn lists_of_lists_are_completed() {
    let cup = json!({ "id": 1, "spilt": null });
    assert_eq!(failing("{ cup { grid { id spilt } } }").await, json!({ "cup": { "grid": [[cup], [], [null, cup]] } }));
    assert_eq!(failing("{ cup { grid { spilt } } }").await["cup"]["grid"][2], json!([null, { "spilt": null }]));
    assert_eq!(failing("{ cup { grid { must } } }").await, json!({ "cup": { "grid": [[null], [], [null, null]] } }));
    assert_eq!(failing("{ cup { rows { id must } } }").await, json!({ "cup": { "rows": [null, [], null] } }));
    assert_eq!(failing("{ cup { rows { must } } }").await, json!({ "cup": { "rows": [null, [], null] } }));
}

#[tokio::test]
async fn aliases_are_completed_by_their_fields() {
    assert_eq!(failing("{ c: cup { a: id b: spilt } }").await, json!({ "c": { "a": 1, "b": null } }));
    assert_eq!(failing("{ c: cup { id: must } ok }").await, json!({ "c": null, "ok": 1 }));
    assert_eq!(failing("{ cup { must: id spilt: must } ok }").await, json!({ "cup": null, "ok": 1 }));
}

#[tokio::test]
async fn fragments_are_completed() {
    let spilt = json!({ "cup": { "id": 1, "spilt": null } });
    for query in [
        "{ cup { id ...F } } fragment F on Cup { spilt }",
        "{ cup { id ... { spilt } } }",
        "{ cup { ... on Cup { ...F } } } fragment F on Cup { id ... on Thing { spilt } }",
        "{ ...Q } fragment Q on Query { cup { id spilt } }",
        "{ cup { id } ...Q } fragment Q on Query { cup { spilt } }",
        "{ cup { spilt } cup { id } }",
    ] {
        assert_eq!(failing(query).await, spilt, "{query}");
    }
    assert_eq!(failing("{ ok cup { id ...F } } fragment F on Cup { must }").await, json!({ "ok": 1, "cup": null }));
}

/// The executor resolves each selection of a field, and a selection whose fields all failed would replace the others.
#[tokio::test]
async fn a_selection_that_failed_does_not_hide_another_one() {
    let both = json!({ "cup": { "later": null, "name": "mug" } });
    for query in [
        "{ cup { spilt } cup { later name } }",
        "{ ...A ...B } fragment A on Query { cup { spilt } } fragment B on Query { cup { later name } }",
        "{ ...A cup { later name } } fragment A on Query { cup { spilt } }",
    ] {
        let mut expected = both.clone();
        expected["cup"]["spilt"] = JsonValue::Null;
        assert_eq!(failing(query).await, expected, "{query}");
    }
    let nested = failing("{ cup { cups { spilt } } cup { cups { later name } } }").await;
    assert_eq!(nested["cup"]["cups"][0], json!({ "spilt": null, "later": null, "name": "mug" }));
}

#[tokio::test]
async fn objects_of_interfaces_are_completed_by_their_own_type() {
    let selected = failing("{ things { id ... on Tea { leaf } ... on Cup { must } } }").await;
    assert_eq!(selected, json!({ "things": [null, { "id": 2, "leaf": null }] }));
    let selected = failing("{ things { ... on Tea { x: must leaf } ... on Cup { x: spilt } } }").await;
    assert_eq!(selected, json!({ "things": [{ "x": null }, { "x": 3, "leaf": null }] }));
    let of_interface = json!({ "things": [{ "id": 1, "spilt": null }, { "id": 2, "spilt": null }] });
    for query in ["{ things { id spilt } }", "{ things { ...F } } fragment F on Thing { id spilt }"] {
        // The errors of fields of the interface itself have no path.
        let (data, errors) = only(execute_all(query, json!({})).await);
        assert_eq!((data, errors.len()), (of_interface.clone(), 1), "{query}");
    }
}

#[tokio::test]
async fn objects_of_unions_are_completed_by_their_own_type() {
    let own = json!({ "drinks": [null, { "id": 2, "leaf": null }] });
    for query in [
        "{ drinks { ... on Tea { id leaf } ... on Cup { id must } } }",
        "{ drinks { ...F } } fragment F on Drink { ... on Tea { id leaf } ... on Cup { id must } }",
    ] {
        assert_eq!(failing(query).await, own, "{query}");
    }
    let named = failing("{ drinks { __typename ... on Thing { id spilt } } }").await;
    assert_eq!(named["drinks"][0], json!({ "__typename": "Cup", "id": 1, "spilt": null }));
}

#[tokio::test]
async fn only_fields_that_are_included_are_completed() {
    let query = "query ($no: Boolean!) {
        spilt
        cup { id name @skip(if: $no) spilt @include(if: $no) later @skip(if: true) ...F @include(if: $no) }
        mustCup @include(if: $no) { must }
    } fragment F on Cup { must }";
    let (data, errors) = only(execute_all(query, json!({ "no": false })).await);
    assert_eq!(data, json!({ "spilt": null, "cup": { "id": 1, "name": "mug" } }));
    assert_eq!(errors, ["spilt"]);
    let (data, _) = only(execute_all(query, json!({ "no": true })).await);
    assert_eq!(data, JsonValue::Null);
}

/// The executor returns null for an object without fields.
#[tokio::test]
async fn an_object_whose_fields_are_all_skipped_is_not_null() {
    let (data, errors) = only(execute_all("{ mustCup { id @skip(if: true) } }", json!({})).await);
    assert_eq!((data, errors.len()), (json!({ "mustCup": {} }), 0));
    assert_eq!(failing("{ mustCup { id @skip(if: true) } spilt }").await, json!({ "mustCup": {}, "spilt": null }));
    let (data, errors) = only(execute_all("{ ok @skip(if: true) }", json!({})).await);
    assert_eq!((data, errors.len()), (json!({}), 0));
}

#[tokio::test]
async fn values_that_did_not_fail_stay() {
    let untouched = failing("{ cup { spilt noCup { id must } json object cups { id } } }").await;
    let cups = json!([{ "id": 1 }, null, { "id": 1 }]);
    let object = json!({ "id": { "name": null } });
    assert_eq!(untouched["cup"], json!({ "spilt": null, "noCup": null, "json": null, "object": object, "cups": cups }));
    let introspected =
        failing("{ spilt __typename __schema { queryType { name } } __type(name: \"None\") { name } }").await;
    assert_eq!(introspected["__schema"], json!({ "queryType": { "name": "Query" } }));
    assert_eq!((&introspected["__typename"], &introspected["__type"]), (&json!("Query"), &JsonValue::Null));
}

#[tokio::test]
async fn mutations_are_completed() {
    assert_eq!(failing("mutation { ok spilt }").await, json!({ "ok": 1, "spilt": null }));
    assert_eq!(failing("mutation { spilt }").await, json!({ "spilt": null }));
    assert_eq!(failing("mutation { cup { id spilt } }").await, json!({ "cup": { "id": 1, "spilt": null } }));
    assert_eq!(failing("mutation { ok must }").await, JsonValue::Null);
    assert_eq!(failing("mutation { ok cup { id must } }").await, JsonValue::Null);
}

#[tokio::test]
async fn the_events_of_subscriptions_are_completed() {
    let data = async |query: &str| {
        let responses = execute_all(query, json!({})).await;
        responses.into_iter().map(|(data, _)| data).collect::<Vec<_>>()
    };
    let cup = json!({ "cups": { "id": 1, "spilt": null } });
    assert_eq!(data("subscription { cups { id spilt } }").await, [cup.clone(), cup.clone()]);
    assert_eq!(data("subscription { cups { ...F } } fragment F on Cup { id spilt }").await, [cup.clone(), cup]);
    assert_eq!(data("subscription { cups { spilt } }").await[1], json!({ "cups": { "spilt": null } }));
    assert_eq!(data("subscription { cups { id must } }").await, [JsonValue::Null, JsonValue::Null]);
    assert_eq!(data("subscription { c: maybe { id must } }").await, [json!({ "c": null }), json!({ "c": null })]);
    assert_eq!(data("subscription { refused { id } }").await, [JsonValue::Null], "it did not start");
}

#[tokio::test]
async fn a_request_that_was_not_executed_has_no_data() {
    let (data, errors) = only(execute_all("{ unknown }", json!({})).await);
    assert_eq!((data, errors), (JsonValue::Null, vec![String::new()]));
}

#[tokio::test]
async fn keys_that_are_added_have_the_order_of_the_selection() {
    let schema = Schema::new(Query, Mutation, Events);
    let types = Arc::new(SchemaTypes::of_sdl(&schema.sdl()).unwrap());
    let query = "{ cup { later id spilt name } spilt ok }";
    let document = parse(query, &Limits::default()).unwrap();
    let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
    let selections = Selections::new(&operation.node, &document, &Variables::default(), types);
    let mut response = schema.execute(query).await;
    complete(&selections, &mut response);
    sort(&selections, &mut response);
    let expected = r#"{"cup":{"later":null,"id":1,"spilt":null,"name":"mug"},"spilt":null,"ok":1}"#;
    assert_eq!(serde_json::to_string(&response.data).unwrap(), expected);
}
