//! Bodies of answers: GraphQL responses, and errors of the same form where there is no GraphQL yet.

use async_graphql::{Response as Executed, ServerError, Value};
use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;

/// An error outside GraphQL, in the form of a GraphQL response.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> impl IntoResponse + use<> {
    (status, Json(json!({ "errors": [{ "message": message, "extensions": { "code": code } }] })))
}

/// Whether nothing was executed: the request itself was refused.
pub(crate) fn is_request_error(response: &Executed) -> bool {
    response.data == Value::Null && !response.errors.is_empty() && response.errors.iter().all(|e| e.path.is_empty())
}

/// Gives each error that has no code the one for its kind. The schema's own errors have theirs; what is left are the
/// library's, on values that do not fit.
pub(crate) fn code_errors(response: &mut Executed) {
    let code = if is_request_error(response) { "GRAPHQL_VALIDATION_FAILED" } else { "BAD_USER_INPUT" };
    for error in &mut response.errors {
        code_error(error, code);
    }
}

fn code_error(error: &mut ServerError, code: &str) {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code);
    }
}

/// The response as JSON: without `data` if nothing was executed.
pub(crate) fn body(response: &Executed) -> serde_json::Value {
    let mut body = serde_json::Map::new();
    if !response.errors.is_empty() {
        body.insert("errors".to_owned(), json!(response.errors));
    }
    if !is_request_error(response) {
        body.insert("data".to_owned(), json!(response.data));
    }
    serde_json::Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::PathSegment;

    #[test]
    fn a_refused_request_has_no_data_and_an_executed_one_has() {
        let refused = Executed::from_errors(vec![ServerError::new("no", None)]);
        assert_eq!(body(&refused), json!({ "errors": [{ "message": "no" }] }));
        let failed = ServerError::new("no", None).with_path(vec![PathSegment::Field("a".to_owned())]);
        let executed = Executed::from_errors(vec![failed]);
        assert_eq!(body(&executed)["data"], serde_json::Value::Null);
        assert!(body(&executed).as_object().unwrap().contains_key("data"));
    }

    #[test]
    fn every_error_has_a_code_and_keeps_its_own() {
        let own = crate::limits::refusal("TOO_DEEP", "no", None);
        let mut response = Executed::from_errors(vec![own, ServerError::new("no", None)]);
        code_errors(&mut response);
        let codes: Vec<_> =
            response.errors.iter().map(|e| e.extensions.as_ref().unwrap().get("code").cloned()).collect();
        assert_eq!(codes, [Some(Value::from("TOO_DEEP")), Some(Value::from("GRAPHQL_VALIDATION_FAILED"))]);
    }
}
