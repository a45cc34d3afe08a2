//! Requests to a server, and what their failures mean.

use super::error::ClientError;
use crate::config::{Remote, Secret};
use crate::pem;
use bytes::Bytes;
use domain::{error_with_causes, is_loopback_host};
use reqwest::{StatusCode, Url};
use serde::Serialize;
use serde_json::Value;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take whose body is read while it is sent.
const MAX_STREAM_DURATION: Duration = Duration::from_secs(24 * 3600);
/// The shortest time that is waited for the next part of an answer. A server that is busy with it gives a sign every 15 s.
const MIN_PART_TIMEOUT: Duration = Duration::from_secs(45);
/// The most bytes of an answer: more than any server sends.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An answer in JSON.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

/// The connections to a server.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    url: Url,
    timeout: Duration,
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

/// The certificates of authorities: those that browsers trust, and those of a file.
fn roots(ca_file: Option<&Path>) -> Result<rustls::RootCertStore, ClientError> {
    let file = || ca_file.map(Path::to_owned).unwrap_or_default();
    pem::roots(ca_file).map_err(|error| ClientError::CaFile { file: file(), message: error_with_causes(&error) })
}

impl Http {
    /// Prepares connections to the server of the settings. None is made yet.
    ///
    /// # Errors
    /// [`ClientError::PlainText`] if the server is another machine and the URL is not `https`; and if TLS cannot be set up.
    pub fn new(url: Url, settings: &Remote) -> Result<Self, ClientError> {
        if url.scheme() != "https" && !is_loopback(&url) && !settings.insecure_http {
            return Err(ClientError::PlainText { url: without_slash(&url) });
        }
        let tls = |error: Box<dyn Error + Send + Sync>| ClientError::Tls(error);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| tls(error.into()))?;
        let config = config.with_root_certificates(roots(settings.ca_file.as_deref())?).with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .user_agent(concat!("apex-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.request_timeout)
            // A credential is sent to the server that was named, and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| tls(error.into()))?;
        Ok(Self { client, url, timeout: settings.request_timeout })
    }

    /// The address of the server, as sessions are kept by.
    #[must_use]
    pub fn server(&self) -> String {
        without_slash(&self.url)
    }

    /// The URL of a path of the server.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.server())
    }

    /// Posts JSON, with a bearer token if one is given.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer in JSON.
    pub async fn post_json(
        &self,
        path: &str,
        bearer: Option<&Secret>,
        body: &impl Serialize,
    ) -> Result<Answer, ClientError> {
        let request = self.client.post(self.at(path)).json(body);
        self.send(bearer.iter().fold(request, |request, token| request.bearer_auth(token.reveal().trim()))).await
    }

    /// Posts a form, as the token endpoint of OAuth takes it.
    ///
    /// # Errors
    /// As [`Http::post_json`].
    pub async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, ClientError> {
        self.send(self.client.post(self.at(path)).form(form)).await
    }

