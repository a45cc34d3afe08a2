//! Upgrading a request to a WebSocket.

use super::connection::Connection;
use super::messages::PROTOCOL;
use crate::caller::Role;
use crate::http::auth::{self, Credential};
use crate::http::connection::OpenConnection;
use crate::http::response;
use crate::http::state::State as Shared;
use axum::extract::{Extension, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The size of the read buffer of a connection, in bytes. It is small, because clients send little.
const READ_BUFFER_BYTES: usize = 1024;

/// Handles a request to the route of WebSockets.
pub(crate) async fn handle(
    State(state): State<Arc<Shared>>,
    open: Option<Extension<Arc<OpenConnection>>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    accept(state, upgrade, &headers, open.map(|Extension(open)| open))
}

/// Upgrades a request on any route.
pub(crate) fn accept(
    state: Arc<Shared>,
    upgrade: WebSocketUpgrade,
    headers: &HeaderMap,
    open: Option<Arc<OpenConnection>>,
) -> Response {
    let (role, authorised) = match auth::of_headers(&state.config, headers) {
        Credential::Valid(role) => (role, true),
        // The token may be sent with `connection_init`.
        Credential::Missing => (Role::User, false),
        Credential::Invalid => {
            let message = "the token is not valid";
            return response::error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message).into_response();
        }
    };
    let caller = match auth::caller(&state.config, headers, role) {
        Ok(caller) => caller,
        Err(bad) => return response::error(StatusCode::BAD_REQUEST, "BAD_HEADER", &bad.0).into_response(),
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
        let connection = Connection::new(state, socket, caller, authorised, permit);
        connections.track_future(async move {
            connection.run().await;
            // The connection counts as open until here.
            drop(open);
        })
    })
}
