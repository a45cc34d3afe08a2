//! Mail: links and invitations are sent by a mail server, in the background, and nothing about a person is where it cannot be
//! erased.

use crate::browser::Browser;
use crate::users::{Installation, PASSWORD, ask, login, post, text};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::{Arc, Mutex};
use testkit::{Server, wait_until};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail server that keeps what it is sent.
#[derive(Clone, Default)]
pub(crate) struct MailServer {
    mails: Arc<Mutex<Vec<String>>>,
    /// The answers to the next recipients in place of `250`.
    refusals: Arc<Mutex<Vec<&'static str>>>,
}

impl MailServer {
    pub(crate) async fn start() -> (Self, String) {
        let (listener, server) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Self::default());
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().converse(stream));
            }
        });
        (server, url)
    }

    /// The part of SMTP (RFC 5321) that a client needs.
    async fn converse(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut answer = "220 mail.example ready".to_owned();
        loop {
            if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return;
            }
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            answer = match line.split([' ', '\r']).next().unwrap().to_uppercase().as_str() {
                "RCPT" => self.refusals.lock().unwrap().pop().unwrap_or("250 fine").replace("RCPT", line.trim()),
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    let mut mail = String::new();
                    while !mail.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut mail).await.unwrap();
                    }
                    self.mails.lock().unwrap().push(mail);
                    "250 sent".to_owned()
                }
                "QUIT" => "221 bye".to_owned(),
                _ => "250 fine".to_owned(),
            };
        }
    }

    /// The next mail, with lines that were broken for the way put together.
    pub(crate) async fn mail(&self) -> String {
        wait_until("there is a mail", async || !self.mails.lock().unwrap().is_empty()).await;
        self.mails.lock().unwrap().remove(0).replace("=\r\n", "").replace("=3D", "=")
    }
}

async fn serve(installation: &Installation, smtp: &str) -> Server {
    let mail = ["--smtp-url", smtp, "--mail-from", "Apex <apex@example.com>", "--public-url", "https://apex.example"];
    installation.serve(&mail).await
}

/// The token of a link in a mail.
fn token<'m>(mail: &'m str, page: &str) -> &'m str {
    let start = format!("https://apex.example{page}?token=");
    let (_, rest) = mail.split_once(&start).unwrap_or_else(|| panic!("no {start} in {mail}"));
    rest.split_whitespace().next().unwrap()
}

