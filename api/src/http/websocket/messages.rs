//! The messages of the protocol.

use crate::http::response;
use async_graphql::ServerError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the subprotocol.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// A message of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
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

/// The optional payload of messages that need none.
pub(super) type Payload = serde_json::Map<String, serde_json::Value>;

/// Returns the credential in the payload of `connection_init`. Its key is case-insensitive. A value that is not text
/// matches no credential; null is none.
pub(super) fn authorization(payload: &Payload) -> Option<&str> {
    let mut entries = payload.iter();
    let (_, value) = entries.find(|(key, value)| key.eq_ignore_ascii_case("authorization") && !value.is_null())?;
    Some(value.as_str().unwrap_or_default())
}

/// The position of each operation that follows the log, by the operation's id.
#[derive(Serialize)]
pub(super) struct Heartbeat<'a> {
    pub(super) positions: BTreeMap<&'a str, String>,
}

/// A message of the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
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
        payload: response::Body<'a>,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
}
