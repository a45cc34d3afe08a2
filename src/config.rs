//! All settings. They are read here and nowhere else: from flags, then `APEX_*` variables, then defaults.

mod alerts;
mod edge;
mod file;
mod gateway;
mod kafka;
mod mail;
mod oidc;
mod remote;

pub use self::gateway::Gateway;
pub use alerts::Alerts;
pub use edge::{ClientCertificate, Edge, ProxyHeader};
pub use kafka::{Kafka, Mechanism, SecurityProtocol};
pub use mail::Mail;
pub use oidc::Oidc;
pub use remote::Remote;

use clap::{Args, ValueEnum};
use domain::TenantId;
use identity::SignInConfig;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A secret, which is redacted in `Debug` output and must not be logged.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The value of the secret.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a guess equals the secret, without white space around it. The comparison takes the same time wherever the
    /// two differ. An empty secret equals no guess.
    #[must_use]
    pub fn matches(&self, guess: &str) -> bool {
        let (secret, guess) = (self.0.trim().as_bytes(), guess.as_bytes());
        let mut difference = u8::from(secret.len() != guess.len());
        for (index, byte) in guess.iter().enumerate() {
            difference |= byte ^ secret.get(index).copied().unwrap_or(0);
        }
        !secret.is_empty() && std::hint::black_box(difference) == 0
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

/// The format of logs on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line, with trace ids.
    Json,
}

/// Parses an address to listen on. `localhost` is the only host name that is accepted.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for all addresses; host \
         names other than localhost are not resolved"
            .to_owned()
    })
}

/// Parses the id of a tenant that has data.
fn tenant(text: &str) -> Result<TenantId, String> {
    let tenant: TenantId = text.parse().map_err(|error: domain::TenantIdError| error.to_string())?;
    if tenant.is_reserved() {
        return Err(format!("the tenant {tenant} is reserved for the installation itself: use another"));
    }
    Ok(tenant)
}

/// Settings of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// The URL of the database, PostgreSQL 15 or newer: postgres://user:password@host/database. Without it, a private
    /// PostgreSQL cluster is started in the home directory from the installed PostgreSQL.
    #[arg(long, env = "APEX_DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<Secret>,

    /// The home directory, which contains the private PostgreSQL cluster.
    #[arg(long, env = "APEX_HOME", global = true, default_value = ".apex")]
    pub home: PathBuf,

    /// The tenant whose data is read and written.
    #[arg(long, env = "APEX_TENANT", global = true, default_value = "default", value_parser = tenant)]
    pub tenant: TenantId,

    /// The file of the key-encryption keys, without which no API key is accepted and no user can sign in. It is created by the first
    /// server of an installation, or with the first API key; all processes need the same file. Back it up apart from the database [default: identity.keys in the directory of
    /// --home]
    #[arg(long, env = "APEX_KEY_FILE", global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// The maximum number of database connections of this process, in addition to one for each Kafka relay, and to up
    /// to four for exports over HTTP. Tasks that need a connection wait for one.
    #[arg(long, env = "APEX_DATABASE_CONNECTIONS", global = true, default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(8..=1000))]
    pub database_connections: u32,

    /// The directory of archive files. Archived events are read from it as if they were in the database.
    #[arg(long, env = "APEX_ARCHIVE", global = true, value_name = "DIRECTORY")]
    pub archive: Option<PathBuf>,

    /// The log level: error, warn, info, debug, trace, or a filter such as `info,sqlx=debug`.
    #[arg(long, env = "APEX_LOG", global = true, default_value = "warn")]
    pub log: String,

    /// The format of logs on standard error.
    #[arg(long, env = "APEX_LOG_FORMAT", global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// The base URL of the OpenTelemetry collector that traces are sent to (OTLP over HTTP). Without it, none are sent.
    #[arg(long, env = "APEX_OTLP_ENDPOINT", global = true)]
    pub otlp_endpoint: Option<String>,

    /// The server that does what the subcommand says.
    #[command(flatten)]
    pub remote: Remote,
}

