//! From the parameters of a GraphQL request to a request that may be executed: parsed, and within the limits.

use super::computing::is_large;
use super::parameters::Parameters;
use super::rate_limit;
use super::state::State;
use crate::document::{Selections, parse, select_types};
use crate::graphql::loaders::{self, Loads};
use crate::limits::{check_document, measure_variables};
use crate::rate_limits::OpenSubscription;
use crate::request_error::request_error;
use crate::requester::Requester;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use async_graphql::{Positioned, Request, ServerError, Variables};
use domain::rate_limits::LimitedResource;
use serde_json::Value;
use tokio::time::Instant;

/// A request that may be executed.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    /// Loads the rows that its resolvers ask for.
    pub(crate) loads: Loads,
    /// Who sent it.
    pub(crate) requester: Requester,
    pub(crate) operation: OperationType,
    pub(crate) name: Option<String>,
    /// What it selects, by which the response is completed and sorted.
    pub(crate) selections: Selections,
    /// When the request times out.
    pub(crate) deadline: Instant,
    /// Whether its validation takes long enough to delay other tasks.
    pub(crate) is_large: bool,
    /// Counts a subscription as open.
    pub(crate) subscription: Option<OpenSubscription>,
}

/// The time at which a request that arrives now times out.
pub(crate) fn deadline(state: &State) -> Instant {
    Instant::now() + state.limits().request_timeout
}

/// Parses a request and checks it against the limits.
///
/// # Errors
/// `GRAPHQL_PARSE_FAILED`, `OPERATION_NOT_FOUND`, `GRAPHQL_VALIDATION_FAILED`, `TIMEOUT`, `RATE_LIMITED`, and the codes of
/// [`check_document`].
pub(crate) async fn prepare(
    state: &State,
    requester: Requester,
    parameters: Parameters,
    deadline: Instant,
) -> Result<Prepared, ServerError> {
    let is_large = is_large(parameters.bytes);
    let work = || read(state, requester, parameters, deadline);
    let Ok(prepared) = tokio::time::timeout_at(deadline, state.cpu_permits.run(is_large, work)).await else {
        return Err(timed_out(OperationType::Query));
    };
    prepared
}

/// The error of a request that reached its deadline.
pub(crate) fn timed_out(operation: OperationType) -> ServerError {
    let message = match operation {
        OperationType::Mutation => "the request timed out and its outcome is unknown; retry with the same `commandId`",
        OperationType::Query | OperationType::Subscription => "the request timed out",
    };
    request_error("TIMEOUT", message, None)
}

fn read(
    state: &State,
    requester: Requester,
    parameters: Parameters,
    deadline: Instant,
) -> Result<Prepared, ServerError> {
    let limits = state.limits();
    let variable_sizes = measure_variables(&parameters.variables)?;
    let mut document = parse(&parameters.query, limits)?;
    let is_large = check_document(&document, &variable_sizes, limits)? || is_large(parameters.bytes);
    let operation = selected(&document, parameters.operation_name.as_deref())?;
    check_variables(&operation.node, &parameters.variables)?;
    check_root(operation)?;
    let variables = with_defaults(&operation.node, Variables::from_json(Value::Object(parameters.variables)));
    let kind = operation.node.ty;
    let subscription = check_quotas(state, &requester, kind, parameters.bytes)?;
    let selections = Selections::new(&operation.node, &document, &variables, state.types.clone());
    select_types(&mut document, &selections);
    let principal = requester.principal.clone();
    let (loader, loads) = loaders::loader(state.deps.reads.clone(), state.deps.commands.clone(), principal);
    // The text is not passed on: what is executed is the document that was checked.
    let mut request = Request::new(String::new()).variables(variables).data(requester.clone()).data(loader);
    request.operation_name.clone_from(&parameters.operation_name);
    request.set_parsed_query(document);
    Ok(Prepared {
        request,
        loads,
        requester,
        operation: kind,
        name: parameters.operation_name,
        selections,
        deadline,
        is_large,
        subscription,
    })
}