    /// Posts what is read while it is sent, and begins to read the answer, which may begin before everything is sent. The body
    /// has the length that is given, if one is.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub(super) async fn post_stream(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        (bearer, correlation_id): (Option<&Secret>, Uuid),
        length: Option<u64>,
        body: reqwest::Body,
    ) -> Result<reqwest::Response, ClientError> {
        let request = self.client.post(self.at(path)).query(parameters).body(body);
        // It takes as long as it takes, as long as something arrives.
        let request = request.timeout(MAX_STREAM_DURATION).header("content-type", "application/octet-stream");
        // A body of known length has no trailers: it ends too early if it cannot be read.
        let request = match length {
            Some(length) => request.header("content-length", length),
            None => request.header("trailer", "x-apex-upload"),
        };
        let request = request.header("accept", "application/x-ndjson");
        let request = request.header("x-correlation-id", correlation_id.to_string());
        let request = bearer.iter().fold(request, |request, token| request.bearer_auth(token.reveal().trim()));
        request.send().await.map_err(|error| self.failed(error))
    }

    /// Asks for what is read while it is sent.
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer.
    pub(super) async fn get_stream(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        bearer: Option<&Secret>,
    ) -> Result<reqwest::Response, ClientError> {
        // It takes as long as it takes, as long as something arrives.
        let request = self.client.get(self.at(path)).query(parameters).timeout(MAX_STREAM_DURATION);
        let request = bearer.iter().fold(request, |request, token| request.bearer_auth(token.reveal().trim()));
        request.send().await.map_err(|error| self.failed(error))
    }

    /// The next part of an answer; none at its end.
    pub(super) async fn next_chunk(&self, response: &mut reqwest::Response) -> Result<Option<Bytes>, ClientError> {
        self.next_chunk_within(response, MIN_PART_TIMEOUT).await
    }

    /// As [`Http::next_chunk`], of a server that may be busy with the next part for this time without a sign.
    pub(super) async fn next_chunk_within(
        &self,
        response: &mut reqwest::Response,
        timeout: Duration,
    ) -> Result<Option<Bytes>, ClientError> {
        let timeout = self.timeout.max(timeout);
        let late = |_| ClientError::TimedOut { url: self.server(), timeout };
        let chunk = tokio::time::timeout(timeout, response.chunk()).await.map_err(late)?;
        chunk.map_err(|error| self.failed(error))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        self.answer(response).await
    }

    /// Reads an answer in JSON.
    pub(super) async fn answer(&self, mut response: reqwest::Response) -> Result<Answer, ClientError> {
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.not_apex(status));
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = serde_json::from_slice(&bytes).map_err(|_| self.not_apex(status))?;
        Ok(Answer { status, body })
    }

    pub(super) fn not_apex(&self, status: StatusCode) -> ClientError {
        ClientError::NotApex { url: self.server(), status: status.as_u16() }
    }

    /// What an answer with errors means.
    pub(super) fn refused(&self, answer: &Answer) -> ClientError {
        let Some(code) = answer.body.pointer("/errors/0/extensions/code").and_then(Value::as_str) else {
            return self.not_apex(answer.status);
        };
        let message = answer.body.pointer("/errors/0/message").and_then(Value::as_str).unwrap_or_default().to_owned();
        match code {
            "UNAUTHENTICATED" => ClientError::TokenRefused,
            "FORBIDDEN" => ClientError::Forbidden { message },
            "NOT_FOUND" | "METHOD_NOT_ALLOWED" => self.not_apex(answer.status),
            "GRAPHQL_VALIDATION_FAILED" | "GRAPHQL_PARSE_FAILED" => {
                ClientError::OtherVersion { url: self.server(), message }
            }
            "RATE_LIMITED" | "TOO_MANY_ATTEMPTS" => ClientError::TooMany { message },
            code => {
                let reason = answer.body.pointer("/errors/0/extensions/reason").and_then(Value::as_str);
                ClientError::Refused { code: code.to_owned(), reason: reason.map(str::to_owned), message }
            }
        }
    }

    fn failed(&self, error: reqwest::Error) -> ClientError {
        let url = self.server();
        // The URL has no secret, but the message names it already.
        let error = error.without_url();
        match untrusted(&error) {
            Some(cause) => ClientError::Certificate { url, cause },
            None if error.is_timeout() && !error.is_connect() => ClientError::TimedOut { url, timeout: self.timeout },
            None => ClientError::Unreachable { url, cause: error },
        }
    }
}

fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Why a certificate was not accepted, if that is why a request failed.
fn untrusted(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(cause)) = error.downcast_ref() {
            return Some(cause.to_string());
        }
        // The source of an error of input or output is that of the error within, and not the error within.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost", true),
            ("http://apex.example", false),
            ("http://10.0.0.7", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
        assert_eq!(without_slash(&"https://apex.example/".parse().unwrap()), "https://apex.example");
    }
}
