//! Users: how a person becomes one and proves to be one, that attempts are limited, and that nothing secret or personal is
//! where it cannot be erased.

use crate::graphql::code;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use testkit::{Server, TestDatabase, http_client, send_until_checked, tenant, wait_until};
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "green tea, twice a day";

/// A database with a file of key-encryption keys, and a tenant.
pub(crate) struct Installation {
    pub(crate) database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let installation = Self { database: TestDatabase::new().await, folder: tempfile::tempdir().unwrap() };
        installation.run(&["tenants", "create", tenant().as_str()]).await;
        installation
    }

    pub(crate) fn key_file(&self) -> String {
        self.folder.path().join("identity.keys").to_str().unwrap().to_owned()
    }

    /// Runs a subcommand that succeeds, and returns its standard output without the line break at its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let key_file = self.key_file();
        let arguments = [arguments, &["--key-file", &key_file]].concat();
        self.database.run(&arguments).await.assert_success().stdout.trim_end().to_owned()
    }

    pub(crate) async fn serve(&self, arguments: &[&str]) -> Server {
        let key_file = self.key_file();
        let attempts: &[&str] =
            if arguments.contains(&"--sign-in-attempts") { &[] } else { &["--sign-in-attempts", "1000"] };
        self.database.serve(&[&["--key-file", &key_file, "--token", "tea"], attempts, arguments].concat()).await
    }

    /// A server that takes every request without a credential.
    pub(crate) async fn serve_open(&self) -> Server {
        self.database.serve(&["--key-file", &self.key_file()]).await
    }

    /// A user who accepted an invitation with a role. Returns the answer with its first tokens.
    pub(crate) async fn user(&self, server: &Server, email: &str, role: &str) -> Value {
        let token = self.run(&["users", "invite", email, "--role", role]).await;
        let (status, answer) =
            post(server, "/auth/register", None, json!({ "token": token, "password": PASSWORD })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(&mut self.database.owner().await).await.unwrap()
    }
}

/// Posts JSON. Returns the status and the answer.
pub(crate) async fn post(server: &Server, path: &str, bearer: Option<&str>, body: Value) -> (StatusCode, Value) {
    let request = http_client().post(format!("{}{path}", server.address));
    let request = bearer.iter().fold(request, |request, token| request.bearer_auth(token));
    let response = send_until_checked(request.json(&body)).await;
    (response.status, response.json())
}

pub(crate) async fn login(server: &Server, email: &str, password: &str) -> (StatusCode, Value) {
    post(server, "/auth/login", None, json!({ "email": email, "password": password })).await
}

pub(crate) async fn ask(server: &Server, token: &str, query: &str) -> (StatusCode, Value) {
    post(server, "/graphql", Some(token), json!({ "query": query })).await
}

pub(crate) fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

