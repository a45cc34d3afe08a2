//! Settings of the gateway.

use crate::attribution;
use crate::endpoint::Api;
use crate::key_reader::{KeyHeader, KeyReader};
use domain::{Name, is_loopback_host};
use reqwest::Url;
use reqwest::header::HeaderName;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use std::time::Duration;
use thiserror::Error;

/// The most upstreams.
pub const MAX_UPSTREAMS: usize = 64;
/// The most bounds of models.
pub const MAX_MODEL_BOUNDS: usize = 1000;

/// Settings of the gateway.
#[derive(Debug, Clone, Default)]
pub struct GatewayConfig {
    /// The providers that calls are passed on to.
    pub upstreams: Vec<UpstreamConfig>,
    /// What is known of models. Of several that match, the first one counts.
    pub models: Vec<ModelBounds>,
    /// The limits.
    pub limits: GatewayLimits,
    /// What happens to a call that no hard budget applies to while Apex's database cannot be reached.
    pub on_unavailable: OnUnavailable,
}

/// A provider that calls are passed on to.
#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// The name in the path of requests: 1 to 64 small letters, digits, `-` and `_`.
    pub name: String,
    /// Its API.
    pub api: Api,
    /// Its base URL, as SDKs take it, such as `https://api.openai.com/v1` or `https://api.anthropic.com`.
    pub base_url: Url,
    /// The header that carries the key, and its value, which must be marked as sensitive; none if it needs no key.
    pub key: Option<KeyHeader>,
    /// What reads the key again while the gateway runs; none of a key that does not change.
    pub key_reader: Option<KeyReader>,
    /// The name of the provider in prices and in calls.
    pub provider: Name,
    /// Whether the usage of a streamed chat is asked for, with `stream_options.include_usage`.
    pub asks_for_usage: bool,
    /// The field in which an output limit is added to chats: `max_completion_tokens`, or `max_tokens` for older servers.
    pub chat_output_field: ChatOutputField,
    /// Further headers of requests that are passed on.
    pub forwarded_headers: Vec<HeaderName>,
    /// Authorities that are trusted beside those that browsers trust.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// The field in which an output limit is added to chats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatOutputField {
    /// `max_completion_tokens`.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`.
    MaxTokens,
}

impl ChatOutputField {
    /// The name of the field.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens => "max_tokens",
        }
    }
}

/// What is known of the models whose names match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelBounds {
    /// The name of a model, or its start if it ends with `*`.
    pub pattern: String,
    /// The most tokens of a prompt.
    pub max_input_tokens: u64,
    /// A cheaper model of the same upstream, which a refusal names if it would fit.
    pub cheaper: Option<Name>,
    /// The output tokens that are assumed, and set as the limit where a hard budget applies, for a request without a limit.
    pub output_tokens: u64,
}

impl ModelBounds {
    /// The bounds of models of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            pattern: "*".to_owned(),
            max_input_tokens: MAX_INPUT_TOKENS,
            cheaper: None,
            output_tokens: OUTPUT_TOKENS,
        }
    }

    fn matches(&self, model: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == self.pattern,
        }
    }
}

/// The longest prompt that models of providers take, in tokens.
const MAX_INPUT_TOKENS: u64 = 1_048_576;
/// An output that every model in use can generate, in tokens.
const OUTPUT_TOKENS: u64 = 4096;

/// The limits of the gateway.
#[derive(Debug, Clone, Copy)]
pub struct GatewayLimits {
    /// The most calls at the same time. A tenant may have half of them. Default: 512.
    pub max_calls: u64,
    /// The most bytes of the body of a request. Default: 32 MiB.
    pub max_request_bytes: usize,
    /// The most bytes of the bodies of all requests that are open, and of what is held of their responses beyond 64 KiB each. A tenant
    /// may have half of them. Default: 512 MiB.
    pub max_open_bytes: u64,
    /// The most bytes of a response that is not streamed, and of one event of a stream. Default: 64 MiB.
    pub max_response_bytes: usize,
    /// The most reservations at the same time that were not answered, and are looked for to release them. Further ones expire.
    /// Default: 1,000.
    pub max_unanswered: usize,
    /// How long the body of a request may take to arrive. Default: 2 min.
    pub request_timeout: Duration,
    /// How long to connect to an upstream may take. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long an upstream may send nothing, and a client may read nothing. Default: 5 min.
    pub idle_timeout: Duration,
    /// How long a call may take in all. Default: 10 min.
    pub call_timeout: Duration,
    /// How long to reserve may take before the database counts as not reachable. Default: 5 s.
    pub reserve_timeout: Duration,
    /// How long the end of a response waits for the call to be settled, which goes on after that. Default: 1 s.
    pub settle_wait: Duration,
    /// How long to settle a call is tried while the database cannot be reached. Default: 10 min.
    pub settle_timeout: Duration,
    /// The fewest output tokens that are granted to a request without a limit of its own, where no more are left. Default: 256.
    pub min_output_tokens: u64,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            max_calls: 512,
            max_request_bytes: 32 * 1024 * 1024,
            max_open_bytes: 512 * 1024 * 1024,
            max_response_bytes: 64 * 1024 * 1024,
            max_unanswered: 1000,
            request_timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            call_timeout: Duration::from_secs(600),
            reserve_timeout: Duration::from_secs(5),
            settle_wait: Duration::from_secs(1),
            settle_timeout: Duration::from_secs(600),
            min_output_tokens: 256,
        }
    }
}

