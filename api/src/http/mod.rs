//! HTTP: routes, transports of GraphQL, and the server.

mod access;
mod address_connections;
mod auth;
mod body;
mod computing;
mod connection;
mod execute;
mod export;
mod feed;
mod gateway_calls;
mod gateway_form;
mod graphiql;
mod graphql;
mod ingest;
mod negotiate;
mod observe;
mod openapi;
mod origin;
mod otlp;
mod pages;
mod parameters;
mod prepare;
mod probes;
mod protocol;
mod rate_limit;
mod response;
mod route_table;
mod routes;
mod security;
mod server;
mod sign_in;
mod sse;
mod state;
mod subscriber;
#[cfg(test)]
mod testing;
mod web;
mod websocket;

pub use observe::register_metrics;
pub use openapi::document as openapi_document;
pub use route_table::{ROUTES, RouteAccess};
pub use routes::router;
pub use server::{Listeners, serve};
