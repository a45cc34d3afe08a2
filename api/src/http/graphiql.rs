//! GraphiQL, served from the binary: no network is needed to look at the schema.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/graphiql_assets.rs"));

/// What the page cannot do without.
const NEEDED: [&str; 4] =
    ["graphiql.min.js", "graphiql.min.css", "react.production.min.js", "react-dom.production.min.js"];

/// What starts it: no code is in the page itself, so that the page can forbid such code.
const START: (&str, &str, &[u8]) = ("start.js", "text/javascript; charset=utf-8", include_bytes!("graphiql.js"));

/// The page; where the binary was built without GraphiQL, one that says how to get it.
pub(crate) async fn page() -> Response {
    let is_here = NEEDED.iter().all(|needed| ASSETS.iter().any(|(name, _, _)| name == needed));
    let page = Html(if is_here { include_str!("graphiql.html") } else { include_str!("no_graphiql.html") });
    ([(header::CONTENT_SECURITY_POLICY, super::security::PAGE)], page).into_response()
}

/// A file of GraphiQL.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().chain([&START]).find(|(known, _, _)| *known == name) {
        Some((_, media_type, bytes)) => {
            let headers = [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "public, max-age=3600")];
            (headers, *bytes).into_response()
        }
        None => super::answer::error(StatusCode::NOT_FOUND, "NOT_FOUND", "there is no such file").into_response(),
    }
}
