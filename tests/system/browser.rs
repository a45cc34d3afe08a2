//! A browser without scripts: cookies, forms, and what a browser says of the page that a request comes from.

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, StatusCode, redirect};
use std::collections::BTreeMap;
use std::sync::Mutex;
use testkit::Server;

/// A browser that is open at a server.
pub(crate) struct Browser {
    client: Client,
    pub(crate) address: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A page.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Shown {
    /// Where the browser is led.
    pub(crate) fn location(&self) -> &str {
        self.headers.get(LOCATION).unwrap_or_else(|| panic!("{}: {}", self.status, self.text)).to_str().unwrap()
    }

    /// The value of a hidden input.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let start = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&start).unwrap_or_else(|| panic!("no {name} in {}", self.text));
        rest.split_once('"').unwrap().0.replace("&amp;", "&")
    }
}

impl Browser {
    pub(crate) fn new(server: &Server) -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { client, address: server.address.clone(), cookies: Mutex::default() }
    }

    async fn send(&self, method: Method, path: &str, form: &[(&str, &str)], from: Option<&str>) -> Shown {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.address));
        let cookies = self.cookies.lock().unwrap().clone();
        if !cookies.is_empty() {
            let all: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", all.join("; "));
        }
        let site = if from == Some(self.address.as_str()) { "same-origin" } else { "cross-site" };
        if method == Method::POST {
            request = request.header("origin", from.unwrap_or("null")).form(form);
        }
        request = request.header("sec-fetch-site", if method == Method::GET && from.is_none() { "none" } else { site });
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Shown { status, headers, text: response.text().await.unwrap() }
    }

    /// Opens an address that was typed, or that another program opened.
    pub(crate) async fn open(&self, path: &str) -> Shown {
        self.send(Method::GET, path, &[], None).await
    }

    /// Sends a form of a page of the server.
    pub(crate) async fn submit(&self, path: &str, form: &[(&str, &str)]) -> Shown {
        let own = self.address.clone();
        self.send(Method::POST, path, form, Some(&own)).await
    }

    /// Sends a form of a foreign page. The browser would not send the cookies; this one does.
    pub(crate) async fn submit_from(&self, origin: &str, path: &str, form: &[(&str, &str)]) -> Shown {
        self.send(Method::POST, path, form, Some(origin)).await
    }

    /// Signs a person in, and returns where the browser is led.
    pub(crate) async fn sign_in(&self, email: &str, password: &str, back: &str) -> String {
        let form = [("email", email), ("password", password), ("tenant", "default"), ("return_to", back)];
        let led = self.submit("/auth/sign-in", &form).await;
        assert_eq!(led.status, StatusCode::SEE_OTHER, "{}", led.text);
        led.location().to_owned()
    }
}
