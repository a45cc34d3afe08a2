//! Upstreams: the providers that calls are passed on to, and the headers that pass.

use crate::attribution::OWN_HEADERS;
use crate::config::{ConfigError, GatewayLimits, UpstreamConfig};
use crate::endpoint::Endpoint;
use crate::key_reader::KeyHeader;
use bytes::Bytes;
use domain::{Name, provider_name};
use metrics::counter;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response, Url};
use rustls::{ClientConfig, RootCertStore};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The most connections to an upstream that are kept open for later calls, and how long.
const MAX_IDLE_CONNECTIONS: usize = 64;
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The headers of requests that are passed on, beside those of the settings. No credential of the client is among them.
const REQUEST_HEADERS: [&str; 10] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-client-request-id",
];
/// The start of the names of further ones, in which SDKs say what they are.
const SDK_HEADERS: &str = "x-stainless-";

/// The headers of responses that are not passed on: those of the connection, and of the site of the provider.
const DROPPED_RESPONSE_HEADERS: [&str; 13] = [
    "alt-svc",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "nel",
    "report-to",
];

/// The start of the names of further ones: those of the gateway itself, and those by which the site of the provider admits web pages.
const DROPPED_RESPONSE_PREFIXES: [&str; 2] = [OWN_HEADERS, "access-control-"];

/// The headers in which providers name a request.
const REQUEST_IDS: [&str; 2] = ["request-id", "x-request-id"];
/// The longest id of a request that is kept, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 256;

/// A provider that calls are passed on to.
pub(crate) struct Upstream {
    pub(crate) config: UpstreamConfig,
    client: Client,
    key: RwLock<Option<KeyHeader>>,
    /// Whether the key could not be read last time.
    is_failing: AtomicBool,
}

impl Upstream {
    /// # Errors
    /// [`ConfigError::Tls`] if TLS cannot be used with its authorities.
    pub(crate) fn new(mut config: UpstreamConfig, limits: &GatewayLimits) -> Result<Self, ConfigError> {
        // Calls are recorded under this name: a budget of the provider would not count what it granted under another one.
        if let Ok(provider) = Name::new(provider_name(config.provider.as_str())) {
            config.provider = provider;
        }
        let failed =
            |cause: Box<dyn std::error::Error + Send + Sync>| ConfigError::Tls { upstream: config.name.clone(), cause };
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in &config.authorities {
            roots.add(authority.clone()).map_err(|error| failed(error.into()))?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .connect_timeout(limits.connect_timeout)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT);
        // A proxy of the environment would get the key as it is, from where it may go over the network.
        let client = if config.base_url.scheme() == "http" { client.no_proxy() } else { client };
        let client = client.build().map_err(|error| failed(error.into()))?;
        let key = RwLock::new(config.key.clone());
        Ok(Self { config, client, key, is_failing: AtomicBool::new(false) })
    }

    /// Reads the key again, and uses it for the calls that follow if it changed. The gateway goes on with the one that it has if it cannot
    /// be read, and says so once. It blocks. Whether it could be read.
    pub(crate) fn reload_key(&self) -> bool {
        let Some(reader) = &self.config.key_reader else { return true };
        let upstream = &self.config.name;
        let read = match reader.read() {
            Ok(read) => read,
            Err(error) => {
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    counter!("apex_gateway_key_reloads_total", "outcome" => "failed").increment(1);
                    let error = &*error as &dyn std::error::Error;
                    tracing::error!(
                        upstream,
                        error,
                        "the key of an upstream cannot be read again: the old one is used"
                    );
                }
                return false;
            }
        };
        self.is_failing.store(false, Ordering::Relaxed);
        let mut key = self.key.write().unwrap_or_else(PoisonError::into_inner);
        if key.as_ref() != Some(&read) {
            *key = Some(read);
            counter!("apex_gateway_key_reloads_total", "outcome" => "done").increment(1);
            tracing::info!(upstream, "the key of an upstream was read again");
        }
        true
    }

    fn url(&self, endpoint: Endpoint, query: Option<&str>) -> Url {
        let mut url = self.config.base_url.clone();
        let path = format!("{}/{}", url.path().trim_end_matches('/'), endpoint.path());
        url.set_path(&path);
        url.set_query(query);
        url
    }

    /// Sends a call.
    ///
    /// # Errors
    /// If there is no response. Whether the call reached the provider then is said by [`reqwest::Error::is_connect`].
    pub(crate) async fn send(
        &self,
        endpoint: Endpoint,
        query: Option<&str>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> reqwest::Result<Response> {
        let mut request = Request::new(reqwest::Method::POST, self.url(endpoint, query));
        *request.headers_mut() = self.request_headers(headers);
        *request.body_mut() = Some(body.into());
        self.client.execute(request).await
    }

    fn request_headers(&self, sent: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent.iter().filter(|(name, _)| self.passes(name)) {
            headers.append(name.clone(), value.clone());
        }
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // What is compressed could not be metered.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((name, key)) = &*self.key.read().unwrap_or_else(PoisonError::into_inner) {
            headers.insert(name.clone(), key.clone());
        }
        headers
    }

    fn passes(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        let is_known = REQUEST_HEADERS.contains(&text) || text.starts_with(SDK_HEADERS);
        (is_known || self.config.forwarded_headers.contains(name)) && !text.starts_with(OWN_HEADERS)
    }
}

