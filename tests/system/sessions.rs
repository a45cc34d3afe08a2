//! Sessions: tokens that are renewed, that end everywhere at once, and that cannot be forged or used by foreign pages.

use crate::graphql::code;
use crate::identities::{event_stream, websocket};
use crate::users::{Installation, PASSWORD, ask, login, post, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Server, TIMEOUT, wait_until};
use uuid::Uuid;

async fn refresh(server: &Server, token: &str) -> (StatusCode, Value) {
    post(server, "/auth/refresh", None, json!({ "refreshToken": token })).await
}

async fn status(server: &Server, access: &str) -> StatusCode {
    ask(server, access, "{ head }").await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_is_used_once_and_its_reuse_ends_the_session() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let first = installation.user(&server, "ada@example.org", "viewer").await;
    let (_, other) = login(&server, "ada@example.org", PASSWORD).await;
    let (code, second) = refresh(&server, text(&first, "refreshToken")).await;
    assert_eq!((code, text(&second, "sessionId")), (StatusCode::OK, text(&first, "sessionId")), "{second}");
    let (_, third) = refresh(&server, text(&second, "refreshToken")).await;
    for tokens in [&first, &second, &third] {
        assert_eq!(status(&server, text(tokens, "accessToken")).await, StatusCode::OK);
    }
    // Invented tokens end nothing, whatever session they name.
    let token = text(&third, "refreshToken");
    let (head, secret) = token.rsplit_once('_').unwrap();
    let zeros = format!("{head}_{}", "0".repeat(secret.len()));
    let later = token.replacen("_3_", "_4_", 1);
    let earlier = token.replacen("_3_", "_1_", 1);
    for invented in [zeros.as_str(), &later, &earlier, "apexrt_", "", text(&third, "accessToken")] {
        let (code, answer) = refresh(&server, invented).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED, "{invented}: {answer}");
    }
    assert_eq!(status(&server, text(&third, "accessToken")).await, StatusCode::OK);
    // The first token was stolen, or the thief has renewed it: one of the two uses it again, much later.
    assert_eq!(refresh(&server, text(&first, "refreshToken")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&server, token).await.0, StatusCode::UNAUTHORIZED);
    for tokens in [&first, &second, &third] {
        assert_eq!(status(&server, text(tokens, "accessToken")).await, StatusCode::UNAUTHORIZED);
    }
    // Control: another session of the user is not affected.
    assert_eq!(status(&server, text(&other, "accessToken")).await, StatusCode::OK);
    drop(server.terminate().await);
}

/// Ten times what is promised, since other tests run at the same time.
const LIMIT: Duration = Duration::from_secs(10);

/// What a connection ended with, and when.
async fn timed(end: impl Future<Output = u16>) -> (u16, Instant) {
    (end.await, Instant::now())
}

