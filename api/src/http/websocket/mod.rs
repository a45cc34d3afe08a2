//! GraphQL over WebSocket, by the protocol `graphql-transport-ws`
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! Each connection is one task. It sends one message at a time and pulls the next only then, so that a slow client slows
//! its own operations only, and costs no more than a page of events. If the client does not read a message in time, its
//! subscriptions end with errors that have the positions to resume from; if it does not read those either, it is
//! disconnected. Heartbeats report the position of each subscription, past events that its filter leaves out.

mod close;
mod connection;
mod messages;
mod upgrade;

pub(crate) use upgrade::{accept, handle};
