//! The HTTP client for requests to identity providers: TLS by rustls with ring, no redirects, and a limit on everything.

use super::error::ProviderError;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// How long connecting may take, and a request with its answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of an answer. Key sets and tokens have a few thousand.
pub(super) const MAX_ANSWER_BYTES: usize = 512 * 1024;
/// The most connections that are kept open for later requests, and how long.
const MAX_IDLE_CONNECTIONS: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The client of one provider.
pub(super) struct HttpClient {
    client: reqwest::Client,
    /// Whether plain HTTP to loopback addresses is allowed, because the issuer has one.
    is_loopback: bool,
}

impl HttpClient {
    /// A client that trusts the authorities of the Mozilla list and those that are given.
    ///
    /// # Errors
    /// [`ProviderError::Tls`] if TLS cannot be set up with them.
    pub(super) fn new(authorities: &[CertificateDer<'static>], is_loopback: bool) -> Result<Self, ProviderError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in authorities {
            roots.add(authority.clone()).map_err(|error| ProviderError::Tls(error.to_string()))?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ProviderError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("apex/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, is_loopback })
    }

    /// Sends a request in a span of its own. Neither the span nor an error has what is sent.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        let request = reqwest::Request::try_from(request)?;
        let span = tracing::info_span!(
            "provider_request",
            otel.kind = "client",
            http.request.method = %request.method(),
            server.address = request.url().host_str(),
            url.path = request.url().path(),
            http.response.status_code = tracing::field::Empty,
        );
        self.answer(request).instrument(span).await
    }

    async fn answer(&self, request: reqwest::Request) -> Result<HttpResponse, ProviderError> {
        if !is_allowed(request.url(), self.is_loopback) {
            return Err(ProviderError::NotHttps(request.url().origin().ascii_serialization()));
        }
        let mut response = self.client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        tracing::Span::current().record("http.response.status_code", status.as_u16());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(ProviderError::TooLarge { max_bytes: MAX_ANSWER_BYTES });
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body);
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = ProviderError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ProviderError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether requests may be sent to a URL: over TLS, or to a loopback address where that is allowed.
pub(super) fn is_allowed(url: &openidconnect::url::Url, is_loopback_allowed: bool) -> bool {
    url.scheme() == "https" || (is_loopback_allowed && url.scheme() == "http" && is_loopback(url))
}

/// Whether a URL names a loopback address.
pub(super) fn is_loopback(url: &openidconnect::url::Url) -> bool {
    url.host_str().is_some_and(domain::is_loopback_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        let allowed = |url: &str, is_loopback| is_allowed(&url.parse().unwrap(), is_loopback);
        for url in ["https://id.example.com/a", "https://127.0.0.1/"] {
            assert!(allowed(url, false) && allowed(url, true), "{url}");
        }
        for url in ["http://127.0.0.1:1/", "http://localhost/", "http://[::1]:9/"] {
            assert!(!allowed(url, false) && allowed(url, true), "{url}");
        }
        for url in ["http://id.example.com/", "http://localhost.example.com/", "ftp://127.0.0.1/", "file:///etc/passwd"]
        {
            assert!(!allowed(url, true), "{url}");
        }
    }
}
