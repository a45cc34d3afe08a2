//! Settings of the edge of the server: TLS, web pages, proxies, and limits on clients.

use api::{ClientCertificates, DefaultLimits, ForwardedHeader, Origin, Tls, TlsFiles, TrustedProxies};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;

/// Whether a client needs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientCertificate {
    /// A client without a certificate is refused.
    Required,
    /// A client without a certificate is accepted.
    Optional,
}

/// The header in which proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyHeader {
    /// X-Forwarded-For.
    XForwardedFor,
    /// Forwarded, as RFC 7239 defines it.
    Forwarded,
}

/// Parses an address or a network.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| format!("{text:?} is not an IP address or a network, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8"))
}

/// Settings of the edge of the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server options")]
pub struct Edge {
    /// The certificate of the server in PEM, followed by those of intermediate authorities. With it, the server speaks
    /// TLS. The files of TLS are read again when they change.
    #[arg(long, env = "APEX_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// The private key of the certificate, in PEM.
    #[arg(long, env = "APEX_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,

    /// The certificates of the authorities whose client certificates are accepted, in PEM. Requires --tls-certificate.
    #[arg(long, env = "APEX_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_certificate")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client needs a certificate, where --tls-client-ca is given.
    #[arg(long, env = "APEX_TLS_CLIENT_CERTIFICATE", value_enum, default_value_t = ClientCertificate::Required)]
    pub tls_client_certificate: ClientCertificate,

    /// The timeout for the TLS handshake, in milliseconds.
    #[arg(long, env = "APEX_TLS_HANDSHAKE_TIMEOUT_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(50..=600_000))]
    pub tls_handshake_timeout_ms: u64,

    /// The origins of web pages of other servers that may use the API, separated by commas, such as
    /// https://dashboard.example.com.
    #[arg(long, env = "APEX_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,

    /// The addresses or networks of reverse proxies, separated by commas. The client of a request that one of them
    /// forwards is taken from --forwarded-header.
    #[arg(long, env = "APEX_TRUSTED_PROXIES", value_name = "ADDRESS", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// The header in which the proxies name the client. They must set it or append to it.
    #[arg(long, env = "APEX_FORWARDED_HEADER", value_enum, default_value_t = ProxyHeader::XForwardedFor)]
    pub forwarded_header: ProxyHeader,

    /// The maximum number of concurrent connections of one address, those of subscribers included. Further ones are
    /// closed; those of --trusted-proxies do not count. [default: a fifth of all connections, and nine tenths for
    /// loopback addresses]
    #[arg(long, env = "APEX_MAX_CONNECTIONS_PER_ADDRESS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections_per_address: Option<u32>,

    /// The rate limits of whatever has none of its own, separated by commas: address.requests=AMOUNT,
    /// tenant.RESOURCE=AMOUNT or key.RESOURCE=AMOUNT, where RESOURCE is requests, ingest_bytes or complexity, each
    /// minute, or subscriptions, at the same time. Nothing else is limited.
    #[arg(long, env = "APEX_RATE_LIMITS", value_name = "LIMITS", default_value = "", hide_default_value = true)]
    pub rate_limits: DefaultLimits,
}

impl Edge {
    /// Reads the files of TLS, if there are any.
    ///
    /// # Errors
    /// [`api::TlsError`] if they cannot be used.
    pub fn tls(&self) -> Result<Option<Tls>, api::TlsError> {
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let client_certificates = match self.tls_client_certificate {
            ClientCertificate::Required => ClientCertificates::Required,
            ClientCertificate::Optional => ClientCertificates::Optional,
        };
        let (certificate, key, client_ca) = (certificate.clone(), key.clone(), self.tls_client_ca.clone());
        Tls::load(TlsFiles { certificate, key, client_ca, client_certificates }).map(Some)
    }

    /// Whether the server speaks TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_certificate.is_some()
    }

    /// The proxies whose header is believed.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        let header = match self.forwarded_header {
            ProxyHeader::XForwardedFor => ForwardedHeader::XForwardedFor,
            ProxyHeader::Forwarded => ForwardedHeader::Forwarded,
        };
        TrustedProxies { networks: self.trusted_proxies.clone(), header }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        for (text, expected) in [("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.7", "10.0.0.7/32"), ("fd00::1", "fd00::1/128")]
        {
            assert_eq!(network(text).unwrap().to_string(), expected);
        }
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.0/", "*"] {
            assert!(network(wrong).unwrap_err().contains("10.0.0.0/8"), "{wrong}");
        }
    }
}
