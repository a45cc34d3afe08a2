//! GraphQL over HTTP, WebSocket and Server-Sent Events, the raw event stream, probes, and metrics.
//!
//! A request becomes a command or a query on the read models; business rules live in other crates. GraphQL over HTTP,
//! graphql-transport-ws and graphql-sse are implemented here to the letter of their specifications, over the executor of
//! `async-graphql`. Deliberately absent: batched requests, persisted queries, uploads, and SQL.

mod authenticator;
mod config;
mod deps;
mod document;
mod edge;
mod graphql;
mod http;
mod limits;
mod rate_limits;
mod ready;
mod request_error;
mod requester;

pub use authenticator::{Authenticator, EndReason, Endpoint, Presented, Unauthenticated};
pub use config::{ApiConfig, Limits, Served, SignIn};
pub use deps::Deps;
pub use edge::{ClientCertificates, ForwardedHeader, Origin, OriginError, Tls, TlsError, TlsFiles, TrustedProxies};
pub use graphql::schema_sdl;
pub use http::{Listeners, ROUTES, RouteAccess, openapi_document, register_metrics, router, serve};
pub use rate_limits::{DefaultLimits, DefaultLimitsError};
pub use ready::{ReadyCheck, ReadyChecks};