async fn request_reset(server: &Server, email: &str) {
    let (status, answer) = post(server, "/auth/password-reset/request", None, json!({ "email": email })).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "requested": true })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_asks_for_a_link_is_mailed_one_that_sets_the_password() {
    let installation = Installation::new().await;
    let (mails, smtp) = MailServer::start().await;
    let server = serve(&installation, &smtp).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    request_reset(&server, "nobody@example.org").await;
    request_reset(&server, "ada@example.org").await;
    let mail = mails.mail().await;
    for expected in ["From: Apex <apex@example.com>", "To: ada@example.org", "Subject: Set your password", "text/plain"]
    {
        assert!(mail.contains(expected), "no {expected} in {mail}");
    }
    let token = token(&mail, "/auth/set-password").to_owned();
    let browser = Browser::new(&server);
    let page = browser.open(&format!("/auth/set-password?token={token}")).await;
    assert_eq!(page.hidden("token"), token);
    let new = "oolong in the evening";
    let short = browser.submit("/auth/set-password", &[("token", &token), ("password", "short")]).await;
    assert!(short.status == StatusCode::BAD_REQUEST && short.text.contains("role=\"alert\""), "{}", short.text);
    let set = browser.submit("/auth/set-password", &[("token", &token), ("password", new)]).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    assert_eq!(login(&server, "ada@example.org", new).await.0, StatusCode::OK);
    let again = browser.submit("/auth/set-password", &[("token", &token), ("password", PASSWORD)]).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    // Who asks by the page, again within a minute, is mailed nothing more.
    let asked = browser.submit("/auth/forgot-password", &[("email", "ada@example.org"), ("tenant", "default")]).await;
    assert_eq!(asked.status, StatusCode::OK);
    let jobs = "select count(*)::text from apex.jobs where kind = 'mail' and state = 'done'";
    wait_until("the mails are sent", async || installation.texts(jobs).await == ["1"]).await;
    assert!(mails.mails.lock().unwrap().is_empty(), "nobody else was mailed");
    let (_, log) = server.terminate().await;
    assert!(!log.contains("@example.org") && !log.contains(&token), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_mailed_and_its_token_is_nowhere_else() {
    let installation = Installation::new().await;
    let (mails, smtp) = MailServer::start().await;
    let server = serve(&installation, &smtp).await;
    let invite = "mutation { inviteUser(input: { email: \"bob@example.org\", roles: [VIEWER] }) { outcome token } }";
    let (_, answer) = ask(&server, "tea", invite).await;
    let returned = text(&answer["data"]["inviteUser"], "token").to_owned();
    let mail = mails.mail().await;
    assert!(mail.contains("To: bob@example.org"), "{mail}");
    assert_eq!(token(&mail, "/auth/invitation"), returned);
    let secret = returned.rsplit('_').next().unwrap();
    for row in installation.texts("select to_jsonb(j)::text from apex.jobs j where kind = 'mail'").await {
        assert!(!row.contains(secret) && !row.contains("bob@") && row.contains("sealed"), "{row}");
    }
    let browser = Browser::new(&server);
    let form = [("token", returned.as_str()), ("display_name", "Bob"), ("password", PASSWORD)];
    let accepted = browser.submit("/auth/invitation", &form).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER, "{}", accepted.text);
    let page = browser.open(accepted.location()).await;
    assert!(page.text.contains("You are signed in as bob@example.org"), "{}", page.text);
    let (_, log) = server.terminate().await;
    assert!(!log.contains("bob@") && !log.contains(secret), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_sent_again_after_a_failure_that_may_pass_and_not_after_another() {
    let installation = Installation::new().await;
    let (mails, smtp) = MailServer::start().await;
    let server = serve(&installation, &smtp).await;
    installation.user(&server, "ada@example.org", "viewer").await;
    mails.refusals.lock().unwrap().push("451 RCPT is not known at the moment");
    request_reset(&server, "ada@example.org").await;
    let mail = mails.mail().await;
    let attempts = "select attempts::text from apex.jobs where kind = 'mail'";
    assert_eq!(installation.texts(attempts).await, ["2"]);
    // The link of the attempt that failed was replaced by that of the mail.
    let set = json!({ "token": token(&mail, "/auth/set-password"), "password": PASSWORD });
    assert_eq!(post(&server, "/auth/password-reset", None, set).await.0, StatusCode::OK);

    mails.refusals.lock().unwrap().push("550 RCPT does not exist");
    installation.user(&server, "eve@example.org", "viewer").await;
    request_reset(&server, "eve@example.org").await;
    let dead = "select last_error from apex.jobs where kind = 'mail' and state = 'dead'";
    wait_until("the mail is a dead letter", async || !installation.texts(dead).await.is_empty()).await;
    assert_eq!(installation.texts(dead).await, ["the mail server answers with 550"]);
    let (_, log) = server.terminate().await;
    assert!(!log.contains("@example.org"), "what the mail server says of a person is in no log: {log}");
    assert!(log.contains("550"), "that a mail is not sent is logged: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_mail_are_complete_or_refused() {
    let installation = Installation::new().await;
    let smtp = "smtps://ada:tea-secret@mail.example";
    let run = async |arguments: &[&str]| {
        installation.database.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat()).await
    };
    let incomplete = run(&["--smtp-url", smtp]).await;
    assert!(incomplete.code == Some(2) && incomplete.stderr.contains("--mail-from"), "{}", incomplete.stderr);
    let wrong = run(&["--smtp-url", smtp, "--mail-from", "nobody", "--public-url", "https://apex.example"]).await;
    assert!(wrong.code == Some(1) && wrong.stderr.contains("APEX_MAIL_FROM"), "{}", wrong.stderr);
    for output in [incomplete, wrong] {
        assert!(!output.stderr.contains("tea-secret"), "{}", output.stderr);
    }
}
