//! GraphQL over HTTP and WebSocket, with probes and metrics beside it.
//!
//! A request becomes a command or a question to the read models; the rules are elsewhere. GraphQL over HTTP and
//! graphql-transport-ws are implemented here to the letter of their specifications, over the executor of
//! `async-graphql`. Deliberately absent: batching of requests, persisted queries, uploads, and SQL.

mod caller;
mod config;
mod document;
mod graphql;
mod http;
mod limits;
mod ready;

pub use config::{ApiConfig, Limits, Secret};
pub use graphql::schema_sdl;
pub use http::{register_metrics, router, serve};
pub use ready::{ReadyCheck, ReadyChecks};

use commands::Commands;
use projections::Pool;
use std::sync::Arc;

/// What the room works with.
#[derive(Clone)]
pub struct Deps {
    /// Executes commands, and leads to the log.
    pub commands: Commands,
    /// The read models.
    pub pool: Pool,
    /// Renders the metrics of the process in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether the process can do its work.
    pub ready: Arc<dyn ReadyChecks>,
}
