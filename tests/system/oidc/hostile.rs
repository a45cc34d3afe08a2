//! A provider that lies: every ID token that is not exactly right is refused, and nothing that it answers holds the server.

use super::browser::{Browser, Shown};
use super::providers::{CLIENT_SECRET, Provider, serve};
use crate::users::Installation;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Server, wait_until};

const SETTINGS: &str = "create_users = true\n[provider.roles]\nstaff = ['admin']";

/// Signs in with a code by which the provider is told how to answer. The nonce of the sign-in is in the claims, unless they have
/// another. Further parameters are added to the address that the browser is sent back to.
async fn answered(server: &Server, told: Value, more: &str) -> Shown {
    let mut browser = Browser::new();
    let started = browser.open(&format!("{}/auth/login/evil", server.address)).await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{started:?}");
    let url: Url = started.headers["location"].to_str().unwrap().parse().unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let mut told = told;
    if told["claims"].get("nonce").is_none() {
        told["claims"]["nonce"] = json!(parameter("nonce"));
    }
    let code = URL_SAFE_NO_PAD.encode(told.to_string());
    browser.open(&format!("{}/auth/callback?state={}&code={code}{more}", server.address, parameter("state"))).await
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn id_tokens_that_are_not_exactly_right_are_refused() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let evil = Provider::hostile(json!({})).await.with(SETTINGS);
    let server = serve(&installation, &folder, &[&evil], &[]).await;
    let (started, now) = (Instant::now(), Utc::now().timestamp());
    let issuer = evil.issuer();
    let claims = |claims: Value| json!({ "claims": claims });
    let signed = |signature: &str| json!({ "signature": signature });
    let wrong = [
        ("nonce of another sign-in", claims(json!({ "nonce": "AAAAAAAAAAAAAAAAAAAAAA" }))),
        ("no nonce", claims(json!({ "nonce": null }))),
        ("another audience", claims(json!({ "aud": "other" }))),
        ("another audience, too", claims(json!({ "aud": ["apex", "other"] }))),
        ("no audience", claims(json!({ "aud": [] }))),
        ("another authorized party", claims(json!({ "azp": "other" }))),
        ("another issuer", claims(json!({ "iss": "https://id.example.com" }))),
        ("issuer with a slash", claims(json!({ "iss": format!("{issuer}/") }))),
        ("expired", claims(json!({ "exp": now - 120 }))),
        ("no expiry", claims(json!({ "exp": null }))),
        ("issued in the future", claims(json!({ "iat": now + 600 }))),
        ("valid in the future", claims(json!({ "nbf": now + 600 }))),
        ("hash of another access token", claims(json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }))),
        ("no subject", claims(json!({ "sub": null }))),
        ("empty subject", claims(json!({ "sub": "" }))),
        ("long subject", claims(json!({ "sub": "a".repeat(256) }))),
        ("algorithm none", signed("none")),
        ("HS256 with the secret", signed("hs256-secret")),
        ("HS256 with the public key", signed("hs256-public-key")),
        ("the key of another", signed("other-key")),
        ("an unknown key", signed("unknown-kid")),
        ("a key of another kind", signed("es256-as-rs256")),
        ("broken signature", signed("broken")),
        ("critical header", json!({ "header": { "crit": ["exp"], "exp": 1 } })),
        ("nested token", json!({ "header": { "cty": "JWT" } })),
        ("access token", json!({ "header": { "typ": "at+jwt" } })),
        ("no ID token", json!({ "answer": "no-id-token" })),
    ];
    for (name, told) in wrong {
        let shown = answered(&server, told, "").await;
        // Without what every ID token has, it is none, and the answer of the provider cannot be used.
        let expected = match name {
            "no expiry" | "no subject" => (StatusCode::SERVICE_UNAVAILABLE, "PROVIDER_UNAVAILABLE"),
            _ => (StatusCode::FORBIDDEN, "TOKEN_NOT_VALID"),
        };
        assert_eq!((shown.status, shown.code()), expected, "{name}: {shown:?}");
        let set: Vec<_> = shown.headers.get_all("set-cookie").iter().collect();
        assert!(set.len() == 1 && set[0].to_str().unwrap().starts_with("apex_sign_in=;"), "{name}: {set:?}");
    }
    let stored = "select (select count(*) from apex.user_sessions) + (select count(*) from apex.user_identities)
                      + (select count(*) from apex.user_profiles)";
    let stored: i64 = sqlx::query_scalar(stored).fetch_one(&mut installation.database.owner().await).await.unwrap();
    assert_eq!(stored, 0);
    // Controls: what is right is accepted, also by other keys, and with a small difference of the clocks.
    let now = Utc::now().timestamp();
    for (name, told) in [
        ("plain", claims(json!({}))),
        ("azp", claims(json!({ "azp": "apex", "nbf": now, "exp": now + 5, "iat": now + 20 }))),
        ("audience in a list", claims(json!({ "aud": ["apex"] }))),
        ("without at_hash", claims(json!({ "at_hash": null }))),
        ("curve", signed("es256")),
    ] {
        let shown = answered(&server, told, "").await;
        assert_eq!(shown.status, StatusCode::OK, "{name}: {shown:?}");
    }
    assert_eq!(installation.texts("select count(*)::text from apex.user_identities").await, ["1"]);
    // Unknown keys do not make the server ask for keys without end: once at first, and three times more.
    for _ in 0..10 {
        assert_eq!(answered(&server, signed("unknown-kid"), "").await.code(), "TOKEN_NOT_VALID");
    }
    let asked: Value = testkit::http_get(format!("{issuer}/requests-for-keys")).await.unwrap().json().await.unwrap();
    // On a machine that is busy, the server may ask once more every 20 s.
    let at_most = 5 + started.elapsed().as_secs() / 20;
    assert!(asked["requestsForKeys"].as_u64().unwrap() <= at_most, "{asked}");
    // The refusals are in the access log of the tenant.
    wait_until("the refusals are recorded", async || {
        let query = "select coalesce(sum((payload->>'count')::int), 0)::text from apex.events
                     where type = 'access.refused' and payload->>'subject' = 'oidc:evil'";
        installation.texts(query).await[0].parse::<u32>().is_ok_and(|count| count >= 20)
    })
    .await;
    let (_, log) = server.terminate().await;
    assert!(!log.contains(CLIENT_SECRET), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_slow_large_or_elsewhere_are_not_waited_for_or_followed() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let evil = Provider::hostile(json!({})).await.with(SETTINGS);
    let server = serve(&installation, &folder, &[&evil], &[]).await;
    for (answer, code) in [
        ("slow", "PROVIDER_UNAVAILABLE"),
        ("large", "PROVIDER_UNAVAILABLE"),
        ("redirect", "PROVIDER_UNAVAILABLE"),
        ("html", "PROVIDER_UNAVAILABLE"),
        ("bad-access-token", "PROVIDER_UNAVAILABLE"),
        ("error", "CODE_NOT_VALID"),
    ] {
        let asked_at = Instant::now();
        let shown = answered(&server, json!({ "answer": answer, "claims": { "at_hash": null } }), "").await;
        // A request has 5 s. A slow answer never comes.
        assert!(asked_at.elapsed() < Duration::from_secs(60), "{answer} took {:?}", asked_at.elapsed());
        assert_eq!(shown.code(), code, "{answer}: {shown:?}");
    }
    // The userinfo endpoint speaks of another person.
    let other = json!({ "userinfo": { "sub": "ada", "email": "ada@example.org", "email_verified": true, "groups": ["staff"] } });
    assert_eq!(answered(&server, other, "").await.code(), "PROVIDER_UNAVAILABLE");
    assert_eq!(installation.texts("select count(*)::text from apex.user_sessions").await, ["0"]);
    let same = json!({ "userinfo": { "sub": "mallory", "groups": ["staff"] } });
    assert_eq!(answered(&server, same, "").await.status, StatusCode::OK);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_of_another_provider_is_refused() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    let evil = Provider::hostile(json!({})).await.with(SETTINGS).with("");
    let server = serve(&installation, &folder, &[&evil], &[]).await;
    let valid = || json!({ "claims": {}, "userinfo": { "sub": "mallory" } });
    for more in ["&iss=https://id.example.com", "&iss=", "&iss=a&iss=b"] {
        let shown = answered(&server, valid(), more).await;
        assert_eq!((shown.status, shown.code()), (StatusCode::FORBIDDEN, "OTHER_ISSUER"), "{more}");
    }
    for more in [String::new(), format!("&iss={}", evil.issuer())] {
        assert_eq!(answered(&server, valid(), &more).await.status, StatusCode::OK, "{more}");
    }
    drop(server.terminate().await);
    // One that says that it always names itself has to.
    let naming = json!({ "authorization_response_iss_parameter_supported": true });
    let evil = Provider::hostile(naming).await.with(SETTINGS);
    let server = serve(&installation, &folder, &[&evil], &[]).await;
    assert_eq!(answered(&server, valid(), "").await.code(), "OTHER_ISSUER");
    assert_eq!(answered(&server, valid(), &format!("&iss={}", evil.issuer())).await.status, StatusCode::OK);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discovery_document_that_cannot_be_trusted_is_not_used() {
    let (installation, folder) = (Installation::new().await, tempfile::tempdir().unwrap());
    for document in [
        json!({ "issuer": "https://id.example.com" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": "http://id.example.com/authorize" }),
        json!({ "jwks_uri": "http://169.254.169.254/latest" }),
        json!({ "jwks_uri": "file:///etc/passwd" }),
        json!({ "jwks_uri": null }),
    ] {
        let evil = Provider::hostile(document.clone()).await.with(SETTINGS);
        let server = serve(&installation, &folder, &[&evil], &[]).await;
        let shown = Browser::new().open(&format!("{}/auth/login/evil", server.address)).await;
        assert_eq!(
            (shown.status, shown.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "PROVIDER_UNAVAILABLE"),
            "{document}"
        );
        drop(server.terminate().await);
    }
}