const REGISTER: &str = "mutation { registerAgent(input: { name: \"ada's\" }) { position } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_accepts_an_invitation_is_a_user_with_its_roles() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let operator = installation.user(&server, "Ada@Example.org", "operator").await;
    let (access, user) = (text(&operator, "accessToken"), text(&operator, "userId"));
    let (_, answer) = ask(&server, access, "{ viewer { actor tenant email permissions } }").await;
    let viewer = &answer["data"]["viewer"];
    assert_eq!(viewer["email"], "ada@example.org", "{answer}");
    let actor = format!("user:{user}/session:{}", text(&operator, "sessionId"));
    assert_eq!(viewer["actor"], actor.as_str());
    // It acts with its roles, under its own name, and no more.
    let (_, registered) = ask(&server, access, REGISTER).await;
    assert!(registered["data"]["registerAgent"]["position"].is_string(), "{registered}");
    let actors = installation.texts("select metadata->>'actor' from apex.events where type = 'agent.registered'").await;
    assert_eq!(actors, [actor]);
    let create = "mutation { createUser(input: { email: \"b@c.d\" }) { outcome } }";
    assert_eq!(code(&ask(&server, access, create).await.1), "FORBIDDEN");
    let viewer = installation.user(&server, "bob@example.org", "viewer").await;
    assert_eq!(code(&ask(&server, text(&viewer, "accessToken"), REGISTER).await.1), "FORBIDDEN");
    // Who signs in again has the same account.
    let (status, again) = login(&server, " ADA@example.org ", PASSWORD).await;
    assert_eq!((status, text(&again, "userId")), (StatusCode::OK, user), "{again}");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_accepted_once_in_time_and_not_after_it_was_revoked() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let accept = async |token: &str, password: &str| {
        post(&server, "/auth/register", None, json!({ "token": token, "password": password })).await
    };
    let token = installation.run(&["users", "invite", "ada@example.org", "--role", "viewer"]).await;
    // A password that is not accepted uses nothing up.
    let (status, answer) = accept(&token, "short").await;
    assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"));
    assert_eq!(accept(&token, PASSWORD).await.0, StatusCode::OK);
    let revoked = installation.run(&["users", "invite", "bob@example.org"]).await;
    let id = revoked.split('_').nth(1).unwrap();
    installation.run(&["users", "revoke-invitation", Uuid::try_parse(id).unwrap().to_string().as_str()]).await;
    let expired = installation.run(&["users", "invite", "eve@example.org", "--expires-in", "1s"]).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (head, secret) = (token.rsplit_once('_').unwrap().0, revoked.rsplit_once('_').unwrap().1);
    for refused in [&token, &revoked, &expired, &format!("{head}_{secret}"), &format!("{token}0"), "", "apexin_"] {
        let (status, answer) = accept(refused, "another fine password").await;
        assert_eq!((status, code(&answer)), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{refused}");
    }
    // The password is still that of the person who accepted.
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::OK);
    assert_eq!(login(&server, "ada@example.org", "another fine password").await.0, StatusCode::UNAUTHORIZED);
    // No address of a person stays whose invitation is of no use.
    wait_until("the addresses are erased", async || {
        installation.texts("select email from apex.user_links where email <> 'eve@example.org'").await.is_empty()
    })
    .await;
    drop(server.terminate().await);
}

