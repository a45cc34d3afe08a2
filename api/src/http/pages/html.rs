//! HTML of the pages, which work without scripts.

use crate::http::response;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use std::borrow::Cow;

/// The style of the pages, served by itself: their policy allows no inline styles.
pub(super) const STYLE: &str = include_str!("page.css");
/// Where the style is.
pub(crate) const STYLE_ROUTE: &str = "/auth/page.css";

/// Text in HTML, also within the quotes of an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// What went wrong, as a page tells a person.
pub(in crate::http) struct Failure {
    status: StatusCode,
    message: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

impl Failure {
    pub(in crate::http) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), retry_after_s: None }
    }

    /// Tells the browser how many seconds to wait, if waiting helps.
    pub(super) fn retry_after(self, seconds: Option<u64>) -> Self {
        Self { retry_after_s: seconds, ..self }
    }
}

/// A page that is built from its parts. All text is escaped.
pub(in crate::http) struct Page {
    title: &'static str,
    status: StatusCode,
    retry_after_s: Option<u64>,
    body: String,
    /// An origin beside this server that a form of the page may lead to.
    leads_to: Option<String>,
    /// The path of this server that a browser opens next by itself.
    continues_at: Option<String>,
}

/// An input of a form.
pub(super) struct Input<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    /// What browsers fill it in with.
    pub(super) autocomplete: &'static str,
    pub(super) value: &'a str,
    pub(super) is_required: bool,
}

impl Page {
    pub(in crate::http) fn new(title: &'static str) -> Self {
        let (status, body) = (StatusCode::OK, String::new());
        Self { title, status, retry_after_s: None, body, leads_to: None, continues_at: None }
    }

    /// Tells what went wrong, if something did. Screen readers read it at once.
    pub(in crate::http) fn failed(mut self, failure: Option<&Failure>) -> Self {
        if let Some(Failure { status, message, retry_after_s }) = failure {
            (self.status, self.retry_after_s) = (*status, *retry_after_s);
            self.add(format_args!("<p class=\"error\" role=\"alert\">{}</p>\n", escape(message)));
        }
        self
    }

    pub(super) fn leads_to(mut self, origin: String) -> Self {
        self.leads_to = Some(origin);
        self
    }

    pub(in crate::http) fn text(mut self, text: &str) -> Self {
        self.add(format_args!("<p>{}</p>\n", escape(text)));
        self
    }

    pub(in crate::http) fn continues_at(mut self, path: &str) -> Self {
        self.continues_at = Some(path.to_owned());
        self
    }

    pub(in crate::http) fn heading(mut self, text: &str) -> Self {
        self.add(format_args!("<h2>{}</h2>\n", escape(text)));
        self
    }

    /// The code of an error, or another short text of a program.
    pub(in crate::http) fn code(mut self, code: &str) -> Self {
        self.add(format_args!("<p><code>{}</code></p>\n", escape(code)));
        self
    }

    /// Names with values.
    pub(in crate::http) fn facts(mut self, facts: &[(&str, &str)]) -> Self {
        self.body.push_str("<dl>\n");
        for (name, value) in facts {
            self.add(format_args!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)));
        }
        self.body.push_str("</dl>\n");
        self
    }

    pub(in crate::http) fn link(mut self, to: &str, text: &str) -> Self {
        self.add(format_args!("<p><a href=\"{}\">{}</a></p>\n", escape(to), escape(text)));
        self
    }

    /// A form with hidden values, inputs and buttons, each with a name and a value, which are sent unless they are empty, and
    /// a text.
    pub(super) fn form(
        mut self,
        (method, action): (&str, &str),
        hidden: &[(&str, &str)],
        inputs: &[Input<'_>],
        buttons: &[(&str, &str, &str)],
    ) -> Self {
        self.add(format_args!("<form method=\"{method}\" action=\"{}\">\n", escape(action)));
        for (name, value) in hidden {
            self.add(format_args!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value)));
        }
        for Input { name, label, kind, autocomplete, value, is_required } in inputs {
            let required = if *is_required { " required" } else { "" };
            self.add(format_args!(
                "<label for=\"{name}\">{}</label>\n<input id=\"{name}\" name=\"{name}\" type=\"{kind}\" \
                 autocomplete=\"{autocomplete}\" value=\"{}\"{required}>\n",
                escape(label),
                escape(value)
            ));
        }
        for (name, value, text) in buttons {
            let sent = if name.is_empty() { String::new() } else { format!(" name=\"{name}\" value=\"{value}\"") };
            self.add(format_args!("<button{sent}>{}</button>\n", escape(text)));
        }
        self.body.push_str("</form>\n");
        self
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.body.push_str(&text.to_string());
    }

    /// The policy: no scripts, the style of this server, and forms that lead to this server, or to the program that signs in.
    fn policy(&self) -> String {
        let targets = self.leads_to.iter().fold("'self'".to_owned(), |targets, origin| targets + " " + origin);
        format!("default-src 'none'; style-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'")
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let title = escape(self.title);
        let refresh = self.continues_at.as_deref().map_or_else(String::new, |path| {
            format!("<meta http-equiv=\"refresh\" content=\"0; url={}\">\n", escape(path))
        });
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title} · Apex</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<link rel=\"stylesheet\" href=\"{STYLE_ROUTE}\">\n{refresh}</head>\n<body>\n\
             <main>\n<h1>{title}</h1>\n{}</main>\n</body>\n</html>\n",
            self.body
        );
        let policy = HeaderValue::from_str(&self.policy());
        let mut response = (self.status, Html(html)).into_response();
        response::set_retry_after(&mut response, self.retry_after_s);
        let headers = response.headers_mut();
        if let Ok(policy) = policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // With `no-referrer`, a browser would send the forms of the page with the origin `null`.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }
}

/// Serves the style.
pub(crate) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, STYLE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape("<b a=\"'&\">"), "&lt;b a=&quot;&#39;&amp;&quot;&gt;");
        let page = Page::new("Test").leads_to("http://127.0.0.1:1".to_owned()).text("<script>").form(
            ("post", "/\"x"),
            &[("a", "\"><b>")],
            &[],
            &[],
        );
        assert!(!page.body.contains("<script>") && !page.body.contains("<b>"), "{}", page.body);
        assert!(page.policy().contains("form-action 'self' http://127.0.0.1:1;"));
        assert!(!page.policy().contains("script-src") && page.policy().starts_with("default-src 'none'"));
    }

    #[tokio::test]
    async fn a_path_to_continue_at_cannot_leave_its_place() {
        let page = Page::new("Test").continues_at("/a?b=1&c=\"><script>'").into_response();
        let html = axum::body::to_bytes(page.into_body(), 10_000).await.unwrap();
        let html = String::from_utf8(html.to_vec()).unwrap();
        let refresh = "content=\"0; url=/a?b=1&amp;c=&quot;&gt;&lt;script&gt;&#39;\">";
        assert!(html.contains(refresh) && !html.contains("<script>"), "{html}");
    }
}
