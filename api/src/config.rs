//! Settings of the API.

use crate::edge::{Origin, Tls, TrustedProxies};
use crate::rate_limits::DefaultLimits;
use domain::TenantId;
use identity::Providers;
use std::time::Duration;

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Which routes are served.
    pub served: Served,
    /// Whether `/graphiql` is served.
    pub graphiql: bool,
    /// The limits on requests, connections and responses.
    pub limits: Limits,
    /// The certificate and the key of the server; none for HTTP without TLS.
    pub tls: Option<Tls>,
    /// The origins of web pages of other servers that may use the API.
    pub origins: Vec<Origin>,
    /// The proxies that say whose request they forward.
    pub proxies: TrustedProxies,
    /// The rate limits and quotas of whatever has none of its own.
    pub rate_limits: DefaultLimits,
    /// How people sign in.
    pub sign_in: SignIn,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            served: Served::All,
            graphiql: true,
            limits: Limits::default(),
            tls: None,
            origins: Vec::new(),
            proxies: TrustedProxies::default(),
            rate_limits: DefaultLimits::default(),
            sign_in: SignIn::default(),
        }
    }
}

/// Which routes are served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Served {
    /// All of them.
    #[default]
    All,
    /// Those of the gateway to providers of models, with probes and metrics.
    Gateway,
}

/// Settings of how people sign in.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// The tenant of a person who names none. Without it, a person has to name one.
    pub tenant: Option<TenantId>,
    /// Whether a person may register without an invitation.
    pub open_registration: bool,
    /// Whether browsers send the cookies of sessions over TLS only.
    pub secure_cookies: bool,
    /// The URL that people reach the server at; none if it is what each client calls it.
    pub public_url: Option<String>,
    /// The identity providers by which people sign in.
    pub providers: Providers,
}

/// Limits on requests, connections and responses. A request beyond a limit is rejected with an error that names the limit.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most levels of fields in a query. Introspection has [`Limits::INTROSPECTION_DEPTH`] instead. Default: 15.
    pub max_depth: usize,
    /// The highest complexity of a query: one per field, multiplied by the page size inside a list, plus a cost for each
    /// SQL statement. Default: 20,000.
    pub max_complexity: usize,
    /// The most aliases in a query. Default: 100.
    pub max_aliases: usize,
    /// The most directives in a query. Default: 50.
    pub max_directives: usize,
    /// The most lexical tokens in a query. Default: 10,000.
    pub max_tokens: usize,
    /// The most rows of a page; at most 500. Default: 500.
    pub max_page: usize,
    /// The most bytes of a response, and of each message of a subscription. Default: 16 MiB.
    pub max_response_bytes: usize,
    /// The most bytes of a request body, and of a client's message over a WebSocket. Default: 1 MiB.
    pub max_body_bytes: usize,
    /// The timeout of a query or mutation. Default: 30 s.
    pub request_timeout: Duration,
    /// How long a query with `minPosition` waits for the read models. Default: 10 s.
    pub projection_wait: Duration,
    /// The most concurrent WebSockets and event streams together. Default: 1,000.
    pub max_connections: usize,
    /// The most concurrent connections in addition to those of WebSockets and event streams. Further connections wait in the
    /// operating system's accept queue. Default: 1,500.
    pub max_http_connections: usize,
    /// The most concurrent connections of one address, those of subscribers included. Further ones are closed. Connections
    /// of trusted proxies do not count. Default: a fifth of all connections; for loopback addresses nine tenths.
    pub max_connections_per_address: Option<usize>,
    /// How long a connection may take for the TLS handshake before it is closed. Default: 10 s.
    pub handshake_timeout: Duration,
    /// How long a connection may take to send the head of a request, counted from its start or from the previous response,
    /// before it is closed. It is the timeout of idle connections, too. Default: 30 s.
    pub head_timeout: Duration,
    /// The most bytes in the head of a request: the request line, with the URL, and the headers. Default: 64 KiB, at least
    /// 8 KiB.
    pub max_head_bytes: usize,
    /// The most concurrent operations of one WebSocket. Default: 50.
    pub max_operations_per_connection: usize,
    /// How long the client of a WebSocket may take to send `connection_init`. Default: 10 s.
    pub init_timeout: Duration,
    /// The interval of heartbeats to subscribers, which report their position in the log. A WebSocket whose client sends
    /// nothing for twice this time is closed. Default: 20 s.
    pub keepalive: Duration,
    /// How long sending one message to a subscriber may take. Then the subscription ends with an error that has the position
    /// to resume from. Default: 30 s.
    pub send_timeout: Duration,
    /// The most events that a subscription reads at once. Default: 500.
    pub subscription_page: usize,
    /// The number of bytes at which such a read stops, after the event that reaches it. It bounds the memory of a
    /// subscriber. Default: 256 KiB.
    pub subscription_page_bytes: usize,
    /// How long open requests may take to finish when the server shuts down. Default: 10 s.
    pub shutdown_timeout: Duration,
}

impl Limits {
    /// The most levels of brackets of any kind in a query, and of lists and objects in its variables.
    pub(crate) const MAX_NESTING: usize = 60;
    /// The most levels of fields below `__schema` and `__type`. The usual introspection query has a few less.
    pub const INTROSPECTION_DEPTH: usize = 25;
    /// The smallest limit that the HTTP library supports, in bytes.
    pub(crate) const MIN_HEAD_BYTES: usize = 8192;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 15,
            max_complexity: 20_000,
            max_aliases: 100,
            max_directives: 50,
            max_tokens: 10_000,
            max_page: 500,
            max_response_bytes: 16 * 1024 * 1024,
            max_body_bytes: 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            projection_wait: Duration::from_secs(10),
            max_connections: 1000,
            max_http_connections: 1500,
            max_connections_per_address: None,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            max_head_bytes: 64 * 1024,
            max_operations_per_connection: 50,
            init_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(20),
            send_timeout: Duration::from_secs(30),
            subscription_page: 500,
            subscription_page_bytes: 256 * 1024,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}
