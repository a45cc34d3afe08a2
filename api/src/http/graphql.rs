//! GraphQL over HTTP: `GET` for queries, `POST` for queries and mutations, and event streams for subscriptions and for
//! clients that accept nothing else.

use super::computing::is_large;
use super::negotiate::{self, MediaType};
use super::parameters::Parameters;
use super::state::State as Shared;
use super::{auth, execute, prepare, rate_limit, response, sse, websocket};
use crate::authenticator::Endpoint;
use crate::rate_limits::Limited;
use crate::request_error::request_error;
use crate::requester::Requester;
use async_graphql::parser::types::OperationType;
use async_graphql::{Response as Executed, ServerError};
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, Request, State, WebSocketUpgrade};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::rate_limits::LimitedResource;
use futures::StreamExt;
use std::sync::Arc;
use tokio::time::Instant;

/// A request that is rejected with a status, before it is executed.
struct Rejected {
    status: StatusCode,
    error: Box<ServerError>,
}

impl Rejected {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, error: Box::new(request_error(code, message, None)) }
    }
}

impl From<auth::Rejection> for Rejected {
    fn from(rejection: auth::Rejection) -> Self {
        let (status, code, message) = rejection.parts();
        Self::new(status, code, message)
    }
}

impl From<Limited> for Rejected {
    fn from(limited: Limited) -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, error: Box::new(limited.error()) }
    }
}

/// Handles a GraphQL request, or upgrades it to a WebSocket.
pub(crate) async fn handle(
    State(state): State<Arc<Shared>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    if let Ok(upgrade) = upgrade {
        return websocket::accept(state, upgrade, request.headers(), request.extensions()).await;
    }
    let accepted = negotiate::accepted(request.headers());
    let media_type = accepted.unwrap_or(MediaType::Json);
    let accepts = Accepts { json: accepted, stream: negotiate::accepts_event_stream(request.headers()) };
    let mut sender = None;
    let handled = if accepted.is_some() || accepts.stream {
        respond(&state, request, accepts, &mut sender).await
    } else {
        let message =
            "the supported media types are application/graphql-response+json, application/json and text/event-stream";
        Err(Rejected::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message))
    };
    let mut response = handled.unwrap_or_else(|rejected| {
        let mut response = serialized(rejected.status, media_type, &Executed::from_errors(vec![*rejected.error]));
        if rejected.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"apex\""));
        }
        if rejected.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    });
    if let Some(Requester { principal, .. }) = sender {
        state.rate_limiter.add_headers(&principal, response.headers_mut());
    }
    response
}

/// The media types that a client accepts.
#[derive(Clone, Copy)]
struct Accepts {
    json: Option<MediaType>,
    stream: bool,
}

/// Responds to a request, and tells who sent it as soon as that is known.
async fn respond(
    state: &Arc<Shared>,
    request: Request,
    accepts: Accepts,
    sender: &mut Option<Requester>,
) -> Result<Response, Rejected> {
    let method = request.method().clone();
    if method != Method::GET && method != Method::POST {
        return Err(Rejected::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "GraphQL supports GET and POST",
        ));
    }
    let requester = auth::of_headers(state, request.headers(), request.extensions(), Endpoint::Api).await?;
    rate_limit::take(state, sender.insert(requester.clone()), LimitedResource::Requests, 1)?;
    let credential_ended = auth::ended(state, &requester);
    let resume = sse::last_event_id(request.headers());
    let resume = resume.map_err(|bad| Rejected::new(StatusCode::BAD_REQUEST, "BAD_HEADER", bad))?;
    let deadline = prepare::deadline(state);
    let parameters = if method == Method::GET { in_url(&request)? } else { in_body(state, request, deadline).await? };
    let prepared = match (prepare::prepare(state, requester, parameters, deadline).await, accepts.json) {
        (Ok(prepared), _) => prepared,
        (Err(error), None) if rate_limit::is_limited(&error) => {
            return Err(Rejected { status: StatusCode::TOO_MANY_REQUESTS, error: Box::new(error) });
        }
        (Err(error), None) => return Ok(sse::rejected(error)),
        // A well-formed HTTP request whose document may not be executed.
        (Err(error), Some(json)) => {
            let rejected = Executed::from_errors(vec![error]);
            return Ok(serialized(status(&rejected, json), json, &rejected));
        }
    };
    if method == Method::GET && prepared.operation == OperationType::Mutation {
        let message = "mutations require POST";
        return Err(Rejected::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message));
    }
    match accepts.json {
        Some(json) if prepared.operation != OperationType::Subscription => {
            let executed = execute::run(state, prepared).await;
            Ok(serialized(status(&executed, json), json, &executed))
        }
        _ if accepts.stream => Ok(sse::operation(state, prepared, resume, credential_ended)),
        _ => {
            let message = "subscriptions require a WebSocket at /graphql/ws, or the header `Accept: text/event-stream`";
            Err(Rejected::new(StatusCode::BAD_REQUEST, "SUBSCRIPTION_NEEDS_WEBSOCKET", message))
        }
    }
}

fn in_url(request: &Request) -> Result<Parameters, Rejected> {
    let bad = |message: String| Rejected::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        .map_err(|_| bad("the query string of the URL cannot be parsed".to_owned()))?;
    Parameters::of_url(pairs).map_err(bad)
}

async fn in_body(state: &Shared, request: Request, deadline: Instant) -> Result<Parameters, Rejected> {
    let bad = |message: String| Rejected::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    if !negotiate::is_json(request.headers()) {
        let message = "the body must be JSON in UTF-8, with the header `Content-Type: application/json`";
        return Err(Rejected::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let late = |message| Rejected::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", message);
    let collecting = collect(request.into_body(), state.limits().max_body_bytes);
    let body = tokio::time::timeout_at(deadline, collecting).await;
    let body = body.map_err(|_| late("the body did not arrive before the request timeout"))??;
    let read = state.cpu_permits.run(is_large(body.len()), || {
        let json = serde_json::from_slice(&body).map_err(|error| format!("the body is not JSON: {error}"))?;
        Parameters::of(json, body.len())
    });
    let parameters = tokio::time::timeout_at(deadline, read).await.map_err(|_| late("the request timed out"))?;
    parameters.map_err(bad)
}

async fn collect(body: Body, limit_bytes: usize) -> Result<Vec<u8>, Rejected> {
    let mut collected = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Rejected::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body is incomplete"))?;
        if collected.len() + chunk.len() > limit_bytes {
            let message = format!("the body has more than {limit_bytes} bytes, which is the limit");
            return Err(Rejected::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected)
}

/// The status of a response. With `application/json` it does not tell whether the request was executed.
fn status(executed: &Executed, media_type: MediaType) -> StatusCode {
    let timed_out = |error: &ServerError| {
        error.extensions.as_ref().and_then(|extensions| extensions.get("code")) == Some(&"TIMEOUT".into())
    };
    if !response::is_request_error(executed) {
        StatusCode::OK
    } else if executed.errors.iter().any(rate_limit::is_limited) {
        StatusCode::TOO_MANY_REQUESTS
    } else if executed.errors.iter().any(timed_out) {
        StatusCode::GATEWAY_TIMEOUT
    } else if media_type == MediaType::Json {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

fn serialized(status: StatusCode, media_type: MediaType, executed: &Executed) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type.as_str()), (header::CACHE_CONTROL, "no-store")];
    let mut response = (status, headers, response::text(&response::body(executed))).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        rate_limit::add_retry_after(&mut response, executed);
    }
    response
}