/// The answer, and its time, do not tell what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_sign_in_is_refused_alike() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    for email in ["ada@example.org", "disabled@example.org", "erased@example.org"] {
        installation.user(&server, email, "viewer").await;
    }
    let without_password = installation.run(&["users", "create", "new@example.org"]).await;
    assert!(Uuid::try_parse(&without_password).is_ok());
    let listed = installation.run(&["users", "list", "--format", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let id = |email: &str| {
        let user = listed.as_array().unwrap().iter().find(|user| user["email"] == email).unwrap();
        text(user, "user").to_owned()
    };
    installation.run(&["users", "disable", &id("disabled@example.org")]).await;
    installation.run(&["users", "erase", &id("erased@example.org")]).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let mut answers = BTreeSet::new();
    let mut timed = async |email: &str, password: &str| {
        let started = Instant::now();
        let (status, answer) = login(&server, email, password).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{email}");
        answers.insert(answer.to_string());
        started.elapsed()
    };
    // On a busy machine, times that are the same may differ by chance. Those that are not do so in every trial.
    let mut trials = Vec::new();
    loop {
        let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            wrong.push(timed("ada@example.org", "green tea, once a day").await);
            unknown.push(timed("nobody@example.org", PASSWORD).await);
        }
        wrong.sort();
        unknown.sort();
        let (wrong, unknown) = (wrong[3], unknown[3]);
        if unknown > wrong / 2 && unknown < wrong * 2 {
            break;
        }
        trials.push((wrong, unknown));
        assert!(trials.len() < 10, "times of a wrong password and of an unknown address: {trials:?}");
    }
    for email in ["disabled@example.org", "erased@example.org", "new@example.org"] {
        timed(email, PASSWORD).await;
    }
    timed("ada@example.org", &"x".repeat(5000)).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Control: the right password is accepted, and not in another tenant.
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::OK);
    installation.run(&["tenants", "create", "acme"]).await;
    let elsewhere = json!({ "tenant": "acme", "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(post(&server, "/auth/login", None, elsewhere).await.0, StatusCode::UNAUTHORIZED);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_limited_for_an_account_and_for_a_client() {
    let installation = Installation::new().await;
    let server = installation.serve(&["--sign-in-attempts", "3"]).await;
    for _ in 0..3 {
        assert_eq!(login(&server, "ada@example.org", "wrong").await.0, StatusCode::UNAUTHORIZED);
    }
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    let mut further = 0;
    let response = loop {
        let request = http_client().post(format!("{}/auth/login", server.address));
        let response = request.json(&body).send().await.unwrap();
        if response.status() != StatusCode::UNAUTHORIZED {
            break response;
        }
        // One is allowed every 20 s, which all of them may take on a busy machine.
        further += 1;
        assert!(further < 20, "attempts are not limited");
    };
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    // Another account of the same client is not affected, until the client has used its own attempts.
    assert_eq!(login(&server, "bob@example.org", "wrong").await.0, StatusCode::UNAUTHORIZED);
    // At the same time, since further ones are allowed meanwhile.
    let attempts = (0..60).map(async |number| login(&server, &format!("user{number}@example.org"), "wrong").await.0);
    let statuses = futures::future::join_all(attempts).await;
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_sets_the_password_once_and_ends_all_sessions() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let (access, user) = (text(&ada, "accessToken"), text(&ada, "userId"));
    for email in ["ada@example.org", "nobody@example.org"] {
        let (status, answer) = post(&server, "/auth/password-reset/request", None, json!({ "email": email })).await;
        assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "requested": true })));
    }
    // It is found out in the background, so that the time of the answer does not tell.
    let asked = "select email from apex.user_profiles where reset_requested_at is not null";
    wait_until("it is noted", async || installation.texts(asked).await == ["ada@example.org"]).await;
    let replaced = installation.run(&["users", "reset-link", user]).await;
    let link = installation.run(&["users", "reset-link", user]).await;
    let set = async |token: &str, password: &str| {
        post(&server, "/auth/password-reset", None, json!({ "token": token, "password": password })).await.0
    };
    let new = "oolong in the evening";
    assert_eq!(set(&replaced, new).await, StatusCode::UNAUTHORIZED);
    assert_eq!(set(&link, "ada@example.org").await, StatusCode::BAD_REQUEST);
    assert_eq!(set(&link, new).await, StatusCode::OK);
    assert_eq!(set(&link, PASSWORD).await, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&server, "ada@example.org", new).await.0, StatusCode::OK);
    assert_eq!(ask(&server, access, "{ head }").await.0, StatusCode::UNAUTHORIZED);
    // One hash is left, and nobody asks any more.
    assert_eq!(installation.texts("select count(*)::text from apex.user_passwords").await, ["1"]);
    assert_eq!(installation.texts("select count(reset_requested_at)::text from apex.user_profiles").await, ["0"]);
    drop(server.terminate().await);
}

/// The code of a secret, for the current time step or a later one.
pub(crate) fn totp(secret: &str, steps_later: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_algorithm(totp_rs::Algorithm::SHA1).with_secret(secret).build().unwrap();
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    totp.generate(now + 30 * steps_later).to_string()
}

