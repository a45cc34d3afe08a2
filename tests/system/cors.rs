//! Web pages of other servers: those of configured origins may use the API from a browser, and no others.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use testkit::{Server, TestDatabase};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const OURS: &str = "https://dashboard.example";
const FOREIGN: &str = "https://evil.example";

/// What a browser asks before a page may send a request.
async fn preflight(server: &Server, path: &str, origin: &str, method: &str, headers: &str) -> (StatusCode, HeaderMap) {
    let request = testkit::http_client().request(Method::OPTIONS, format!("{}{path}", server.address));
    let request = request.header("origin", origin).header("access-control-request-method", method);
    let response = request.header("access-control-request-headers", headers).send().await.unwrap();
    (response.status(), response.headers().clone())
}

async fn get(server: &Server, path: &str, origin: &str, token: Option<&str>) -> (StatusCode, HeaderMap) {
    let mut request = testkit::http_client().get(format!("{}{path}", server.address));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.header("origin", origin).header("sec-fetch-site", "cross-site").send().await.unwrap();
    (response.status(), response.headers().clone())
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_no_page_of_another_server_may_use_the_api() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", "tea"]).await;
    let (status, headers) = preflight(&server, "/graphql", OURS, "POST", "authorization").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(value(&headers, "access-control-allow-origin"), None);
    let (status, headers) = get(&server, "/graphql?query={head}", OURS, Some("tea")).await;
    assert_eq!((status, value(&headers, "access-control-allow-origin")), (StatusCode::OK, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_configured_origins_may_use_the_api_and_read_its_errors() {
    let database = TestDatabase::new().await;
    let origins = format!("{OURS},http://localhost:3000");
    let limits = ["--rate-limits", "address.requests=8"];
    let server = database.serve(&[&["--token", "tea", "--cors-origins", &origins][..], &limits].concat()).await;
    for (path, method, asked) in [
        ("/graphql", "POST", "authorization,content-type,x-correlation-id"),
        ("/graphql", "GET", "accept,last-event-id"),
        ("/events", "GET", "authorization,last-event-id"),
    ] {
        for origin in [OURS, "http://localhost:3000"] {
            let (status, headers) = preflight(&server, path, origin, method, asked).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(value(&headers, "access-control-allow-origin"), Some(origin));
            assert_eq!(value(&headers, "access-control-allow-credentials"), Some("true"));
            assert_eq!(value(&headers, "access-control-max-age"), Some("600"));
            assert!(value(&headers, "vary").unwrap().contains("origin"));
            let methods = value(&headers, "access-control-allow-methods").unwrap();
            assert!(methods.split(',').any(|allowed| allowed.trim() == method), "{methods}");
            let allowed = value(&headers, "access-control-allow-headers").unwrap();
            for header in asked.split(',') {
                assert!(allowed.split(',').any(|allowed| allowed.trim() == header), "{header}: {allowed}");
            }
        }
        // Another scheme, another port and a suffix are other origins.
        for foreign in [FOREIGN, "http://dashboard.example", "https://dashboard.example:444", "null"] {
            let (_, headers) = preflight(&server, path, foreign, method, asked).await;
            assert_eq!(value(&headers, "access-control-allow-origin"), None, "{foreign}");
            assert_eq!(value(&headers, "access-control-allow-credentials"), None, "{foreign}");
        }
    }
    // Preflight requests took nothing from the limit of the address: 8 requests are left.
    let mut statuses = Vec::new();
    for (path, token) in [
        ("/graphql?query={head}", Some("tea")),
        ("/graphql?query={head}", None),
        ("/events?x=y", Some("tea")),
        ("/nothing", None),
        ("/graphql?query={head}", Some("tea")),
        ("/graphql?query={head}", Some("tea")),
        ("/graphql?query={head}", Some("tea")),
        ("/graphql?query={head}", Some("tea")),
        ("/graphql?query={head}", Some("tea")),
    ] {
        let (status, headers) = get(&server, path, OURS, token).await;
        assert_eq!(value(&headers, "access-control-allow-origin"), Some(OURS), "{path}");
        assert!(value(&headers, "access-control-expose-headers").unwrap().contains("retry-after"));
        assert!(headers.contains_key("x-content-type-options") && headers.contains_key("content-security-policy"));
        statuses.push(status.as_u16());
    }
    assert_eq!(statuses, [200, 401, 400, 404, 200, 200, 200, 200, 429]);
}

/// Without a token, requests of foreign pages are rejected; a configured origin is not foreign.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_origins_are_admitted_without_a_token_also_to_websockets() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--cors-origins", OURS]).await;
    for (origin, expected) in [(OURS, StatusCode::OK), (FOREIGN, StatusCode::FORBIDDEN)] {
        assert_eq!(get(&server, "/graphql?query={head}", origin, None).await.0, expected, "{origin}");
        let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
        request.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert_eq!(connect_async(request).await.is_ok(), expected == StatusCode::OK, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_origin_is_refused_at_the_start() {
    let database = TestDatabase::new().await;
    for wrong in ["*", "https://example.com/", "example.com"] {
        let refused = database.run(&["serve", "--cors-origins", wrong]).await;
        assert_eq!(refused.code, Some(2), "{wrong}");
        assert!(refused.stderr.contains("is not an origin"), "{}", refused.stderr);
    }
}
