//! HTTP: routes, transports of GraphQL, and the server.

mod access;
mod address_connections;
mod auth;
mod computing;
mod connection;
mod execute;
mod feed;
mod graphiql;
mod graphql;
mod negotiate;
mod observe;
mod origin;
mod otlp;
mod pages;
mod parameters;
mod prepare;
mod probes;
mod protocol;
mod rate_limit;
mod response;
mod routes;
mod security;
mod server;
mod sign_in;
mod sse;
mod state;
mod subscriber;
mod websocket;

pub use observe::register_metrics;
pub use routes::{ROUTES, RouteAccess, router};
pub use server::{Listeners, serve};