impl Common {
    /// The file of the key-encryption keys.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.home.join("identity.keys"))
    }
}

/// Settings of the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server options")]
pub struct Server {
    /// The address to listen on. Port 0 selects a free port.
    #[arg(long, env = "APEX_LISTEN", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub listen: SocketAddr,

    /// Further addresses that exporters of OpenTelemetry may send to, over HTTP or gRPC, separated by commas: usually
    /// 127.0.0.1:4317 and 127.0.0.1:4318. --listen takes what they send, too.
    #[arg(long, env = "APEX_OTLP_LISTEN", value_name = "ADDRESS", value_delimiter = ',', value_parser = listen_address)]
    pub otlp_listen: Vec<SocketAddr>,

    /// The bearer token that clients must send. Required to listen on an address other than loopback.
    #[arg(long, env = "APEX_TOKEN", hide_env_values = true)]
    pub token: Option<Secret>,

    /// The bearer token of operators, who may rebuild and switch read models and resolve parked events. Without it,
    /// every client is an operator.
    #[arg(long, env = "APEX_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: Option<Secret>,

    /// A bearer token for /metrics only, for Prometheus. The other tokens are accepted there too. Without any token,
    /// /metrics is public.
    #[arg(long, env = "APEX_METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<Secret>,

    /// Let every person who reaches the server register as a user, without roles until an administrator grants some.
    #[arg(long, env = "APEX_OPEN_REGISTRATION", default_value_t = false, action = clap::ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub open_registration: bool,

    /// Whether browsers send the cookies of sessions over TLS only. A server that speaks TLS itself always demands it
    /// [default: true, and false on a loopback address]
    #[arg(long, env = "APEX_SECURE_COOKIES", action = clap::ArgAction::Set)]
    pub secure_cookies: Option<bool>,

    /// How long an access token of a session is accepted, in seconds. It is renewed with the refresh token.
    #[arg(long, env = "APEX_ACCESS_TOKEN_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub access_token_seconds: u64,

    /// How many attempts to sign in to an account are allowed at once; then one every 20 seconds. Five times as many are
    /// allowed for an address; then one every 2 seconds.
    #[arg(long, env = "APEX_SIGN_IN_ATTEMPTS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub sign_in_attempts: u32,

    /// How many people of an address may register without an invitation at once; then one every 10 minutes.
    #[arg(long, env = "APEX_REGISTRATIONS_PER_ADDRESS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub registrations_per_address: u32,

    /// The maximum number of users of a tenant who registered without an invitation, or whom an identity provider created.
    #[arg(long, env = "APEX_MAX_REGISTERED_USERS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_registered_users: u32,

    /// The maximum number of those users who have no role.
    #[arg(long, env = "APEX_MAX_ROLELESS_USERS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_roleless_users: u32,

    /// The maximum number of invitations of a tenant that wait to be accepted. The command line may create more.
    #[arg(long, env = "APEX_MAX_PENDING_INVITATIONS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_pending_invitations: u32,

    /// How many days the spans of a trace are kept after the last of them has arrived, so that it can be drawn. 0: they are not
    /// kept. All servers of an installation need the same value.
    #[arg(long, env = "APEX_SPAN_RETENTION_DAYS", default_value_t = 14, value_parser = clap::value_parser!(u16).range(0..=3650))]
    pub span_retention_days: u16,

    /// Keep the prompts, responses and other texts that spans carry with the spans, for the permission `read:contents` to read.
    /// All servers of an installation need the same value.
    #[arg(long, env = "APEX_SPAN_CONTENTS", default_value_t = false, action = clap::ArgAction::Set)]
    pub span_contents: bool,

