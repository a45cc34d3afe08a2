//! One connection: its operations, its heartbeats, and the messages in both directions.

use super::close::{Close, End};
use super::messages::{ClientMessage, Heartbeat, PROTOCOL, Payload, ServerMessage, authorization};
use crate::authenticator::{EndReason, Unauthenticated};
use crate::graphql::follow::Progress;
use crate::http::auth::{self, Declared, Rejection};
use crate::http::computing::is_large;
use crate::http::parameters::Parameters;
use crate::http::prepare::{self, Prepared};
use crate::http::rate_limit;
use crate::http::state::State;
use crate::http::subscriber::{FIRST_HEARTBEAT, heartbeats, too_slow};
use crate::http::{execute, response};
use crate::request_error::request_error;
use crate::requester::Requester;
use async_graphql::parser::types::OperationType;
use async_graphql::{Response as Executed, ServerError};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use domain::rate_limits::LimitedResource;
use futures::future::{AbortHandle, BoxFuture};
use futures::stream::{Abortable, BoxStream, SelectAll};
use futures::{SinkExt, StreamExt};
use metrics::{counter, gauge};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval};

/// The longest id of an operation, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The longest reason in a close frame, in bytes.
const MAX_REASON_BYTES: usize = 123;
/// The reason for closing a connection without a valid token or API key. It fits into a close frame.
const FORBIDDEN: &str =
    "Forbidden: connection_init needs the payload {\"authorization\": \"Bearer TOKEN\"} with a valid token or API key";
/// The reason for closing a connection whose credential was revoked, has expired, or may do something else than before.
const CREDENTIAL_ENDED: &str = "Forbidden: the credential has ended or changed; connect again";
/// The code and the reason for closing a connection whose credential cannot be checked.
const TRY_AGAIN_LATER: u16 = 1013;
const UNAVAILABLE: &str = "credentials cannot be checked at the moment; connect again";
/// How long a message is waited for that a client has sent which seems to be silent.
const LAST_CHANCE: Duration = Duration::from_millis(100);
/// How long the client may take to complete the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The next item of an operation.
enum Step {
    Response(Box<Executed>),
    Done,
}

/// An operation in progress.
struct Operation {
    /// Distinguishes the operation from a later one with the same id.
    number: u64,
    abort: AbortHandle,
    is_subscription: bool,
    has_responded: bool,
    progress: Progress,
}

/// A WebSocket connection.
pub(super) struct Connection {
    state: Arc<State>,
    socket: WebSocket,
    /// Who opened the connection. Unknown until `connection_init` if the upgrade needed a credential and had none.
    requester: Option<Requester>,
    /// Completes when the credential of the requester is no longer valid.
    credential_ended: BoxFuture<'static, EndReason>,
    /// What the headers of the upgrade declare.
    declared: Declared,
    acknowledged: bool,
    operations: HashMap<String, Operation>,
    steps: SelectAll<BoxStream<'static, (String, u64, Step)>>,
    next_number: u64,
    last_received_at: Instant,
    heartbeats: Interval,
    _permit: OwnedSemaphorePermit,
}

fn credential_ended(state: &State, requester: Option<&Requester>) -> BoxFuture<'static, EndReason> {
    requester.map_or_else(|| Box::pin(std::future::pending()) as BoxFuture<'_, _>, |known| auth::ended(state, known))
}

impl Connection {
    pub(super) fn new(
        state: Arc<State>,
        socket: WebSocket,
        (requester, declared): (Option<Requester>, Declared),
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let heartbeats = heartbeats(state.limits().keepalive);
        let credential_ended = credential_ended(&state, requester.as_ref());
        Self {
            state,
            socket,
            requester,
            credential_ended,
            declared,
            acknowledged: false,
            operations: HashMap::new(),
            steps: SelectAll::new(),
            next_number: 0,
            last_received_at: Instant::now(),
            heartbeats,
            _permit: permit,
        }
    }

    /// Serves the connection until it ends, and closes it.
    pub(super) async fn run(mut self) {
        gauge!("apex_http_websockets").increment(1.0);
        let end = if self.socket.protocol().is_some_and(|protocol| protocol == PROTOCOL) {
            self.serve().await
        } else {
            End::Closed(Close::new(4406, "Subprotocol not acceptable"))
        };
        gauge!("apex_http_subscriptions").decrement(self.subscriptions() as f64);
        gauge!("apex_http_websockets").decrement(1.0);
        self.close(end).await;
    }