/// What happens to a call that no hard budget applies to while Apex's database cannot be reached. Under a hard budget it is
/// refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// It is refused.
    #[default]
    Closed,
    /// It is passed on without a reservation, and recorded once the database can be reached.
    Open,
}

/// Why settings cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There are too many of something.
    #[error("there are {found} {what}; the limit is {limit}")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The name of an upstream is not valid.
    #[error("{0:?} is not the name of an upstream: use 1 to 64 small letters, digits, `-` and `_`")]
    Name(String),
    /// Two upstreams have one name.
    #[error("the upstream {0} occurs twice")]
    Duplicate(String),
    /// The URL cannot be one of requests.
    #[error("{url} cannot be the base URL of the upstream {upstream}: use https, or http for a loopback address")]
    Url {
        /// The upstream.
        upstream: String,
        /// The URL, without credentials.
        url: String,
    },
    /// A header must not be passed on.
    #[error(
        "the header {header} cannot be passed on to the upstream {upstream}: it is of a credential or of the connection"
    )]
    Header {
        /// The upstream.
        upstream: String,
        /// The header.
        header: HeaderName,
    },
    /// A number is not within its bounds.
    #[error("{what} is {found}, and must be {min} to {max}")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// The number.
        found: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// The HTTP client cannot be made.
    #[error("TLS cannot be used for the upstream {upstream}")]
    Tls {
        /// The upstream.
        upstream: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl GatewayConfig {
    /// What is known of a model.
    pub(crate) fn bounds(&self, model: &str) -> ModelBounds {
        self.models.iter().find(|bounds| bounds.matches(model)).cloned().unwrap_or_else(ModelBounds::unknown)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let number = |what, found: usize, limit| match found > limit {
            true => Err(ConfigError::TooMany { what, found, limit }),
            false => Ok(()),
        };
        number("upstreams", self.upstreams.len(), MAX_UPSTREAMS)?;
        number("bounds of models", self.models.len(), MAX_MODEL_BOUNDS)?;
        for (index, upstream) in self.upstreams.iter().enumerate() {
            let name = &upstream.name;
            let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_valid) {
                return Err(ConfigError::Name(name.clone()));
            }
            if self.upstreams[..index].iter().any(|other| other.name == *name) {
                return Err(ConfigError::Duplicate(name.clone()));
            }
            if let Some(header) = upstream.forwarded_headers.iter().find(|header| is_own(header)) {
                return Err(ConfigError::Header { upstream: name.clone(), header: header.clone() });
            }
            if !is_allowed(&upstream.base_url) {
                let url = upstream.base_url.origin().ascii_serialization();
                return Err(ConfigError::Url { upstream: name.clone(), url });
            }
        }
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let limits = &self.limits;
        let within = |what, found, min, max| match (min..=max).contains(&found) {
            true => Ok(()),
            false => Err(ConfigError::OutOfRange { what, found, min, max }),
        };
        within("the most calls", limits.max_calls, 2, 100_000)?;
        let request_bytes = u64::try_from(limits.max_request_bytes).unwrap_or(u64::MAX);
        // A tenant may have half of those that are open: a longer request would be refused each time.
        within("the most bytes of a request", request_bytes, 1, limits.max_open_bytes / 2)?;
        let unanswered = u64::try_from(limits.max_unanswered).unwrap_or(u64::MAX);
        within("the most reservations without an answer", unanswered, 1, 100_000)?;
        within("the timeout of requests in milliseconds", ms(limits.request_timeout), 100, 3_600_000)?;
        within("the timeout of calls in milliseconds", ms(limits.call_timeout), 100, 23 * 3_600_000)?;
        within("the idle timeout in milliseconds", ms(limits.idle_timeout), 50, 3_600_000)?;
        within("the timeout to connect in milliseconds", ms(limits.connect_timeout), 50, 600_000)?;
        within("the timeout to reserve in milliseconds", ms(limits.reserve_timeout), 50, 60_000)?;
        for bounds in &self.models {
            within("the most input tokens of a model", bounds.max_input_tokens, 1, MAX_TOKENS)?;
            within("the output tokens of a model", bounds.output_tokens, 1, MAX_TOKENS)?;
        }
        Ok(())
    }
}

