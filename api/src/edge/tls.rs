//! TLS under HTTP, with rustls: the certificate and key of the server, client certificates, and reloading them.
//!
//! The files are read again while the server runs. Connections that are open keep what they were opened with. Files that
//! cannot be used change nothing: the server goes on with what it has, and says so in its log and metrics.

use metrics::{counter, gauge};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are read again.
const RELOAD_INTERVAL: Duration = Duration::from_secs(2);
/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The protocols of this server, as clients negotiate them (ALPN), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"http/1.1", HTTP2];
/// HTTP/2, as clients negotiate it. Those of gRPC speak nothing else.
pub(crate) const HTTP2: &[u8] = b"h2";
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;
/// The answer to a client that speaks HTTP without TLS.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\
    Content-Length: 95\r\n\r\n\
    {\"errors\":[{\"message\":\"this port requires TLS: use https://\",\"extensions\":{\"code\":\"NOT_TLS\"}}]}";
/// How long a client without TLS may take to read the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The files of TLS, all in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate of the server, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// The certificates of the authorities that issue client certificates; none to ask clients for none.
    pub client_ca: Option<PathBuf>,
    /// Whether a client needs a certificate.
    pub client_certificates: ClientCertificates,
}

/// Whether a client needs a certificate, where there are authorities that issue them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// A client without a certificate is refused.
    #[default]
    Required,
    /// A client without a certificate is accepted; one with a certificate that is not valid is refused.
    Optional,
}

/// Why the files of TLS cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is too large to be one of certificates or keys.
    #[error("{} has more than {max} bytes, which is the limit", path.display(), max = MAX_FILE_BYTES)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file has nothing of what it should have.
    #[error("{} has no {expected} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should have.
        expected: &'static str,
        /// Why it cannot be parsed, if that is known.
        #[source]
        source: Option<pem::Error>,
    },
    /// The certificate and the key cannot be used together.
    #[error("the certificate in {} and the key in {} cannot be used together", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// A certificate of an authority cannot be used.
    #[error("a certificate in {} is not that of an authority", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The authorities cannot be used.
    #[error("client certificates cannot be verified by {}", path.display())]
    Verifier {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
}

struct Shared {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    /// Hashes contents, so that no key is kept beside the one in use.
    hasher: RandomState,
    loaded: RwLock<u64>,
}

/// TLS of a server; cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let (contents, hasher) = (Contents::read(&files)?, RandomState::new());
        let current = RwLock::new(Arc::new(contents.config(&files)?));
        let loaded = RwLock::new(contents.hash(&hasher));
        Ok(Self(Arc::new(Shared { files, current, hasher, loaded })))
    }

    fn current(&self) -> Arc<ServerConfig> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again for ever, and uses them for new connections if they changed.
    pub(crate) async fn follow(&self) {
        gauge!("apex_tls_reload_failing").set(0.0);
        let mut failing = false;
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let tls = self.clone();
            // The server goes on with what it has if a thread cannot be started.
            let Ok(reloaded) = tokio::task::spawn_blocking(move || tls.reload()).await else { continue };
            match reloaded {
                Ok(Reloaded::Unchanged) if !failing => continue,
                Ok(Reloaded::Unchanged) => tracing::info!("the files of TLS are again those in use"),
                Ok(Reloaded::Changed) => {
                    counter!("apex_tls_reloads_total", "outcome" => "done").increment(1);
                    tracing::info!("the files of TLS were loaded again; new connections use them");
                }
                Err(_) if failing => continue,
                Err(error) => {
                    counter!("apex_tls_reloads_total", "outcome" => "failed").increment(1);
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the files of TLS cannot be loaded again: the server goes on with those that it has"
                    );
                    failing = true;
                    gauge!("apex_tls_reload_failing").set(1.0);
                    continue;
                }
            }
            failing = false;
            gauge!("apex_tls_reload_failing").set(0.0);
        }
    }

    /// Contents are compared, since the times of files tell little where they are links or are replaced one by one.
    fn reload(&self) -> Result<Reloaded, TlsError> {
        let contents = Contents::read(&self.0.files)?;
        let hash = contents.hash(&self.0.hasher);
        if hash == *self.0.loaded.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Reloaded::Unchanged);
        }
        let config = Arc::new(contents.config(&self.0.files)?);
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = hash;
        Ok(Reloaded::Changed)
    }

    /// Completes the handshake with a client; none if it fails or takes too long. A client that speaks HTTP is told that
    /// it has to use TLS.
    pub(crate) async fn handshake(&self, mut stream: TcpStream, timeout: Duration) -> Option<TlsStream<TcpStream>> {
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 0 || first[0] == HANDSHAKE {
                return TlsAcceptor::from(self.current()).accept(stream).await.map(Some);
            }
            drop(tokio::time::timeout(ANSWER_TIMEOUT, refuse_plain(&mut stream)).await);
            Ok(None)
        };
        let failed = match tokio::time::timeout(timeout, handshake).await {
            Ok(Ok(Some(stream))) => return Some(stream),
            Ok(Ok(None)) => "not_tls",
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a TLS handshake failed");
                "failed"
            }
            Err(_) => "timeout",
        };
        counter!("apex_tls_handshakes_failed_total", "reason" => failed).increment(1);
        None
    }
}

