//! What the room is told: whose data it serves, who may ask, and how much at once.

use domain::TenantId;
use std::fmt;
use std::time::Duration;

/// A secret that never shows in logs, errors or `Debug` output.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Whether a guess is right, in a time that does not depend on how much of it is.
    #[must_use]
    pub fn matches(&self, guess: &str) -> bool {
        let (secret, guess) = (self.0.as_bytes(), guess.as_bytes());
        let mut difference = u8::from(secret.len() != guess.len());
        for (place, byte) in guess.iter().enumerate() {
            difference |= byte ^ secret.get(place).copied().unwrap_or(0);
        }
        !self.0.is_empty() && std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Whose data is served.
    pub tenant: TenantId,
    /// The bearer token that GraphQL asks for; without one anybody who reaches the port may ask.
    pub token: Option<Secret>,
    /// The bearer token of operators; it opens what the other does, too. Without one everybody is an operator.
    pub operator_token: Option<Secret>,
    /// A bearer token that opens `/metrics` and nothing else, for those who collect them. The others open it, too.
    pub metrics_token: Option<Secret>,
    /// Whether `/graphiql` is served.
    pub graphiql: bool,
    /// How much may be asked at once.
    pub limits: Limits,
}

impl ApiConfig {
    /// Open to everybody who reaches the port, with the default limits.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            token: None,
            operator_token: None,
            metrics_token: None,
            graphiql: true,
            limits: Limits::default(),
        }
    }
}

/// How much may be asked at once. Whatever goes beyond a limit is refused with an error that names it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Levels of fields in a query; introspection is allowed [`Limits::INTROSPECTION_DEPTH`] instead. Default 15.
    pub max_depth: usize,
    /// The sum of what the fields of a query cost: one each, times the page for what is inside a list, and more for
    /// what asks the database. Default 20,000.
    pub max_complexity: usize,
    /// Aliases in a query. Default 100.
    pub max_aliases: usize,
    /// Directives in a query. Default 50.
    pub max_directives: usize,
    /// Lexical tokens in a query. Default 10,000.
    pub max_tokens: usize,
    /// Rows in a page; at most 500. Default 500.
    pub max_page: usize,
    /// Bytes in an answer, and in each message of a subscription. Default 16 MiB.
    pub max_answer_bytes: usize,
    /// Bytes in the body of a request or in a message over a WebSocket. Default 1 MiB.
    pub max_body_bytes: usize,
    /// How long a query or mutation may take. Default 30 s.
    pub request_timeout: Duration,
    /// How long a query with `minPosition` waits for the read models. Default 10 s.
    pub projection_wait: Duration,
    /// Connections over WebSocket and streams of events at the same time. Default 1,000.
    pub max_connections: usize,
    /// Connections at the same time beside those of subscribers. More wait in the system's queue until one ends. Default
    /// 1,500.
    pub max_http_connections: usize,
    /// How long a connection may take for the head of a request, counted from its opening or from the answer before; then
    /// it is closed. So it is how long one may be idle, too. Default 30 s.
    pub head_timeout: Duration,
    /// Bytes in the head of a request: its first line, with the URL, and its headers. Default 64 KiB, at least 8 KiB.
    pub max_head_bytes: usize,
    /// Operations at the same time in one connection. Default 50.
    pub max_operations_per_connection: usize,
    /// How long a WebSocket may take to send `connection_init`. Default 10 s.
    pub init_timeout: Duration,
    /// How often a subscriber gets a sign of life, which says how far it has come. A WebSocket that is silent for twice
    /// as long is closed. Default 20 s.
    pub keepalive: Duration,
    /// How long one message to a subscriber may take; then it is told where to go on, and let go. Default 30 s.
    pub send_timeout: Duration,
    /// Events that a subscription reads at once. Default 500.
    pub subscription_page: usize,
    /// And no event more once they have so many bytes: what a subscriber costs at most, beside one event. Default
    /// 256 KiB.
    pub subscription_page_bytes: usize,
    /// How long open requests may take when the server shuts down. Default 10 s.
    pub shutdown_timeout: Duration,
}

impl Limits {
    /// Levels of fields below `__schema` and `__type`: what the usual introspection query needs, and a little more.
    pub const INTROSPECTION_DEPTH: usize = 25;
    /// What the HTTP library reads at least, in bytes.
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
            max_answer_bytes: 16 * 1024 * 1024,
            max_body_bytes: 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            projection_wait: Duration::from_secs(10),
            max_connections: 1000,
            max_http_connections: 1500,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone_and_is_never_shown() {
        let secret = Secret::new("tea");
        assert!(secret.matches("tea"));
        for guess in ["", "te", "teas", "tea ", "TEA", "sea"] {
            assert!(!secret.matches(guess), "{guess:?}");
        }
        assert!(!format!("{secret:?}").contains("tea"));
    }
}
