//! The connection to the mail server (SMTP).
//!
//! What a mail server says may name the person, and goes into no log: of its answers only the code is kept.

use crate::config::Mail;
use crate::pem;
use domain::error_with_causes;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters, TlsParametersBuilder};
use lettre::transport::smtp::{AsyncSmtpTransport, Error as SmtpError};
use lettre::{AsyncTransport as _, Tokio1Executor};
use std::path::Path;
use std::time::Duration;
use thiserror::Error;

/// How long the mail server may take to answer: less than an attempt of a job may take.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Why the settings of mail cannot be used.
#[derive(Debug, Error)]
pub enum MailSettingsError {
    /// The sender is no address.
    #[error("APEX_MAIL_FROM is not an address, such as `Apex <apex@example.com>`")]
    From,
    /// The URL is not that of a mail server. What it has is not repeated: it may have a password.
    #[error(
        "APEX_SMTP_URL is not valid: expected smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:587?tls=required"
    )]
    Url,
    /// The URL has a password, and would send it without TLS.
    #[error(
        "APEX_SMTP_URL has a password and does not demand TLS, without which it could be read on its way: use \
         smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:587?tls=required"
    )]
    PasswordWithoutTls,
    /// The certificates cannot be used.
    #[error("the file of --smtp-ca-file cannot be used: {0}")]
    CaFile(String),
}

/// Why a mail was not sent. It says nothing about the person.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    /// The address is none that mail can be sent to.
    #[error("the address of the person is none that mail can be sent to")]
    Address,
    /// The mail cannot be built.
    #[error("the mail cannot be built")]
    Message,
    /// The mail server refuses it, now or for good.
    #[error("the mail server answers with {code}")]
    Answer { code: u16, is_permanent: bool },
    /// There is no mail server, or it does not speak SMTP or TLS as is demanded.
    #[error("the mail server cannot be reached: {0}")]
    Connection(&'static str),
}

impl SendError {
    /// Whether another attempt would fail too.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Address | Self::Message => true,
            Self::Answer { is_permanent, .. } => *is_permanent,
            Self::Connection(_) => false,
        }
    }
}

impl From<SmtpError> for SendError {
    fn from(error: SmtpError) -> Self {
        match error.status() {
            Some(code) => Self::Answer { code: code.into(), is_permanent: error.is_permanent() },
            None if error.is_timeout() => Self::Connection("it does not answer in time"),
            None if error.is_tls() || is_of_tls(&error) => {
                Self::Connection("its certificate is not trusted, or it speaks no TLS")
            }
            None if error.is_client() => Self::Connection("it does not support what the settings demand"),
            None if error.is_response() => Self::Connection("it does not speak SMTP"),
            None => Self::Connection("there is no connection"),
        }
    }
}

/// Whether TLS could not be agreed on: lettre reports it as a failure of the connection.
fn is_of_tls(error: &SmtpError) -> bool {
    let first = std::error::Error::source(error);
    let mut causes = std::iter::successors(first, |cause| cause.source());
    causes.any(|cause| {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<rustls::Error>())
    })
}

/// Sends mails by a mail server.
#[derive(Clone)]
pub struct Transport {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Transport {
    /// The transport of the settings; none if no mail is sent.
    ///
    /// # Errors
    /// [`MailSettingsError`] if the settings cannot be used.
    pub fn of_settings(settings: &Mail) -> Result<Option<Self>, MailSettingsError> {
        let (Some(url), Some(from)) = (&settings.smtp_url, &settings.mail_from) else { return Ok(None) };
        let from = from.parse().map_err(|_| MailSettingsError::From)?;
        let url: reqwest::Url = url.reveal().parse().map_err(|_| MailSettingsError::Url)?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            .map_err(|_| MailSettingsError::Url)?
            .timeout(Some(TIMEOUT));
        // The first value of a parameter is the one that applies.
        let tls = url.query_pairs().find(|(key, _)| key == "tls");
        let demands_tls = url.scheme() == "smtps" || tls.is_some_and(|(_, value)| value == "required");
        if url.password().is_some() && !demands_tls && settings.smtp_ca_file.is_none() {
            return Err(MailSettingsError::PasswordWithoutTls);
        }
        if let Some(file) = &settings.smtp_ca_file {
            let host = url.host_str().ok_or(MailSettingsError::Url)?.to_owned();
            let parameters = trusting(file, host).map_err(MailSettingsError::CaFile)?;
            builder = builder.tls(match url.scheme() {
                "smtps" => Tls::Wrapper(parameters),
                _ => Tls::Required(parameters),
            });
        }
        Ok(Some(Self { smtp: builder.build(), from }))
    }