    async fn close(&mut self, end: End) {
        let is_unreadable = matches!(end, End::Unreadable(_));
        let frame = match end {
            End::Disconnected | End::SendTimeout => return,
            End::ClosedByClient => None,
            End::Closed(Close { code, reason }) | End::Unreadable(Close { code, reason }) => {
                tracing::debug!(code, reason, "closing a WebSocket");
                let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
                Some(CloseFrame { code, reason: reason.into() })
            }
        };
        let closing = async {
            if let Some(frame) = frame {
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            // Completes the closing handshake: reads until the client's close frame, or sends the reply to it.
            while let Some(Ok(_)) = self.socket.recv().await {}
            if is_unreadable {
                // Dropping a connection with unread bytes resets it, and the reset may overtake the close frame.
                std::future::pending::<()>().await;
            }
            Ok::<_, axum::Error>(())
        };
        // A client that does not complete the handshake in time is disconnected.
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
                // In this order, because subscriptions end at shutdown: a client whose connection is closed subscribes
                // again, and one that receives `complete` does not.
                biased;
                () = shutdown.cancelled() => return Close::going_away().into(),
                () = tokio::time::sleep_until(init_by), if !self.acknowledged => {
                    return Close::new(4408, "Connection initialisation timeout").into();
                }
                reason = &mut self.credential_ended => return match reason {
                    EndReason::Ended => Close::new(4403, CREDENTIAL_ENDED),
                    EndReason::Unavailable => Close::new(TRY_AGAIN_LATER, UNAVAILABLE),
                }
                .into(),
                _ = self.heartbeats.tick() => self.send_heartbeat().await,
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.handle_message(message).await,
                    Some(Err(error)) => Err(error.into()),
                    None => Err(End::Disconnected),
                },
                Some((id, number, step)) = self.steps.next(), if !self.steps.is_empty() => {
                    self.handle_step(id, number, step).await
                }
            };
            let done = match done {
                Err(End::SendTimeout) => self.end_slow_subscriptions().await,
                done => done,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn send_heartbeat(&mut self) -> Result<(), End> {
        if self.last_received_at.elapsed() > self.state.limits().keepalive * 2 {
            // Messages may have waited here, because the server was busy with the last one, or with everything else.
            match tokio::time::timeout(LAST_CHANCE, self.socket.recv()).await {
                Ok(Some(message)) => self.handle_message(message?).await?,
                Ok(None) | Err(_) => return Err(End::Disconnected),
            }
        }
        self.send_raw(Message::Ping(axum::body::Bytes::new())).await?;
        let position = |(id, operation): (&String, &Operation)| Some((id.clone(), operation.progress.position()?));
        let positions: Vec<_> = self.operations.iter().filter_map(position).collect();
        if positions.is_empty() {
            return Ok(());
        }
        let positions = positions.iter().map(|(id, position)| (id.as_str(), position.to_string())).collect();
        self.send(&ServerMessage::Ping { payload: Heartbeat { positions } }).await
    }

    /// Ends the subscriptions of a client that did not read a message in time, each with an error that has the position to
    /// resume from. If the client does not read those either, it is disconnected.
    async fn end_slow_subscriptions(&mut self) -> Result<(), End> {
        let subscription = |(id, operation): (&String, &Operation)| {
            operation.is_subscription.then(|| (id.clone(), operation.progress.position()))
        };
        let slow: Vec<_> = self.operations.iter().filter_map(subscription).collect();
        if slow.is_empty() {
            // The response of a query or mutation cannot be resumed.
            return Err(End::Disconnected);
        }
        counter!("apex_http_slow_subscribers_total").increment(slow.len() as u64);
        for (id, _) in &slow {
            self.remove(id);
        }
        for (id, position) in slow {
            self.send_errors(&id, &[too_slow(position)]).await.map_err(|_| End::Disconnected)?;
        }
        Ok(())
    }

    async fn handle_message(&mut self, message: Message) -> Result<(), End> {
        self.last_received_at = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Close::bad_message("messages must be text").into()),
            Message::Ping(_) => return self.flush().await,
            Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::ClosedByClient),
        };
        let read = || serde_json::from_str(&text);
        let message = self.state.cpu_permits.run(is_large(text.len()), read).await;
        let message = message.map_err(|_| Close::bad_message("Invalid message received"))?;
        match message {
            ClientMessage::ConnectionInit { payload } => self.init(payload.as_ref()).await,
            ClientMessage::Ping { payload } => self.send(&ServerMessage::Pong { payload }).await,
            ClientMessage::Pong { .. } => Ok(()),
            ClientMessage::Subscribe { .. } if !self.acknowledged => Err(Close::new(4401, "Unauthorized").into()),
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload, text.len()).await,
            ClientMessage::Complete { id } => {
                self.remove(&id);
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: Option<&Payload>) -> Result<(), End> {
        if self.acknowledged {
            return Err(Close::new(4429, "Too many initialisation requests").into());
        }
        let given = payload.and_then(authorization);
        if self.requester.is_none() || given.is_some() {
            let found = auth::of_payload(&self.state, given, &self.declared).await;
            self.requester = Some(found.map_err(|rejection| match rejection {
                Rejection::Unauthenticated(Unauthenticated::Unavailable, _) => Close::new(TRY_AGAIN_LATER, UNAVAILABLE),
                _ => Close::new(4403, FORBIDDEN),
            })?);
            self.credential_ended = credential_ended(&self.state, self.requester.as_ref());
        }
        self.acknowledged = true;
        self.send(&ServerMessage::ConnectionAck).await
    }

    async fn subscribe(&mut self, id: String, payload: serde_json::Value, bytes: usize) -> Result<(), End> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(Close::bad_message("the id of an operation must have 1 to 256 bytes").into());
        }
        if self.operations.contains_key(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")).into());
        }
        let parameters = Parameters::of(payload, bytes).map_err(Close::bad_message)?;
        let limit = self.state.limits().max_operations_per_connection;
        if self.operations.len() >= limit {
            let message = format!("the connection has {limit} open operations, which is the limit");
            return self.send_errors(&id, &[request_error("TOO_MANY_OPERATIONS", message, None)]).await;
        }
        let Some(requester) = self.requester.clone() else { return Err(Close::new(4401, "Unauthorized").into()) };
        if let Err(limited) = rate_limit::take(&self.state, &requester, LimitedResource::Requests, 1) {
            return self.send_errors(&id, &[limited.error()]).await;
        }
        let deadline = prepare::deadline(&self.state);
        let prepared = match prepare::prepare(&self.state, requester, parameters, deadline).await {
            Ok(prepared) => prepared,
            Err(error) => return self.send_errors(&id, &[error]).await,
        };
        self.start(id, prepared);
        Ok(())
    }

    fn start(&mut self, id: String, mut prepared: Prepared) {
        let number = self.next_number;
        self.next_number += 1;
        let is_subscription = prepared.operation == OperationType::Subscription;
        if is_subscription {
            gauge!("apex_http_subscriptions").increment(1.0);
            self.heartbeats.reset_after(FIRST_HEARTBEAT.min(self.state.limits().keepalive));
        }
        let progress = Progress::default();
        prepared.request = prepared.request.data(progress.clone());
        let key = id.clone();
        let steps = execute::stream(&self.state, prepared)
            .map(|response| Step::Response(Box::new(response)))
            .chain(futures::stream::once(async { Step::Done }))
            .map(move |step| (key.clone(), number, step));
        let (abort, registration) = AbortHandle::new_pair();
        self.steps.push(Abortable::new(steps, registration).boxed());
        self.operations.insert(id, Operation { number, abort, is_subscription, has_responded: false, progress });
    }

    /// Sends the next item of an operation, unless the client has completed the operation.
    async fn handle_step(&mut self, id: String, number: u64, step: Step) -> Result<(), End> {
        let Some(operation) = self.operations.get_mut(&id).filter(|operation| operation.number == number) else {
            return Ok(());
        };
        let executed = match step {
            Step::Response(executed) => executed,
            // At shutdown the connection is closed instead, so that the client subscribes again.
            Step::Done if self.state.shutdown.is_cancelled() => return Err(Close::going_away().into()),
            Step::Done => {
                self.remove(&id);
                return self.send(&ServerMessage::Complete { id: &id }).await;
            }
        };
        let is_first = !std::mem::replace(&mut operation.has_responded, true);
        let progress = operation.progress.clone();
        let did_not_start = operation.is_subscription && response::did_not_start(&executed);
        if is_first && (did_not_start || response::is_request_error(&executed)) {
            self.remove(&id);
            return self.send_errors(&id, &executed.errors).await;
        }
        let sent = self.send(&ServerMessage::Next { id: &id, payload: response::body(&executed) }).await;
        // Even after an error the message is in the send buffer, ahead of later ones.
        progress.mark_sent();
        sent
    }

    fn remove(&mut self, id: &str) {
        if let Some(operation) = self.operations.remove(id) {
            operation.abort.abort();
            if operation.is_subscription {
                gauge!("apex_http_subscriptions").decrement(1.0);
            }
        }
    }

    /// Ends an operation with errors.
    async fn send_errors(&mut self, id: &str, errors: &[ServerError]) -> Result<(), End> {
        self.send(&ServerMessage::Error { id, payload: errors }).await
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> Result<(), End> {
        self.send_raw(Message::Text(response::text(message).into())).await
    }

    /// Waits until the reply to a ping is sent, so that a client that sends pings and reads nothing cannot fill the memory.
    async fn flush(&mut self) -> Result<(), End> {
        within_timeout(self.state.limits().send_timeout, &mut self.last_received_at, self.socket.flush()).await
    }

    async fn send_raw(&mut self, message: Message) -> Result<(), End> {
        within_timeout(self.state.limits().send_timeout, &mut self.last_received_at, self.socket.send(message)).await
    }
}

/// Sends to the client, for at most the timeout.
async fn within_timeout(
    timeout: Duration,
    last_received_at: &mut Instant,
    sending: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), End> {
    let started = Instant::now();
    let sent = tokio::time::timeout(timeout, sending).await;
    // Nothing was received meanwhile, which must not count as silence of the client.
    *last_received_at += started.elapsed();
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Disconnected),
        Err(_) => Err(End::SendTimeout),
    }
}
