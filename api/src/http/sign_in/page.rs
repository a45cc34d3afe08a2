//! The pages that a browser shows at the end of a sign-in by a provider. Without scripts, and without texts of others.

use crate::http::response;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// Whether a client shows pages: browsers say so when they open an address.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|part| part.trim().starts_with("text/html"))
}

fn page(status: StatusCode, title: &str, head: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>{head}</head>\
         <body>{body}</body></html>\n"
    );
    let mut response = (status, Html(html)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page that leads to a path of this server at once.
pub(super) fn continued(path: &str) -> Response {
    let path = escaped(path);
    let head = format!("<meta http-equiv=\"refresh\" content=\"0; url={path}\">");
    page(StatusCode::OK, "Signed in", &head, &format!("<p>You are signed in. <a href=\"{path}\">Continue</a></p>"))
}

/// What went wrong, as a page or in the form of the other errors of this server.
pub(super) fn failed(status: StatusCode, code: &str, message: &str, as_page: bool) -> Response {
    if !as_page {
        let mut response = response::error(status, code, message).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return response;
    }
    let (code, message) = (escaped(code), escaped(message));
    page(
        status,
        "Not signed in",
        "",
        &format!("<h1>You are not signed in</h1><p>{message}</p><p><code>{code}</code></p>"),
    )
}

/// A text inside of an element or of a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        assert_eq!(escaped("/a?b=1&c=\"><script>'"), "/a?b=1&amp;c=&quot;&gt;&lt;script&gt;&#39;");
    }

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        let wanted = |accept: &str| is_wanted(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert!(wanted("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8") && wanted("text/html"));
        assert!(!wanted("*/*") && !wanted("application/json") && !is_wanted(&HeaderMap::new()));
    }
}