/// More tokens than any model takes or generates in one call.
pub(crate) const MAX_TOKENS: u64 = 1_000_000_000;

/// The headers that never pass: those in which clients of Apex present credentials, and those of a connection or of what it carries.
const OWN_HEADERS: [&str; 15] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
];

fn is_own(header: &HeaderName) -> bool {
    OWN_HEADERS.contains(&header.as_str()) || header.as_str().starts_with(attribution::OWN_HEADERS)
}

/// Whether calls may be sent to a URL: over TLS, or to a loopback address.
fn is_allowed(url: &Url) -> bool {
    let is_loopback = url.host_str().is_some_and(is_loopback_host);
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.password().is_none();
    is_plain && url.username().is_empty() && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(name: &str, url: &str) -> UpstreamConfig {
        UpstreamConfig {
            name: name.to_owned(),
            api: Api::OpenAi,
            base_url: url.parse().unwrap(),
            key: None,
            key_reader: None,
            provider: Name::new("openai").unwrap(),
            asks_for_usage: true,
            chat_output_field: ChatOutputField::default(),
            forwarded_headers: Vec::new(),
            authorities: Vec::new(),
        }
    }

    #[test]
    fn upstreams_have_a_name_of_their_own_and_a_safe_url() {
        let check = |upstreams: &[(&str, &str)]| {
            let upstreams = upstreams.iter().map(|(name, url)| upstream(name, url)).collect();
            GatewayConfig { upstreams, ..GatewayConfig::default() }.check()
        };
        assert!(check(&[("openai", "https://api.openai.com/v1"), ("local", "http://127.0.0.1:8000/v1")]).is_ok());
        assert!(matches!(check(&[("a", "https://x"), ("a", "https://y")]), Err(ConfigError::Duplicate(_))));
        for name in ["", "A", "a/b", "a b", &"a".repeat(65)] {
            assert!(matches!(check(&[(name, "https://x")]), Err(ConfigError::Name(_))), "{name}");
        }
        for url in ["http://api.openai.com/v1", "ftp://127.0.0.1/", "https://a:b@x/", "https://x/?key=1"] {
            assert!(matches!(check(&[("a", url)]), Err(ConfigError::Url { .. })), "{url}");
        }
    }

    #[test]
    fn headers_of_credentials_and_connections_are_not_passed_on() {
        let check = |header| {
            let forwarded_headers = vec![HeaderName::from_static(header)];
            let upstreams = vec![UpstreamConfig { forwarded_headers, ..upstream("a", "https://x") }];
            GatewayConfig { upstreams, ..GatewayConfig::default() }.check()
        };
        assert!(check("x-tenant").is_ok());
        for header in ["authorization", "cookie", "x-api-key", "x-apex-agent", "host", "transfer-encoding"] {
            assert!(matches!(check(header), Err(ConfigError::Header { .. })), "{header}");
        }
    }

    #[test]
    fn a_request_of_the_longest_length_is_not_too_much_for_a_tenant() {
        let check = |max_request_bytes, max_open_bytes| {
            let limits = GatewayLimits { max_request_bytes, max_open_bytes, ..GatewayLimits::default() };
            GatewayConfig { limits, ..GatewayConfig::default() }.check()
        };
        assert!(check(1000, 2000).is_ok());
        assert!(matches!(check(1001, 2000), Err(ConfigError::OutOfRange { found: 1001, max: 1000, .. })));
        assert!(matches!(check(0, 2000), Err(ConfigError::OutOfRange { .. })));
    }

    #[test]
    fn the_first_bounds_that_match_count() {
        let bounds = |pattern: &str, output_tokens| ModelBounds {
            pattern: pattern.to_owned(),
            max_input_tokens: 10,
            cheaper: None,
            output_tokens,
        };
        let models = vec![bounds("gpt-5", 1), bounds("gpt-5*", 2), bounds("gpt-*", 3)];
        let config = GatewayConfig { models, ..GatewayConfig::default() };
        let output = |model: &str| config.bounds(model).output_tokens;
        assert_eq!(["gpt-5", "gpt-5-mini", "gpt-4o", "o3"].map(output), [1, 2, 3, OUTPUT_TOKENS]);
    }
}
