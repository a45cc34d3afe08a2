//! From the parameters of a GraphQL request to its response, whatever brought it here.

use super::computing::{in_place, is_large};
use super::{State, answer};
use crate::caller::Caller;
use crate::document;
use crate::document::order::{self, Order};
use crate::graphql::loaders;
use crate::limits::{check_document, measure_variables, refusal};
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use async_graphql::{Positioned, Request, Response, ServerError, Variables};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument;

/// The parameters of a request, as GraphQL over HTTP and graphql-transport-ws name them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: serde_json::Map<String, Value>,
    /// Whether it takes long enough to read that other tasks would notice.
    pub(crate) is_large: bool,
}

impl Parameters {
    /// Reads a JSON object that came in so many bytes.
    pub(crate) fn of(body: Value, bytes: usize) -> Result<Self, String> {
        let mut body = match body {
            Value::Object(body) => body,
            Value::Array(_) => return Err("one request at a time: batches are not supported".to_owned()),
            _ => return Err("the body is not a JSON object".to_owned()),
        };
        let query = match body.remove("query") {
            Some(Value::String(query)) => query,
            Some(_) => return Err("`query` is not a string".to_owned()),
            None => return Err("`query` is missing".to_owned()),
        };
        let operation_name = match body.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err("`operationName` is not a string".to_owned()),
        };
        match body.remove("extensions") {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return Err("`extensions` is not an object".to_owned()),
        }
        let variables = Self::variables(body.remove("variables"))?;
        let operation_name = operation_name.filter(|name| !name.is_empty());
        Ok(Self { query, operation_name, variables, is_large: is_large(bytes) })
    }

    /// Reads the parameters of a URL, where objects are JSON.
    pub(crate) fn of_url(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut body = serde_json::Map::new();
        let mut bytes = 0;
        for (name, value) in pairs {
            bytes += value.len();
            let value = match name.as_str() {
                "query" | "operationName" => Value::String(value),
                "variables" | "extensions" if value.is_empty() => Value::Null,
                "variables" | "extensions" => {
                    serde_json::from_str(&value).map_err(|_| format!("`{name}` is not JSON"))?
                }
                _ => continue,
            };
            if body.insert(name.clone(), value).is_some() {
                return Err(format!("`{name}` is given twice"));
            }
        }
        Self::of(Value::Object(body), bytes)
    }

    fn variables(given: Option<Value>) -> Result<serde_json::Map<String, Value>, String> {
        match given {
            None | Some(Value::Null) => Ok(serde_json::Map::new()),
            Some(Value::Object(variables)) => Ok(variables),
            Some(_) => Err("`variables` is not an object".to_owned()),
        }
    }
}

/// A request that may be executed.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) operation: OperationType,
    pub(crate) name: Option<String>,
    order: Order,
    /// When it is to be answered.
    deadline: Instant,
    is_large: bool,
}

/// When a request that arrives now is to be answered.
pub(crate) fn deadline(state: &State) -> Instant {
    Instant::now() + state.limits().request_timeout
}

/// Parses a request and checks it against the limits.
pub(crate) async fn prepare(
    state: &State,
    caller: Caller,
    parameters: Parameters,
    deadline: Instant,
) -> Result<Prepared, ServerError> {
    let is_large = parameters.is_large;
    let work = || read(state, caller, parameters, deadline);
    let Ok(prepared) = tokio::time::timeout_at(deadline, state.computing.run(is_large, work)).await else {
        return Err(timed_out(OperationType::Query));
    };
    prepared
}

fn read(state: &State, caller: Caller, parameters: Parameters, deadline: Instant) -> Result<Prepared, ServerError> {
    let limits = state.limits();
    let weights = measure_variables(&parameters.variables)?;
    let mut document = document::parse(&parameters.query, limits)?;
    let is_large = check_document(&document, &weights, limits)? || parameters.is_large;
    let operation = selected(&document, parameters.operation_name.as_deref())?;
    check_variables(&operation.node, &parameters.variables)?;
    check_root(operation)?;
    let variables = with_defaults(&operation.node, Variables::from_json(Value::Object(parameters.variables)));
    let kind = operation.node.ty;
    let order = Order::new(&operation.node.selection_set.node, &document, &variables, state.interfaces.clone());
    order::ask_for_types(&mut document);
    let loader = loaders::loader(state.deps.pool.clone(), caller.tenant.clone());
    // The text stays here: whatever is executed is the document that was checked.
    let mut request = Request::new(String::new()).variables(variables).data(caller).data(loader);
    request.operation_name.clone_from(&parameters.operation_name);
    request.set_parsed_query(document);
    Ok(Prepared { request, operation: kind, name: parameters.operation_name, order, deadline, is_large })
}

