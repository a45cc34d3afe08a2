//! The protocol of a connection: HTTP/1.1, or HTTP/2 by prior knowledge or as negotiated with TLS.

use crate::config::Limits;
use crate::edge::HTTP2;
use axum::http::{HeaderValue, Request, Version, header};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;
use tokio::net::TcpStream;

/// How a client of HTTP/2 begins. No method of HTTP/1.1 begins so.
const PREFACE: &[u8] = b"PRI";
/// The interval in which it is looked for the rest of a beginning that arrives in pieces.
const PEEK_INTERVAL: Duration = Duration::from_millis(20);
/// The most requests at the same time on one connection.
const MAX_CONCURRENT_STREAMS: u32 = 100;
/// The bytes of bodies that one connection may send ahead.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// The bytes of one body that are sent ahead.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// The protocol that was negotiated with TLS.
    pub(super) fn negotiated(protocol: Option<&[u8]>) -> Self {
        if protocol == Some(HTTP2) { Self::Http2 } else { Self::Http1 }
    }
}

/// Detects the protocol from the first bytes, which stay unread; none if nothing arrives within the timeout.
pub(super) async fn detect(stream: &TcpStream, timeout: Duration) -> Option<Protocol> {
    let detected = tokio::time::timeout(timeout, async {
        let mut first = [0; PREFACE.len()];
        loop {
            let count = stream.peek(&mut first).await?;
            match first.get(..count) {
                Some(PREFACE) => return Ok(Protocol::Http2),
                // Peeking does not wait for more.
                Some(part) if count > 0 && PREFACE.starts_with(part) => tokio::time::sleep(PEEK_INTERVAL).await,
                _ => return Ok::<_, std::io::Error>(Protocol::Http1),
            }
        }
    });
    // An error is found again where the connection is served.
    detected.await.ok().map(|detected| detected.unwrap_or(Protocol::Http1))
}

/// Puts the `:authority` of HTTP/2 where HTTP/1.1 has it, so that what is decided by the host is decided alike. A `Host` beside
/// it does not count (RFC 9113, section 8.3.1).
pub(super) fn name_host<B>(request: &mut Request<B>) {
    if request.version() != Version::HTTP_2 {
        return;
    }
    let named = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    match named {
        Some(host) => _ = request.headers_mut().insert(header::HOST, host),
        None => _ = request.headers_mut().remove(header::HOST),
    }
}

/// The settings of HTTP/2.
pub(super) fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        // A client that does not answer is gone.
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.head_timeout);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_of_http2_is_the_host_whatever_else_is_named() {
        let host = |version: Version, uri: &str| {
            let mut request = Request::new(());
            *request.version_mut() = version;
            *request.uri_mut() = uri.parse().unwrap();
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("127.0.0.1"));
            name_host(&mut request);
            request.headers().get(header::HOST).map(|host| host.to_str().unwrap().to_owned())
        };
        assert_eq!(host(Version::HTTP_2, "http://evil.example/v1/traces").as_deref(), Some("evil.example"));
        assert_eq!(host(Version::HTTP_2, "/v1/traces"), None);
        assert_eq!(host(Version::HTTP_11, "/v1/traces").as_deref(), Some("127.0.0.1"));
    }
}
