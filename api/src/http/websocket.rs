//! Subscriptions over WebSocket, by the protocol `graphql-transport-ws`
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! One task a connection. It sends one message at a time and pulls the next only then, so that a slow client slows its
//! own operations and nothing else, and costs no more than a page of events. The subscriptions of one that does not take
//! a message within a time end with an error that says how far each came, for it to go on from there; one that does not
//! take that either is cut off. A ping now and then says how far each has come, also past what its filter leaves out.

use super::auth::{self, Credential};
use super::computing::is_large;
use super::execute::{self, Parameters};
use super::server::OpenConnection;
use super::{State as Shared, answer};
use crate::caller::{Caller, Role};
use crate::graphql::follow::Place;
use crate::limits::refusal;
use async_graphql::parser::types::OperationType;
use async_graphql::{Response as Executed, ServerError, Value};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{Extension, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::future::AbortHandle;
use futures::stream::{Abortable, BoxStream, SelectAll};
use futures::{SinkExt, StreamExt};
use metrics::{counter, gauge};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Error as FrameError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// The one subprotocol.
const PROTOCOL: &str = "graphql-transport-ws";
/// The longest id of an operation, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The longest reason that a close frame has room for, in bytes.
const MAX_REASON_BYTES: usize = 123;
/// What is read at once, in bytes. It is kept for each connection, and clients say little.
const READ_BUFFER_BYTES: usize = 1024;
/// What a client without the right token is told; as long as a close frame has room for.
const FORBIDDEN: &str =
    "Forbidden: connection_init needs the payload {\"authorization\": \"Bearer TOKEN\"} with the right token";
/// How long a client may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How soon a new subscriber hears where it stands.
pub(super) const FIRST_HEARTBEAT: Duration = Duration::from_millis(250);

/// Takes a connection over to a WebSocket.
pub(crate) async fn handle(
    State(state): State<Arc<Shared>>,
    open: Option<Extension<Arc<OpenConnection>>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    accept(state, upgrade, &headers, open.map(|Extension(open)| open))
}

/// The same, wherever the request came in.
pub(crate) fn accept(
    state: Arc<Shared>,
    upgrade: WebSocketUpgrade,
    headers: &HeaderMap,
    open: Option<Arc<OpenConnection>>,
) -> Response {
    let (role, authorised) = match auth::of_headers(&state.config, headers) {
        Credential::Proves(role) => (role, true),
        // It may come with `connection_init`.
        Credential::Missing => (Role::User, false),
        Credential::Wrong => {
            return answer::error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "the token is wrong").into_response();
        }
    };
    let caller = match auth::caller(&state, headers, role) {
        Ok(caller) => caller,
        Err(bad) => return answer::error(StatusCode::BAD_REQUEST, "BAD_HEADER", &bad.0).into_response(),
    };
    let Ok(place) = state.places.clone().try_acquire_owned() else {
        let message = "too many connections are open; try again";
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", message).into_response();
    };
    let limit = state.limits().max_body_bytes;
    let connections = state.connections.clone();
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(limit).max_frame_size(limit);
    let upgrade = upgrade.read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
    upgrade.on_upgrade(move |socket| {
        let connection = Connection::new(state, socket, caller, authorised, place);
        connections.track_future(async move {
            connection.run().await;
            // It is an open connection for as long.
            drop(open);
        })
    })
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientMessage {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Payload>,
    },
    Ping {
        #[serde(default)]
        payload: Option<Payload>,
    },
    Pong {
        #[serde(default, rename = "payload")]
        _payload: Option<Payload>,
    },
    Subscribe {
        id: String,
        payload: serde_json::Value,
    },
    Complete {
        id: String,
    },
}

/// What accompanies messages that need nothing: an object, if there is one.
type Payload = serde_json::Map<String, serde_json::Value>;

/// How far each operation that follows the log has come, by its id.
#[derive(Serialize)]
struct Heartbeat<'a> {
    positions: BTreeMap<&'a str, String>,
}

/// What a client is told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    ConnectionAck,
    Ping {
        payload: Heartbeat<'a>,
    },
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Payload>,
    },
    Next {
        id: &'a str,
        payload: answer::Body<'a>,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
}

