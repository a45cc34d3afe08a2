//! The web page: one document for all of its paths, and its files, all from the binary.
//!
//! Each path of the page is a route of its own, so that the page can shadow no route of the API, and so that an unknown path is
//! answered as such. Names of files contain a hash of their content: browsers keep them for good, and ask for the document each
//! time.

use super::security;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/web_assets.rs"));

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    /// Its path below the folder that the page was built into.
    name: &'static str,
    media_type: &'static str,
    /// Its entity tag. It is weak: the compressed forms have the same one.
    tag: &'static str,
    content: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The document.
const DOCUMENT: &str = "index.html";
/// The folder of all other files, and the beginning of their route.
const FOLDER: &str = "assets/";

/// The document of a binary that was built without the page.
const MISSING: File = File {
    name: DOCUMENT,
    media_type: "text/html; charset=utf-8",
    tag: "W/\"missing\"",
    content: include_bytes!("missing.html"),
    brotli: None,
    gzip: None,
};
/// Its style. It is not in the document, because the content security policy forbids inline styles.
const MISSING_STYLE: File = File {
    name: "assets/missing.css",
    media_type: "text/css; charset=utf-8",
    tag: "W/\"missing\"",
    content: include_bytes!("missing.css"),
    brotli: None,
    gzip: None,
};

/// How often a browser asks for a file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    /// Each time: the server says whether it has changed.
    Revalidated,
    /// Never: another content has another name.
    Immutable,
}

impl Lifetime {
    const fn cache_control(self) -> HeaderValue {
        match self {
            Self::Revalidated => HeaderValue::from_static("no-cache"),
            Self::Immutable => HeaderValue::from_static("public, max-age=31536000, immutable"),
        }
    }
}

/// Serves the document; in a binary that was built without the page, one with instructions to add it.
pub(crate) async fn document(headers: HeaderMap) -> Response {
    let document = FILES.iter().find(|file| file.name == DOCUMENT).unwrap_or(&MISSING);
    let mut response = answer(document, Lifetime::Revalidated, &headers);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, security::WEB);
    response
}

/// Serves a file of the page. A name that is not UTF-8 is that of no file.
pub(crate) async fn file(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let is_named = |file: &&File| file.name.strip_prefix(FOLDER) == Some(name.as_str());
    if let Some(file) = FILES.iter().find(is_named) {
        return answer(file, Lifetime::Immutable, &headers);
    }
    if is_named(&&MISSING_STYLE) {
        return answer(&MISSING_STYLE, Lifetime::Revalidated, &headers);
    }
    let message = "there is no such file: the page is of another version, load it again";
    super::response::error(StatusCode::NOT_FOUND, "NOT_FOUND", message).into_response()
}

/// The response with a file, in the encoding that the client accepts, or without content if the client has it.
fn answer(file: &File, lifetime: Lifetime, headers: &HeaderMap) -> Response {
    let fixed = [
        (header::CACHE_CONTROL, lifetime.cache_control()),
        (header::ETAG, HeaderValue::from_static(file.tag)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if has_tag(headers, file.tag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let variants = [("br", file.brotli), ("gzip", file.gzip)];
    let accepted = variants.into_iter().find_map(|(encoding, content)| {
        let content = content.filter(|_| accepts(headers, encoding))?;
        Some((encoding, content))
    });
    let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type))];
    match accepted {
        Some((encoding, content)) => {
            (fixed, media_type, [(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))], content)
                .into_response()
        }
        None => (fixed, media_type, file.content).into_response(),
    }
}

/// The items of a header that is a list.
fn items(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether a client has what a tag stands for. Tags are compared without their `W/` (RFC 9110, 8.8.3.2).
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
    items(headers, header::IF_NONE_MATCH).any(|known| known == "*" || opaque(known) == opaque(tag))
}

/// Whether a client names an encoding, and not with the weight 0.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    items(headers, header::ACCEPT_ENCODING).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or(part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.chars().all(|digit| digit == '0' || digit == '.'))
        });
        is_named && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: File = File {
        name: "assets/main-1.js",
        media_type: "text/javascript; charset=utf-8",
        tag: "W/\"1\"",
        content: b"plain",
        brotli: Some(b"br"),
        gzip: Some(b"gz"),
    };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    async fn content(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 1024).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_file_is_sent_in_an_encoding_that_the_client_accepts() {
        for (accepted, encoding, expected) in [
            ("gzip, deflate, br, zstd", Some("br"), "br"),
            ("br;q=0, gzip;q=0.5", Some("gzip"), "gz"),
            ("GZIP", Some("gzip"), "gz"),
            ("br;q=0.000", None, "plain"),
            ("brotli", None, "plain"),
            ("", None, "plain"),
        ] {
            let response = answer(&SCRIPT, Lifetime::Immutable, &headers(&[("accept-encoding", accepted)]));
            let of_response = response.headers().get(header::CONTENT_ENCODING).cloned();
            assert_eq!(of_response.as_ref().map(|value| value.to_str().unwrap()), encoding, "{accepted}");
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
            assert_eq!(content(response).await, expected.as_bytes(), "{accepted}");
        }
    }

    #[tokio::test]
    async fn a_client_that_has_the_document_gets_no_content() {
        let ask = |tag: &str| answer(&SCRIPT, Lifetime::Revalidated, &headers(&[("if-none-match", tag)]));
        for known in ["W/\"1\"", "\"1\"", "\"0\", W/\"1\"", "*"] {
            let response = ask(known);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert!(content(response).await.is_empty(), "{known}");
        }
        let response = ask("W/\"2\"");
        assert_eq!(
            (response.status(), &response.headers()[header::CACHE_CONTROL]),
            (StatusCode::OK, &HeaderValue::from_static("no-cache"))
        );
        assert_eq!(content(response).await, b"plain");
    }

    #[tokio::test]
    async fn unknown_files_are_not_found_and_the_document_has_a_policy() {
        for unknown in ["nothing.js", "../index.html", "index.html", ""] {
            assert_eq!(
                file(Ok(Path(unknown.to_owned())), HeaderMap::new()).await.status(),
                StatusCode::NOT_FOUND,
                "{unknown}"
            );
        }
        assert_eq!(file(Ok(Path("missing.css".to_owned())), HeaderMap::new()).await.status(), StatusCode::OK);
        let response = document(HeaderMap::new()).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(!policy.contains("unsafe") && policy.contains("script-src 'self'"), "{policy}");
        let text = String::from_utf8(content(response).await).unwrap();
        assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains("<script>"), "{text}");
    }
}
