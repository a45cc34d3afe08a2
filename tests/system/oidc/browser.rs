//! A browser without a screen: it keeps cookies, and follows redirects as far as a test wants.

use reqwest::header::{ACCEPT, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

/// A cookie, as the server set it.
#[derive(Debug, Clone)]
struct Cookie {
    origin: String,
    name: String,
    value: String,
    path: String,
}

/// What a browser shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Shown {
    /// The path that a page leads to at once.
    pub(super) fn leads_to(&self) -> &str {
        let content = self.text.split("content=\"0; url=").nth(1).unwrap_or_else(|| panic!("no refresh: {self:?}"));
        content.split('"').next().unwrap()
    }

    /// The code of the error on a page.
    pub(super) fn code(&self) -> &str {
        let code = self.text.split("<code>").nth(1).and_then(|rest| rest.split('<').next());
        code.unwrap_or_else(|| panic!("no code: {self:?}"))
    }
}

/// A browser.
#[derive(Clone)]
pub(super) struct Browser {
    client: Client,
    cookies: Vec<Cookie>,
}

impl Browser {
    pub(super) fn new() -> Self {
        Self { client: Client::builder().redirect(Policy::none()).build().unwrap(), cookies: Vec::new() }
    }

    /// The value of a cookie.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// Replaces the value of a cookie.
    pub(super) fn set_cookie(&mut self, name: &str, value: &str) {
        let cookie = self.cookies.iter_mut().find(|cookie| cookie.name == name).expect("a cookie");
        value.clone_into(&mut cookie.value);
    }

    fn keep(&mut self, url: &Url, headers: &HeaderMap) {
        let origin = url.origin().ascii_serialization();
        for set in headers.get_all(SET_COOKIE) {
            let mut parts = set.to_str().unwrap().split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<(String, &str)> = parts
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(n, v)| (n.to_lowercase(), v))
                .collect();
            let attribute = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
            let path = attribute("path").unwrap_or("/").to_owned();
            self.cookies.retain(|known| (&known.origin, known.name.as_str()) != (&origin, name) || known.path != path);
            let is_past =
                attribute("max-age") == Some("0") || attribute("expires").is_some_and(|at| at.contains("1970"));
            if !is_past {
                let (name, value) = (name.to_owned(), value.to_owned());
                self.cookies.push(Cookie { origin: origin.clone(), name, value, path });
            }
        }
    }

    /// Sends one request, as a browser that opens an address or sends a form.
    pub(super) async fn request(&mut self, method: Method, url: Url, form: Option<&str>) -> Shown {
        let origin = url.origin().ascii_serialization();
        let fits = |cookie: &&Cookie| cookie.origin == origin && url.path().starts_with(&cookie.path);
        let cookies = self.cookies.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let mut request = self.client.request(method, url.clone()).header(ACCEPT, "text/html,*/*;q=0.8");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let response = request.send().await.unwrap();
        self.keep(&url, response.headers());
        let (status, headers) = (response.status(), response.headers().clone());
        Shown { url, status, headers, text: response.text().await.unwrap() }
    }

    /// Opens an address and follows redirects, except for one to a path of the callback: that one is returned.
    async fn follow(&mut self, method: Method, url: Url, form: Option<&str>) -> Result<Url, Shown> {
        let mut shown = self.request(method, url, form).await;
        for _ in 0..20 {
            if !shown.status.is_redirection() {
                return Err(shown);
            }
            let location = shown.headers[LOCATION].to_str().unwrap();
            let next = shown.url.join(location).unwrap();
            if next.path() == "/auth/callback" {
                return Ok(next);
            }
            shown = self.request(Method::GET, next, None).await;
        }
        panic!("too many redirects: {shown:?}");
    }

    /// Opens an address without following redirects.
    pub(super) async fn open(&mut self, url: &str) -> Shown {
        self.request(Method::GET, url.parse().unwrap(), None).await
    }

    /// Signs in at the provider with the development login. Returns the address that the provider sends the browser back to.
    pub(super) async fn sign_in_at_provider(&mut self, start: &str, name: &str) -> Url {
        let mut at = self.follow(Method::GET, start.parse().unwrap(), None).await;
        for _ in 0..3 {
            let shown = match at {
                Ok(callback) => return callback,
                Err(shown) => shown,
            };
            assert!(shown.url.path().starts_with("/interaction/"), "{shown:?}");
            let form = if shown.text.contains("name=\"login\"") {
                format!("prompt=login&login={name}&password=x")
            } else {
                "prompt=consent".to_owned()
            };
            at = self.follow(Method::POST, shown.url.clone(), Some(&form)).await;
        }
        panic!("the provider does not send the browser back: {at:?}");
    }

    /// Signs in by a provider, and shows what the server answers.
    pub(super) async fn sign_in(&mut self, server: &testkit::Server, provider: &str, name: &str) -> Shown {
        let start = format!("{}/auth/login/{provider}?returnTo=/graphiql", server.address);
        let callback = self.sign_in_at_provider(&start, name).await;
        self.open(callback.as_str()).await
    }

    /// Asks who is signed in.
    pub(super) async fn session(&mut self, server: &testkit::Server) -> Value {
        let shown = self.open(&format!("{}/auth/session", server.address)).await;
        serde_json::from_str(&shown.text).unwrap()
    }

    /// Posts JSON with the cookies, and with the header that has the value of the cookie against foreign pages.
    pub(super) async fn post(&mut self, server: &testkit::Server, path: &str, body: Value) -> (StatusCode, Value) {
        let url: Url = format!("{}{path}", server.address).parse().unwrap();
        let cookies = self.cookies.iter().filter(|cookie| url.path().starts_with(&cookie.path));
        let cookies = cookies.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ");
        let csrf = self.cookie("apex_csrf").unwrap_or_default().to_owned();
        let request = self.client.post(url.clone()).header(COOKIE, cookies).header("x-apex-csrf", csrf).json(&body);
        let response = request.send().await.unwrap();
        self.keep(&url, response.headers());
        (response.status(), response.json().await.unwrap())
    }
}
