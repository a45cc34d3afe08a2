//! Settings of mail, and of the address that people reach the server at.

use super::Secret;
use clap::Args;
use std::path::PathBuf;

/// Parses the URL that people reach the server at.
fn public_url(text: &str) -> Result<String, String> {
    let url: reqwest::Url = text.parse().map_err(|error| format!("{error}; expected https://HOST"))?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    if !is_web || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("expected the address of the server alone, such as https://apex.example.com".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Settings of mail.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server options")]
pub struct Mail {
    /// The URL that people reach the server at, such as https://apex.example.com: for links, and for identity providers, which
    /// send browsers back to its path /auth/callback [default: what each client calls it; for identity providers, that of
    /// --listen, if it is a loopback address without TLS]
    #[arg(long, env = "APEX_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// The mail server that sends invitations, and links to set a password: smtps://USER:PASSWORD@HOST, or
    /// smtp://USER:PASSWORD@HOST:587?tls=required. Without it, no mail is sent.
    #[arg(long, env = "APEX_SMTP_URL", value_name = "URL", hide_env_values = true, requires_all = ["mail_from", "public_url"])]
    pub smtp_url: Option<Secret>,

    /// The sender of mails, such as `Apex <apex@example.com>`.
    #[arg(long, env = "APEX_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,

    /// The certificates of further authorities in PEM, of which one may have issued the certificate of the mail server.
    #[arg(long, env = "APEX_SMTP_CA_FILE", value_name = "FILE", requires = "smtp_url")]
    pub smtp_ca_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_is_an_address_alone() {
        assert_eq!(public_url("https://apex.example/"), Ok("https://apex.example".to_owned()));
        for wrong in [
            "apex.example",
            "ftp://apex.example",
            "https://apex.example/?x=1",
            "https://apex.example/apex",
            "https://a@apex.example",
            "",
        ] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }
}
