//! A gateway to providers of models, which enforces budgets without code in agents: an agent changes its base URL, and presents a
//! credential of Apex.
//!
//! A call is attributed to what the credential says and headers declare, reserved in all budgets that apply, passed on, metered by
//! what the provider answers, and settled as a call. Requests and responses pass as they are, but for two additions: a streamed chat
//! is asked for its usage, and where a hard budget applies, an output limit is set. Nothing of them is kept.
//!
//! Deliberately absent: routes, credentials and listening, which are in `api`; and decisions about budgets, which are in `domain`.

mod answer;
mod attribution;
mod bound;
mod call;
mod config;
mod endpoint;
mod events;
mod key_reader;
mod known;
mod metrics;
mod passing;
mod request;
mod reserve;
mod scan;
mod settle;
mod shared;
mod stream;
mod top_up;
mod upstream;

pub use self::metrics::register_metrics;
pub use answer::{Answer, AnswerBody, Broken, Problem};
pub use call::Gateway;
pub use config::{
    ChatOutputField, ConfigError, GatewayConfig, GatewayLimits, MAX_MODEL_BOUNDS, MAX_UPSTREAMS, ModelBounds,
    OnUnavailable, UpstreamConfig,
};
pub use endpoint::{Api, Endpoint};
pub use key_reader::{KeyError, KeyHeader, KeyReader};
pub use shared::{CallInput, CallPermit};
