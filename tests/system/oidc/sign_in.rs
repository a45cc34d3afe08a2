//! Signing in by genuine providers, and what must not work with them.

use super::browser::Browser;
use super::providers::{CLIENT_SECRET, Provider, serve, write};
use crate::users::Installation;
use reqwest::StatusCode;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::wait_until;

const ROLES: &str = "create_users = true\nscopes = ['profile', 'email', 'groups']\n\
                     [provider.roles]\nstaff = ['viewer']\nchiefs = ['operator']";

fn ada() -> Value {
    json!({ "ada": { "email": "Ada@example.org", "email_verified": true, "name": "Ada L.", "groups": ["staff", "chess"] } })
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_by_each_of_two_providers_and_have_sessions_as_others() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta =
        Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with("name = 'Okta & Co.'").with(ROLES);
    // The claims come from the userinfo endpoint, the secret is sent in the body, and the signature is that of a curve.
    let entra = json!({ "authentication": "client_secret_post", "algorithm": "ES256" });
    let entra = Provider::genuine("entra", entra).await.with("token_authentication = 'post'").with(ROLES);
    okta.say(&ada());
    entra.say(&json!({ "bob": { "email": "bob@example.org", "email_verified": true, "groups": ["chiefs"] } }));
    let server = serve(&installation, &folder, &[&okta, &entra], &["--log", "debug"]).await;
    let listed: Value =
        testkit::http_get(format!("{}/auth/providers", server.address)).await.unwrap().json().await.unwrap();
    assert_eq!(
        listed["providers"][0],
        json!({ "id": "okta", "name": "Okta & Co.", "tenant": testkit::tenant(), "loginPath": "/auth/login/okta" })
    );
    assert_eq!(listed["providers"].as_array().unwrap().len(), 2);
    // The page has links that come back to where the person was going.
    let page = Browser::new().open(&format!("{}/auth/sign-in?returnTo=/auth/device?user_code=A", server.address)).await;
    for link in [
        "href=\"/auth/login/okta?returnTo=%2Fauth%2Fdevice%3Fuser_code%3DA\">Sign in by Okta &amp; Co.</a>",
        "href=\"/auth/login/entra?returnTo=%2Fauth%2Fdevice%3Fuser_code%3DA\">Sign in by entra</a>",
    ] {
        assert!(page.text.contains(link), "{page:?}");
    }
    let mut browsers = Vec::new();
    for (provider, name, email, role) in
        [("okta", "ada", "ada@example.org", "viewer"), ("entra", "bob", "bob@example.org", "operator")]
    {
        let mut browser = Browser::new();
        let shown = browser.sign_in(&server, provider, name).await;
        assert_eq!((shown.status, shown.leads_to()), (StatusCode::OK, "/graphiql"), "{shown:?}");
        let session = browser.session(&server).await;
        assert_eq!((&session["email"], &session["roles"]), (&json!(email), &json!([role])), "{session}");
        // The same cookies as after a sign-in with a password.
        let set: Vec<_> = shown.headers.get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap()).collect();
        for (name, attribute) in
            [("apex_access=", "HttpOnly"), ("apex_refresh=", "HttpOnly"), ("apex_csrf=", "SameSite=Strict")]
        {
            assert!(set.iter().any(|set| set.starts_with(name) && set.contains(attribute)), "{name} in {set:?}");
        }
        assert!(set.iter().all(|set| set.starts_with("apex_sign_in=;") || set.contains("SameSite=Strict")), "{set:?}");
        // Renewing needs no provider.
        let (status, renewed) = browser.post(&server, "/auth/refresh", json!({})).await;
        assert_eq!((status, &renewed["userId"]), (StatusCode::OK, &session["userId"]), "{renewed}");
        // Who signs in again, in another browser too, is the same user.
        let mut again = Browser::new();
        assert_eq!(again.sign_in(&server, provider, name).await.status, StatusCode::OK);
        let other = again.session(&server).await;
        assert_eq!(other["userId"], session["userId"]);
        assert_ne!(other["sessionId"], session["sessionId"]);
        assert_eq!(again.post(&server, "/auth/logout", json!({})).await.0, StatusCode::OK);
        assert!(again.session(&server).await.get("errors").is_some());
        browsers.push(browser);
    }
    assert_eq!(browsers[0].session(&server).await["displayName"], "Ada L.");
    let events = installation
        .texts(
            "select concat_ws(' ', type, payload->>'source', payload->>'provider', metadata->>'actor') from apex.events
             where category = 'user' order by position",
        )
        .await;
    assert_eq!(
        events,
        [
            "user.created provider oidc:okta",
            "user.identity_linked okta oidc:okta",
            "user.created provider oidc:entra",
            "user.identity_linked entra oidc:entra",
        ]
    );
    // First uses of the sessions are in the access log, as those of other sessions.
    wait_until("the uses are recorded", async || {
        let used = "select count(*)::text from apex.events where type = 'access.credential_used'";
        installation.texts(used).await == ["4"]
    })
    .await;
    let metrics = testkit::http_client().get(format!("{}/metrics", server.address)).bearer_auth("tea");
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("apex_provider_sign_ins_total{provider=\"okta\",outcome=\"ok\"} 2"), "{metrics}");
    // Nothing secret is logged, and nothing of the provider's tokens is kept.
    let (_, log) = server.terminate().await;
    assert!(log.len() > 10_000 && !log.contains(CLIENT_SECRET) && !log.contains("eyJ"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_of_a_provider_are_found() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let mut okta = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with(ROLES);
    okta.say(&ada());
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    for _ in 0..3 {
        assert_eq!(Browser::new().sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
        okta.stop().await;
        okta.start().await;
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_comes_back_once_to_the_browser_that_started_it() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with(ROLES);
    okta.say(&ada());
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    let start = format!("{}/auth/login/okta", server.address);
    let mut browser = Browser::new();
    let callback = browser.sign_in_at_provider(&start, "ada").await;
    // The cookie is encrypted, and holds for a few minutes.
    let cookie = browser.cookie("apex_sign_in").unwrap().to_owned();
    let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    assert!(!cookie.contains(&state) && cookie.len() > 100, "{cookie}");
    // Another browser, with or without a sign-in of its own, and a cookie that was changed.
    let mut without = Browser::new();
    let mut with = Browser::new();
    with.sign_in_at_provider(&start, "ada").await;
    let mut changed = browser.clone();
    let last = if cookie.ends_with('A') { "B" } else { "A" };
    changed.set_cookie("apex_sign_in", &format!("{}{last}", &cookie[..cookie.len() - 1]));
    for other in [&mut without, &mut with, &mut changed] {
        let shown = other.open(callback.as_str()).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::BAD_REQUEST, "SIGN_IN_NOT_STARTED"));
        assert!(other.cookie("apex_access").is_none());
    }
    // Another state, or none, in the right browser.
    for (from, to) in [(state.as_str(), "x"), ("state=", "states="), ("state=", "state=x&state=")] {
        let shown = browser.clone().open(&callback.as_str().replace(from, to)).await;
        assert_eq!(shown.code(), "SIGN_IN_NOT_STARTED", "{to}");
    }
    // Control: the right one is accepted, once. The browser forgets it then; one that does not is refused.
    let before = browser.clone();
    let shown = browser.open(callback.as_str()).await;
    assert_eq!((shown.status, shown.leads_to()), (StatusCode::OK, "/"), "{shown:?}");
    assert!(browser.cookie("apex_sign_in").is_none() && browser.cookie("apex_access").is_some());
    for mut again in [browser.clone(), before] {
        assert_eq!(again.open(callback.as_str()).await.code(), "SIGN_IN_NOT_STARTED");
    }
    // The code in a sign-in that was started anew: the provider accepts it once.
    let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let mut anew = Browser::new();
    let other = anew.sign_in_at_provider(&start, "ada").await;
    let own = other.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let shown = anew.open(&other.as_str().replace(&own, &code)).await;
    assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, "CODE_NOT_VALID"));
    assert_eq!(installation.texts("select count(*)::text from apex.user_sessions").await, ["1"]);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_not_sent_to_another_server_afterwards() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with(ROLES);
    okta.say(&ada());
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    for elsewhere in [
        "https://evil.example/",
        "//evil.example",
        "/%5Cevil.example",
        "%09//evil.example",
        "javascript:alert(1)",
        "/a&returnTo=/b",
    ] {
        let mut browser = Browser::new();
        let shown = browser.open(&format!("{}/auth/login/okta?returnTo={elsewhere}", server.address)).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"), "{elsewhere}");
        assert!(browser.cookie("apex_sign_in").is_none());
    }
    for unknown in ["/auth/login/Okta", "/auth/login/evil", "/auth/login?provider=evil", "/auth/login"] {
        let shown = Browser::new().open(&format!("{}{unknown}", server.address)).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::NOT_FOUND, "NO_PROVIDER"), "{unknown}");
    }
    // Control: a path with what is markup in a page, by the other form of the address.
    let path = "/graphiql?a=%22%3E%3Cscript%3E%26b";
    let start = format!("{}/auth/login?provider=okta&returnTo={path}", server.address);
    let mut browser = Browser::new();
    let callback = browser.sign_in_at_provider(&start, "ada").await;
    let shown = browser.open(callback.as_str()).await;
    assert_eq!(shown.leads_to(), "/graphiql?a=&quot;&gt;&lt;script&gt;&amp;b", "{shown:?}");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_or_silent_is_told_soon_and_is_used_when_it_is_back() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let mut okta = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with(ROLES);
    okta.say(&ada());
    okta.stop().await;
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    let start = format!("{}/auth/login/okta", server.address);
    let asked_at = Instant::now();
    for _ in 0..5 {
        let shown = Browser::new().open(&start).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::SERVICE_UNAVAILABLE, "PROVIDER_UNAVAILABLE"));
        assert!(shown.headers.contains_key("retry-after"));
    }
    // None of them waits for the timeout of 5 s that a request has, on a busy machine either.
    assert!(asked_at.elapsed() < 5 * Duration::from_secs(5), "{:?}", asked_at.elapsed());
    // One that accepts connections, and says nothing: nobody waits longer than a request may take.
    let port = okta.issuer().rsplit_once(':').unwrap().1.parse().unwrap();
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let asked_at = Instant::now();
    let all = (0..20).map(|_| async { Browser::new().open(&start).await });
    for shown in futures::future::join_all(all).await {
        assert_eq!(shown.code(), "PROVIDER_UNAVAILABLE");
    }
    // One after the other they would take 20 times as long as one.
    assert!(asked_at.elapsed() < 10 * Duration::from_secs(5), "{:?}", asked_at.elapsed());
    // Meanwhile everything else is answered.
    let health = testkit::http_get(format!("{}/readyz", server.address)).await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    drop(silent);
    okta.start().await;
    wait_until("the provider is used again", async || {
        Browser::new().open(&start).await.status == StatusCode::SEE_OTHER
    })
    .await;
    assert_eq!(Browser::new().sign_in(&server, "okta", "ada").await.status, StatusCode::OK);
    // What it said of itself is kept: only the exchange of the code fails without it.
    let mut browser = Browser::new();
    let callback = browser.sign_in_at_provider(&start, "ada").await;
    okta.stop().await;
    let shown = browser.open(callback.as_str()).await;
    assert_eq!((shown.status, shown.code()), (StatusCode::SERVICE_UNAVAILABLE, "PROVIDER_UNAVAILABLE"));
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_refuses_at_the_provider_is_not_signed_in() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with(ROLES);
    okta.say(&ada());
    let server = serve(&installation, &folder, &[&okta], &[]).await;
    let mut browser = Browser::new();
    let started = browser.open(&format!("{}/auth/login/okta", server.address)).await;
    let url = started.headers["location"].to_str().unwrap().to_owned();
    assert!(url.contains("code_challenge_method=S256") && url.contains("nonce=") && url.contains("state="), "{url}");
    let shown = browser.open(&url).await;
    let interaction = shown.url.join(shown.headers["location"].to_str().unwrap()).unwrap();
    let aborted = browser.open(&format!("{interaction}/abort")).await;
    let back = aborted.url.join(aborted.headers["location"].to_str().unwrap()).unwrap();
    let returned = browser.open(back.as_str()).await;
    let shown = browser.open(returned.headers["location"].to_str().unwrap()).await;
    assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, "REFUSED_BY_PROVIDER"), "{shown:?}");
    assert!(shown.text.contains("access_denied"), "{shown:?}");
    drop(server.terminate().await);
}

