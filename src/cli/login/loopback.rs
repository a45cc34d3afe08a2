//! The loopback flow (RFC 8252 with PKCE, RFC 7636): a browser on this machine brings the code to a port of this process.

use super::tokens::{Redeemed, redeemed};
use crate::client::{Http, StoredSession};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long the person may take.
const TIMEOUT: Duration = Duration::from_mins(10);
/// How long a connection of the browser may take, and the most bytes of its request that are read.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// The programs that open an address in a browser.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// 256 random bits in base64url.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).context("the operating system gives no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Signs a person in.
pub(super) async fn sign_in(http: &Http, starts_browser: bool) -> anyhow::Result<StoredSession> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port of this machine can be listened on")?;
    let port = listener.local_addr()?.port();
    let (state, verifier) = (random()?, random()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let query = format!("port={port}&state={state}&code_challenge={challenge}&code_challenge_method=S256");
    let page = http.at(&format!("/auth/cli?{query}"));
    say!("Sign in with your browser at:\n\n  {page}\n");
    if starts_browser && !open(&page) {
        say!("No browser could be started: open the address yourself, or use `apex login --device`.");
    }
    say!("Waiting for you; Ctrl-C ends this.");
    let waited = tokio::time::timeout(TIMEOUT, code(&listener, &state)).await;
    let code = waited.context("nobody signed in within ten minutes: run `apex login` again")??;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", verifier.as_str()),
        ("client_id", "apex-cli"),
    ];
    match redeemed(http, http.post_form("/auth/token", &form).await?)? {
        Redeemed::Session(session) => Ok(session),
        Redeemed::Refused(error) => {
            anyhow::bail!("the server refuses the code of the browser ({error}): run `apex login` again")
        }
    }
}

/// Starts a browser; whether there is a program that does.
fn open(page: &str) -> bool {
    OPENERS.iter().any(|opener| {
        let mut command = std::process::Command::new(opener);
        command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
    })
}

/// What a request of the browser brings.
#[derive(Debug, PartialEq, Eq)]
enum Brought {
    Code(String),
    Refusal,
    /// Something else, such as a request for an icon, or one of another program.
    Nothing,
}

/// Waits for the code.
async fn code(listener: &TcpListener, state: &str) -> anyhow::Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let brought = tokio::time::timeout(REQUEST_TIMEOUT, answer(&mut stream, state)).await;
        match brought {
            Ok(Ok(Brought::Code(code))) => return Ok(code),
            Ok(Ok(Brought::Refusal)) => anyhow::bail!("you have refused: nobody is signed in"),
            // Whatever else connects to the port is no reason to give up.
            Ok(Ok(Brought::Nothing) | Err(_)) | Err(_) => {}
        }
    }
}

async fn answer(stream: &mut TcpStream, state: &str) -> std::io::Result<Brought> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < MAX_REQUEST_BYTES {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request);
    let brought = brought(text.lines().next().unwrap_or_default(), state);
    let (status, message) = match &brought {
        Brought::Code(_) => ("200 OK", "You are signed in. You can close this page, and go on in the terminal."),
        Brought::Refusal => ("200 OK", "The command line is not signed in. You can close this page."),
        Brought::Nothing => ("404 Not Found", "This is not what the command line waits for."),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Apex</title><main><h1>Apex</h1><p>{message}</p></main></html>"
    );
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: default-src 'none'; frame-ancestors 'none'\r\nreferrer-policy: no-referrer\r\n\
         connection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(brought)
}

/// What the first line of a request brings. One with another state was not caused by this process.
fn brought(line: &str, state: &str) -> Brought {
    let query = line.strip_prefix("GET /?").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if value("state") != Some(state) {
        return Brought::Nothing;
    }
    match (value("code"), value("error")) {
        (Some(code), None) if !code.is_empty() => Brought::Code(code.to_owned()),
        (None, Some(_)) => Brought::Refusal,
        _ => Brought::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_process_counts() {
        let of = |line: &str| brought(line, "s1");
        assert_eq!(of("GET /?state=s1&code=apexlc_1 HTTP/1.1"), Brought::Code("apexlc_1".to_owned()));
        assert_eq!(of("GET /?state=s1&error=access_denied HTTP/1.1"), Brought::Refusal);
        for other in [
            "",
            "GET /favicon.ico HTTP/1.1",
            "GET /?state=s2&code=apexlc_1 HTTP/1.1",
            "GET /?code=apexlc_1 HTTP/1.1",
            "GET /?state=s1 HTTP/1.1",
            "GET /?state=s1&code= HTTP/1.1",
            "GET /?state=s1&code=a&error=b HTTP/1.1",
            "POST /?state=s1&code=apexlc_1 HTTP/1.1",
        ] {
            assert_eq!(of(other), Brought::Nothing, "{other:?}");
        }
    }
}
