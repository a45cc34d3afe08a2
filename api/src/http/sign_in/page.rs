//! The pages that a browser shows at the end of a sign-in by a provider.

use super::answer::not_stored;
use crate::http::pages::html::{Failure, Page};
use crate::http::response;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Whether a client shows pages: browsers say so when they open an address.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|part| part.trim().starts_with("text/html"))
}

/// A page that leads to a path of this server at once.
pub(super) fn continued(path: &str) -> Response {
    Page::new("Signed in").continues_at(path).text("You are signed in.").link(path, "Continue").into_response()
}

/// What went wrong, as a page or in the form of the other errors of this server.
pub(super) fn failed(status: StatusCode, code: &str, message: &str, as_page: bool) -> Response {
    match as_page {
        true => {
            let failure = Failure::new(status, message.to_owned());
            Page::new("You are not signed in").failed(Some(&failure)).code(code).into_response()
        }
        false => not_stored(response::error(status, code, message).into_response()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        let wanted = |accept: &str| is_wanted(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert!(wanted("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8") && wanted("text/html"));
        assert!(!wanted("*/*") && !wanted("application/json") && !is_wanted(&HeaderMap::new()));
    }
}