/// Takes the bytes of a command from what the caller may send, and counts a subscription as open.
fn check_quotas(
    state: &State,
    requester: &Requester,
    operation: OperationType,
    bytes: usize,
) -> Result<Option<OpenSubscription>, ServerError> {
    let checked = match operation {
        OperationType::Query => Ok(None),
        OperationType::Mutation => {
            rate_limit::take(state, requester, LimitedResource::IngestBytes, bytes).map(|()| None)
        }
        OperationType::Subscription => rate_limit::open_subscription(state, requester).map(Some),
    };
    checked.map_err(|limited| limited.error())
}

/// Adds the defaults of variables that are not given, so that conditions can be evaluated.
fn with_defaults(operation: &OperationDefinition, mut variables: Variables) -> Variables {
    for definition in &operation.variable_definitions {
        if let Some(default) = &definition.node.default_value {
            variables.entry(definition.node.name.node.clone()).or_insert_with(|| default.node.clone());
        }
    }
    variables
}

/// Selects the operation to execute.
fn selected<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a Positioned<OperationDefinition>, ServerError> {
    let rejected = |message: String| request_error("OPERATION_NOT_FOUND", message, None);
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get(name).ok_or_else(|| rejected(format!("there is no operation {name:?}")))
        }
        (DocumentOperations::Single(_), Some(name)) => Err(rejected(format!("there is no operation {name:?}"))),
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(rejected("the document has several operations; select one with `operationName`".to_owned())),
            }
        }
    }
}

/// Rejects a request that lacks a required variable, which the library would detect only during execution.
fn check_variables(
    operation: &OperationDefinition,
    variables: &serde_json::Map<String, Value>,
) -> Result<(), ServerError> {
    for definition in &operation.variable_definitions {
        let variable = &definition.node;
        let name = variable.name.node.as_str();
        let given = variables.get(name);
        let is_required = !variable.var_type.node.nullable;
        let is_missing = given.is_none() && variable.default_value.is_none();
        if is_required && (is_missing || given.is_some_and(Value::is_null)) {
            let message = format!("the variable ${name} of type {} requires a value", variable.var_type.node);
            return Err(request_error("GRAPHQL_VALIDATION_FAILED", message, Some(definition.pos)));
        }
    }
    Ok(())
}

/// Rejects a subscription without exactly one root field (GraphQL, October 2021, section 5.2.3.1), because heartbeats report
/// one position. The library ignores root fields inside fragments.
fn check_root(operation: &Positioned<OperationDefinition>) -> Result<(), ServerError> {
    let roots = &operation.node.selection_set.node.items;
    let is_one_field = matches!(roots.as_slice(), [root] if matches!(root.node, Selection::Field(_)));
    if operation.node.ty == OperationType::Subscription && !is_one_field {
        let message = "a subscription must have exactly one root field, outside of fragments";
        return Err(request_error("GRAPHQL_VALIDATION_FAILED", message, Some(operation.pos)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use serde_json::json;

    #[test]
    fn exactly_one_operation_is_selected() {
        let select = |query: &str, name: Option<&str>| {
            let document = parse(query, &Limits::default()).unwrap();
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
    fn absent_variables_have_their_defaults() {
        let given = |query: &str, variables: Value| {
            let document = parse(query, &Limits::default()).unwrap();
            let variables = with_defaults(&selected(&document, None).unwrap().node, Variables::from_json(variables));
            serde_json::to_value(variables).unwrap()
        };
        let query = "query ($a: Boolean = true, $b: Int, $c: [Int] = [1]) { d }";
        assert_eq!(given(query, json!({})), json!({ "a": true, "c": [1] }));
        assert_eq!(given(query, json!({ "a": null, "b": 1, "c": [] })), json!({ "a": null, "b": 1, "c": [] }));
    }

    #[test]
    fn a_subscription_must_have_one_root_field() {
        let check = |query: &str| {
            let document = parse(query, &Limits::default()).unwrap();
            check_root(selected(&document, None).unwrap()).is_ok()
        };
        assert!(check("{ a b }") && check("mutation { a b }") && check("subscription { a }"));
        assert!(!check("subscription { a b }") && !check("subscription { a: b(c: 1) d: b(c: 2) }"));
        assert!(!check("subscription { ...F } fragment F on S { a }") && !check("subscription { ... { a } }"));
    }

    #[test]
    fn a_missing_required_variable_is_rejected_before_execution() {
        let check = |query: &str, variables: Value| {
            let document = parse(query, &Limits::default()).unwrap();
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