/// Why a connection ends, in the protocol's codes.
#[derive(Debug)]
struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn bad_message(reason: impl Into<String>) -> Self {
        Self::new(4400, reason)
    }

    fn going_away() -> Self {
        Self::new(1001, "the server shuts down")
    }
}

/// How a connection ends.
enum End {
    /// With a word.
    Closed(Close),
    /// The same, where the other side sent what is not read to its end, and nothing behind it can be.
    Unreadable(Close),
    /// Without one: the other side is gone.
    Gone,
    /// With the word of the other side, which is answered.
    Left,
    /// Not yet: the other side does not take what it is sent.
    Slow,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Closed(close)
    }
}

impl End {
    /// In the codes of RFC 6455, section 7.4.1.
    fn of(error: axum::Error) -> Self {
        let error = error.into_inner();
        let (code, reason) = match error.downcast_ref() {
            Some(FrameError::Capacity(_)) => (1009, "the message is too large"),
            Some(FrameError::Utf8(_)) => (1007, "the message is not UTF-8"),
            Some(FrameError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) | None => return Self::Gone,
            Some(FrameError::Protocol(_)) => (1002, "this is not a WebSocket any more"),
            Some(_) => return Self::Gone,
        };
        Self::Unreadable(Close::new(code, reason))
    }
}

/// What an operation brings, under the number of the operation.
enum Step {
    Next(Box<Executed>),
    Done,
}

/// An operation in progress.
struct Operation {
    number: u64,
    abort: AbortHandle,
    is_subscription: bool,
    answered: bool,
    place: Place,
}

struct Connection {
    state: Arc<Shared>,
    socket: WebSocket,
    caller: Caller,
    /// Whether the token came with the upgrade already, or none is needed.
    authorised: bool,
    acknowledged: bool,
    operations: HashMap<String, Operation>,
    steps: SelectAll<BoxStream<'static, (String, u64, Step)>>,
    next_number: u64,
    heard_at: Instant,
    keepalive: Interval,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(
        state: Arc<Shared>,
        socket: WebSocket,
        caller: Caller,
        authorised: bool,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let keepalive = every(state.limits().keepalive);
        Self {
            state,
            socket,
            caller,
            authorised,
            acknowledged: false,
            operations: HashMap::new(),
            steps: SelectAll::new(),
            next_number: 0,
            heard_at: Instant::now(),
            keepalive,
            _place: place,
        }
    }

