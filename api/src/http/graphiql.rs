//! GraphiQL, served from the binary: no network is needed to look at the schema.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/graphiql_assets.rs"));

/// What the page cannot do without.
const NEEDED: [&str; 4] =
    ["graphiql.min.js", "graphiql.min.css", "react.production.min.js", "react-dom.production.min.js"];

/// The page; where the binary was built without GraphiQL, one that says how to get it.
pub(crate) async fn page() -> Html<&'static str> {
    let is_here = NEEDED.iter().all(|needed| ASSETS.iter().any(|(name, _, _)| name == needed));
    Html(if is_here { include_str!("graphiql.html") } else { include_str!("no_graphiql.html") })
}

/// A file of GraphiQL.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, media_type, bytes)) => {
            let headers = [(header::CONTENT_TYPE, *media_type), (header::CACHE_CONTROL, "public, max-age=3600")];
            (headers, *bytes).into_response()
        }
        None => super::answer::error(StatusCode::NOT_FOUND, "NOT_FOUND", "there is no such file").into_response(),
    }
}
