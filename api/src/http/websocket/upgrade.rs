//! Upgrading a request to a WebSocket.

use super::connection::Connection;
use super::messages::PROTOCOL;
use crate::authenticator::{Endpoint, Unauthenticated};
use crate::http::auth::{self, Rejection};
use crate::http::connection::OpenConnection;
use crate::http::response;
use crate::http::state::State as Shared;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The size of the read buffer of a connection, in bytes. It is small, because clients send little.
const READ_BUFFER_BYTES: usize = 1024;

/// Handles a request to the route of WebSockets.
pub(crate) async fn handle(State(state): State<Arc<Shared>>, parts: Parts, upgrade: WebSocketUpgrade) -> Response {
    accept(state, upgrade, &parts.headers, &parts.extensions).await
}

/// Upgrades a request on any route.
pub(crate) async fn accept(
    state: Arc<Shared>,
    upgrade: WebSocketUpgrade,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Response {
    let open = extensions.get::<Arc<OpenConnection>>().cloned();
    let requester = match auth::of_upgrade(&state, headers, extensions, Endpoint::Api).await {
        Ok(requester) => Some(requester),
        // The token may be sent with `connection_init`.
        Err(Rejection::Unauthenticated(Unauthenticated::Missing, _)) => None,
        Err(rejection) => return rejection.into_response(),
    };
    let declared = match auth::declared(headers, extensions) {
        Ok(declared) => declared,
        Err(bad) => return Rejection::BadHeader(bad).into_response(),
    };
    let Ok(permit) = state.subscriber_permits.clone().try_acquire_owned() else {
        let message = "the limit on concurrent subscribers is reached; retry";
        return response::error(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", message).into_response();
    };
    let limit = state.limits().max_body_bytes;
    let connections = state.connections.clone();
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(limit).max_frame_size(limit);
    let upgrade = upgrade.read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
    upgrade.on_upgrade(move |socket| {
        let connection = Connection::new(state, socket, (requester, declared), permit);
        connections.track_future(async move {
            connection.run().await;
            // The connection counts as open until here.
            drop(open);
        })
    })
}
