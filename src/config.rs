//! All settings, read here and nowhere else: flags first, then `APEX_*` variables, then defaults.

use clap::{Args, ValueEnum};
use domain::TenantId;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use streams::relay::RelayConfig;

/// A value that never reaches logs, errors or Debug output.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The value itself; for handing it to where it is needed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Ok(Self(value.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How logs are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, with trace ids.
    Json,
}

/// Reads an address to listen on. `localhost` is the one name that means the same everywhere.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        "an address to listen on is an IP address and a port, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080 for \
         all addresses; names other than localhost are not looked up"
            .to_owned()
    })
}

/// What every subcommand needs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// PostgreSQL 15 or newer, as postgres://user:password@host/database. Without it a private cluster is started
    /// from an installed PostgreSQL and kept in the home folder.
    #[arg(long, env = "APEX_DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<Secret>,

    /// The folder of the private cluster.
    #[arg(long, env = "APEX_HOME", global = true, default_value = ".apex")]
    pub home: PathBuf,

    /// The tenant whose data is read and written.
    #[arg(long, env = "APEX_TENANT", global = true, default_value = "default")]
    pub tenant: TenantId,

    /// Connections to the database that one process holds at most, beside one for each relay to Kafka. Whoever needs one
    /// waits for it.
    #[arg(long, env = "APEX_DATABASE_CONNECTIONS", global = true, default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(8..=1000))]
    pub database_connections: u32,

    /// The folder of archive files: what is archived is read from it as if it were still in the database.
    #[arg(long, env = "APEX_ARCHIVE", global = true, value_name = "FOLDER")]
    pub archive: Option<PathBuf>,

    /// What to log: error, warn, info, debug, trace, or a filter such as `info,sqlx=debug`.
    #[arg(long, env = "APEX_LOG", global = true, default_value = "warn")]
    pub log: String,

    /// How to log.
    #[arg(long, env = "APEX_LOG_FORMAT", global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Where to send traces: the base URL of an OpenTelemetry collector (OTLP over HTTP). Without it none are sent.
    #[arg(long, env = "APEX_OTLP_ENDPOINT", global = true)]
    pub otlp_endpoint: Option<String>,
}

/// What the relay to Kafka needs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kafka options")]
pub struct Kafka {
    /// Brokers as host:port, separated by commas. Without them nothing is published.
    #[arg(long, env = "APEX_KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,

    /// What topic names begin with: PREFIX.CATEGORY.
    #[arg(long, env = "APEX_KAFKA_TOPIC_PREFIX", default_value = "apex")]
    pub kafka_topic_prefix: String,

    /// Partitions of a topic that the relay makes.
    #[arg(long, env = "APEX_KAFKA_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub kafka_partitions: i32,

    /// Replicas of a topic that the relay makes.
    #[arg(long, env = "APEX_KAFKA_REPLICATION", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10))]
    pub kafka_replication: i32,

    /// Publish the rows of the read models too, one message a row, to compacted topics: PREFIX.state.READ_MODEL.
    #[arg(long, env = "APEX_KAFKA_STATE_TOPICS", default_value_t = false, action = clap::ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub kafka_state_topics: bool,
}

impl Kafka {
    /// The relay's settings, where brokers are named.
    #[must_use]
    pub fn relay(&self) -> Option<RelayConfig> {
        Some(RelayConfig {
            topic_prefix: self.kafka_topic_prefix.clone(),
            partitions: self.kafka_partitions,
            replication: self.kafka_replication,
            ..RelayConfig::new(self.kafka_brokers.clone()?)
        })
    }
}

/// What the server needs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server options")]
pub struct Server {
    /// The address to listen on. Port 0 takes a free one.
    #[arg(long, env = "APEX_LISTEN", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub listen: SocketAddr,

    /// The bearer token that callers must show. Needed to listen on anything but loopback.
    #[arg(long, env = "APEX_TOKEN", hide_env_values = true)]
    pub token: Option<Secret>,

    /// The bearer token of operators, who may rebuild and switch read models and decide about parked events. Without
    /// one everybody who may ask is an operator.
    #[arg(long, env = "APEX_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: Option<Secret>,

    /// A bearer token that opens /metrics and nothing else, for Prometheus. The other tokens open it too; without any
    /// token it is open.
    #[arg(long, env = "APEX_METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<Secret>,

    /// Serve GraphiQL, an explorer for the API, at /graphiql.
    #[arg(long, env = "APEX_GRAPHIQL", default_value_t = true, action = clap::ArgAction::Set)]
    pub graphiql: bool,

    /// Subscribers at the same time, over WebSocket and streams of events. The process raises its limit of open files
    /// for them, and does not start where it may not.
    #[arg(long, env = "APEX_MAX_CONNECTIONS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Connections at the same time beside those of subscribers. More wait until one ends.
    #[arg(long, env = "APEX_MAX_HTTP_CONNECTIONS", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_http_connections: u32,

    /// How long a connection may take to send the head of a request, in milliseconds, counted from its opening or from
    /// the answer before; then it is closed. A proxy that keeps idle connections must close them sooner.
    #[arg(long, env = "APEX_HEAD_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub head_timeout_ms: u64,

    /// How often a subscriber gets a sign of life that says how far it has come, in milliseconds.
    #[arg(long, env = "APEX_KEEPALIVE_MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub keepalive_ms: u64,

    /// How long a subscriber may take for one message, in milliseconds; then it is told where to go on, and let go.
    #[arg(long, env = "APEX_SEND_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub send_timeout_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_an_address_and_other_names_are_told_what_is() {
        assert_eq!(listen_address("localhost:8080"), Ok(([127, 0, 0, 1], 8080).into()));
        assert_eq!(listen_address("127.0.0.1:0"), Ok(([127, 0, 0, 1], 0).into()));
        for wrong in ["example.org:80", "localhost", "8080", "localhost:http", ""] {
            assert!(listen_address(wrong).unwrap_err().contains("127.0.0.1:8080"), "{wrong}");
        }
    }
}
