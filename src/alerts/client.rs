//! The HTTP client of deliveries: TLS by rustls with ring, no redirects, no proxy, and a limit on everything.
//!
//! Nothing of an answer is read but its status and `Retry-After`. Errors do not have the URL, which may be secret.

use super::address::{Allowed, GuardedResolver, Lookup, Refused, system};
use crate::pem;
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use reqwest::header::RETRY_AFTER;
use reqwest::{StatusCode, Url};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections to a host that are kept open for later deliveries, and how long.
const MAX_IDLE_CONNECTIONS: usize = 1;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no client for deliveries.
#[derive(Debug, Error)]
pub enum AlertClientError {
    /// The certificates of the settings cannot be used.
    #[error("the file of --alert-ca-file cannot be used: {0}")]
    CaFile(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up for deliveries of alerts")]
    Tls(#[from] rustls::Error),
    /// The client cannot be built.
    #[error("the HTTP client of deliveries cannot be built")]
    Client(#[from] reqwest::Error),
}

/// Why a request was not answered.
#[derive(Debug, Error)]
pub(super) enum PostError {
    /// The stored URL is not one.
    #[error("the address of the endpoint is not a URL")]
    Url,
    /// The address may not be connected to.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no answer.
    #[error("the endpoint did not answer")]
    Request(#[source] reqwest::Error),
}

/// What is read of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// How long the endpoint asks to wait before the next attempt (`Retry-After`), if it does.
    pub(super) retry_after: Option<Duration>,
}

/// The delay of a header `Retry-After`: a number of seconds, or a time of HTTP; none if it is neither.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?;
    Some((at.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

/// Posts messages to endpoints. Plain HTTP is for networks alone that the operator allows.
pub struct AlertClient {
    secure: (reqwest::Client, Allowed),
    plain: (reqwest::Client, Allowed),
}

impl AlertClient {
    /// A client that reaches public addresses, and those of some networks. It trusts the authorities of the Mozilla list and those
    /// of a file.
    ///
    /// # Errors
    /// [`AlertClientError`] if the file cannot be used, or TLS cannot be set up.
    pub fn new(networks: &[IpNet], ca_file: Option<&Path>, timeout: Duration) -> Result<Self, AlertClientError> {
        Self::with_lookup(networks, ca_file, timeout, &system())
    }

    fn with_lookup(
        networks: &[IpNet],
        ca_file: Option<&Path>,
        timeout: Duration,
        lookup: &Lookup,
    ) -> Result<Self, AlertClientError> {
        let unusable = |error| AlertClientError::CaFile(domain::error_with_causes(&error));
        let roots = pem::roots(ca_file).map_err(unusable)?;
        let build = |allowed: Allowed| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            let tls = tls.with_root_certificates(roots.clone()).with_no_client_auth();
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .dns_resolver(GuardedResolver { allowed: allowed.clone(), lookup: lookup.clone() })
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(timeout)
                .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .user_agent(concat!("apex/", env!("CARGO_PKG_VERSION")))
                .build()?;
            Ok::<_, AlertClientError>((client, allowed))
        };
        Ok(Self { secure: build(Allowed::public_and(networks))?, plain: build(Allowed::only(networks))? })
    }

    /// Posts JSON, and returns what is read of the answer.
    pub(super) async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Answer, PostError> {
        let url: Url = url.parse().map_err(|_| PostError::Url)?;
        let (client, allowed) = if url.scheme() == "https" { &self.secure } else { &self.plain };
        // An address in a URL is not looked up.
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            allowed.check(address)?;
        }
        let request = client.post(url).header("content-type", "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        match request.send().await {
            Ok(answer) => {
                let value = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let retry_after = value.and_then(|value| retry_after(value.trim(), Utc::now()));
                Ok(Answer { status: answer.status(), retry_after })
            }
            Err(error) => Err(PostError::Request(error.without_url())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::BoxFuture;
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A server on loopback that answers with 204 and closes, and how many connections it had.
    async fn server() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
            }
        });
        (port, connections)
    }

    fn client(networks: &[&str], answers: &[&str]) -> (AlertClient, Arc<AtomicUsize>) {
        crate::cli::install_crypto_provider();
        let networks: Vec<IpNet> = networks.iter().map(|network| network.parse().unwrap()).collect();
        let answers: Vec<IpAddr> = answers.iter().map(|answer| answer.parse().unwrap()).collect();
        let (asked, answers) = (Arc::new(AtomicUsize::new(0)), Mutex::new(answers));
        let counted = asked.clone();
        let lookup: Lookup = Arc::new(move |_: String| -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut answers = answers.lock().unwrap();
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
            Box::pin(async move { Ok(vec![SocketAddr::from((answer, 0))]) })
        });
        (AlertClient::with_lookup(&networks, None, Duration::from_secs(5), &lookup).unwrap(), asked)
    }

    async fn post(client: &AlertClient, url: &str) -> Result<StatusCode, String> {
        let answer = client.post(url, &[], "{}".to_owned()).await.map(|answer| answer.status);
        answer.map_err(|error| domain::error_with_causes(&error))
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_time() {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        let seconds = |value: &str| retry_after(value, now).map(|delay| delay.as_secs());
        assert_eq!([seconds("120"), seconds("Sun, 06 Nov 1994 08:49:37 GMT")], [Some(120), Some(37)]);
        // A time that is over asks for no delay.
        assert_eq!(seconds("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0));
        assert_eq!(["soon", "-1", "", "1.5"].map(seconds), [None; 4]);
    }

    /// A name that has a public address when it is checked, and one of this machine when it is used.
    #[tokio::test]
    async fn a_name_with_another_address_at_the_second_look_up_is_not_followed() {
        let (port, connections) = server().await;
        let url = format!("http://hooks.example.com:{port}/secret");
        // The first address is allowed, and stands for a public one; the second one is not.
        let (client, asked) = client(&["127.0.0.1/32"], &["127.0.0.1", "127.0.0.2"]);
        assert_eq!(post(&client, &url).await, Ok(StatusCode::NO_CONTENT));
        let refused = post(&client, &url).await.unwrap_err();
        assert!(refused.contains("is not an address"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
        assert!(
            !refused.contains("127.0.0.2"),
            "a tenant would learn what names of the operator's network are: {refused}"
        );
        // Each request looks the name up once, and connects to what it found.
        assert_eq!((asked.load(Ordering::SeqCst), connections.load(Ordering::SeqCst)), (2, 1));
    }

    #[tokio::test]
    async fn neither_a_name_nor_an_address_reaches_this_machine() {
        let (port, connections) = server().await;
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "localhost"] {
            let (client, _) = client(&[], &["127.0.0.1"]);
            for scheme in ["http", "https"] {
                let refused = post(&client, &format!("{scheme}://{host}:{port}/")).await.unwrap_err();
                assert!(refused.contains("is not an address"), "{scheme} {host}: {refused}");
            }
        }
        assert_eq!(connections.load(Ordering::SeqCst), 0);
        // Control: it is reached where it is allowed.
        let (client, _) = client(&["127.0.0.0/8"], &["127.0.0.1"]);
        assert_eq!(post(&client, &format!("http://localhost:{port}/")).await, Ok(StatusCode::NO_CONTENT));
    }
}
