//! How the relay connects to the brokers: TLS, and the credential that it presents.

use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// How connections to the brokers are encrypted and authenticated. They are neither by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaSecurity {
    /// TLS; none for connections in plain text.
    pub tls: Option<KafkaTls>,
    /// The credential; none for connections without one.
    pub sasl: Option<Sasl>,
}

/// TLS of connections to the brokers, with files in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaTls {
    /// The certificates of the authorities that issue those of brokers; none for those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that the relay presents and its private key; none to present none.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How a credential is presented (SASL, RFC 4422).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// User name and password as they are (RFC 4616).
    Plain,
    /// A proof of the password with SHA-256 (RFC 7677).
    ScramSha256,
    /// A proof of the password with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// The name of the mechanism.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The credential of the relay. Debug output has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How the credential is presented.
    pub mechanism: SaslMechanism,
    /// The name of the user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// This build cannot connect to brokers as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KafkaSecurityError {
    /// The client library was built without TLS.
    #[error("this apex was built without TLS for Kafka: build it with `--features kafka-tls`, which uses OpenSSL")]
    NoTls,
    /// The client library was built without the mechanism, which uses functions of OpenSSL.
    #[error(
        "this apex was built without {} for Kafka: build it with `--features kafka-tls`, which uses OpenSSL, or use PLAIN",
        .0.name()
    )]
    NoMechanism(SaslMechanism),
}

impl KafkaSecurity {
    /// Checks that this build can connect in this way.
    ///
    /// # Errors
    /// [`KafkaSecurityError`] if the client library was built without what is needed.
    pub fn check(&self) -> Result<(), KafkaSecurityError> {
        if cfg!(feature = "kafka-tls") {
            return Ok(());
        }
        match &self.sasl {
            _ if self.tls.is_some() => Err(KafkaSecurityError::NoTls),
            Some(Sasl { mechanism, .. }) if *mechanism != SaslMechanism::Plain => {
                Err(KafkaSecurityError::NoMechanism(*mechanism))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The settings of the client library.
    #[cfg(any(feature = "kafka", test))]
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        let mut settings = vec![("security.protocol", protocol.to_owned())];
        if let Some(KafkaTls { ca, client }) = &self.tls {
            let path = |path: &PathBuf| path.display().to_string();
            settings.push(("ssl.endpoint.identification.algorithm", "https".to_owned()));
            settings.extend(ca.iter().map(|ca| ("ssl.ca.location", path(ca))));
            if let Some((certificate, key)) = client {
                settings.push(("ssl.certificate.location", path(certificate)));
                settings.push(("ssl.key.location", path(key)));
            }
        }
        if let Some(Sasl { mechanism, username, password }) = &self.sasl {
            settings.push(("sasl.mechanisms", mechanism.name().to_owned()));
            settings.push(("sasl.username", username.clone()));
            settings.push(("sasl.password", password.clone()));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sasl(mechanism: SaslMechanism) -> Option<Sasl> {
        Some(Sasl { mechanism, username: "apex".to_owned(), password: "secret-of-a-test".to_owned() })
    }

    fn setting(security: &KafkaSecurity, name: &str) -> Option<String> {
        security.settings().into_iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    #[test]
    fn the_protocol_follows_from_tls_and_credential() {
        let protocol = |tls: bool, sasl| {
            let security = KafkaSecurity { tls: tls.then(KafkaTls::default), sasl };
            setting(&security, "security.protocol").unwrap()
        };
        assert_eq!(protocol(false, None), "plaintext");
        assert_eq!(protocol(true, None), "ssl");
        assert_eq!(protocol(false, sasl(SaslMechanism::Plain)), "sasl_plaintext");
        assert_eq!(protocol(true, sasl(SaslMechanism::ScramSha512)), "sasl_ssl");
    }

    #[test]
    fn a_password_is_a_setting_and_not_in_debug_output() {
        let security = KafkaSecurity { tls: None, sasl: sasl(SaslMechanism::Plain) };
        assert_eq!(setting(&security, "sasl.password").unwrap(), "secret-of-a-test");
        assert!(!format!("{security:?}").contains("secret-of-a-test"));
    }

    #[test]
    fn a_build_without_openssl_says_what_it_cannot_do() {
        let can = |tls: bool, sasl| KafkaSecurity { tls: tls.then(KafkaTls::default), sasl }.check();
        assert_eq!(can(false, None), Ok(()));
        assert_eq!(can(false, sasl(SaslMechanism::Plain)), Ok(()));
        if !cfg!(feature = "kafka-tls") {
            assert_eq!(can(true, None), Err(KafkaSecurityError::NoTls));
            let scram = SaslMechanism::ScramSha256;
            assert_eq!(can(false, sasl(scram)), Err(KafkaSecurityError::NoMechanism(scram)));
        }
    }
}
