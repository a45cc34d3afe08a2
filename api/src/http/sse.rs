//! Event streams (Server-Sent Events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>): GraphQL by the
//! protocol `graphql-sse` in its distinct connections mode
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>), and what other streams need.
//!
//! A stream that follows the log reports its position as `id`, in heartbeats too, so that a client resumes with
//! `Last-Event-ID`, which browsers do by themselves. Each stream is one task, and buffers at most one message. If the client
//! does not read it in time, the stream ends with an error that has the position to resume from.

use super::prepare::Prepared;
use super::state::State;
use super::subscriber::{FIRST_HEARTBEAT, heartbeats, too_slow};
use super::{execute, response};
use crate::authenticator::EndReason;
use crate::graphql::follow::{Progress, ResumeAfter};
use crate::graphql::scalars::parse_position;
use async_graphql::{Response as Executed, ServerError};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use metrics::{counter, gauge};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, OwnedPermit};

/// The media type of event streams.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// The header with the position after which a client resumes.
const LAST_EVENT_ID: &str = "last-event-id";

/// One message of an event stream.
pub(crate) struct Message {
    text: String,
}

impl Message {
    /// Creates a message with an event type; `message` if none.
    pub(crate) fn new(event: Option<&str>, data: &str) -> Self {
        let mut text = String::with_capacity(data.len() + 64);
        if let Some(event) = event {
            push(&mut text, "event", event);
        }
        // `\r\n`, `\n` and `\r` each end a line of the stream.
        for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
            push(&mut text, "data", line);
        }
        Self { text }
    }

    /// A comment, which clients ignore.
    fn heartbeat() -> Self {
        Self { text: ":\n".to_owned() }
    }

    /// Serializes the message, with the position from which the client resumes once it has received the message.
    fn serialized(mut self, position: Option<streams::Position>) -> Bytes {
        if let Some(position) = position {
            push(&mut self.text, "id", &position.to_string());
        }
        self.text.push('\n');
        self.text.into()
    }
}

fn push(text: &mut String, field: &str, value: &str) {
    text.extend([field, ": ", value, "\n"]);
}

/// The position in `Last-Event-ID`, if the header is present.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<streams::Position>, String> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let position = value.to_str().ok().and_then(parse_position);
    position.map(|position| Some(position.into())).ok_or_else(|| "Last-Event-ID is not a position".to_owned())
}

/// Builds the last message of a stream whose client is too slow.
pub(crate) type TooSlowMessage = fn(&ServerError) -> Message;

/// An event stream.
pub(crate) struct EventStream<S> {
    pub(crate) messages: S,
    /// Completes when the credential of the client is no longer valid.
    pub(crate) credential_ended: BoxFuture<'static, EndReason>,
    pub(crate) progress: Progress,
    pub(crate) too_slow: TooSlowMessage,
}

impl<S: Stream<Item = Message> + Send + Unpin + 'static> EventStream<S> {
    /// Responds with the stream.
    pub(crate) fn respond(self, state: &Arc<State>) -> Response {
        let Ok(permit) = state.subscriber_permits.clone().try_acquire_owned() else {
            let message = "the limit on concurrent subscribers is reached; retry";
            return response::error(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", message).into_response();
        };
        // One slot for a message, and one that is reserved for the error about a slow client.
        let (sender, mut receiver) = mpsc::channel(2);
        let body = futures::stream::poll_fn(move |context| {
            let _permit: &OwnedSemaphorePermit = &permit;
            receiver.poll_recv(context).map(|bytes: Option<Bytes>| bytes.map(Ok::<_, std::convert::Infallible>))
        });
        state.connections.spawn(self.run(state.clone(), sender));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // Disables the response buffering of proxies.
            (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        (headers, Body::from_stream(body)).into_response()
    }

    async fn run(mut self, state: Arc<State>, sender: mpsc::Sender<Bytes>) {
        let Ok(reserved) = sender.clone().reserve_owned().await else { return };
        gauge!("apex_http_event_streams").increment(1.0);
        if let Err(Slow) = self.send_all(&state, &sender).await {
            counter!("apex_http_slow_subscribers_total").increment(1);
            self.send_too_slow(reserved);
        }
        gauge!("apex_http_event_streams").decrement(1.0);
    }

    /// Sends all messages, until the stream ends or the client disconnects.
    async fn send_all(&mut self, state: &State, sender: &mpsc::Sender<Bytes>) -> Result<(), Slow> {
        let mut keepalive = heartbeats(state.limits().keepalive);
        let mut is_first = true;
        keepalive.reset_after(FIRST_HEARTBEAT.min(state.limits().keepalive));
        loop {
            let message = tokio::select! {
                biased;
                // A client reconnects when a stream ends without `complete`.
                () = state.shutdown.cancelled() => return Ok(()),
                () = sender.closed() => return Ok(()),
                // It reconnects here too, and is told why.
                _ = &mut self.credential_ended => return Ok(()),
                _ = keepalive.tick() => {
                    // The early heartbeat only serves to report the position.
                    if std::mem::take(&mut is_first) && self.progress.position().is_none() {
                        continue;
                    }
                    None
                }
                message = self.messages.next() => match message {
                    Some(message) => Some(message),
                    None => return Ok(()),
                },
            };
            match tokio::time::timeout(state.limits().send_timeout, sender.reserve()).await {
                Ok(Ok(permit)) => {
                    // A heartbeat may be sent while the next message is being built, and does not send it.
                    if message.is_some() {
                        self.progress.mark_sent();
                    }
                    let message = message.unwrap_or_else(Message::heartbeat);
                    permit.send(message.serialized(self.progress.position()));
                }
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(Slow),
            }
        }
    }

    fn send_too_slow(&self, reserved: OwnedPermit<Bytes>) {
        let position = self.progress.position();
        drop(reserved.send((self.too_slow)(&too_slow(position)).serialized(position)));
    }
}

/// The client did not read a message in time.
struct Slow;

/// Responds to an operation: a message `next` for each response, and `complete` after the last one.
pub(crate) fn operation(
    state: &Arc<State>,
    mut prepared: Prepared,
    resume: Option<streams::Position>,
    credential_ended: BoxFuture<'static, EndReason>,
) -> Response {
    let progress = Progress::default();
    prepared.request = prepared.request.data(progress.clone());
    if let Some(position) = resume {
        prepared.request = prepared.request.data(ResumeAfter(position));
    }
    let results = execute::stream(state, prepared).map(|response| next(&response));
    // At shutdown the stream ends without `complete`, so that the client reconnects.
    let shutdown = state.shutdown.clone();
    let end = futures::stream::once(async move { (!shutdown.is_cancelled()).then(complete) });
    let messages = results.chain(end.filter_map(std::future::ready)).boxed();
    let too_slow = |error: &ServerError| {
        let Message { text } = next(&Executed::from_errors(vec![error.clone()]));
        Message { text: text + "\n" + &complete().text }
    };
    EventStream { messages, credential_ended, progress, too_slow }.respond(state)
}

/// Responds to an operation that is rejected before it is executed.
pub(crate) fn rejected(error: ServerError) -> Response {
    let body = [next(&Executed::from_errors(vec![error])), complete()].map(|message| message.serialized(None)).concat();
    ([(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn next(executed: &Executed) -> Message {
    Message::new(Some("next"), &response::text(&response::body(executed)))
}

fn complete() -> Message {
    Message::new(Some("complete"), "")
}
