//! Cross-origin resource sharing: which web pages of other servers may use the API from a browser
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>). None, unless their origins are configured.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer};

/// How long a browser remembers the answer to a preflight request.
const MAX_AGE: Duration = Duration::from_mins(10);

/// The headers that requests of GraphQL, event streams and WebSockets have and that a browser asks for.
const REQUEST_HEADERS: [HeaderName; 7] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-apex-actor"),
    HeaderName::from_static("x-correlation-id"),
];
/// The headers of responses that scripts of a page may read.
const RESPONSE_HEADERS: [HeaderName; 3] =
    [HeaderName::from_static("ratelimit"), HeaderName::from_static("ratelimit-policy"), header::RETRY_AFTER];

/// The origin of web pages that may use the API: a scheme, a host and, unless it is the usual one, a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not an origin: give a scheme, a host and, if it is not the usual one, a port, as browsers send them, such as \
     https://dashboard.example.com or http://localhost:3000"
)]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || OriginError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| error())?;
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().ok_or_else(error)?);
        let usual_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(error()),
        };
        // A path is not part of an origin, nor are credentials, and browsers send lower case without the usual port.
        let is_as_sent = !text.ends_with('/') && uri.path() == "/" && uri.query().is_none();
        let is_bare = !authority.as_str().contains('@') && authority.port_u16() != Some(usual_port);
        let is_host = !authority.host().is_empty() && authority.host() != "*" && !authority.as_str().ends_with(':');
        let is_lower_case = text == text.to_ascii_lowercase();
        if !(is_as_sent && is_bare && is_host && is_lower_case) {
            return Err(error());
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| error())
    }
}

/// Whether a request is of a page of a configured origin.
pub(crate) fn is_configured(origins: &[Origin], headers: &HeaderMap) -> bool {
    // A request has one origin.
    let mut sent = headers.get_all(header::ORIGIN).iter();
    let origin = sent.next();
    sent.next().is_none() && origin.is_some_and(|sent| origins.iter().any(|Origin(known)| known == sent))
}

/// The layer that answers preflight requests, and tells browsers what they may show to a page.
pub(crate) fn layer(origins: &[Origin]) -> CorsLayer {
    let known: Vec<_> = origins.iter().map(|Origin(value)| value.clone()).collect();
    let credentials = known.clone();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(known))
        .allow_credentials(AllowCredentials::predicate(move |origin: &HeaderValue, _: &Parts| {
            credentials.contains(origin)
        }))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(RESPONSE_HEADERS)
        .max_age(MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for origin in ["https://dashboard.example.com", "http://localhost:3000", "https://[2001:db8::1]:8443"] {
            assert_eq!(origin.parse::<Origin>().map(|origin| origin.0), Ok(HeaderValue::from_static(origin)));
        }
        for wrong in [
            "*",
            "null",
            "",
            "example.com",
            "https://",
            "https://*",
            "https://example.com/",
            "https://example.com/path",
            "https://example.com?x",
            "https://Example.com",
            "HTTPS://example.com",
            "https://example.com:443",
            "http://example.com:80",
            "https://user@example.com",
            "https://example.com:",
            "ftp://example.com",
            "https://a.example https://b.example",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(OriginError(wrong.to_owned())), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_of_two_origins_is_of_none() {
        let origins = ["https://a.example".parse().unwrap()];
        let of = |sent: &[&'static str]| {
            let mut headers = HeaderMap::new();
            sent.iter().for_each(|origin| _ = headers.append(header::ORIGIN, HeaderValue::from_static(origin)));
            is_configured(&origins, &headers)
        };
        assert!(of(&["https://a.example"]));
        assert!(!of(&[]) && !of(&["https://b.example"]) && !of(&["https://a.example.evil"]) && !of(&["null"]));
        assert!(!of(&["https://a.example", "https://a.example"]));
    }
}
