//! Mail over TLS and with a login, by a real mail server: what is not encrypted, not trusted or not accepted sends nothing, and the
//! password of the mail server is in no log.

use crate::users::{Installation, post};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use testkit::{Authority, Certificate, Server, wait_until};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const USER: &str = "apex";
/// It is what would be found in a log.
const PASSWORD: &str = "tea-of-the-mail-server";

/// A mail server that was started for a test, and what it says. It ends with its standard input.
struct MailServer {
    child: Child,
    port: u64,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl MailServer {
    async fn start(mode: &str, certificate: &Certificate) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/tools/smtp-python/bin/python");
        assert!(python.exists(), "{} does not exist: run scripts/python-environment.sh", python.display());
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (chain, key) = (write("chain.pem", &certificate.certificate), write("key.pem", &certificate.key));
        let mut command = Command::new(python);
        command.arg(root.join("tests/smtp/server.py")).arg(mode).args([chain, key]).args([USER, PASSWORD]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&output.next_line().await.unwrap().unwrap()).unwrap();
        let port = first["port"].as_u64().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = lines.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                said.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port, lines }
    }

    fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    fn url(&self, scheme: &str, host: &str, password: &str, query: &str) -> String {
        format!("{scheme}://{USER}:{password}@{host}:{}{query}", self.port)
    }

    async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A server of Apex that sends mail, with the certificate of an authority that it trusts beside those of the system, and a person
/// who has asked for a link.
async fn serve(installation: &Installation, smtp: &str, authority: Option<&Authority>) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    let mut arguments =
        vec!["--smtp-url", smtp, "--mail-from", "Apex <apex@example.com>", "--public-url", "https://apex.example"];
    if let Some(authority) = authority {
        std::fs::write(&file, authority.pem()).unwrap();
        arguments.extend(["--smtp-ca-file", file.to_str().unwrap()]);
    }
    let server = installation.serve(&arguments).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    let asked = post(&server, "/auth/password-reset/request", None, json!({ "email": "ada@example.org" })).await;
    assert!(asked.0.is_success(), "{asked:?}");
    server
}