/// Demands one-time codes of a user. Returns the secret and the recovery codes.
pub(crate) async fn enable_codes(server: &Server, access: &str, password: &str) -> (String, Vec<String>) {
    let (status, refused) = post(server, "/auth/totp", Some(access), json!({ "password": "wrong" })).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{refused}");
    let (_, started) = post(server, "/auth/totp", Some(access), json!({ "password": password })).await;
    let (id, secret) = (text(&started, "id"), text(&started, "secret").to_owned());
    let wrong = json!({ "id": id, "code": "000000" });
    assert_eq!(post(server, "/auth/totp/confirm", Some(access), wrong).await.0, StatusCode::UNAUTHORIZED);
    let code = json!({ "id": id, "code": totp(&secret, 0) });
    let (status, confirmed) = post(server, "/auth/totp/confirm", Some(access), code).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    let codes = confirmed["recoveryCodes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_time_codes_and_recovery_codes_are_accepted_once() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let (secret, recovery) = enable_codes(&server, text(&ada, "accessToken"), PASSWORD).await;
    assert_eq!(recovery.len(), 10);
    let with = async |name: &str, value: &str| {
        let mut body = json!({ "email": "ada@example.org", "password": PASSWORD });
        body[name] = value.into();
        post(&server, "/auth/login", None, body).await.0
    };
    let (status, answer) = login(&server, "ada@example.org", PASSWORD).await;
    assert_eq!((status, code(&answer)), (StatusCode::UNAUTHORIZED, "CODE_REQUIRED"));
    // Without the right password nobody is told that a code is required.
    assert_eq!(code(&login(&server, "ada@example.org", "wrong").await.1), "UNAUTHENTICATED");
    let (earlier, next) = (totp(&secret, 0), totp(&secret, 1));
    assert_eq!(with("code", &next).await, StatusCode::OK);
    assert_eq!(with("code", &next).await, StatusCode::UNAUTHORIZED, "the code of a time step was accepted twice");
    assert_eq!(with("code", &earlier).await, StatusCode::UNAUTHORIZED, "a code of an earlier step was accepted");
    assert_eq!(with("code", "000000").await, StatusCode::UNAUTHORIZED);
    assert_eq!(with("recoveryCode", &recovery[0].to_uppercase()).await, StatusCode::OK);
    assert_eq!(
        with("recoveryCode", &recovery[0]).await,
        StatusCode::UNAUTHORIZED,
        "a recovery code was accepted twice"
    );
    assert_eq!(with("recoveryCode", &next).await, StatusCode::UNAUTHORIZED);
    // They are demanded no more once the user says so, who has a second factor.
    let access = text(&ada, "accessToken");
    let disable = |code: &str| json!({ "password": PASSWORD, "recoveryCode": code });
    assert_eq!(post(&server, "/auth/totp/disable", Some(access), disable("wrong")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&server, "/auth/totp/disable", Some(access), disable(&recovery[1])).await.0, StatusCode::OK);
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::OK);
    assert_eq!(installation.texts("select count(*)::text from apex.user_recovery_codes").await, ["0"]);
    // An administrator turns them off for a user whose device is lost.
    enable_codes(&server, access, PASSWORD).await;
    installation.run(&["users", "disable-codes", text(&ada, "userId")]).await;
    wait_until("no code is demanded", async || login(&server, "ada@example.org", PASSWORD).await.0 == StatusCode::OK)
        .await;
    drop(server.terminate().await);
}

/// Of an event, what its hash covers.
async fn log_fingerprint(installation: &Installation, head: i64) -> String {
    sqlx::query_scalar("select md5(string_agg(e::text, '|' order by position)) from apex.events e where position <= $1")
        .bind(head)
        .fetch_one(&mut installation.database.owner().await)
        .await
        .unwrap()
}