/// The headers of a response that are passed on.
pub(crate) fn response_headers(received: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        !DROPPED_RESPONSE_HEADERS.contains(&name)
            && !DROPPED_RESPONSE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in received.iter().filter(|(name, _)| passes(name)) {
        headers.append(name.clone(), value.clone());
    }
    headers
}

/// The number of bytes that a response says it has.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The id that the provider gave the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = REQUEST_IDS.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    (!id.trim().is_empty() && id.len() <= MAX_REQUEST_ID_BYTES).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChatOutputField;
    use crate::endpoint::Api;
    use crate::key_reader::KeyReader;

    fn upstream(base_url: &str) -> Upstream {
        let mut key = HeaderValue::from_static("Bearer provider-key");
        key.set_sensitive(true);
        let config = UpstreamConfig {
            name: "openai".to_owned(),
            api: Api::OpenAi,
            base_url: base_url.parse().unwrap(),
            key: Some((reqwest::header::AUTHORIZATION, key)),
            key_reader: None,
            provider: Name::new("openai").unwrap(),
            asks_for_usage: true,
            chat_output_field: ChatOutputField::default(),
            forwarded_headers: vec![HeaderName::from_static("x-own")],
            authorities: Vec::new(),
        };
        Upstream::new(config, &GatewayLimits::default()).unwrap()
    }

    #[test]
    fn the_path_follows_the_base_url_as_in_sdks() {
        let url = |base: &str, query| upstream(base).url(Endpoint::ChatCompletions, query).to_string();
        assert_eq!(url("https://api.openai.com/v1", None), "https://api.openai.com/v1/chat/completions");
        assert_eq!(url("https://api.openai.com/v1/", None), "https://api.openai.com/v1/chat/completions");
        assert_eq!(url("http://127.0.0.1:1", Some("a=b&c")), "http://127.0.0.1:1/chat/completions?a=b&c");
    }

    #[test]
    fn the_provider_has_the_name_under_which_its_calls_are_recorded() {
        let provider = |named: &str| {
            let config = UpstreamConfig { provider: Name::new(named).unwrap(), ..upstream("https://x").config };
            Upstream::new(config, &GatewayLimits::default()).unwrap().config.provider
        };
        let passed_on = |provider: Name| ingest::PassedOn {
            provider,
            model: Name::new("m").unwrap(),
            request_id: None,
            started_at: chrono::Utc::now(),
            key: "one".to_owned(),
        };
        for named in ["Google", "mistralai", "OpenAI", "own"] {
            let recorded = passed_on(provider(named)).without_response().unwrap().facts.provider;
            assert_eq!(recorded, Some(provider(named)), "{named}");
        }
        assert_eq!(provider("Google").as_str(), "gemini");
    }

    #[test]
    fn a_key_that_changes_is_used_and_one_that_cannot_be_read_changes_nothing() {
        let reads = Arc::new(std::sync::Mutex::new(vec![Err("gone"), Ok("Bearer new"), Ok("Bearer provider-key")]));
        let next = reads.clone();
        let reader = KeyReader::new(move || {
            let key = next.lock().unwrap().pop().unwrap()?;
            Ok((reqwest::header::AUTHORIZATION, HeaderValue::from_static(key)))
        });
        let config = UpstreamConfig { key_reader: Some(reader), ..upstream("https://x").config };
        let upstream = Upstream::new(config, &GatewayLimits::default()).unwrap();
        let key = || upstream.request_headers(&HeaderMap::new())["authorization"].to_str().unwrap().to_owned();
        for (is_read, right) in [(true, "Bearer provider-key"), (true, "Bearer new"), (false, "Bearer new")] {
            assert_eq!((upstream.reload_key(), key().as_str()), (is_read, right));
        }
        assert!(reads.lock().unwrap().is_empty());
    }

    #[test]
    fn headers_of_a_response_that_are_of_the_gateway_or_of_web_pages_do_not_pass() {
        let sent =
            ["x-apex-reservation", "x-apex-budget-left", "access-control-allow-origin", "set-cookie", "x-request-id"];
        let sent = sent.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
        let headers = response_headers(&HeaderMap::from_iter(sent));
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-request-id"]);
    }

    #[test]
    fn no_credential_of_the_client_passes() {
        let sent = [
            ("authorization", "Bearer apex_key"),
            ("x-api-key", "apex_key"),
            ("cookie", "a=b"),
            ("x-apex-agent", "a"),
            ("host", "apex"),
            ("content-length", "3"),
            ("accept-encoding", "gzip"),
            ("proxy-authorization", "x"),
            ("user-agent", "OpenAI/Python"),
            ("x-stainless-lang", "python"),
            ("x-own", "1"),
        ];
        let sent = sent.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = upstream("https://x").request_headers(&HeaderMap::from_iter(sent));
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(text("authorization"), Some("Bearer provider-key"));
        assert_eq!(text("accept-encoding"), Some("identity"));
        assert_eq!(text("content-type"), Some("application/json"));
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let right = ["accept-encoding", "authorization", "content-type", "user-agent", "x-own", "x-stainless-lang"];
        assert_eq!(names, right);
        assert!(!format!("{headers:?}").contains("provider-key"), "the key is in no log");
    }
}