    async fn run(mut self) {
        gauge!("apex_http_websockets").increment(1.0);
        let end = if self.socket.protocol().is_some_and(|protocol| protocol == PROTOCOL) {
            self.serve().await
        } else {
            End::Closed(Close::new(4406, "Subprotocol not acceptable"))
        };
        gauge!("apex_http_subscriptions").decrement(self.subscriptions() as f64);
        gauge!("apex_http_websockets").decrement(1.0);
        let is_unreadable = matches!(end, End::Unreadable(_));
        let frame = match end {
            End::Gone | End::Slow => return,
            End::Left => None,
            End::Closed(Close { code, reason }) | End::Unreadable(Close { code, reason }) => {
                tracing::debug!(code, reason, "a WebSocket is closed");
                let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
                Some(CloseFrame { code, reason: reason.into() })
            }
        };
        let closing = async {
            if let Some(frame) = frame {
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            // The client's own close frame ends the connection in order, or the answer to it that is on its way.
            while let Some(Ok(_)) = self.socket.recv().await {}
            if is_unreadable {
                // A connection that is dropped with bytes in it is reset, and the reset overtakes the close frame.
                std::future::pending::<()>().await;
            }
            Ok::<_, axum::Error>(())
        };
        // Whoever does not answer is cut off.
        drop(tokio::time::timeout(CLOSE_TIMEOUT, closing).await);
    }

    fn subscriptions(&self) -> usize {
        self.operations.values().filter(|operation| operation.is_subscription).count()
    }

    async fn serve(&mut self) -> End {
        let limits = self.state.limits().clone();
        let init_by = Instant::now() + limits.init_timeout;
        let shutdown = self.state.shutdown.clone();
        loop {
            let done = tokio::select! {
                // In this order: subscriptions end when the server stops, and a client that is told so by the closing
                // of its connection subscribes again, while one that is told `complete` does not.
                biased;
                () = shutdown.cancelled() => return Close::going_away().into(),
                () = tokio::time::sleep_until(init_by), if !self.acknowledged => {
                    return Close::new(4408, "Connection initialisation timeout").into();
                }
                _ = self.keepalive.tick() => self.keep_alive().await,
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(End::of(error)),
                    None => Err(End::Gone),
                },
                Some((id, number, step)) = self.steps.next(), if !self.steps.is_empty() => {
                    self.advance(id, number, step).await
                }
            };
            let done = match done {
                Err(End::Slow) => self.let_go().await,
                done => done,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn keep_alive(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > self.state.limits().keepalive * 2 {
            return Err(End::Gone);
        }
        self.send_raw(Message::Ping(axum::body::Bytes::new())).await?;
        let place = |(id, operation): (&String, &Operation)| Some((id.clone(), operation.place.position()?));
        let places: Vec<_> = self.operations.iter().filter_map(place).collect();
        if places.is_empty() {
            return Ok(());
        }
        let positions = places.iter().map(|(id, position)| (id.as_str(), position.to_string())).collect();
        self.send(&ServerMessage::Ping { payload: Heartbeat { positions } }).await
    }

    /// Ends the subscriptions of a client that does not take what it is sent. It hears how far each came behind what is
    /// on its way to it; if it does not take that either, it is cut off.
    async fn let_go(&mut self) -> Result<(), End> {
        let is_open = |(id, operation): (&String, &Operation)| {
            operation.is_subscription.then(|| (id.clone(), operation.place.position()))
        };
        let slow: Vec<_> = self.operations.iter().filter_map(is_open).collect();
        if slow.is_empty() {
            // An answer that is not taken can be told to nobody either.
            return Err(End::Gone);
        }
        counter!("apex_http_slow_subscribers_total").increment(slow.len() as u64);
        for (id, _) in &slow {
            self.forget(id);
        }
        for (id, position) in slow {
            self.refuse(&id, &[too_slow(position)]).await.map_err(|_| End::Gone)?;
        }
        Ok(())
    }

    async fn hear(&mut self, message: Message) -> Result<(), End> {
        self.heard_at = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Close::bad_message("messages are text").into()),
            Message::Ping(_) => return self.flush().await,
            Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Left),
        };
        let read = || serde_json::from_str(&text);
        let message = self.state.computing.run(is_large(text.len()), read).await;
        let message = message.map_err(|_| Close::bad_message("Invalid message received"))?;
        match message {
            ClientMessage::ConnectionInit { payload } => self.init(payload.as_ref()).await,
            ClientMessage::Ping { payload } => self.send(&ServerMessage::Pong { payload }).await,
            ClientMessage::Pong { .. } => Ok(()),
            ClientMessage::Subscribe { .. } if !self.acknowledged => Err(Close::new(4401, "Unauthorized").into()),
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload, text.len()).await,
            ClientMessage::Complete { id } => {
                self.forget(&id);
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: Option<&Payload>) -> Result<(), End> {
        if self.acknowledged {
            return Err(Close::new(4429, "Too many initialisation requests").into());
        }
        let given = payload.and_then(authorization);
        if !self.authorised || given.is_some() {
            let Credential::Proves(role) = auth::check(&self.state.config, given) else {
                return Err(Close::new(4403, FORBIDDEN).into());
            };
            self.caller.role = role;
        }
        self.acknowledged = true;
        self.send(&ServerMessage::ConnectionAck).await
    }

    async fn subscribe(&mut self, id: String, payload: serde_json::Value, bytes: usize) -> Result<(), End> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(Close::bad_message("the id of an operation has 1 to 256 bytes").into());
        }
        if self.operations.contains_key(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
        }
        let parameters = Parameters::of(payload, bytes).map_err(Close::bad_message)?;
        let limit = self.state.limits().max_operations_per_connection;
        if self.operations.len() >= limit {
            let message = format!("{limit} operations are open in this connection already");
            return self.refuse(&id, &[refusal("TOO_MANY_OPERATIONS", message, None)]).await;
        }
        let deadline = execute::deadline(&self.state);
        let prepared = match execute::prepare(&self.state, self.caller.clone(), parameters, deadline).await {
            Ok(prepared) => prepared,
            Err(error) => return self.refuse(&id, &[error]).await,
        };
        self.start(id, prepared);
        Ok(())
    }

    fn start(&mut self, id: String, mut prepared: execute::Prepared) {
        let number = self.next_number;
        self.next_number += 1;
        let is_subscription = prepared.operation == OperationType::Subscription;
        let place = Place::default();
        prepared.request = prepared.request.data(place.clone());
        let responses: BoxStream<'static, Executed> = if is_subscription {
            gauge!("apex_http_subscriptions").increment(1.0);
            // A client that is cut off before it has seen anything must know from where to ask.
            self.keepalive.reset_after(FIRST_HEARTBEAT.min(self.state.limits().keepalive));
            execute::follow(&self.state, prepared)
        } else {
            let state = self.state.clone();
            futures::stream::once(async move { execute::run(&state, prepared).await }).boxed()
        };
        let key = id.clone();
        let steps = responses
            .map(|response| Step::Next(Box::new(response)))
            .chain(futures::stream::once(async { Step::Done }))
            .map(move |step| (key.clone(), number, step));
        let (abort, registration) = AbortHandle::new_pair();
        self.steps.push(Abortable::new(steps, registration).boxed());
        self.operations.insert(id, Operation { number, abort, is_subscription, answered: false, place });
    }

    /// Passes on what an operation brought, unless the client has done with it.
    async fn advance(&mut self, id: String, number: u64, step: Step) -> Result<(), End> {
        let Some(operation) = self.operations.get_mut(&id).filter(|operation| operation.number == number) else {
            return Ok(());
        };
        let response = match step {
            Step::Next(response) => response,
            // It ended because the server stops, which its client is told by the closing of the connection.
            Step::Done if self.state.shutdown.is_cancelled() => return Err(Close::going_away().into()),
            Step::Done => {
                self.forget(&id);
                return self.send(&ServerMessage::Complete { id: &id }).await;
            }
        };
        let is_first = !std::mem::replace(&mut operation.answered, true);
        let place = operation.place.clone();
        let never_began = operation.is_subscription && response.data == Value::Null && !response.errors.is_empty();
        if is_first && (never_began || answer::is_request_error(&response)) {
            self.forget(&id);
            return self.refuse(&id, &response.errors).await;
        }
        let sent = self.send(&ServerMessage::Next { id: &id, payload: answer::body(&response) }).await;
        // Sent, or at least on its way ahead of whatever comes later.
        place.sent();
        sent
    }

    fn forget(&mut self, id: &str) {
        if let Some(operation) = self.operations.remove(id) {
            operation.abort.abort();
            if operation.is_subscription {
                gauge!("apex_http_subscriptions").decrement(1.0);
            }
        }
    }

    /// Ends an operation that was not executed.
    async fn refuse(&mut self, id: &str, errors: &[ServerError]) -> Result<(), End> {
        self.send(&ServerMessage::Error { id, payload: errors }).await
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> Result<(), End> {
        self.send_raw(Message::Text(answer::text(message).into())).await
    }

    /// Waits until the answer to a ping is on its way: whoever pings and reads nothing would fill the memory with them.
    async fn flush(&mut self) -> Result<(), End> {
        in_time(self.state.limits().send_timeout, &mut self.heard_at, self.socket.flush()).await
    }

    async fn send_raw(&mut self, message: Message) -> Result<(), End> {
        in_time(self.state.limits().send_timeout, &mut self.heard_at, self.socket.send(message)).await
    }
}

/// Waits for what the client must take, no longer than the limit.
async fn in_time(
    limit: Duration,
    heard_at: &mut Instant,
    sending: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), End> {
    let began = Instant::now();
    let sent = tokio::time::timeout(limit, sending).await;
    // Nobody listened meanwhile: what the client said is not heard yet.
    *heard_at += began.elapsed();
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Slow),
    }
}

/// What a subscription ends with whose client does not keep up.
pub(super) fn too_slow(position: Option<streams::Position>) -> ServerError {
    let message = "the client does not take what it is sent; subscribe again after the last position seen";
    let mut error = refusal("TOO_SLOW", message, None);
    if let Some(position) = position {
        error.extensions.get_or_insert_default().set("position", position.to_string());
    }
    error
}

pub(super) fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The credential in the payload of `connection_init`, however its key is spelt.
fn authorization(payload: &Payload) -> Option<&str> {
    let mut entries = payload.iter();
    entries.find(|(key, _)| key.eq_ignore_ascii_case("authorization")).and_then(|(_, value)| value.as_str())
}
