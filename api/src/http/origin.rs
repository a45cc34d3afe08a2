//! Which web page a request comes from, and the protection of a server without a token against requests of foreign ones. It
//! admits programs on the same machine, and pages that it served itself.
//!
//! A browser sends requests to loopback on behalf of any page that is open. Three headers that a page cannot set identify
//! such requests: `Sec-Fetch-Site` tells whether the page has the same origin, also for images and links, which have no
//! `Origin` (W3C Fetch Metadata); `Origin` names the page (RFC 6454); `Host` is the name that was resolved, which detects
//! pages whose own name was pointed at loopback (DNS rebinding). With a token they are not checked: a page does not know it.
//!
//! Pages of configured origins are admitted too ([`crate::edge`]). The check applies to every route except `/healthz`, which
//! reveals only that the process runs. An identity provider sends browsers to `/auth/callback` from a page of its own: there,
//! only the name is checked, since the answer has to fit to a cookie of the browser.

use super::access;
use super::gateway_form;
use super::response;
use super::state::State as Shared;
use crate::edge::{Origin, is_configured};
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::access_log::RefusalReason;
use std::sync::Arc;

/// The route to which identity providers send browsers back.
pub(super) const CALLBACK_ROUTE: &str = "/auth/callback";
/// The header in which a browser declares the relation of the page to this server.
const FETCH_SITE: &str = "sec-fetch-site";
/// The route that is not checked.
const OPEN_ROUTE: &str = "/healthz";

/// Rejects requests of foreign web pages.
pub(crate) async fn check(State(state): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    let is_checked = state.deps.authenticator.admits_anonymous() && path != OPEN_ROUTE;
    let is_returning = path == CALLBACK_ROUTE && request.method() == Method::GET && names_loopback(headers);
    if is_checked && !is_returning && !is_local(headers, &state.config.origins) {
        let message = "without a token (APEX_TOKEN) this server accepts only requests to a loopback address, from programs \
                       on the same machine, from its own pages and from those of APEX_CORS_ORIGINS";
        let client = access::client_of(request.headers(), request.extensions());
        access::refused_client(&state, RefusalReason::ForeignOrigin, client);
        let of_gateway = gateway_form::error(path, StatusCode::FORBIDDEN, "permission_denied", message);
        return of_gateway
            .unwrap_or_else(|| response::error(StatusCode::FORBIDDEN, "FORBIDDEN_ORIGIN", message).into_response());
    }
    next.run(request).await
}

/// Whether the name that was resolved is that of a loopback address.
fn names_loopback(headers: &HeaderMap) -> bool {
    host(headers).is_some_and(|host| domain::is_loopback_host(host.host()))
}

fn is_local(headers: &HeaderMap, origins: &[Origin]) -> bool {
    names_loopback(headers) && (is_of_own_page(headers) || is_configured(origins, headers))
}

/// The name and the port that a request is sent to.
fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

/// Whether a browser says that a request comes from a page of this server, or from none. Programs other than browsers say
/// nothing, and are believed: they can send any header.
pub(super) fn is_of_own_page(headers: &HeaderMap) -> bool {
    let is_own_origin = headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        origin.and_then(|origin| origin.authority().cloned()).is_some_and(|origin| Some(origin) == host(headers))
    });
    // `none` is a request that no page made, such as an address that was typed.
    let is_own_fetch = headers.get_all(FETCH_SITE).iter().all(|site| site == "same-origin" || site == "none");
    is_own_origin && is_own_fetch
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
        is_local(&headers, &[])
    }

    #[test]
    fn pages_of_configured_origins_are_admitted_to_a_loopback_address() {
        let origins = ["https://dashboard.example".parse().unwrap()];
        let admitted = |host: &'static str, origin: &'static str| {
            let headers = [("host", host), ("origin", origin), ("sec-fetch-site", "cross-site")];
            let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_local(&HeaderMap::from_iter(headers), &origins)
        };
        assert!(admitted("127.0.0.1:8080", "https://dashboard.example"));
        assert!(!admitted("127.0.0.1:8080", "http://dashboard.example"));
        assert!(!admitted("evil.example:8080", "https://dashboard.example"));
    }

    #[test]
    fn programs_and_own_pages_are_local() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "127.1.2.3:1"] {
            assert!(local(host, None), "{host}");
            assert!(local(host, Some(&format!("http://{host}"))), "{host}");
        }
    }

    #[test]
    fn requests_of_foreign_pages_are_told() {
        let own = |pairs: &[(&'static str, &str)]| {
            let all = [&[("host", "apex.example")], pairs].concat();
            is_of_own_page(&all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
        };
        assert!(own(&[]) && own(&[("origin", "https://apex.example")]) && own(&[("sec-fetch-site", "same-origin")]));
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "https://apex.example:8443"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!own(&[foreign]), "{foreign:?}");
        }
    }

    #[test]
    fn requests_of_other_sites_without_an_origin_are_not_local() {
        let fetched = |sites: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
            for site in sites {
                headers.append(FETCH_SITE, site.parse().unwrap());
            }
            is_local(&headers, &[])
        };
        assert!(fetched(&[]) && fetched(&["same-origin"]) && fetched(&["none"]));
        for sites in [&["cross-site"][..], &["same-site"], &["other"], &[""], &["none", "cross-site"]] {
            assert!(!fetched(sites), "{sites:?}");
        }
    }

    #[test]
    fn other_pages_and_other_names_are_not_local() {
        assert!(!local("127.0.0.1:8080", Some("http://evil.example")));
        assert!(!local("127.0.0.1:8080", Some("http://127.0.0.1:3000")));
        assert!(!local("127.0.0.1:8080", Some("null")));
        assert!(!local("evil.example:8080", None));
        assert!(!local("evil.example:8080", Some("http://evil.example:8080")));
        assert!(!is_local(&HeaderMap::new(), &[]));
    }
}