/// What of the password a log could have: as it is, and as it is sent to the mail server.
fn assert_without_secrets(text: &str) {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let plain = format!("\0{USER}\0{PASSWORD}");
    for secret in [PASSWORD.to_owned(), encode(PASSWORD), encode(&plain), "wrong-password".to_owned()] {
        assert!(!text.contains(&secret), "{secret} is in {text}");
    }
    assert!(!text.contains("ada@example.org"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_sent_over_tls_with_a_login() {
    let authority = Authority::new();
    let certificate = authority.issue(&["localhost"]);
    for (mode, scheme, query) in [("implicit", "smtps", ""), ("starttls", "smtp", "?tls=required")] {
        let mails = MailServer::start(mode, &certificate).await;
        let installation = Installation::new().await;
        let url = mails.url(scheme, "localhost", PASSWORD, query);
        let server = serve(&installation, &url, Some(&authority)).await;
        let mail = || mails.lines().into_iter().find(|line| line["mail"].is_string());
        wait_until("there is a mail", async || mail().is_some()).await;
        let mail = mail().unwrap();
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!(USER)), "{mode}: {mail}");
        assert_eq!(mail["to"], json!(["ada@example.org"]));
        assert!(mail["mail"].as_str().unwrap().contains("https://apex.example/auth/set-password"), "{mail}");
        assert!(mails.lines().iter().all(|line| line["tls"] == json!(true)), "{mode}: {:?}", mails.lines());
        let (_, log) = server.terminate().await;
        assert_without_secrets(&log);
        mails.stop().await;
    }
}

/// How a mail server is asked that must not be sent anything, and what is said of it.
struct Refused<'a> {
    what: &'static str,
    mode: &'a str,
    url: (&'a str, &'a str, &'a str),
    certificate: &'a Certificate,
    trusted: Option<&'a Authority>,
    password: &'a str,
    error: &'static str,
    /// The attempts to log in that the mail server saw: none before its certificate was found to be right.
    logins: &'a [bool],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_a_mail_server_that_is_not_as_the_settings_demand() {
    let (authority, other) = (Authority::new(), Authority::new());
    let certificate = authority.issue(&["localhost"]);
    let (of_other_host, expired) = (authority.issue(&["mail.example"]), authority.issue_expired(&["localhost"]));
    let (implicit, starttls) = (("smtps", "localhost", ""), ("smtp", "localhost", "?tls=required"));
    let untrusted = "the mail server cannot be reached: its certificate is not trusted, or it speaks no TLS";
    let case = |what, mode, url| Refused {
        what,
        mode,
        url,
        certificate: &certificate,
        trusted: Some(&authority),
        password: PASSWORD,
        error: untrusted,
        logins: &[],
    };
    let wrong = "wrong-password";
    let refused_login = "the mail server answers with 535";
    let no_starttls = "the mail server cannot be reached: it does not support what the settings demand";
    for refused in [
        Refused { trusted: Some(&other), ..case("another authority", "implicit", implicit) },
        Refused { trusted: Some(&other), ..case("another authority after STARTTLS", "starttls", starttls) },
        Refused { trusted: None, ..case("no authority but those that are shipped", "implicit", implicit) },
        Refused { certificate: &of_other_host, ..case("a certificate of another host", "implicit", implicit) },
        Refused { certificate: &expired, ..case("an expired certificate", "starttls", starttls) },
        Refused {
            password: wrong,
            error: refused_login,
            logins: &[false],
            ..case("a wrong password", "implicit", implicit)
        },
        Refused {
            password: wrong,
            error: refused_login,
            logins: &[false],
            ..case("a wrong password after STARTTLS", "starttls", starttls)
        },
        Refused { error: no_starttls, ..case("a server without STARTTLS", "plain", starttls) },
        case("a server without TLS", "plain", implicit),
    ] {
        let mails = MailServer::start(refused.mode, refused.certificate).await;
        let installation = Installation::new().await;
        let (scheme, host, query) = refused.url;
        let url = mails.url(scheme, host, refused.password, query);
        let server = serve(&installation, &url, refused.trusted).await;
        let errors = "select last_error from apex.jobs where kind = 'mail' and last_error is not null";
        wait_until(refused.what, async || !installation.texts(errors).await.is_empty()).await;
        assert_eq!(installation.texts(errors).await, [refused.error], "{}", refused.what);
        // The mail server says beside its answer that there was a login.
        let has_login = || mails.lines().iter().any(|line| line["login"].is_boolean());
        wait_until(refused.what, async || refused.logins.is_empty() || has_login()).await;
        let lines = mails.lines();
        let logins: Vec<_> = lines.iter().filter_map(|line| line["login"].as_bool()).collect();
        // An attempt that may succeed later is repeated.
        assert!(logins.iter().all(|login| refused.logins.contains(login)), "{}: {lines:?}", refused.what);
        assert_eq!(logins.is_empty(), refused.logins.is_empty(), "{}: {lines:?}", refused.what);
        assert!(lines.iter().all(|line| line["mail"].is_null()), "{}: {lines:?}", refused.what);
        let (_, log) = server.terminate().await;
        assert_without_secrets(&log);
        let rows = installation.texts("select to_jsonb(j)::text from apex.jobs j where kind = 'mail'").await;
        assert_without_secrets(&rows.join("\n"));
        mails.stop().await;
    }
}

/// A password is sent over TLS or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_for_a_mail_server_without_tls_is_refused() {
    let installation = Installation::new().await;
    for query in ["", "?tls=opportunistic"] {
        let url = format!("smtp://{USER}:{PASSWORD}@127.0.0.1:1{query}");
        let mail =
            ["--smtp-url", &url, "--mail-from", "Apex <apex@example.com>", "--public-url", "https://apex.example"];
        let output = installation.database.run(&[&["serve", "--listen", "127.0.0.1:0"], &mail[..]].concat()).await;
        assert!(output.code == Some(1) && output.stderr.contains("tls=required"), "{}", output.stderr);
        assert_without_secrets(&output.stderr);
    }
}