/// The variables with the defaults of those that are not given, which conditions would not look at otherwise.
fn with_defaults(operation: &OperationDefinition, mut variables: Variables) -> Variables {
    for definition in &operation.variable_definitions {
        if let Some(default) = &definition.node.default_value {
            variables.entry(definition.node.name.node.clone()).or_insert_with(|| default.node.clone());
        }
    }
    variables
}

/// The operation that is to be executed.
fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a Positioned<OperationDefinition>, ServerError> {
    let refused = |message: String| refusal("OPERATION_NOT_FOUND", message, None);
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get(name).ok_or_else(|| refused(format!("there is no operation {name:?}")))
        }
        (DocumentOperations::Single(_), Some(name)) => Err(refused(format!("there is no operation {name:?}"))),
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(refused("there are several operations: say which with `operationName`".to_owned())),
            }
        }
    }
}

/// Refuses a request without a variable that it needs; the library would find out while it executes.
fn check_variables(
    operation: &OperationDefinition,
    variables: &serde_json::Map<String, Value>,
) -> Result<(), ServerError> {
    for definition in &operation.variable_definitions {
        let variable = &definition.node;
        let name = variable.name.node.as_str();
        let given = variables.get(name);
        let needed = !variable.var_type.node.nullable;
        let missing = given.is_none() && variable.default_value.is_none();
        if needed && (missing || given.is_some_and(Value::is_null)) {
            let message = format!("the variable ${name} of type {} needs a value", variable.var_type.node);
            return Err(refusal("GRAPHQL_VALIDATION_FAILED", message, Some(definition.pos)));
        }
    }
    Ok(())
}

/// Refuses a subscription without exactly one root field (GraphQL, October 2021, section 5.2.3.1): the places of several
/// could not be told in one number. The library finds none in a fragment.
fn check_root(operation: &Positioned<OperationDefinition>) -> Result<(), ServerError> {
    let roots = &operation.node.selection_set.node.items;
    let is_one_field = matches!(roots.as_slice(), [root] if matches!(root.node, Selection::Field(_)));
    if operation.node.ty == OperationType::Subscription && !is_one_field {
        let message = "a subscription has exactly one field at its root, outside of any fragment";
        return Err(refusal("GRAPHQL_VALIDATION_FAILED", message, Some(operation.pos)));
    }
    Ok(())
}

/// Executes a query or mutation, until its deadline.
pub(crate) async fn run(state: &State, prepared: Prepared) -> Response {
    let span = operation_span(&prepared);
    let Prepared { request, operation, order, deadline, is_large, .. } = prepared;
    let executing = state.computing.begin(is_large, state.schema.execute(request));
    let executed = tokio::time::timeout_at(deadline, executing).instrument(span).await;
    let mut response = executed.unwrap_or_else(|_| Response::from_errors(vec![timed_out(operation)]));
    order.apply(&mut response);
    answer::code_errors(&mut response);
    answer::bound(&mut response, operation, state.limits().max_answer_bytes);
    response
}

/// Executes a subscription: its results, one after the other.
pub(crate) fn follow(state: &State, prepared: Prepared) -> BoxStream<'static, Response> {
    let Prepared { request, operation, order, is_large, .. } = prepared;
    let mut responses = state.schema.execute_stream(request);
    let mut is_new = is_large;
    // It is validated when it is polled first.
    let responses = futures::stream::poll_fn(move |context| match std::mem::take(&mut is_new) {
        true => in_place(|| responses.poll_next_unpin(context)),
        false => responses.poll_next_unpin(context),
    });
    let max_bytes = state.limits().max_answer_bytes;
    let sorted = responses.map(move |mut response| {
        order.apply(&mut response);
        answer::code_errors(&mut response);
        answer::bound(&mut response, operation, max_bytes);
        response
    });
    sorted.boxed()
}

fn timed_out(operation: OperationType) -> ServerError {
    let message = match operation {
        OperationType::Mutation => "it took too long, and may be written or not: retry with the same `commandId`",
        OperationType::Query | OperationType::Subscription => "it took too long",
    };
    refusal("TIMEOUT", message, None)
}

