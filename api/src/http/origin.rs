//! Who may drive a server that asks for no token: programs on this machine, and pages that it served itself.
//!
//! A browser sends requests to loopback on behalf of any page that is open. Three headers that a page cannot set tell
//! them apart: `Sec-Fetch-Site` says whether the page that asks is of the same origin, also for images and links, which
//! have no `Origin` (W3C Fetch Metadata); `Origin` says which page asks (RFC 6454), `Host` which name was resolved, which
//! finds pages whose own name was pointed at loopback (DNS rebinding). With a token none of them matters: a page does not
//! know it.
//!
//! The check is around every route. `/healthz` alone is open to everybody: it says nothing but that the process runs.

use super::{State as Shared, answer};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// How a browser says where a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";
/// The route that is open to everybody.
const OPEN_ROUTE: &str = "/healthz";

/// Refuses what comes from elsewhere.
pub(crate) async fn check(State(state): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let is_checked = state.config.token.is_none() && request.uri().path() != OPEN_ROUTE;
    if is_checked && !is_local(request.headers()) {
        let message = "without a token (APEX_TOKEN) this server answers only programs on its own machine that name it by a \
                       loopback address, and its own pages";
        return answer::error(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", message).into_response();
    }
    next.run(request).await
}

fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let names_loopback = host.parse::<axum::http::uri::Authority>().is_ok_and(|host| is_loopback(host.host()));
    let is_own_page = text(header::ORIGIN).is_none_or(|origin| {
        origin.parse::<Uri>().is_ok_and(|origin| origin.authority().is_some_and(|authority| authority.as_str() == host))
    });
    // No page brought about what is `none`: an address that somebody typed. Programs other than browsers say nothing.
    let is_own_fetch = headers.get_all(FETCH_SITE).iter().all(|site| site == "same-origin" || site == "none");
    names_loopback && is_own_page && is_own_fetch
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_local(&headers)
    }

    #[test]
    fn programs_and_own_pages_are_local() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.1.2.3:1"] {
            assert!(local(host, None), "{host}");
            assert!(local(host, Some(&format!("http://{host}"))), "{host}");
        }
    }

    #[test]
    fn requests_of_other_sites_are_not_local_though_they_have_no_origin() {
        let fetched = |sites: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
            for site in sites {
                headers.append(FETCH_SITE, site.parse().unwrap());
            }
            is_local(&headers)
        };
        assert!(fetched(&[]) && fetched(&["same-origin"]) && fetched(&["none"]));
        for sites in [&["cross-site"][..], &["same-site"], &["other"], &[""], &["none", "cross-site"]] {
            assert!(!fetched(sites), "{sites:?}");
        }
    }

    #[test]
    fn other_pages_and_other_names_are_not() {
        assert!(!local("127.0.0.1:8080", Some("http://evil.example")));
        assert!(!local("127.0.0.1:8080", Some("http://127.0.0.1:3000")));
        assert!(!local("127.0.0.1:8080", Some("null")));
        assert!(!local("evil.example:8080", None));
        assert!(!local("evil.example:8080", Some("http://evil.example:8080")));
        assert!(!is_local(&HeaderMap::new()));
    }
}