    /// Checks that the mail server answers.
    pub(super) async fn check(&self) -> Result<(), SendError> {
        match self.smtp.test_connection().await? {
            true => Ok(()),
            false => Err(SendError::Connection("it does not answer")),
        }
    }

    /// Sends a mail, under an id if one is given, by which mail programs recognise one that is sent again.
    pub(crate) async fn send(
        &self,
        to: &str,
        subject: &str,
        text: String,
        message_id: Option<String>,
    ) -> Result<(), SendError> {
        let to: Mailbox = to.parse().map_err(|_| SendError::Address)?;
        let mut builder = Message::builder().from(self.from.clone()).to(to).subject(subject);
        if message_id.is_some() {
            builder = builder.message_id(message_id);
        }
        let message = builder.header(ContentType::TEXT_PLAIN).body(text).map_err(|_| SendError::Message)?;
        self.smtp.send(message).await?;
        Ok(())
    }
}

/// The parameters of TLS to a host whose certificate may be issued by the authorities of a file.
///
/// # Errors
/// Why the file cannot be used.
fn trusting(file: &Path, host: String) -> Result<TlsParameters, String> {
    let mut builder = TlsParametersBuilder::new(host).certificate_store(CertificateStore::WebpkiRoots);
    for certificate in pem::certificates(file).map_err(|error| error_with_causes(&error))? {
        let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| error_with_causes(&error))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| error_with_causes(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn settings(url: &str, from: &str) -> Mail {
        Mail {
            public_url: None,
            smtp_url: Some(Secret::from(url.to_owned())),
            mail_from: Some(from.to_owned()),
            smtp_ca_file: None,
        }
    }

    #[tokio::test]
    async fn settings_that_cannot_be_used_are_refused_without_their_secrets() {
        let refused = |url, from| Transport::of_settings(&settings(url, from)).err().map(|error| error.to_string());
        assert_eq!(refused("smtps://ada:tea@mail.example", "Apex <apex@example.com>"), None);
        for url in [
            "smtp://ada:tea@mail.example",
            "smtp://ada:tea@mail.example?tls=opportunistic",
            "smtp://ada:tea@mail.example?tls=opportunistic&tls=required",
        ] {
            let message = refused(url, "apex@example.com").unwrap();
            assert!(message.contains("does not demand TLS") && !message.contains("tea@"), "{message}");
        }
        assert_eq!(refused("smtp://ada:tea@mail.example?tls=required", "apex@example.com"), None);
        assert_eq!(refused("smtp://mail.example", "apex@example.com"), None);
        for url in ["mail.example", "http://ada:tea@mail.example", "smtp://", ""] {
            let message = refused(url, "apex@example.com").unwrap();
            assert!(message.contains("APEX_SMTP_URL") && !message.contains("tea@"), "{message}");
        }
        assert!(refused("smtps://mail.example", "nobody").unwrap().contains("APEX_MAIL_FROM"));
    }

    #[tokio::test]
    async fn a_file_of_authorities_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let refused = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let with_file = Mail {
                smtp_ca_file: Some(file.clone()),
                ..settings("smtps://mail.example", "Apex <apex@example.com>")
            };
            Transport::of_settings(&with_file).err().map(|error| error.to_string()).unwrap_or_default()
        };
        for none in ["", "Authority", "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n"] {
            assert!(refused(none).contains("--smtp-ca-file cannot be used: it has no certificate"), "{none}");
        }
        let other = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        assert!(refused(other).contains("--smtp-ca-file cannot be used"));
    }
}
