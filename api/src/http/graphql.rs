//! GraphQL over HTTP: `GET` for queries, `POST` for queries and mutations, and streams of events for subscriptions and
//! for whoever accepts nothing else.

use super::computing::is_large;
use super::execute::{self, Parameters};
use super::negotiate::{self, MediaType};
use super::server::OpenConnection;
use super::{State as Shared, answer, auth, sse, websocket};
use crate::caller::Role;
use crate::limits::refusal;
use async_graphql::parser::types::OperationType;
use async_graphql::{Response as Executed, ServerError};
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Query, Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use std::sync::Arc;
use tokio::time::Instant;

/// A request that is not executed.
struct Refused {
    status: StatusCode,
    error: Box<ServerError>,
}

impl Refused {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, error: Box::new(refusal(code, message, None)) }
    }
}

/// Answers a GraphQL request, or takes it over to a WebSocket.
pub(crate) async fn handle(
    State(state): State<Arc<Shared>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    if let Ok(upgrade) = upgrade {
        let open = request.extensions().get::<Arc<OpenConnection>>().cloned();
        return websocket::accept(state, upgrade, request.headers(), open);
    }
    let accepted = negotiate::accepted(request.headers());
    let media_type = accepted.unwrap_or(MediaType::Json);
    let accepts = Accepts { json: accepted, stream: negotiate::accepts_event_stream(request.headers()) };
    let answered = if accepted.is_some() || accepts.stream {
        answer(&state, request, accepts).await
    } else {
        let message = "answers are application/graphql-response+json, application/json or text/event-stream";
        Err(Refused::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message))
    };
    answered.unwrap_or_else(|refused| {
        let mut response = written(refused.status, media_type, &Executed::from_errors(vec![*refused.error]));
        if refused.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"apex\""));
        }
        if refused.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    })
}

/// What a client takes.
#[derive(Clone, Copy)]
struct Accepts {
    json: Option<MediaType>,
    stream: bool,
}

async fn answer(state: &Arc<Shared>, request: Request, accepts: Accepts) -> Result<Response, Refused> {
    let method = request.method().clone();
    if method != Method::GET && method != Method::POST {
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "GraphQL takes GET and POST"));
    }
    let role = authorise(state, request.headers())?;
    let caller = auth::caller(state, request.headers(), role);
    let caller = caller.map_err(|bad| Refused::new(StatusCode::BAD_REQUEST, "BAD_HEADER", bad.0))?;
    let resume = sse::last_event_id(request.headers());
    let resume = resume.map_err(|bad| Refused::new(StatusCode::BAD_REQUEST, "BAD_HEADER", bad))?;
    let deadline = execute::deadline(state);
    let parameters = if method == Method::GET { in_url(&request)? } else { in_body(state, request, deadline).await? };
    let prepared = match (execute::prepare(state, caller, parameters, deadline).await, accepts.json) {
        (Ok(prepared), _) => prepared,
        (Err(error), None) => return Ok(sse::refused(error)),
        // A request that was understood, but is no query that may be executed.
        (Err(error), Some(json)) => {
            let refused = Executed::from_errors(vec![error]);
            return Ok(written(status(&refused, json), json, &refused));
        }
    };
    if method == Method::GET && prepared.operation == OperationType::Mutation {
        let message = "a mutation takes POST";
        let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
        return Err(refused);
    }
    match accepts.json {
        Some(json) if prepared.operation != OperationType::Subscription => {
            let executed = execute::run(state, prepared).await;
            Ok(written(status(&executed, json), json, &executed))
        }
        _ if accepts.stream => Ok(sse::operation(state, prepared, resume)),
        _ => {
            let message = "subscriptions take a WebSocket, at /graphql/ws, or `Accept: text/event-stream`";
            Err(Refused::new(StatusCode::BAD_REQUEST, "SUBSCRIPTION_NEEDS_WEBSOCKET", message))
        }
    }
}

fn authorise(state: &Shared, headers: &HeaderMap) -> Result<Role, Refused> {
    let refused = |message: &str| Refused::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
    match auth::of_headers(&state.config, headers) {
        auth::Credential::Proves(role) => Ok(role),
        auth::Credential::Missing => Err(refused("a token is needed: `Authorization: Bearer …`")),
        auth::Credential::Wrong => Err(refused("the token is wrong")),
    }
}

fn in_url(request: &Request) -> Result<Parameters, Refused> {
    let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        .map_err(|_| bad("the parameters of the URL cannot be read".to_owned()))?;
    Parameters::of_url(pairs).map_err(bad)
}

async fn in_body(state: &Shared, request: Request, deadline: Instant) -> Result<Parameters, Refused> {
    let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    if !negotiate::is_json(request.headers()) {
        let message = "the body is application/json in UTF-8, and Content-Type says so";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    let late = |message| Refused::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", message);
    let collecting = collect(request.into_body(), state.limits().max_body_bytes);
    let body = tokio::time::timeout_at(deadline, collecting).await;
    let body = body.map_err(|_| late("the body took too long to arrive"))??;
    let read = state.computing.run(is_large(body.len()), || {
        let json = serde_json::from_slice(&body).map_err(|error| format!("the body is not JSON: {error}"))?;
        Parameters::of(json, body.len())
    });
    let parameters = tokio::time::timeout_at(deadline, read).await.map_err(|_| late("it took too long"))?;
    parameters.map_err(bad)
}

async fn collect(body: Body, limit_bytes: usize) -> Result<Vec<u8>, Refused> {
    let mut collected = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refused::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body broke off"))?;
        if collected.len() + chunk.len() > limit_bytes {
            let message = format!("the body has more than {limit_bytes} bytes");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected)
}

/// The status of a response: with `application/json`, that of the transport alone.
fn status(executed: &Executed, media_type: MediaType) -> StatusCode {
    let timed_out = |error: &ServerError| {
        error.extensions.as_ref().and_then(|extensions| extensions.get("code")) == Some(&"TIMEOUT".into())
    };
    if !answer::is_request_error(executed) {
        StatusCode::OK
    } else if executed.errors.iter().any(timed_out) {
        StatusCode::GATEWAY_TIMEOUT
    } else if media_type == MediaType::Json {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

fn written(status: StatusCode, media_type: MediaType, executed: &Executed) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type.as_str()), (header::CACHE_CONTROL, "no-store")];
    (status, headers, answer::text(&answer::body(executed))).into_response()
}