/// Of requests with the same token at the same time, one is served at most, and the session ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_used_at_once_by_many_is_used_once() {
    let installation = Installation::new().await;
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    let tokens = installation.user(&servers[0], "ada@example.org", "viewer").await;
    let token = text(&tokens, "refreshToken");
    let attempts = (0..10).map(|number| refresh(&servers[number % 2], token));
    let answers = futures::future::join_all(attempts).await;
    let renewed: Vec<_> = answers.iter().filter(|(code, _)| *code == StatusCode::OK).collect();
    assert_eq!(renewed.len(), 1, "{answers:?}");
    assert_eq!(refresh(&servers[0], text(&renewed[0].1, "refreshToken")).await.0, StatusCode::UNAUTHORIZED);
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_in_every_process_within_a_second() {
    let installation = Installation::new().await;
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    let kept = installation.user(&servers[0], "ada@example.org", "operator").await;
    let (_, ended) = login(&servers[0], "ada@example.org", PASSWORD).await;
    let (access, other) = (text(&ended, "accessToken"), text(&kept, "accessToken"));
    let mut ends = tokio::task::JoinSet::new();
    let mut others = tokio::task::JoinSet::new();
    for server in &servers {
        assert_eq!(status(server, access).await, StatusCode::OK);
        ends.spawn(timed(websocket(server, access).await));
        ends.spawn(timed(event_stream(server, access).await));
        others.spawn(websocket(server, other).await);
        others.spawn(event_stream(server, other).await);
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(ends.try_join_next().is_none(), "a connection ended before its session");
    let (code, answer) = post(&servers[0], "/auth/logout", Some(access), json!({})).await;
    assert_eq!((code, answer), (StatusCode::OK, json!({ "ended": true })));
    let ended_at = Instant::now();
    for server in &servers {
        while status(server, access).await == StatusCode::OK {
            assert!(ended_at.elapsed() < TIMEOUT, "the session is still accepted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let requests_took = ended_at.elapsed();
    let (mut codes, mut times) = (Vec::new(), Vec::new());
    while let Some(end) = tokio::time::timeout(TIMEOUT, ends.join_next()).await.unwrap() {
        let (code, at) = end.unwrap();
        codes.push(code);
        times.push(at.saturating_duration_since(ended_at));
    }
    codes.sort_unstable();
    times.sort_unstable();
    assert_eq!(codes, [0, 0, 4403, 4403]);
    println!("requests were refused after {requests_took:?}, and connections closed after {times:?}");
    assert!(times[times.len() / 2] < LIMIT, "{times:?}");
    // The refresh token has ended with it.
    assert_eq!(refresh(&servers[1], text(&ended, "refreshToken")).await.0, StatusCode::UNAUTHORIZED);
    assert!(others.try_join_next().is_none(), "a connection of another session ended");
    others.abort_all();
    for server in servers {
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_and_users_that_end_end_what_they_gave_while_the_token_lives() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let (access, user) = (text(&ada, "accessToken"), text(&ada, "userId"));
    let socket = websocket(&server, access).await;
    installation.run(&["users", "disable", user]).await;
    wait_until("the token is refused", async || status(&server, access).await == StatusCode::UNAUTHORIZED).await;
    assert_eq!(tokio::time::timeout(TIMEOUT, socket).await.unwrap(), 4403);
    assert_eq!(refresh(&server, text(&ada, "refreshToken")).await.0, StatusCode::UNAUTHORIZED);
    // Who is enabled again signs in again.
    installation.run(&["users", "enable", user]).await;
    wait_until("the user can sign in", async || login(&server, "ada@example.org", PASSWORD).await.0 == StatusCode::OK)
        .await;
    // That the session has ended, which another process did, is known a moment later.
    wait_until("the old token is refused", async || status(&server, access).await == StatusCode::UNAUTHORIZED).await;
    let (_, again) = login(&server, "ada@example.org", PASSWORD).await;
    let access = text(&again, "accessToken");
    installation.run(&["tenants", "suspend", "default"]).await;
    wait_until("the token is refused", async || status(&server, access).await == StatusCode::UNAUTHORIZED).await;
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    installation.run(&["tenants", "resume", "default"]).await;
    wait_until("the token is accepted", async || status(&server, access).await == StatusCode::OK).await;
    drop(server.terminate().await);
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A private key that the server does not have.
fn foreign_key() -> EncodingKey {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    EncodingKey::from_ed_der(&[&prefix[..], &[7; 32]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_tokens_that_the_server_did_not_sign_are_refused() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "admin").await;
    let bob = installation.user(&server, "bob@example.org", "viewer").await;
    let access = text(&ada, "accessToken");
    let parts: Vec<_> = access.split('.').collect();
    let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
    assert_eq!(header["alg"], "EdDSA");
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["exp", "iat", "sid", "sub", "tenant"], "a token says more than whose session it is of");
    let (kid, public) = (text(&header, "kid"), published_key(&server, text(&header, "kid")).await);
    let with_claim = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let resigned = |claims: &Value| format!("{}.{}.{}", parts[0], encoded(claims), parts[2]);
    let signed = |alg: Algorithm, kid: Option<&str>, key: &EncodingKey| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(alg) };
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    };
    let unsigned = |header: Value, signature: &str| format!("{}.{}.{signature}", encoded(&header), parts[1]);
    let hmac = EncodingKey::from_secret(&public);
    let hmac_text = EncodingKey::from_secret(URL_SAFE_NO_PAD.encode(&public).as_bytes());
    let forged = [
        // No algorithm, and one with the public key as the secret.
        unsigned(json!({ "alg": "none", "kid": kid }), ""),
        unsigned(json!({ "alg": "None", "kid": kid }), parts[2]),
        unsigned(json!({ "kid": kid }), parts[2]),
        signed(Algorithm::HS256, Some(kid), &hmac),
        signed(Algorithm::HS256, Some(kid), &hmac_text),
        // Another key, under the name of the right one, of an unknown one, and of none.
        signed(Algorithm::EdDSA, Some(kid), &foreign_key()),
        signed(Algorithm::EdDSA, Some(&Uuid::now_v7().simple().to_string()), &foreign_key()),
        signed(Algorithm::EdDSA, Some("../../etc/passwd"), &foreign_key()),
        signed(Algorithm::EdDSA, None, &foreign_key()),
        // Changed claims: another user, session, tenant and end.
        resigned(&with_claim("sub", bob["userId"].clone())),
        resigned(&with_claim("sid", bob["sessionId"].clone())),
        resigned(&with_claim("tenant", json!("acme"))),
        resigned(&with_claim("exp", json!(99_999_999_999_i64))),
        // Garbled.
        format!("{access}x"),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("eyJ{}.a.b", "x".repeat(10_000)),
        "eyJ..".to_owned(),
    ];
    for token in &forged {
        let (code, answer) = ask(&server, token, "{ head }").await;
        assert_eq!((code, self::code(&answer)), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{token}");
    }
    // Control: the token itself is accepted.
    assert_eq!(status(&server, access).await, StatusCode::OK);
    drop(server.terminate().await);
}

/// The public key with an id, as the server publishes it.
async fn published_key(server: &Server, kid: &str) -> Vec<u8> {
    let keys: Value =
        testkit::http_get(format!("{}/.well-known/jwks.json", server.address)).await.unwrap().json().await.unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid);
    let key = key.unwrap_or_else(|| panic!("{kid} is not in {keys}"));
    assert_eq!((text(key, "kty"), text(key, "crv"), text(key, "alg")), ("OKP", "Ed25519", "EdDSA"));
    assert!(key.get("d").is_none(), "the private key is published");
    URL_SAFE_NO_PAD.decode(text(key, "x")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_expire() {
    let installation = Installation::new().await;
    let server = installation.serve(&["--access-token-seconds", "2"]).await;
    // On a busy machine a token may end before it is used. Then another one is.
    let accepted = async |mut tokens: Value| {
        for _ in 0..20 {
            if status(&server, text(&tokens, "accessToken")).await == StatusCode::OK {
                return tokens;
            }
            tokens = refresh(&server, text(&tokens, "refreshToken")).await.1;
        }
        panic!("no access token is accepted");
    };
    let ada = accepted(installation.user(&server, "ada@example.org", "viewer").await).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(status(&server, text(&ada, "accessToken")).await, StatusCode::UNAUTHORIZED);
    accepted(refresh(&server, text(&ada, "refreshToken")).await.1).await;
    // The refresh token, and the session however often it is renewed.
    let mut owner = installation.database.owner().await;
    for column in ["refresh_expires_at", "expires_at"] {
        let (_, session) = login(&server, "ada@example.org", PASSWORD).await;
        let expire = format!("update apex.user_sessions set {column} = clock_timestamp() where session_id = $1");
        let id = Uuid::try_parse(text(&session, "sessionId")).unwrap();
        sqlx::query(sqlx::AssertSqlSafe(expire)).bind(id).execute(&mut owner).await.unwrap();
        assert_eq!(refresh(&server, text(&session, "refreshToken")).await.0, StatusCode::UNAUTHORIZED, "{column}");
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_keys_are_replaced_without_an_interruption() {
    let installation = Installation::new().await;
    let mut owner = installation.database.owner().await;
    let server = installation.serve(&[]).await;
    let first = installation.user(&server, "ada@example.org", "viewer").await;
    let kid = |tokens: &Value| decoded(text(tokens, "accessToken").split('.').next().unwrap())["kid"].clone();
    drop(server.terminate().await);
    sqlx::query("update apex.session_signing_keys set created_at = created_at - interval '31 days'")
        .execute(&mut owner)
        .await
        .unwrap();
    // A new key is created and published, and does not sign before others can know it.
    let server = installation.serve(&[]).await;
    let (_, second) = login(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(kid(&second), kid(&first));
    let keys = installation.texts("select key_id::text from apex.session_signing_keys order by created_at").await;
    assert_eq!(keys.len(), 2);
    for key in &keys {
        published_key(&server, &key.replace('-', "")).await;
    }
    drop(server.terminate().await);
    sqlx::query("update apex.session_signing_keys set created_at = created_at - interval '11 minutes'")
        .execute(&mut owner)
        .await
        .unwrap();
    let server = installation.serve(&[]).await;
    let (_, third) = login(&server, "ada@example.org", PASSWORD).await;
    assert_eq!(kid(&third), json!(keys[1].replace('-', "")));
    // Tokens of both are accepted.
    for tokens in [&first, &second, &third] {
        assert_eq!(status(&server, text(tokens, "accessToken")).await, StatusCode::OK);
    }
    drop(server.terminate().await);
}

/// A browser: it keeps cookies by hand.
struct Browser<'a> {
    server: &'a Server,
    cookies: Vec<(String, String)>,
}

impl Browser<'_> {
    async fn post(&mut self, path: &str, headers: &[(&'static str, &str)], body: Value) -> (StatusCode, Value) {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            sent.insert(*name, value.parse().unwrap());
        }
        if !cookies.is_empty() {
            sent.insert("cookie", cookies.join("; ").parse().unwrap());
        }
        let request = testkit::http_client().post(format!("{}{path}", self.server.address));
        let response = request.headers(sent).json(&body).send().await.unwrap();
        let (status, sent) = (response.status(), response.headers().clone());
        for cookie in sent.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()) {
            let (name, rest) = cookie.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            assert!(attributes.contains("SameSite=Strict"), "{cookie}");
            assert_eq!(attributes.contains("HttpOnly"), name != "apex_csrf" || value.is_empty(), "{cookie}");
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        (status, response.json().await.unwrap())
    }
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_acts_by_cookies_and_a_foreign_page_cannot() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "operator").await;
    let mut browser = Browser { server: &server, cookies: Vec::new() };
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "cookies": true });
    let (code, answer) = browser.post("/auth/login", &[], body.clone()).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    assert!(answer.get("accessToken").is_none() && answer.get("refreshToken").is_none(), "{answer}");
    assert_eq!(browser.cookies.len(), 3, "{:?}", browser.cookies);
    let csrf = text(&answer, "csrfToken").to_owned();
    let query = json!({ "query": "mutation { registerAgent(input: { name: \"ada\" }) { outcome } }" });
    let own = server.address.clone();
    let (_, registered) = browser.post("/graphql", &[("x-apex-csrf", &csrf), ("origin", &own)], query.clone()).await;
    assert_eq!(registered["data"]["registerAgent"]["outcome"], "DONE", "{registered}");
    for foreign in [
        &[][..],
        &[("x-apex-csrf", "1")],
        &[("x-apex-csrf", csrf.as_str()), ("origin", "https://evil.example")],
        &[("x-apex-csrf", csrf.as_str()), ("sec-fetch-site", "cross-site")],
    ] {
        for path in ["/graphql", "/auth/refresh", "/auth/logout", "/auth/password"] {
            let (code, answer) =
                browser.post(path, foreign, if path == "/graphql" { query.clone() } else { json!({}) }).await;
            assert_eq!((code, self::code(&answer)), (StatusCode::FORBIDDEN, "CSRF"), "{path} {foreign:?}");
        }
    }
    let agents = installation.texts("select count(*)::text from apex.events where type = 'agent.registered'").await;
    assert_eq!(agents, ["1"]);
    // The cookies are renewed and removed.
    let before = browser.cookies.clone();
    let (code, renewed) = browser.post("/auth/refresh", &[("x-apex-csrf", &csrf)], json!({})).await;
    assert_eq!(code, StatusCode::OK, "{renewed}");
    // An access token that is signed within the same second is the same.
    let renewed_cookies = browser.cookies.iter().filter(|(name, _)| name != "apex_access");
    assert!(renewed_cookies.into_iter().all(|cookie| !before.contains(cookie)), "a cookie was not renewed");
    let csrf = text(&renewed, "csrfToken").to_owned();
    assert_eq!(browser.post("/auth/logout", &[("x-apex-csrf", &csrf)], json!({})).await.0, StatusCode::OK);
    assert!(browser.cookies.is_empty());
    // What was copied before is of no use.
    let old = before.iter().find(|(name, _)| name == "apex_csrf").unwrap().1.clone();
    let mut thief = Browser { server: &server, cookies: before };
    assert_eq!(thief.post("/graphql", &[("x-apex-csrf", &old)], query).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(thief.post("/auth/refresh", &[("x-apex-csrf", &old)], json!({})).await.0, StatusCode::UNAUTHORIZED);
    drop(server.terminate().await);
    // Over TLS only, if that is said.
    let server = installation.serve(&["--secure-cookies", "true"]).await;
    let request = testkit::http_client().post(format!("{}/auth/login", server.address)).json(&body);
    let response = request.send().await.unwrap();
    let cookies = response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookies: Vec<_> = cookies.collect();
    assert_eq!(cookies.len(), 3);
    for cookie in &cookies {
        // What the prefix demands: browsers accept such a cookie from this host alone.
        let is_host = cookie.starts_with("__Host-apex_") && cookie.contains("; Secure") && cookie.contains("; Path=/;");
        assert!(is_host && !cookie.contains("Domain"), "{cookie}");
    }
    // They are accepted, and those without the prefix, which a page of a neighbouring host can set, are not.
    let sent = |prefix: &str| {
        let pair = |cookie: &&str| cookie.split(';').next().unwrap().replace("__Host-", prefix);
        cookies.iter().map(pair).collect::<Vec<_>>().join("; ")
    };
    for (prefix, expected) in [("__Host-", StatusCode::OK), ("", StatusCode::UNAUTHORIZED)] {
        let request = testkit::http_client().get(format!("{}/auth/session", server.address));
        let answer = request.header("cookie", sent(prefix)).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{prefix:?}");
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_ends_its_own_sessions_and_an_administrator_those_of_others() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let bob = installation.user(&server, "bob@example.org", "viewer").await;
    let admin = installation.user(&server, "admin@example.org", "admin").await;
    let access = text(&ada, "accessToken");
    let (_, elsewhere) = login(&server, "ada@example.org", PASSWORD).await;
    let (_, listed) = ask(&server, access, "{ viewer { sessions { id uuid address userAgent } } }").await;
    let sessions = listed["data"]["viewer"]["sessions"].as_array().unwrap_or_else(|| panic!("{listed}")).clone();
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session["address"] == "127.0.0.1"), "{sessions:?}");
    let revoke = |id: &str| format!("mutation {{ revokeSession(input: {{ id: \"{id}\" }}) {{ revoked }} }}");
    let of_bob = text(&bob, "sessionId");
    assert_eq!(code(&ask(&server, access, &revoke(of_bob)).await.1), "FORBIDDEN");
    assert_eq!(status(&server, text(&bob, "accessToken")).await, StatusCode::OK);
    let (_, answer) = ask(&server, access, &revoke(text(&elsewhere, "sessionId"))).await;
    assert_eq!(answer["data"]["revokeSession"]["revoked"], true, "{answer}");
    assert_eq!(status(&server, text(&elsewhere, "accessToken")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&server, access).await, StatusCode::OK);
    let admin = text(&admin, "accessToken");
    let (_, users) = ask(&server, admin, "{ users { nodes { email sessions { uuid } } } }").await;
    let all = users["data"]["users"]["nodes"].to_string();
    assert!(all.contains(of_bob), "{users}");
    assert_eq!(ask(&server, admin, &revoke(of_bob)).await.1["data"]["revokeSession"]["revoked"], true);
    assert_eq!(status(&server, text(&bob, "accessToken")).await, StatusCode::UNAUTHORIZED);
    let unknown = Uuid::now_v7().to_string();
    assert_eq!(ask(&server, admin, &revoke(&unknown)).await.1["data"]["revokeSession"]["revoked"], false);
    // Who changes the password keeps the session, and ends the others.
    let (_, third) = login(&server, "ada@example.org", PASSWORD).await;
    let new = "oolong in the evening";
    let change = |current: &str| json!({ "currentPassword": current, "newPassword": new });
    assert_eq!(post(&server, "/auth/password", Some(access), change("wrong")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&server, "/auth/password", Some(access), change(PASSWORD)).await.0, StatusCode::OK);
    assert_eq!(status(&server, access).await, StatusCode::OK);
    assert_eq!(status(&server, text(&third, "accessToken")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&server, "ada@example.org", new).await.0, StatusCode::OK);
    // A session of another tenant is none of an administrator's.
    installation.run(&["tenants", "create", "acme"]).await;
    let token = installation.run(&["users", "invite", "eve@example.org", "--role", "admin", "--tenant", "acme"]).await;
    let (_, eve) = post(&server, "/auth/register", None, json!({ "token": token, "password": PASSWORD })).await;
    let (_, viewer) = ask(&server, text(&eve, "accessToken"), "{ viewer { tenant } users { nodes { email } } }").await;
    assert_eq!(viewer["data"]["viewer"]["tenant"], "acme", "{viewer}");
    assert_eq!(viewer["data"]["users"]["nodes"], json!([{ "email": "eve@example.org" }]));
    let (_, answer) = ask(&server, text(&eve, "accessToken"), &revoke(text(&ada, "sessionId"))).await;
    assert_eq!(answer["data"]["revokeSession"]["revoked"], false, "{answer}");
    assert_eq!(status(&server, access).await, StatusCode::OK);
    drop(server.terminate().await);
}
