//! `apex login`: the device flow and the loopback flow, whose pages no other page can misuse, and the session that they leave.

use crate::browser::Browser;
use crate::users::{Installation, PASSWORD, post, text};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use testkit::{ProgramOutput, Server, TIMEOUT, apex_binary};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// The program on a machine with a home directory and no database, whose subcommands ask a server.
pub(crate) fn program(home: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(apex_binary());
    command
        .env_clear()
        .env("HOME", home)
        .env("APEX_URL", url)
        .args(arguments)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(mut command: Command) -> ProgramOutput {
    let output = tokio::time::timeout(TIMEOUT, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    ProgramOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

async fn whoami(home: &Path, server: &Server) -> ProgramOutput {
    run(program(home, &server.address, &["whoami"])).await
}

/// A run of `apex login` that waits for a person.
struct Waiting {
    child: tokio::process::Child,
    stderr: BufReader<tokio::process::ChildStderr>,
    said: String,
}

impl Waiting {
    fn start(home: &Path, server: &Server, arguments: &[&str]) -> Self {
        let mut child = program(home, &server.address, &[&["login"], arguments].concat()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new() }
    }

    /// The rest of the line in which a text occurs.
    async fn until(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(TIMEOUT, self.stderr.read_line(&mut line)).await.unwrap().unwrap();
            assert!(read > 0, "no {start:?} in {}", self.said);
            self.said.push_str(&line);
            if let Some((_, rest)) = line.split_once(start) {
                return rest.trim().to_owned();
            }
        }
    }

    /// The exit code, and everything that was said.
    async fn end(mut self) -> (Option<i32>, String) {
        let status = tokio::time::timeout(TIMEOUT, self.child.wait()).await.unwrap().unwrap();
        self.stderr.read_to_string(&mut self.said).await.unwrap();
        (status.code(), self.said)
    }
}

async fn device_code(server: &Server) -> Value {
    let form = [("client_id", "test")];
    let response = testkit::http_client().post(format!("{}/auth/device", server.address)).form(&form).send().await;
    response.unwrap().json().await.unwrap()
}

async fn redeem(server: &Server, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let response =
        testkit::http_client().post(format!("{}/auth/token", server.address)).form(form).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn poll(server: &Server, device_code: &str) -> (StatusCode, Value) {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    redeem(server, &[("grant_type", grant), ("device_code", device_code)]).await
}

/// Decides about the program that shows a code.
async fn decide(browser: &Browser, user_code: &str, decision: &str) -> StatusCode {
    let page = browser.open(&format!("/auth/device?user_code={user_code}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let (code, csrf) = (page.hidden("user_code"), page.hidden("csrf"));
    let form = [("user_code", code.as_str()), ("csrf", csrf.as_str()), ("decision", decision)];
    browser.submit("/auth/device/decision", &form).await.status
}

/// Signs a person in by the device flow, on a machine with a home directory.
pub(crate) async fn sign_in(server: &Server, home: &Path, email: &str) {
    let mut login = Waiting::start(home, server, &["--device"]);
    let code = login.until("type the code ").await;
    let browser = Browser::new(server);
    browser.sign_in(email, PASSWORD, "/auth/device").await;
    assert_eq!(decide(&browser, &code, "approve").await, StatusCode::OK);
    let (exit, said) = login.end().await;
    assert_eq!(exit, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_by_a_code_and_out_again() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let ada = installation.user(&server, "ada@example.org", "viewer").await;
    let home = tempfile::tempdir().unwrap();
    let before = whoami(home.path(), &server).await;
    assert_eq!(before.code, Some(1));
    assert!(before.stderr.contains("apex login"), "{}", before.stderr);

    let mut login = Waiting::start(home.path(), &server, &["--device"]);
    let code = login.until("type the code ").await;
    let browser = Browser::new(&server);
    // A person who is not signed in is asked to, and led back.
    let led = browser.open(&format!("/auth/device?user_code={code}")).await;
    assert_eq!(
        (led.status, led.location().starts_with("/auth/sign-in?returnTo=%2Fauth%2Fdevice")),
        (StatusCode::SEE_OTHER, true)
    );
    let page = browser.open(led.location()).await;
    let back = browser.sign_in("ada@example.org", PASSWORD, &page.hidden("return_to")).await;
    let asked = browser.open(&back).await;
    for shown in ["ada@example.org", &code, "apex-cli/", "127.0.0.1"] {
        assert!(asked.text.contains(shown), "no {shown} in {}", asked.text);
    }
    assert_eq!(decide(&browser, &code.to_lowercase().replace('-', ""), "approve").await, StatusCode::OK);
    let (exit, said) = login.end().await;
    assert_eq!(exit, Some(0), "{said}");

    let viewer = whoami(home.path(), &server).await.assert_success().json();
    let actor = format!("user:{}/session:", text(&ada, "userId"));
    assert!(text(&viewer, "actor").starts_with(&actor) && !text(&viewer, "actor").ends_with(text(&ada, "sessionId")));
    let file = home.path().join(".config/apex/credentials.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = std::fs::read_to_string(&file).unwrap();
    // A file that others may read is not used.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let exposed = whoami(home.path(), &server).await;
    assert!(exposed.code == Some(1) && exposed.stderr.contains("chmod 600"), "{}", exposed.stderr);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();

    run(program(home.path(), &server.address, &["logout"])).await.assert_success();
    assert!(!file.exists());
    let stored: Value = serde_json::from_str(&stored).unwrap();
    let session = &stored["servers"][&server.address];
    let refresh = json!({ "refreshToken": session["refresh_token"] });
    assert_eq!(post(&server, "/auth/refresh", None, refresh).await.0, StatusCode::UNAUTHORIZED);
    // Nothing secret is in the logs of the server.
    let (_, log) = server.terminate().await;
    for secret in [&session["refresh_token"], &session["access_token"]] {
        assert!(!log.contains(secret.as_str().unwrap()), "{log}");
    }
    assert!(!log.contains("ada@example.org") && !log.contains(&code), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_is_pending_slow_denied_expired_or_used_once() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let browser = Browser::new(&server);
    browser.sign_in("ada@example.org", PASSWORD, "/auth/device").await;
    let error = |(status, answer): (StatusCode, Value)| {
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        text(&answer, "error").to_owned()
    };
    let started = device_code(&server).await;
    let (device, user) = (text(&started, "device_code"), text(&started, "user_code"));
    assert_eq!((&started["interval"], &started["expires_in"]), (&json!(5), &json!(600)));
    assert_eq!(text(&started, "verification_uri"), format!("{}/auth/device", server.address));
    assert_eq!(error(poll(&server, device).await), "authorization_pending");
    assert_eq!(error(poll(&server, device).await), "slow_down");
    let intervals = installation.texts("select interval_seconds::text from apex.program_sign_ins").await;
    assert_eq!(intervals, ["10"], "a program that asks too often waits longer");
    // Neither the codes nor their hashes under another key are stored.
    let rows = installation.texts("select to_jsonb(s)::text from apex.program_sign_ins s").await;
    let secret = device.rsplit('_').next().unwrap();
    assert!(!rows[0].contains(secret) && !rows[0].contains(&user.replace('-', "")), "{rows:?}");

    assert_eq!(decide(&browser, user, "approve").await, StatusCode::OK);
    let later = "update apex.program_sign_ins set last_polled_at = null";
    sqlx::query(later).execute(&mut installation.database.owner().await).await.unwrap();
    let ends_soon = "update apex.user_sessions set expires_at = clock_timestamp() + interval '1 hour',
                         refresh_expires_at = clock_timestamp() + interval '1 hour'";
    sqlx::query(ends_soon).execute(&mut installation.database.owner().await).await.unwrap();
    let (status, tokens) = poll(&server, device).await;
    assert_eq!((status, text(&tokens, "token_type")), (StatusCode::OK, "Bearer"), "{tokens}");
    let longer =
        "select count(*)::text from apex.user_sessions where expires_at > clock_timestamp() + interval '1 hour'";
    assert_eq!(installation.texts(longer).await, ["0"], "the session of the program ends with that of the browser");
    assert_eq!(error(poll(&server, device).await), "invalid_grant", "a code is used once");
    let again = browser.open(&format!("/auth/device?user_code={user}")).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{}", again.text);

    let denied = device_code(&server).await;
    assert_eq!(decide(&browser, text(&denied, "user_code"), "deny").await, StatusCode::OK);
    assert_eq!(error(poll(&server, text(&denied, "device_code")).await), "access_denied");

    let expired = device_code(&server).await;
    let end = "update apex.program_sign_ins set expires_at = clock_timestamp() where is_approved is null";
    sqlx::query(end).execute(&mut installation.database.owner().await).await.unwrap();
    assert_eq!(error(poll(&server, text(&expired, "device_code")).await), "expired_token");
    let late = browser.open(&format!("/auth/device?user_code={}", text(&expired, "user_code"))).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);

    for wrong in [format!("{device}0"), device.replace("apexdc_", "apexlc_"), "x".to_owned(), String::new()] {
        assert_eq!(error(poll(&server, &wrong).await), "invalid_grant", "{wrong}");
    }
    let unknown = redeem(&server, &[("grant_type", "password"), ("device_code", device)]).await;
    assert_eq!(error(unknown), "unsupported_grant_type");
    assert_eq!(error(redeem(&server, &[("grant_type", "authorization_code")]).await), "invalid_request");
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_are_guessed_are_limited_and_so_are_passwords_on_the_page() {
    let installation = Installation::new().await;
    let server = installation.serve(&["--sign-in-attempts", "4"]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let browser = Browser::new(&server);
    browser.sign_in("ada@example.org", PASSWORD, "/auth/device").await;
    let mut statuses = Vec::new();
    for code in ["BCDF-GHJK", "BCDF-GHJL", "BCDF-GHJM", "BCDF-GHJN", "BCDF-GHJP"] {
        statuses.push(browser.open(&format!("/auth/device?user_code={code}")).await.status);
    }
    let (wrong, limited) = (StatusCode::NOT_FOUND, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(statuses, [wrong, wrong, wrong, wrong, limited]);
    // The right one is not accepted either until the time is over.
    let started = device_code(&server).await;
    let right = browser.open(&format!("/auth/device?user_code={}", text(&started, "user_code"))).await;
    assert_eq!(right.status, limited);
    let other = Browser::new(&server);
    let attempt =
        [("email", "bob@example.org"), ("password", "wrong"), ("tenant", "default"), ("return_to", "/auth/device")];
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let page = other.submit("/auth/sign-in", &attempt).await;
        assert!(page.text.contains("role=\"alert\"") && page.text.contains("bob@example.org"), "{}", page.text);
        assert!(!page.text.contains("\"wrong\""), "the password is not in the page: {}", page.text);
        statuses.push(page.status);
    }
    assert_eq!((statuses[0], statuses[5]), (StatusCode::UNAUTHORIZED, limited));
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_brings_the_code_to_the_program_once() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let home = tempfile::tempdir().unwrap();
    let mut login = Waiting::start(home.path(), &server, &["--no-browser"]);
    let path = login.until(&server.address).await;
    assert!(path.starts_with("/auth/cli?"), "{path}");
    let browser = Browser::new(&server);
    let led = browser.open(&path).await;
    let page = browser.open(led.location()).await;
    let back = browser.sign_in("ada@example.org", PASSWORD, &page.hidden("return_to")).await;
    assert_eq!(back, path);
    let page = browser.open(&back).await;
    assert!(page.text.contains("Sign in the command line on this machine as ada@example.org?"), "{}", page.text);
    let fields = ["port", "state", "code_challenge", "csrf"].map(|name| (name, page.hidden(name)));
    let form = |csrf: &str| {
        let mut form: Vec<(&str, String)> = fields.iter().map(|(name, value)| (*name, value.clone())).collect();
        form[3].1 = csrf.to_owned();
        form.push(("decision", "approve".to_owned()));
        form
    };
    let submit = async |csrf: &str, origin: Option<&str>| {
        let form = form(csrf);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match origin {
            Some(origin) => browser.submit_from(origin, "/auth/cli/decision", &form).await,
            None => browser.submit("/auth/cli/decision", &form).await,
        }
    };
    // A foreign page, and one that does not know the value of the cookie, sign nothing in.
    let csrf = fields[3].1.clone();
    for (csrf, origin) in
        [("", None), ("x", None), (csrf.as_str(), Some("https://evil.example")), (csrf.as_str(), Some("null"))]
    {
        let refused = submit(csrf, origin).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{csrf:?} {origin:?}: {}", refused.text);
    }
    assert_eq!(installation.texts("select count(*)::text from apex.program_sign_ins").await, ["0"]);
    let brought = submit(&csrf, None).await;
    let (port, state) = (&fields[0].1, &fields[1].1);
    let expected = format!("http://127.0.0.1:{port}/?state={state}&code=apexlc_");
    assert!(
        brought.status == StatusCode::SEE_OTHER && brought.location().starts_with(&expected),
        "{}",
        brought.location()
    );
    // Another process that saw the code has no verifier.
    let code = brought.location().rsplit_once("code=").unwrap().1.to_owned();
    let thief = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", &"v".repeat(43))];
    assert_eq!(redeem(&server, &thief).await.1["error"], "invalid_grant");
    let wrong_state = format!("http://127.0.0.1:{port}/?state=other&code={code}");
    assert_eq!(testkit::http_get(wrong_state).await.unwrap().status(), StatusCode::NOT_FOUND);
    let page = testkit::http_get(brought.location()).await.unwrap();
    assert!(page.text().await.unwrap().contains("You are signed in"));
    let (exit, said) = login.end().await;
    assert_eq!(exit, Some(0), "{said}");
    whoami(home.path(), &server).await.assert_success();
    let (_, log) = server.terminate().await;
    assert!(!log.contains(&code) && !log.contains(state), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_refuses_signs_nothing_in() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let browser = Browser::new(&server);
    browser.sign_in("ada@example.org", PASSWORD, "/auth/device").await;
    let home = tempfile::tempdir().unwrap();
    let mut login = Waiting::start(home.path(), &server, &["--no-browser"]);
    let page = browser.open(&login.until(&server.address).await).await;
    let hidden = ["port", "state", "code_challenge", "csrf"].map(|name| (name, page.hidden(name)));
    let mut form: Vec<_> = hidden.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form.push(("decision", "deny"));
    let led = browser.submit("/auth/cli/decision", &form).await;
    assert!(led.location().ends_with("error=access_denied"), "{}", led.location());
    testkit::http_get(led.location()).await.unwrap();
    let (exit, said) = login.end().await;
    assert!(exit == Some(1) && said.contains("you have refused"), "{said}");
    assert!(!home.path().join(".config/apex/credentials.json").exists());
    // What a program asks with has to be what the flow defines.
    let valid = "port=1&state=s&code_challenge=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&code_challenge_method=S256";
    assert_eq!(browser.open(&format!("/auth/cli?{valid}")).await.status, StatusCode::OK);
    for (what, with) in
        [("S256", "plain"), ("port=1", "port=0"), ("port=1", "port=x"), ("state=s", "state=%22%3E"), ("AAAA", "A")]
    {
        let page = browser.open(&format!("/auth/cli?{}", valid.replacen(what, with, 1))).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{with}: {}", page.text);
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_no_scripts_are_in_no_frames_and_lead_nowhere_else() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let browser = Browser::new(&server);
    for path in [
        "/auth/sign-in",
        "/auth/forgot-password",
        "/auth/set-password?token=%22%3E%3Cscript%3E",
        "/auth/invitation?token=x",
    ] {
        let page = browser.open(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        let header = |name: &str| page.headers[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && header("cache-control") == "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert!(!page.text.contains("<script") && page.text.contains("<html lang=\"en\">"), "{}", page.text);
        // Every input has a label.
        let inputs = page.text.matches("<input id=").count();
        assert!(inputs > 0 && page.text.matches("<label for=").count() == inputs, "{}", page.text);
    }
    let style = browser.open("/auth/page.css").await;
    assert!(style.status == StatusCode::OK && style.headers["content-type"].to_str().unwrap().starts_with("text/css"));
    for elsewhere in ["https://evil.example/", "//evil.example/auth/", "/graphql", "/auth/\\evil", ""] {
        assert_eq!(browser.sign_in("ada@example.org", PASSWORD, elsewhere).await, "/auth/sign-in", "{elsewhere}");
    }
    // A foreign page cannot sign the browser in as another person.
    let form =
        [("email", "ada@example.org"), ("password", PASSWORD), ("tenant", "default"), ("return_to", "/auth/device")];
    let refused = browser.submit_from("https://evil.example", "/auth/sign-in", &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let page = browser.open("/auth/sign-in").await;
    assert!(page.text.contains("You are signed in as ada@example.org"), "{}", page.text);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_renew_a_session_at_once_do_not_end_it() {
    let installation = Installation::new().await;
    // Less than the time before its end at which a token is renewed: each run renews it.
    let server = installation.serve(&["--access-token-seconds", "20"]).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let home = tempfile::tempdir().unwrap();
    sign_in(&server, home.path(), "ada@example.org").await;
    let number = "select refresh_number::text from apex.user_sessions order by created_at desc limit 1";
    let before: i64 = installation.texts(number).await[0].parse().unwrap();
    let runs = (0..8).map(|_| whoami(home.path(), &server));
    for output in futures::future::join_all(runs).await {
        output.assert_success();
    }
    let after: i64 = installation.texts(number).await[0].parse().unwrap();
    assert_eq!(after, before + 8, "each process has renewed the session once");
    whoami(home.path(), &server).await.assert_success();
    let left: Vec<_> = std::fs::read_dir(home.path().join(".config/apex")).unwrap().collect();
    assert_eq!(left.len(), 2, "the file and its lock are left: {left:?}");

    // Control: a process that does not hold the lock uses a token that was used, and the session ends.
    let file = home.path().join(".config/apex/credentials.json");
    let used: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let token = json!({ "refreshToken": used["servers"][&server.address]["refresh_token"] });
    whoami(home.path(), &server).await.assert_success();
    assert_eq!(post(&server, "/auth/refresh", None, token).await.0, StatusCode::UNAUTHORIZED);
    let ended = whoami(home.path(), &server).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("has ended") && ended.stderr.contains("apex login"), "{}", ended.stderr);
    drop(server.terminate().await);
}