pub(crate) fn operation_span(prepared: &Prepared) -> tracing::Span {
    let operation = prepared.operation.to_string();
    tracing::info_span!(
        "graphql_operation",
        otel.name = format!("graphql {operation}"),
        graphql.operation.type = operation,
        graphql.operation.name = prepared.name.as_deref(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_checked_one_by_one() {
        let read = |body: Value| Parameters::of(body, 0);
        assert_eq!(read(json!({ "query": "{a}" })).unwrap().query, "{a}");
        assert!(read(json!({ "query": "{a}", "variables": null, "operationName": null, "extensions": {} })).is_ok());
        for (bad, word) in [
            (json!([]), "batches"),
            (json!("x"), "object"),
            (json!({}), "missing"),
            (json!({ "query": 1 }), "`query`"),
            (json!({ "query": "{a}", "operationName": 1 }), "`operationName`"),
            (json!({ "query": "{a}", "variables": [] }), "`variables`"),
            (json!({ "query": "{a}", "extensions": "x" }), "`extensions`"),
        ] {
            let error = read(bad.clone()).unwrap_err();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }

    #[test]
    fn a_url_carries_objects_as_json() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = Parameters::of_url(vec![pair("query", "{a}"), pair("variables", "{\"b\": 1}"), pair("x", "y")]);
        assert_eq!(read.unwrap().variables, *json!({ "b": 1 }).as_object().unwrap());
        assert!(Parameters::of_url(vec![pair("query", "{a}"), pair("variables", "{")]).is_err());
        assert!(Parameters::of_url(vec![pair("query", "{a}"), pair("query", "{b}")]).is_err());
    }

    #[test]
    fn one_operation_is_selected_or_none() {
        let select = |query: &str, name: Option<&str>| {
            let document = document::parse(query, &crate::Limits::default()).unwrap();
            selected(&document, name).map(|operation| operation.node.ty).map_err(|error| error.message)
        };
        assert_eq!(select("{ a }", None), Ok(OperationType::Query));
        assert_eq!(select("mutation A { a }", None), Ok(OperationType::Mutation));
        assert_eq!(select("query A { a } mutation B { b }", Some("B")), Ok(OperationType::Mutation));
        assert!(select("query A { a } mutation B { b }", None).is_err());
        assert!(select("query A { a }", Some("B")).is_err());
        assert!(select("{ a }", Some("B")).is_err());
    }

    #[test]
    fn variables_that_are_not_given_have_their_defaults() {
        let given = |query: &str, variables: Value| {
            let document = document::parse(query, &crate::Limits::default()).unwrap();
            let variables = with_defaults(&selected(&document, None).unwrap().node, Variables::from_json(variables));
            serde_json::to_value(variables).unwrap()
        };
        let query = "query ($a: Boolean = true, $b: Int, $c: [Int] = [1]) { d }";
        assert_eq!(given(query, json!({})), json!({ "a": true, "c": [1] }));
        assert_eq!(given(query, json!({ "a": null, "b": 1, "c": [] })), json!({ "a": null, "b": 1, "c": [] }));
    }

    #[test]
    fn a_subscription_has_one_root_field() {
        let check = |query: &str| {
            let document = document::parse(query, &crate::Limits::default()).unwrap();
            check_root(selected(&document, None).unwrap()).is_ok()
        };
        assert!(check("{ a b }") && check("mutation { a b }") && check("subscription { a }"));
        assert!(!check("subscription { a b }") && !check("subscription { a: b(c: 1) d: b(c: 2) }"));
        assert!(!check("subscription { ...F } fragment F on S { a }") && !check("subscription { ... { a } }"));
    }

    #[test]
    fn needed_variables_are_asked_for_before_anything_is_executed() {
        let check = |query: &str, variables: Value| {
            let document = document::parse(query, &crate::Limits::default()).unwrap();
            let operation = selected(&document, None).unwrap();
            check_variables(&operation.node, variables.as_object().unwrap()).is_ok()
        };
        assert!(check("query ($a: Int!) { a(b: $a) }", json!({ "a": 1 })));
        assert!(check("query ($a: Int) { a(b: $a) }", json!({})));
        assert!(check("query ($a: Int! = 1) { a(b: $a) }", json!({})));
        assert!(!check("query ($a: Int!) { a(b: $a) }", json!({})));
        assert!(!check("query ($a: Int!) { a(b: $a) }", json!({ "a": null })));
    }
}