/// A server that admits programs of the same machine without a token refuses requests of foreign pages, except for the one by
/// which a provider sends a browser back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_can_send_a_browser_back_to_a_server_without_a_token() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let okta = Provider::genuine("okta", json!({ "claimsInIdToken": true })).await.with(ROLES);
    let file = write(&folder, &[&okta]);
    let key_file = folder.path().join("identity.keys");
    let arguments = ["--oidc-providers", &file, "--key-file", key_file.to_str().unwrap()];
    let server = installation.database.serve(&arguments).await;
    let foreign = async |path: &str, host: &str| {
        let request =
            testkit::http_client().get(format!("{}{path}", server.address)).header("sec-fetch-site", "cross-site");
        let response = request.header("host", host).header("accept", "text/html").send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    };
    let own = server.address.trim_start_matches("http://").to_owned();
    let (status, text) = foreign("/auth/callback?state=x&code=y", &own).await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("SIGN_IN_NOT_STARTED"), "{text}");
    for (path, host) in [("/auth/callback", "evil.example"), ("/auth/session", &own), ("/auth/login/okta", &own)] {
        let (status, text) = foreign(path, host).await;
        assert!(status == StatusCode::FORBIDDEN && text.contains("FORBIDDEN_ORIGIN"), "{path} {host}: {text}");
    }
    drop(server.terminate().await);
}
