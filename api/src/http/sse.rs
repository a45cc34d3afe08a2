//! Streams of events over HTTP (Server-Sent Events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>):
//! GraphQL by the protocol `graphql-sse` in its distinct connections mode
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>), and what other streams need.
//!
//! Whatever follows the log says with `id` how far it has come, in heartbeats too, so that a client that was cut off
//! goes on with `Last-Event-ID`, as browsers do by themselves. One task a stream, which has at most one message waiting;
//! a client that does not take it within a time is told how far it came, and its stream ends.

use super::execute::{self, Prepared};
use super::websocket::{FIRST_HEARTBEAT, every, too_slow};
use super::{State, answer};
use crate::graphql::follow::{Place, ResumeAfter};
use crate::graphql::scalars::parse_position;
use async_graphql::parser::types::OperationType;
use async_graphql::{Response as Executed, ServerError};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use metrics::{counter, gauge};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, OwnedPermit};

/// The media type of a stream.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// The header in which a client says what it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// One message of a stream.
pub(crate) struct Message {
    text: String,
}

impl Message {
    /// Of a kind; without one it is a `message`.
    pub(crate) fn new(kind: Option<&str>, data: &str) -> Self {
        let mut text = String::with_capacity(data.len() + 64);
        if let Some(kind) = kind {
            push(&mut text, "event", kind);
        }
        // Any of the three ends a line of the stream.
        for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
            push(&mut text, "data", line);
        }
        Self { text }
    }

    /// A sign of life, which clients do not show to anybody.
    fn heartbeat() -> Self {
        Self { text: ":\n".to_owned() }
    }

    /// As it is written, with the position that it brings the client to.
    fn written(mut self, position: Option<streams::Position>) -> Bytes {
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

/// What a client has seen, if it says so.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<streams::Position>, String> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let position = value.to_str().ok().and_then(parse_position);
    position.map(|position| Some(position.into())).ok_or_else(|| "Last-Event-ID is not a position".to_owned())
}

/// How a stream says that its client is too slow.
pub(crate) type Farewell = fn(&ServerError) -> Message;

/// A stream of messages.
pub(crate) struct EventStream<S> {
    pub(crate) messages: S,
    pub(crate) place: Place,
    pub(crate) farewell: Farewell,
}

impl<S: Stream<Item = Message> + Send + Unpin + 'static> EventStream<S> {
    /// Answers with it.
    pub(crate) fn respond(self, state: &Arc<State>) -> Response {
        let Ok(seat) = state.places.clone().try_acquire_owned() else {
            let message = "too many connections are open; try again";
            return answer::error(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", message).into_response();
        };
        // One for a message, and one that is kept for the last word.
        let (sender, mut receiver) = mpsc::channel(2);
        let body = futures::stream::poll_fn(move |context| {
            let _seat: &OwnedSemaphorePermit = &seat;
            receiver.poll_recv(context).map(|bytes: Option<Bytes>| bytes.map(Ok::<_, std::convert::Infallible>))
        });
        state.connections.spawn(self.pump(state.clone(), sender));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            // Proxies that gather answers before they pass them on are asked not to.
            (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        (headers, Body::from_stream(body)).into_response()
    }

    async fn pump(mut self, state: Arc<State>, sender: mpsc::Sender<Bytes>) {
        let Ok(last_word) = sender.clone().reserve_owned().await else { return };
        gauge!("apex_http_event_streams").increment(1.0);
        if let Err(Slow) = self.send_all(&state, &sender).await {
            counter!("apex_http_slow_subscribers_total").increment(1);
            self.say_farewell(last_word);
        }
        gauge!("apex_http_event_streams").decrement(1.0);
    }

    /// Sends everything, until that ends or the client is gone.
    async fn send_all(&mut self, state: &State, sender: &mpsc::Sender<Bytes>) -> Result<(), Slow> {
        let mut keepalive = every(state.limits().keepalive);
        // Soon for the first time: a client that is cut off before it has seen anything must know from where to ask.
        let mut is_soon = true;
        keepalive.reset_after(FIRST_HEARTBEAT.min(state.limits().keepalive));
        loop {
            let message = tokio::select! {
                biased;
                // A stream that ends without a word is asked for again.
                () = state.shutdown.cancelled() => return Ok(()),
                () = sender.closed() => return Ok(()),
                _ = keepalive.tick() => {
                    // Who is not told where it stands needs no sign of life so soon.
                    if std::mem::take(&mut is_soon) && self.place.position().is_none() {
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
                    // A sign of life may come while the next message is in the making, which is not sent by it.
                    if message.is_some() {
                        self.place.sent();
                    }
                    let message = message.unwrap_or_else(Message::heartbeat);
                    permit.send(message.written(self.place.position()));
                }
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(Slow),
            }
        }
    }

    fn say_farewell(&self, last_word: OwnedPermit<Bytes>) {
        let position = self.place.position();
        drop(last_word.send((self.farewell)(&too_slow(position)).written(position)));
    }
}

/// A client does not take what it is sent.
struct Slow;

/// Answers an operation: each result is `next`, and after the last one comes `complete`.
pub(crate) fn operation(state: &Arc<State>, mut prepared: Prepared, resume: Option<streams::Position>) -> Response {
    let place = Place::default();
    let responses: BoxStream<'static, Executed> = if prepared.operation == OperationType::Subscription {
        prepared.request = prepared.request.data(place.clone());
        if let Some(position) = resume {
            prepared.request = prepared.request.data(ResumeAfter(position));
        }
        execute::follow(state, prepared)
    } else {
        let state = state.clone();
        futures::stream::once(async move { execute::run(&state, prepared).await }).boxed()
    };
    let results = responses.map(|response| next(&response));
    // A server that stops breaks off instead: then the client asks again.
    let shutdown = state.shutdown.clone();
    let end = futures::stream::once(async move { (!shutdown.is_cancelled()).then(complete) });
    let messages = results.chain(end.filter_map(std::future::ready)).boxed();
    let farewell = |error: &ServerError| {
        let Message { text } = next(&Executed::from_errors(vec![error.clone()]));
        Message { text: text + "\n" + &complete().text }
    };
    EventStream { messages, place, farewell }.respond(state)
}

/// Answers an operation that is not executed, in the form of the protocol.
pub(crate) fn refused(error: ServerError) -> Response {
    let body = [next(&Executed::from_errors(vec![error])), complete()].map(|message| message.written(None)).concat();
    ([(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn next(response: &Executed) -> Message {
    Message::new(Some("next"), &answer::text(&answer::body(response)))
}

fn complete() -> Message {
    Message::new(Some("complete"), "")
}
