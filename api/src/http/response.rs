//! Response bodies: GraphQL responses, and errors in the same form for requests that do not get that far.

use crate::request_error::request_error;
use async_graphql::parser::types::OperationType;
use async_graphql::{PathSegment, Response as Executed, ServerError, Value};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};

/// Responds with an error in the form of a GraphQL response.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> impl IntoResponse + use<> {
    (status, Json(json!({ "errors": [{ "message": message, "extensions": { "code": code } }] })))
}

/// Tells a client how many seconds to wait before it sends a request again, if waiting helps.
pub(super) fn set_retry_after(response: &mut Response, seconds: Option<u64>) {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Whether the request was rejected before it was executed.
pub(crate) fn is_request_error(response: &Executed) -> bool {
    response.data == Value::Null && !response.errors.is_empty() && response.errors.iter().all(|e| e.path.is_empty())
}

/// Whether a response of a subscription says that it could not start. The errors of an event whose data are null are of fields
/// inside it.
pub(crate) fn did_not_start(response: &Executed) -> bool {
    response.data == Value::Null && !response.errors.is_empty() && response.errors.iter().all(|e| e.path.len() <= 1)
}

/// The longest error message, in bytes. Messages of the library contain the whole value that is not valid.
const MAX_MESSAGE_BYTES: usize = 2048;
/// The most errors in the response to a rejected request. Each unknown field is one.
const MAX_ERRORS: usize = 100;

/// Adds a code to each error that has none. Those are errors of the library about values that are not valid; the errors of
/// this crate have one.
pub(super) fn code_errors(response: &mut Executed) {
    if is_request_error(response) {
        response.errors.truncate(MAX_ERRORS);
    }
    let code = if is_request_error(response) { "GRAPHQL_VALIDATION_FAILED" } else { "BAD_USER_INPUT" };
    for error in &mut response.errors {
        code_error(error, code);
    }
}

fn code_error(error: &mut ServerError, code: &str) {
    if error.message.len() > MAX_MESSAGE_BYTES {
        error.message.truncate(error.message.floor_char_boundary(MAX_MESSAGE_BYTES));
        error.message.push('…');
    }
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        extensions.set("code", code);
    }
}

/// The response as it is serialized: without `data` if the request was not executed.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    #[serde(skip_serializing_if = "<[ServerError]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

pub(crate) fn body(response: &Executed) -> Body<'_> {
    Body { errors: &response.errors, data: (!is_request_error(response)).then_some(&response.data) }
}

/// Replaces a response that exceeds a size by an error. The error has the path of the first field, because the operation
/// was executed.
pub(super) fn limit_size(response: &mut Executed, operation: OperationType, limit_bytes: usize) {
    if serde_json::to_writer(Counter { left_bytes: limit_bytes }, &body(response)).is_ok() {
        return;
    }
    let remedy = match operation {
        OperationType::Mutation => "it was executed; query what it changed",
        OperationType::Query | OperationType::Subscription => "request fewer rows with `first`, or fewer fields",
    };
    let message = format!("the response has more than {limit_bytes} bytes, which is the limit; {remedy}");
    let mut error = request_error("BAD_USER_INPUT", message, None);
    error.extensions.get_or_insert_default().set("reason", "RESPONSE_TOO_LARGE");
    error.path = first_field(response).into_iter().collect();
    *response = Executed::from_errors(vec![error]);
}

/// The path of the first field of a response that was executed. If its data are null, it is a field that failed.
fn first_field(response: &Executed) -> Option<PathSegment> {
    match &response.data {
        Value::Object(fields) => fields.keys().next().map(|field| PathSegment::Field(field.to_string())),
        _ => response.errors.iter().find_map(|error| error.path.first().cloned()),
    }
}

/// Counts the bytes that are written, up to a limit.
struct Counter {
    left_bytes: usize,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left_bytes = self.left_bytes.checked_sub(bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serializes a body. All keys are strings, so this cannot fail; if it did, the client would get an empty text.
pub(crate) fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot serialize a response");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_executed_request_has_data() {
        let refused = Executed::from_errors(vec![ServerError::new("no", None)]);
        assert_eq!(text(&body(&refused)), r#"{"errors":[{"message":"no"}]}"#);
        let failed = ServerError::new("no", None).with_path(vec![PathSegment::Field("a".to_owned())]);
        let executed = Executed::from_errors(vec![failed]);
        assert_eq!(text(&body(&executed)), r#"{"errors":[{"message":"no","path":["a"]}],"data":null}"#);
    }

    #[test]
    fn a_response_over_the_limit_becomes_an_error_with_the_limit() {
        let response = || Executed::new(async_graphql::value!({ "a": "0123456789" }));
        let length = text(&body(&response())).len();
        let (mut fits, mut too_long) = (response(), response());
        limit_size(&mut fits, OperationType::Query, length);
        assert_eq!(text(&body(&fits)).len(), length);
        limit_size(&mut too_long, OperationType::Query, length - 1);
        assert!(!is_request_error(&too_long), "it was executed");
        assert!(text(&body(&too_long)).contains("RESPONSE_TOO_LARGE"), "{}", text(&body(&too_long)));
        assert!(too_long.errors[0].message.contains(&format!("more than {} bytes", length - 1)));
    }

    #[test]
    fn errors_over_the_limit_become_one_of_a_request_that_was_executed() {
        let path = ["a", "b"].map(|field| PathSegment::Field(field.to_owned()));
        let errors = vec![ServerError::new("no".repeat(100), None).with_path(path.to_vec()); 2];
        let mut response = Executed::from_errors(errors);
        limit_size(&mut response, OperationType::Query, 200);
        assert!(!is_request_error(&response) && response.errors.len() == 1);
        assert_eq!(response.errors[0].path, path[..1]);
    }

    #[test]
    fn an_event_without_data_is_not_a_subscription_that_did_not_start() {
        let failed = |path: &[&str]| {
            let path = path.iter().map(|field| PathSegment::Field((*field).to_owned())).collect();
            Executed::from_errors(vec![ServerError::new("no", None).with_path(path)])
        };
        assert!(did_not_start(&failed(&["events"])) && did_not_start(&failed(&[])));
        assert!(!did_not_start(&failed(&["events", "payload"])));
        assert!(!did_not_start(&Executed::new(async_graphql::value!({ "events": 1 }))));
    }

    #[test]
    fn fields_keep_the_order_of_the_response() {
        let executed = Executed::new(async_graphql::value!({ "b": 1, "a": { "d": 2, "c": 3 } }));
        assert_eq!(text(&body(&executed)), r#"{"data":{"b":1,"a":{"d":2,"c":3}}}"#);
    }

    #[test]
    fn errors_are_limited_in_number_and_length() {
        let error = ServerError::new("é".repeat(1_000_000), None);
        let mut response = Executed::from_errors(vec![error; 200]);
        code_errors(&mut response);
        assert_eq!(response.errors.len(), MAX_ERRORS);
        assert!(response.errors[0].message.len() <= MAX_MESSAGE_BYTES + '…'.len_utf8());
    }

    #[test]
    fn every_error_has_a_code_and_keeps_its_own() {
        let own = request_error("TOO_DEEP", "no", None);
        let mut response = Executed::from_errors(vec![own, ServerError::new("no", None)]);
        code_errors(&mut response);
        let codes: Vec<_> =
            response.errors.iter().map(|e| e.extensions.as_ref().unwrap().get("code").cloned()).collect();
        assert_eq!(codes, [Some(Value::from("TOO_DEEP")), Some(Value::from("GRAPHQL_VALIDATION_FAILED"))]);
    }
}
