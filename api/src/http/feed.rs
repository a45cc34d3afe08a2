//! The events of the log as they are, as a stream: `GET /events`, for whoever wants no GraphQL. Each message is an event
//! in JSON, and its `id` is its position, so that a client goes on with `Last-Event-ID` where it was.

use super::sse::{self, EventStream, Message};
use super::{State as Shared, answer, auth};
use crate::graphql::Services;
use crate::graphql::errors;
use crate::graphql::events::EventFilter;
use crate::graphql::follow::{self, Place};
use crate::graphql::scalars::parse_position;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use streams::{Position, RecordedEvent};
use uuid::Uuid;

/// Why there is no stream: a status, a code and a message.
type Refused = (StatusCode, &'static str, String);

/// What a URL asks for.
#[derive(Default)]
struct Asked {
    after: Option<Position>,
    filter: EventFilter,
}

/// Answers with the stream.
pub(crate) async fn handle(
    State(state): State<Arc<Shared>>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    stream(&state, pairs, &headers)
        .await
        .unwrap_or_else(|(status, code, message)| answer::error(status, code, &message).into_response())
}

async fn stream(state: &Arc<Shared>, pairs: Vec<(String, String)>, headers: &HeaderMap) -> Result<Response, Refused> {
    let bad = |message: String| (StatusCode::BAD_REQUEST, "BAD_REQUEST", message);
    let auth::Credential::Proves(role) = auth::of_headers(&state.config, headers) else {
        let message = "a token is needed: `Authorization: Bearer …`".to_owned();
        return Err((StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message));
    };
    let caller = auth::caller(state, headers, role).map_err(|header| bad(header.0))?;
    let asked = Asked::of_url(pairs).map_err(bad)?;
    let after = sse::last_event_id(headers).map_err(bad)?.or(asked.after);
    let filter = asked.filter.check(&caller.tenant).map_err(|error| bad(error.message))?;
    let services = state.schema.data::<Arc<Services>>().cloned();
    let services = services.ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", String::new()))?;
    let place = Place::default();
    let events = follow::open(services, filter, after, place.clone()).await.map_err(refused)?;
    // The stream ends with the first event that cannot be read: the client asks again.
    let messages = events.take_while(|event| std::future::ready(event.is_ok()));
    let messages = messages.filter_map(|event| std::future::ready(event.ok().and_then(|event| message(&event))));
    let farewell = |error: &async_graphql::ServerError| Message::new(Some("slow"), &answer::text(error));
    Ok(EventStream { messages: messages.boxed(), place, farewell }.respond(state))
}

/// A position beyond the log is the client's mistake; anything else passes, and browsers ask again after a 503.
fn refused(error: async_graphql::Error) -> Refused {
    if errors::code(&error) == Some("BAD_USER_INPUT") {
        (StatusCode::BAD_REQUEST, "BAD_REQUEST", error.message)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", error.message)
    }
}

impl Asked {
    fn of_url(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut asked = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "after" => {
                    let after = parse_position(&value).ok_or_else(|| format!("{value:?} is not a position"))?;
                    asked.after = Some(after.into());
                }
                "category" => asked.filter.category = Some(value),
                "type" => asked.filter.types.get_or_insert_default().push(value),
                "streamId" => asked.filter.stream_id = Some(value.into()),
                _ => return Err(format!("there is no parameter {name:?}; there are after, category, type, streamId")),
            }
        }
        Ok(asked)
    }
}

/// An event as GraphQL gives it, with all its fields.
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
            // What the log holds is JSON; the database sees to it.
            let (position, error) = (event.position, error as &dyn std::error::Error);
            tracing::error!(%position, error, "an event that is no JSON is left out of a stream");
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
    Some(Message::new(None, &answer::text(&body)))
}
