//! From the parameters of a GraphQL request to its response, whatever brought it here.

use super::{State, answer};
use crate::caller::Caller;
use crate::graphql::loaders;
use crate::limits::{check_document, check_text, refusal};
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use async_graphql::{Positioned, Request, Response, ServerError, Variables};
use serde_json::Value;
use tracing::Instrument;

/// The parameters of a request, as GraphQL over HTTP and graphql-transport-ws name them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: serde_json::Map<String, Value>,
}

impl Parameters {
    /// Reads a JSON object.
    pub(crate) fn of(body: Value) -> Result<Self, String> {
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
        Ok(Self { query, operation_name: operation_name.filter(|name| !name.is_empty()), variables })
    }

    /// Reads the parameters of a URL, where objects are JSON.
    pub(crate) fn of_url(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut body = serde_json::Map::new();
        for (name, value) in pairs {
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
        Self::of(Value::Object(body))
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
}

/// Parses a request and checks it against the limits.
pub(crate) fn prepare(state: &State, caller: Caller, parameters: Parameters) -> Result<Prepared, ServerError> {
    let limits = state.limits();
    check_text(&parameters.query, limits)?;
    let document = parse_query(&parameters.query).map_err(|error| {
        let error = ServerError::from(error);
        let at = error.locations.first().copied();
        refusal("GRAPHQL_PARSE_FAILED", error.message, at)
    })?;
    check_document(&document, limits)?;
    let operation = selected(&document, parameters.operation_name.as_deref())?;
    check_variables(&operation.node, &parameters.variables)?;
    check_root(operation)?;
    let operation = operation.node.ty;
    let variables = Variables::from_json(Value::Object(parameters.variables));
    let loader = loaders::loader(state.deps.pool.clone(), caller.tenant.clone());
    let mut request = Request::new(parameters.query).variables(variables).data(caller).data(loader);
    request.operation_name.clone_from(&parameters.operation_name);
    request.set_parsed_query(document);
    Ok(Prepared { request, operation, name: parameters.operation_name })
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

/// Executes a query or mutation, for as long as it may take.
pub(crate) async fn run(state: &State, prepared: Prepared) -> Response {
    let limit = state.limits().request_timeout;
    let span = operation_span(&prepared);
    let executed = tokio::time::timeout(limit, state.schema.execute(prepared.request)).instrument(span).await;
    let mut response = executed.unwrap_or_else(|_| {
        let message = match prepared.operation {
            OperationType::Mutation => "it took too long, and may be written or not: retry with the same `commandId`",
            OperationType::Query | OperationType::Subscription => "it took too long",
        };
        Response::from_errors(vec![refusal("TIMEOUT", message, None)])
    });
    answer::bound(&mut response, state.limits().max_answer_bytes);
    answer::code_errors(&mut response);
    response
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
        let read = |body: Value| Parameters::of(body);
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
            let document = parse_query(query).unwrap();
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
    fn a_subscription_has_one_root_field() {
        let check = |query: &str| {
            let document = parse_query(query).unwrap();
            check_root(selected(&document, None).unwrap()).is_ok()
        };
        assert!(check("{ a b }") && check("mutation { a b }") && check("subscription { a }"));
        assert!(!check("subscription { a b }") && !check("subscription { a: b(c: 1) d: b(c: 2) }"));
        assert!(!check("subscription { ...F } fragment F on S { a }") && !check("subscription { ... { a } }"));
    }

    #[test]
    fn needed_variables_are_asked_for_before_anything_is_executed() {
        let check = |query: &str, variables: Value| {
            let document = parse_query(query).unwrap();
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
