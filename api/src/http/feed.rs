//! The event log as an event stream without GraphQL: `GET /events`. Each message is an event in JSON, and its `id` is the
//! position of the event, so that a client resumes with `Last-Event-ID`.

use super::sse::{self, EventStream, Message};
use super::state::State as Shared;
use super::{access, auth, rate_limit, response};
use crate::authenticator::Endpoint;
use crate::graphql::errors;
use crate::graphql::events::EventFilter;
use crate::graphql::follow::{self, Progress};
use crate::graphql::scalars::parse_position;
use crate::graphql::services::Services;
use crate::rate_limits::Limited;
use crate::requester::Requester;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::Aggregate as _;
use domain::access_log::AccessLog;
use domain::permissions::{Access, ReadAccessLog, ReadContents};
use domain::rate_limits::LimitedResource;
use futures::StreamExt;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use streams::{Position, RecordedEvent};
use uuid::Uuid;

/// What the access log calls the data of the stream.
const EXPORT: &str = "events";

/// A request that is rejected.
struct Rejected(Box<Response>);

impl From<(StatusCode, &'static str, String)> for Rejected {
    fn from((status, code, message): (StatusCode, &'static str, String)) -> Self {
        Self(Box::new(response::error(status, code, &message).into_response()))
    }
}

impl From<Limited> for Rejected {
    fn from(limited: Limited) -> Self {
        Self(Box::new(rate_limit::refused(&limited)))
    }
}

/// The parameters of the URL.
#[derive(Default)]
struct FeedParameters {
    after: Option<Position>,
    filter: EventFilter,
}

/// Responds with the stream.
pub(crate) async fn handle(
    State(state): State<Arc<Shared>>,
    Query(pairs): Query<Vec<(String, String)>>,
    parts: Parts,
) -> Response {
    let headers = parts.headers;
    let requester = match auth::of_headers(&state, &headers, &parts.extensions, Endpoint::Api).await {
        Ok(requester) => requester,
        Err(rejection) => return *Rejected::from(rejection.parts()).0,
    };
    let streamed = stream(&state, pairs, &headers, &requester).await;
    let mut response = streamed.unwrap_or_else(|Rejected(response)| *response);
    state.rate_limiter.add_headers(&requester.principal, response.headers_mut());
    response
}

async fn stream(
    state: &Arc<Shared>,
    pairs: Vec<(String, String)>,
    headers: &HeaderMap,
    requester: &Requester,
) -> Result<Response, Rejected> {
    let bad = |message: String| Rejected::from((StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
    rate_limit::take(state, requester, LimitedResource::Requests, 1)?;
    let forbidden = |error| {
        access::forbidden(state, requester, &error);
        auth::Rejection::Forbidden(error).parts()
    };
    let access = requester.principal.authorise().map_err(forbidden)?;
    // Each message has the payload of the event.
    requester.principal.authorise::<ReadContents>().and_then(Access::of_all).map_err(forbidden)?;
    requester.note_contents(&state.deps.identities, None);
    let reads_access_log = requester.principal.authorise::<ReadAccessLog>().is_ok();
    let parameters = FeedParameters::of_url(pairs).map_err(bad)?;
    let after = sse::last_event_id(headers).map_err(bad)?.or(parameters.after);
    let filter = parameters.filter.check(&access).map_err(|error| bad(error.message))?;
    let services = state.schema.data::<Arc<Services>>().cloned();
    let services = services.ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", String::new()))?;
    let open = rate_limit::open_subscription(state, requester)?;
    let progress = Progress::default();
    let events = follow::open(services, filter, after, progress.clone()).await.map_err(rejected)?;
    requester.note_export(&state.deps.identities, EXPORT);
    // The stream ends at the first error of reading, and the client reconnects.
    let messages = events.take_while(|event| std::future::ready(event.is_ok()));
    let messages = messages.filter_map(move |event| {
        // It counts as open as long as the stream.
        let _open = &open;
        let is_readable = |event: &RecordedEvent| reads_access_log || &*event.stream.category != AccessLog::CATEGORY;
        std::future::ready(event.ok().filter(|event| is_readable(event)).and_then(|event| message(&event)))
    });
    let too_slow = |error: &async_graphql::ServerError| Message::new(Some("slow"), &response::text(error));
    let credential_ended = auth::ended(state, requester);
    Ok(EventStream { messages: messages.boxed(), credential_ended, progress, too_slow }.respond(state))
}

/// A position beyond the end of the log is an error of the client. Other errors are temporary, and clients retry after a 503.
fn rejected(error: async_graphql::Error) -> Rejected {
    let parts = if errors::code(&error) == Some("BAD_USER_INPUT") {
        (StatusCode::BAD_REQUEST, "BAD_REQUEST", error.message)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", error.message)
    };
    parts.into()
}

impl FeedParameters {
    fn of_url(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut parameters = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "after" => {
                    let after = parse_position(&value).ok_or_else(|| format!("{value:?} is not a position"))?;
                    parameters.after = Some(after.into());
                }
                "category" => parameters.filter.category = Some(value),
                "type" => parameters.filter.types.get_or_insert_default().push(value),
                "streamId" => parameters.filter.stream_id = Some(value.into()),
                _ => {
                    return Err(format!(
                        "unknown parameter {name:?}; the parameters are after, category, type and streamId"
                    ));
                }
            }
        }
        Ok(parameters)
    }
}

/// An event with all fields that it has in GraphQL.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    position: String,
    category: &'a str,
    stream_id: Uuid,
    version: u64,
    event_id: Uuid,
    r#type: &'a str,
    schema_version: u16,
    payload: &'a RawValue,
    metadata: &'a RawValue,
    recorded_at: DateTime<Utc>,
    content_hash: String,
}

fn message(event: &RecordedEvent) -> Option<Message> {
    let json = |text| {
        serde_json::from_str(text).inspect_err(|error| {
            // The database guarantees that the log contains JSON.
            let (position, error) = (event.position, error as &dyn std::error::Error);
            tracing::error!(%position, error, "skipped an event that is not JSON in an event stream");
        })
    };
    let (payload, metadata) = (json(&event.payload).ok()?, json(&event.metadata).ok()?);
    let body = Body {
        position: event.position.to_string(),
        category: &event.stream.category,
        stream_id: event.stream.id,
        version: event.version.get(),
        event_id: event.event_id,
        r#type: &event.name,
        schema_version: event.schema_version,
        payload,
        metadata,
        recorded_at: event.recorded_at,
        content_hash: event.content_hash.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Some(Message::new(None, &response::text(&body)))
}
