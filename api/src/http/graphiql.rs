//! GraphiQL, served from the binary, so that it works without access to the internet.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/graphiql_assets.rs"));

/// The files that the page requires.
const REQUIRED: [&str; 4] =
    ["graphiql.min.js", "graphiql.min.css", "react.production.min.js", "react-dom.production.min.js"];

/// The script that starts GraphiQL. It is not in the page, because the content security policy forbids inline scripts.
const START: (&str, &str, &[u8]) = ("start.js", "text/javascript; charset=utf-8", include_bytes!("graphiql.js"));

/// Serves the page; in a binary that was built without GraphiQL, one with instructions to add it.
pub(crate) async fn page() -> Response {
    let is_complete = REQUIRED.iter().all(|required| ASSETS.iter().any(|(name, _, _)| name == required));
    let page = Html(if is_complete { include_str!("graphiql.html") } else { include_str!("no_graphiql.html") });
    ([(header::CONTENT_SECURITY_POLICY, super::security::PAGE)], page).into_response()
}

/// Serves a file of GraphiQL.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().chain([&START]).find(|(known, _, _)| *known == name) {
        Some((_, media_type, bytes)) => {
            let headers = [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "public, max-age=3600")];
            (headers, *bytes).into_response()
        }
        None => super::response::error(StatusCode::NOT_FOUND, "NOT_FOUND", "there is no such file").into_response(),
    }
}
