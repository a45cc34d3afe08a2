//! Settings of the relay to Kafka.

use super::Secret;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use streams::relay::{KafkaSecurity, KafkaTls, RelayConfig, Sasl, SaslMechanism};

/// How connections to the brokers are encrypted and authenticated, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// In plain text, without a credential.
    Plaintext,
    /// With TLS.
    Ssl,
    /// In plain text, with a credential.
    SaslPlaintext,
    /// With TLS and a credential.
    SaslSsl,
}

/// How a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    /// User name and password as they are.
    #[value(name = "PLAIN")]
    Plain,
    /// A proof of the password with SHA-256.
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    /// A proof of the password with SHA-512.
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

/// Settings of the relay to Kafka.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kafka options")]
pub struct Kafka {
    /// The Kafka brokers, as host:port separated by commas. Without them, nothing is published.
    #[arg(long, env = "APEX_KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,

    /// The prefix of topic names: PREFIX.CATEGORY.
    #[arg(long, env = "APEX_KAFKA_TOPIC_PREFIX", default_value = "apex")]
    pub kafka_topic_prefix: String,

    /// The number of partitions of each topic that the relay creates.
    #[arg(long, env = "APEX_KAFKA_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub kafka_partitions: i32,

    /// The replication factor of each topic that the relay creates.
    #[arg(long, env = "APEX_KAFKA_REPLICATION", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10))]
    pub kafka_replication: i32,

    /// Also publish the rows of the read models, one message per row, to compacted topics: PREFIX.state.READ_MODEL.
    #[arg(long, env = "APEX_KAFKA_STATE_TOPICS", default_value_t = false, action = clap::ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub kafka_state_topics: bool,

    /// How connections to the brokers are encrypted and authenticated. TLS needs a build with the feature kafka-tls.
    #[arg(long, env = "APEX_KAFKA_SECURITY_PROTOCOL", value_enum, default_value_t = SecurityProtocol::Plaintext)]
    pub kafka_security_protocol: SecurityProtocol,

    /// How the credential is presented. The SCRAM mechanisms need a build with the feature kafka-tls.
    #[arg(long, env = "APEX_KAFKA_SASL_MECHANISM", value_enum, default_value_t = Mechanism::Plain)]
    pub kafka_sasl_mechanism: Mechanism,

    /// The user whose credential the relay presents.
    #[arg(long, env = "APEX_KAFKA_USERNAME")]
    pub kafka_username: Option<String>,

    /// The password of the user.
    #[arg(long, env = "APEX_KAFKA_PASSWORD", hide_env_values = true)]
    pub kafka_password: Option<Secret>,

    /// The certificates of the authorities that issue those of the brokers, in PEM [default: those that the system
    /// trusts]
    #[arg(long, env = "APEX_KAFKA_CA", value_name = "FILE")]
    pub kafka_ca: Option<PathBuf>,

    /// The certificate that the relay presents, in PEM.
    #[arg(long, env = "APEX_KAFKA_CERTIFICATE", value_name = "FILE", requires = "kafka_key")]
    pub kafka_certificate: Option<PathBuf>,

    /// The private key of the certificate that the relay presents, in PEM, without a passphrase.
    #[arg(long, env = "APEX_KAFKA_KEY", value_name = "FILE", requires = "kafka_certificate")]
    pub kafka_key: Option<PathBuf>,
}

impl Kafka {
    /// The settings of the relay, or `None` without brokers.
    ///
    /// # Errors
    /// If the settings contradict each other, or this build cannot connect in the way that they say.
    pub fn relay(&self) -> anyhow::Result<Option<RelayConfig>> {
        let Some(brokers) = &self.kafka_brokers else { return Ok(None) };
        Ok(Some(RelayConfig {
            topic_prefix: self.kafka_topic_prefix.clone(),
            partitions: self.kafka_partitions,
            replication: self.kafka_replication,
            security: self.security()?,
            ..RelayConfig::new(brokers.clone())
        }))
    }

    fn security(&self) -> anyhow::Result<KafkaSecurity> {
        use SecurityProtocol::{SaslPlaintext, SaslSsl, Ssl};
        let has_tls = matches!(self.kafka_security_protocol, Ssl | SaslSsl);
        let files = [&self.kafka_ca, &self.kafka_certificate, &self.kafka_key];
        anyhow::ensure!(
            has_tls || files.iter().all(|file| file.is_none()),
            "files of TLS are given for connections to Kafka without TLS: set APEX_KAFKA_SECURITY_PROTOCOL to ssl or sasl_ssl"
        );
        let client = self.kafka_certificate.clone().zip(self.kafka_key.clone());
        let tls = has_tls.then(|| KafkaTls { ca: self.kafka_ca.clone(), client });
        let has_sasl = matches!(self.kafka_security_protocol, SaslPlaintext | SaslSsl);
        anyhow::ensure!(
            has_sasl || (self.kafka_username.is_none() && self.kafka_password.is_none()),
            "a user is given for connections to Kafka without a credential: set APEX_KAFKA_SECURITY_PROTOCOL to sasl_ssl or \
             sasl_plaintext"
        );
        let sasl = if has_sasl { Some(self.sasl()?) } else { None };
        let security = KafkaSecurity { tls, sasl };
        security.check()?;
        Ok(security)
    }

    fn sasl(&self) -> anyhow::Result<Sasl> {
        let mechanism = match self.kafka_sasl_mechanism {
            Mechanism::Plain => SaslMechanism::Plain,
            Mechanism::ScramSha256 => SaslMechanism::ScramSha256,
            Mechanism::ScramSha512 => SaslMechanism::ScramSha512,
        };
        let username = self.kafka_username.clone().context("SASL needs a user: set APEX_KAFKA_USERNAME")?;
        let password = self.kafka_password.as_ref().context("SASL needs a password: set APEX_KAFKA_PASSWORD")?;
        Ok(Sasl { mechanism, username, password: password.reveal().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        kafka: Kafka,
    }

    fn relay(arguments: &str) -> anyhow::Result<Option<RelayConfig>> {
        Line::try_parse_from(["apex"].into_iter().chain(arguments.split_whitespace()))?.kafka.relay()
    }

    #[test]
    fn a_credential_is_configured_as_a_whole() {
        let plain = "--kafka-brokers b:9092 --kafka-security-protocol sasl_plaintext --kafka-username apex";
        assert!(relay("").unwrap().is_none());
        assert_eq!(relay("--kafka-brokers b:9092").unwrap().unwrap().security, KafkaSecurity::default());
        let message = |arguments: &str| relay(arguments).unwrap_err().to_string();
        assert!(message(plain).contains("APEX_KAFKA_PASSWORD"));
        let complete = relay(&format!("{plain} --kafka-password secret-of-a-test")).unwrap().unwrap();
        assert_eq!(complete.security.sasl.as_ref().unwrap().username, "apex");
        assert!(!format!("{complete:?}").contains("secret-of-a-test"));
        assert!(message("--kafka-brokers b:9092 --kafka-username apex").contains("APEX_KAFKA_SECURITY_PROTOCOL"));
        assert!(message("--kafka-brokers b:9092 --kafka-ca ca.pem").contains("without TLS"));
        assert!(message("--kafka-brokers b:9092 --kafka-certificate c.pem").contains("--kafka-key"));
    }
}