/// The tables of the database whose text has some text.
async fn tables_with(installation: &Installation, searched: &str) -> Vec<String> {
    let mut owner = installation.database.owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let has = format!("select exists (select from {table} t where strpos(lower(t::text), lower($1)) > 0)");
        if sqlx::query_scalar(sqlx::AssertSqlSafe(has)).bind(searched).fetch_one(&mut owner).await.unwrap() {
            found.push(table);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_user_leaves_no_name_and_the_log_as_it_was() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let token = installation.run(&["users", "invite", "canary@example.org", "--role", "operator"]).await;
    let body = json!({ "token": token, "password": PASSWORD, "displayName": "Canary Bird" });
    let (_, user) = post(&server, "/auth/register", None, body).await;
    let access = text(&user, "accessToken");
    assert_eq!(ask(&server, access, REGISTER).await.0, StatusCode::OK);
    assert_eq!(tables_with(&installation, "canary").await, ["apex.user_profiles"]);
    let id = text(&user, "userId");
    assert!(tables_with(&installation, id).await.contains(&"apex.user_sessions".to_owned()));
    let head = installation.database.head().await;
    let before = log_fingerprint(&installation, head).await;
    installation.run(&["users", "erase", id]).await;
    assert_eq!(tables_with(&installation, "canary").await, Vec::<String>::new());
    // What the user did is still known, under its id, and nothing that was written has changed.
    for table in tables_with(&installation, id).await {
        let is_of_log = ["apex.events", "apex.streams", "apex.receipts"].iter().any(|known| table.starts_with(known));
        assert!(is_of_log, "{table} has the id of the user");
    }
    assert_eq!(log_fingerprint(&installation, head).await, before);
    installation.database.verify_log().await;
    wait_until("its session has ended", async || ask(&server, access, "{ head }").await.0 == StatusCode::UNAUTHORIZED)
        .await;
    assert_eq!(login(&server, "canary@example.org", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    // The address can be that of another user, who is not the same.
    let again = installation.user(&server, "canary@example.org", "viewer").await;
    assert_ne!(text(&again, "userId"), id);
    drop(server.terminate().await);
}

/// Everything that is stored, and everything that is logged at the finest level, without a secret of a user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_users_are_neither_stored_nor_logged() {
    let installation = Installation::new().await;
    let server = installation.serve(&["--log", "trace"]).await;
    let invitation = installation.run(&["users", "invite", "ada@example.org", "--role", "admin"]).await;
    let (_, ada) = post(&server, "/auth/register", None, json!({ "token": invitation, "password": PASSWORD })).await;
    let access = text(&ada, "accessToken").to_owned();
    let (secret, recovery) = enable_codes(&server, &access, PASSWORD).await;
    let body =
        json!({ "email": "ada@example.org", "password": PASSWORD, "recoveryCode": recovery[0], "cookies": true });
    let signed_in = http_client().post(format!("{}/auth/login", server.address)).json(&body);
    let signed_in = signed_in.send().await.unwrap();
    let cookies: Vec<String> =
        signed_in.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap().into()).collect();
    let cookie = |name: &str| {
        let found = cookies.iter().find_map(|cookie| cookie.strip_prefix(&format!("{name}=")));
        found.unwrap().split(';').next().unwrap().to_owned()
    };
    let link =
        "mutation { createPasswordResetLink(input: { userId: \"ID\" }) { token } }".replace("ID", text(&ada, "userId"));
    let (_, created) = ask(&server, &access, &link).await;
    let link = text(&created["data"]["createPasswordResetLink"], "token").to_owned();
    let (_, renewed) =
        post(&server, "/auth/refresh", None, json!({ "refreshToken": text(&ada, "refreshToken") })).await;
    let wrong = "a wrong password that is long";
    assert_eq!(login(&server, "ada@example.org", wrong).await.0, StatusCode::UNAUTHORIZED);
    // One that is not valid JSON, and one with a field too many, are not repeated in a message.
    let garbled = http_client().post(format!("{}/auth/login", server.address));
    let garbled =
        garbled.header("content-type", "application/json").body(format!("{{\"password\": \"{PASSWORD}\", }}"));
    assert!(!garbled.send().await.unwrap().text().await.unwrap().contains(PASSWORD));
    let (_, unknown) = post(&server, "/auth/login", None, json!({ "email": "a@b.c", PASSWORD: 1 })).await;
    assert!(!unknown.to_string().contains(PASSWORD), "{unknown}");
    let (_, logged) = server.terminate().await;
    assert!(logged.len() > 10_000, "nothing was logged");
    let part = |token: &str| token.rsplit('_').next().unwrap().to_owned();
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let secrets = [
        PASSWORD.to_owned(),
        wrong.to_owned(),
        secret,
        recovery[0].clone(),
        recovery[1].replace('-', ""),
        part(&invitation),
        part(&link),
        part(text(&ada, "refreshToken")),
        part(text(&renewed, "refreshToken")),
        part(&cookie("apex_refresh")),
        signature(&access),
        signature(&cookie("apex_access")),
    ];
    assert_eq!(BTreeSet::from(secrets.clone()).len(), secrets.len());
    // A token that is renewed within the second in which it was issued is the same: signatures are deterministic.
    let renewed = signature(text(&renewed, "accessToken"));
    for secret in secrets.iter().chain([&renewed]) {
        assert!(secret.len() > 10 && !logged.contains(secret.as_str()), "a secret is in the log output: {secret}");
        assert_eq!(tables_with(&installation, secret).await, Vec::<String>::new(), "{secret}");
    }
    // Control: what is stored is found.
    assert!(tables_with(&installation, "ada@example.org").await.contains(&"apex.user_profiles".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_registers_without_an_invitation_only_where_that_is_allowed() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = json!({ "email": "ada@example.org", "password": PASSWORD });
    let (status, answer) = post(&server, "/auth/register", None, ada.clone()).await;
    assert_eq!((status, code(&answer)), (StatusCode::FORBIDDEN, "INVITATION_REQUIRED"));
    drop(server.terminate().await);
    let server = installation.serve(&["--open-registration"]).await;
    // The second time nothing is changed, and it is not told.
    let other = json!({ "email": "ada@example.org", "password": "another fine password" });
    for body in [ada, other] {
        let (status, answer) = post(&server, "/auth/register", None, body).await;
        assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "registered": true })));
    }
    assert_eq!(login(&server, "ada@example.org", "another fine password").await.0, StatusCode::UNAUTHORIZED);
    let (_, session) = login(&server, "ada@example.org", PASSWORD).await;
    // The user may do nothing before it is granted a role, and can see who it is.
    let access = text(&session, "accessToken");
    assert_eq!(code(&ask(&server, access, "{ agents { nodes { id } } }").await.1), "FORBIDDEN");
    let own = http_client().get(format!("{}/auth/session", server.address)).bearer_auth(access);
    let own: Value = own.send().await.unwrap().json().await.unwrap();
    assert_eq!((&own["email"], &own["roles"]), (&json!("ada@example.org"), &json!([])));
    for (body, expected) in [
        (json!({ "email": "ada", "password": PASSWORD }), "BAD_REQUEST"),
        (json!({ "password": PASSWORD }), "BAD_REQUEST"),
        (json!({ "email": "eve@example.org", "password": "short" }), "BAD_USER_INPUT"),
        (json!({ "email": "eve@example.org", "password": PASSWORD, "tenant": "A B" }), "BAD_REQUEST"),
    ] {
        let (status, answer) = post(&server, "/auth/register", None, body).await;
        assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, expected), "{answer}");
    }
    drop(server.terminate().await);
}