    /// The directory of the files of schedules: one directory in it for each tenant. Without it, runs of schedules fail. All servers
    /// of an installation need the same one.
    #[arg(long, env = "APEX_SCHEDULE_DIRECTORY", value_name = "DIRECTORY")]
    pub schedule_directory: Option<PathBuf>,

    /// Serve GraphiQL, an explorer for the API, at /graphiql.
    #[arg(long, env = "APEX_GRAPHIQL", default_value_t = true, action = clap::ArgAction::Set)]
    pub graphiql: bool,

    /// The maximum number of concurrent subscribers, over WebSocket and server-sent events. The process raises its
    /// limit of open files accordingly, and does not start if it may not.
    #[arg(long, env = "APEX_MAX_CONNECTIONS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// The maximum number of concurrent connections, without those of subscribers. Further ones wait.
    #[arg(long, env = "APEX_MAX_HTTP_CONNECTIONS", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_http_connections: u32,

    /// The timeout for the head of a request, in milliseconds, from the opening of the connection or the previous
    /// response; then the connection is closed. A proxy must close idle connections sooner.
    #[arg(long, env = "APEX_HEAD_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub head_timeout_ms: u64,

    /// The interval of keepalive messages to subscribers, which carry their position, in milliseconds.
    #[arg(long, env = "APEX_KEEPALIVE_MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub keepalive_ms: u64,

    /// The timeout for a subscriber to receive one message, in milliseconds; then it is sent the position to resume
    /// from and is disconnected.
    #[arg(long, env = "APEX_SEND_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    pub send_timeout_ms: u64,

    /// Sign-in by identity providers.
    #[command(flatten)]
    pub oidc: Oidc,

    /// TLS, web pages, proxies, and limits on clients.
    #[command(flatten)]
    pub edge: Edge,

    /// Deliveries of alerts.
    #[command(flatten)]
    pub alerts: Alerts,

    /// Mail, and the address in links.
    #[command(flatten)]
    pub mail: Mail,

    /// The gateway to providers of models.
    #[command(flatten)]
    pub gateway: Gateway,
}

impl Server {
    /// The settings of sessions, with the tenant of the settings.
    #[must_use]
    pub fn sign_in(&self, home: TenantId) -> SignInConfig {
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        SignInConfig {
            access_lifetime: Duration::from_secs(self.access_token_seconds),
            attempts_per_account: number(self.sign_in_attempts),
            attempts_per_address: number(self.sign_in_attempts.saturating_mul(5)),
            home: Some(home),
            registrations_per_address: number(self.registrations_per_address),
            max_registered_users: count(self.max_registered_users),
            max_roleless_users: count(self.max_roleless_users),
            max_pending_invitations: count(self.max_pending_invitations),
            ..SignInConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_only_itself_and_is_never_in_debug_output() {
        let secret = Secret::from("tea".to_owned());
        assert!(secret.matches("tea"));
        for guess in ["", "te", "teas", "tea ", "TEA", "sea"] {
            assert!(!secret.matches(guess), "{guess:?}");
        }
        assert!(!Secret::from(String::new()).matches(""));
        assert!(!format!("{secret:?}").contains("tea"));
    }

    #[test]
    fn the_reserved_tenant_is_refused() {
        assert_eq!(tenant("acme"), Ok("acme".parse().unwrap()));
        assert!(tenant("installation").unwrap_err().contains("reserved"));
        assert!(tenant("Acme").unwrap_err().contains("not a tenant id"));
    }

    #[test]
    fn localhost_is_accepted_and_other_host_names_are_errors() {
        assert_eq!(listen_address("localhost:8080"), Ok(([127, 0, 0, 1], 8080).into()));
        assert_eq!(listen_address("127.0.0.1:0"), Ok(([127, 0, 0, 1], 0).into()));
        for wrong in ["example.org:80", "localhost", "8080", "localhost:http", ""] {
            assert!(listen_address(wrong).unwrap_err().contains("127.0.0.1:8080"), "{wrong}");
        }
    }
}
