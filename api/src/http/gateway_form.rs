//! What the gateway answers, as HTTP. Errors of its paths have the form of the provider's API, also those that are made before a request
//! reaches the gateway, so that SDKs raise what they raise for the provider.

use crate::rate_limits::{Limited, seconds};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use gateway::{Answer, AnswerBody, Api, Problem};

/// The start of the paths of the gateway.
pub(super) const PREFIX: &str = "/gateway/";
/// A segment of the paths of Anthropic alone.
const OF_ANTHROPIC: &str = "messages";

/// The API that a path is of; none of a path that is not of the gateway. A path without a route is taken for one of OpenAI.
fn api_of(path: &str) -> Option<Api> {
    let mut segments = path.strip_prefix(PREFIX)?.split('/');
    Some(if segments.any(|segment| segment == OF_ANTHROPIC) { Api::Anthropic } else { Api::OpenAi })
}

/// An error of a path of the gateway; none of another path.
pub(super) fn error(path: &str, status: StatusCode, code: &'static str, message: &str) -> Option<Response> {
    api_of(path).map(|api| response(Problem::new(status, code, message).answer(api)))
}

/// The refusal of a request to a path of the gateway by a limit; none of another path.
pub(super) fn limited(path: &str, limited: &Limited) -> Option<Response> {
    api_of(path).map(|api| response(of_limited(limited).answer(api)))
}

/// The refusal of a request by a limit.
pub(super) fn of_limited(limited: &Limited) -> Problem {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", limited.message());
    match limited.retry_after {
        Some(after) => problem.retry_after(seconds(after)),
        None => problem,
    }
}

/// The response that an answer is.
pub(super) fn response(answer: Answer) -> Response {
    let Answer { status, headers, body } = answer;
    let body = match body {
        AnswerBody::Whole(bytes) => Body::from(bytes),
        AnswerBody::Streamed(parts) => {
            let next = |mut parts: tokio::sync::mpsc::Receiver<Result<Bytes, gateway::Broken>>| async move {
                parts.recv().await.map(|part| (part, parts))
            };
            Body::from_stream(stream::unfold(parts, next))
        }
    };
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_paths_of_the_gateway_have_the_form_of_a_provider() {
        assert_eq!(api_of("/gateway/a/v1/messages/count_tokens"), Some(Api::Anthropic));
        assert_eq!(api_of("/gateway/messages-of-a/v1/chat/completions"), Some(Api::OpenAi));
        assert_eq!(api_of("/gateway/"), Some(Api::OpenAi));
        assert_eq!(api_of("/graphql"), None);
        let refused = error("/gateway/a/v1/x", StatusCode::NOT_FOUND, "unknown_path", "no").unwrap();
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        assert!(error("/v1/traces", StatusCode::NOT_FOUND, "unknown_path", "no").is_none());
    }
}