/// Rows whose event was never written authenticate nobody, and are deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_an_event_is_of_no_use_and_is_swept() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let token = installation.run(&["users", "invite", "bob@example.org"]).await;
    drop(server.terminate().await);
    let mut owner = installation.database.owner().await;
    // A user, a password and an invitation that no event names; and rows whose process died before they were confirmed.
    for plant in [
        "update apex.user_profiles set is_confirmed = false, created_at = now() - interval '2 hours'",
        "update apex.user_passwords set is_confirmed = false, created_at = now() - interval '2 hours'",
        "update apex.user_links set is_confirmed = false, created_at = now() - interval '2 hours'",
        "insert into apex.user_profiles (user_id, tenant_id, email, created_at)
         select gen_random_uuid(), tenant_id, 'eve@example.org', created_at from apex.user_profiles",
        "insert into apex.user_passwords (credential_id, user_id, tenant_id, key_encryption_key, hash, created_at)
         select gen_random_uuid(), (select user_id from apex.user_profiles where email = 'eve@example.org'), tenant_id,
             key_encryption_key, hash, created_at from apex.user_passwords",
        "insert into apex.user_links (link_id, tenant_id, email, key_encryption_key, hash, created_at, expires_at)
         select gen_random_uuid(), tenant_id, 'eve@example.org', key_encryption_key, hash, created_at, expires_at
         from apex.user_links",
    ] {
        sqlx::query(plant).execute(&mut owner).await.unwrap();
    }
    let server = installation.serve(&[]).await;
    assert_eq!(login(&server, "eve@example.org", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    wait_until("the rows are swept", async || tables_with(&installation, "eve@example.org").await.is_empty()).await;
    assert_eq!(installation.texts("select count(*)::text from apex.user_passwords").await, ["1"]);
    // Controls: what events name has stayed.
    assert_eq!(login(&server, "ada@example.org", PASSWORD).await.0, StatusCode::OK);
    let accepted = post(&server, "/auth/register", None, json!({ "token": token, "password": PASSWORD })).await;
    assert_eq!(accepted.0, StatusCode::OK, "{}", accepted.1);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_managed_over_graphql_by_administrators() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let admin = installation.user(&server, "admin@example.org", "admin").await;
    let admin = text(&admin, "accessToken");
    let command = async |query: String| ask(&server, admin, &query).await.1["data"].take();
    let id = Uuid::now_v7();
    let create = |email: &str, id: Uuid| {
        format!(
            "mutation {{ createUser(input: {{ commandId: \"{id}\", email: \"{email}\", displayName: \"Ada\", roles: [VIEWER] }})
             {{ outcome error {{ code field }} user {{ id email displayName roles hasPassword source }} }} }}"
        )
    };
    let created = command(create("ada@example.org", id)).await;
    let user = &created["createUser"]["user"];
    assert_eq!(created["createUser"]["outcome"], "DONE", "{created}");
    assert_eq!(
        (&user["roles"], &user["hasPassword"], &user["source"]),
        (&json!(["VIEWER"]), &json!(false), &json!("ADMIN"))
    );
    assert_eq!(command(create("ada@example.org", id)).await["createUser"]["outcome"], "DUPLICATE");
    for (email, command_id, expected) in [
        ("ADA@example.org", Uuid::now_v7(), json!({ "code": "EMAIL_TAKEN", "field": null })),
        ("ada", Uuid::now_v7(), json!({ "code": "INVALID_INPUT", "field": "email" })),
        ("eve@example.org", id, json!({ "code": "ALREADY_CREATED", "field": null })),
    ] {
        let rejected = command(create(email, command_id)).await;
        assert_eq!(rejected["createUser"]["error"], expected, "{email}");
    }
    let global = text(user, "id");
    let on = |mutation: &str| {
        format!("mutation {{ {mutation}(input: {{ id: \"{global}\" }}) {{ outcome user {{ disabled }} }} }}")
    };
    assert_eq!(command(on("disableUser")).await["disableUser"]["user"]["disabled"], true);
    assert_eq!(command(on("enableUser")).await["enableUser"]["user"]["disabled"], false);
    let invite = format!(
        "mutation {{ inviteUser(input: {{ commandId: \"{id}\", email: \"bob@example.org\", roles: [AGENT] }})
        {{ outcome token error {{ code }} invitation {{ id email roles revoked acceptedById }} }} }}"
    );
    let invited = command(invite.clone()).await;
    assert!(text(&invited["inviteUser"], "token").starts_with("apexin_"), "{invited}");
    assert_eq!(command(invite).await["inviteUser"]["error"]["code"], "SECRET_ALREADY_SHOWN");
    let invitation = text(&invited["inviteUser"]["invitation"], "id");
    let revoke = format!(
        "mutation {{ revokeInvitation(input: {{ id: \"{invitation}\" }}) {{ invitation {{ revoked email }} }} }}"
    );
    let revoked = command(revoke).await;
    assert_eq!(revoked["revokeInvitation"]["invitation"], json!({ "revoked": true, "email": null }));
    let listed = command("{ users { nodes { email } } invitations { nodes { revoked } } }".to_owned()).await;
    assert_eq!(listed["users"]["nodes"].as_array().unwrap().len(), 2, "{listed}");
    let page = command("{ users(first: 1) { nodes { email } pageInfo { hasNextPage endCursor } } }".to_owned()).await;
    let cursor = text(&page["users"]["pageInfo"], "endCursor");
    let rest = command(format!("{{ users(first: 5, after: \"{cursor}\") {{ nodes {{ email }} }} }}")).await;
    assert_eq!(rest["users"]["nodes"].as_array().unwrap().len(), 1, "{rest}");
    assert_ne!(rest["users"]["nodes"][0], page["users"]["nodes"][0]);
    let erased = command(on("eraseUser")).await;
    assert_eq!((&erased["eraseUser"]["outcome"], &erased["eraseUser"]["user"]), (&json!("DONE"), &Value::Null));
    assert_eq!(command(on("enableUser")).await["enableUser"]["outcome"], "REJECTED");
    // Another tenant has none of them.
    installation.run(&["tenants", "create", "acme"]).await;
    assert_eq!(installation.run(&["users", "list", "--tenant", "acme", "--format", "json"]).await, "[]");
    drop(server.terminate().await);
}