/// Answers a client that does not speak TLS. What it sent is read first: closing a connection with unread data would
/// reset it, and discard the answer.
async fn refuse_plain<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    use tokio::io::AsyncReadExt as _;
    let mut discarded = [0; 4096];
    let _bytes = stream.read(&mut discarded).await?;
    stream.write_all(NOT_TLS).await?;
    stream.shutdown().await?;
    // Until the client closes the connection, or the timeout.
    while stream.read(&mut discarded).await? > 0 {}
    Ok(())
}

/// The result of reading the files again.
enum Reloaded {
    Unchanged,
    Changed,
}

/// The contents of the files.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let client_ca = files.client_ca.as_deref().map(read).transpose()?;
        Ok(Self { certificate: read(&files.certificate)?, key: read(&files.key)?, client_ca })
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one((&self.certificate, &self.key, &self.client_ca))
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = certificates(&files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Pem {
            path: files.key.clone(),
            expected: "private key",
            source: Some(source),
        })?;
        let pair = |source| TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone(), source };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(pair)?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(contents), Some(path)) => {
                builder.with_client_cert_verifier(verifier(path, contents, files.client_certificates, provider)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(certificates, key).map_err(pair)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

/// The verifier of client certificates.
fn verifier(
    path: &Path,
    contents: &[u8],
    client_certificates: ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path, contents)? {
        roots.add(authority).map_err(|source| TlsError::Authority { path: path.to_owned(), source })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match client_certificates {
        ClientCertificates::Required => builder,
        ClientCertificates::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|source| TlsError::Verifier { path: path.to_owned(), source })
}

fn certificates(path: &Path, contents: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::Pem { path: path.to_owned(), expected: "certificate", source };
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(contents).collect();
    let parsed = parsed.map_err(|source| error(Some(source)))?;
    if parsed.is_empty() { Err(error(None)) } else { Ok(parsed) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let error = |source| TlsError::Read { path: path.to_owned(), source };
    let mut contents = Vec::new();
    let file = File::open(path).map_err(error)?;
    // A byte more than the limit tells that there is more.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents).map_err(error)?;
    if u64::try_from(contents.len()).is_ok_and(|bytes| bytes > MAX_FILE_BYTES) {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_that_it_says() {
        let text = std::str::from_utf8(NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = std::env::temp_dir().join(format!("apex-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let files = TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: None,
            client_certificates: ClientCertificates::Required,
        };
        let message = || Tls::load(files.clone()).unwrap_err().to_string();
        assert!(message().contains("certificate.pem cannot be read"), "{}", message());
        std::fs::write(&certificate, "nothing").unwrap();
        std::fs::write(&key, "nothing").unwrap();
        assert!(message().contains("certificate.pem has no certificate in PEM"), "{}", message());
        std::fs::write(&certificate, vec![b'x'; 2 * 1024 * 1024]).unwrap();
        assert!(message().contains("certificate.pem has more than 1048576 bytes"), "{}", message());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
