//! Settings of the client: which server the subcommands talk to, and how.

use super::Secret;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Parses a URL that a server is reached at.
fn server_url(text: &str) -> Result<reqwest::Url, String> {
    let url: reqwest::Url = text.parse().map_err(|error| format!("{error}; expected https://HOST"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err("expected https://HOST, or http://127.0.0.1:PORT for a server on this machine".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no credential belongs in the URL: sign in with `apex login`, or use APEX_TOKEN".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected the address of the server alone, without a query".to_owned());
    }
    Ok(url)
}

/// Settings of subcommands that talk to a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options for a server")]
pub struct Remote {
    /// The URL of an Apex server, which does what the subcommand says. Without it, the subcommand opens the database.
    #[arg(long, env = "APEX_URL", global = true, value_parser = server_url)]
    pub url: Option<reqwest::Url>,

    /// The token that is sent to the server: an API key, or the one that the server requires. Without it, the session of
    /// `apex login` is used.
    #[arg(long, env = "APEX_TOKEN", global = true, hide_env_values = true)]
    pub token: Option<Secret>,

    /// The certificates of further authorities in PEM, of which one may have issued the certificate of the server.
    #[arg(long, env = "APEX_CA_FILE", global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Send credentials over HTTP without TLS to another machine, where others on the network can read them.
    #[arg(long, env = "APEX_INSECURE_HTTP", global = true, default_value_t = false, action = clap::ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure_http: bool,

    /// How long the server may take to answer a request.
    #[arg(long, env = "APEX_REQUEST_TIMEOUT", global = true, value_name = "TIME", default_value = "60s",
          value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,

    /// The file in which `apex login` keeps sessions [default: apex/credentials.json in XDG_CONFIG_HOME or ~/.config]
    #[arg(long, env = "APEX_CREDENTIALS_FILE", global = true, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
}

impl Remote {
    /// The file of sessions; none if there is no home directory.
    #[must_use]
    pub fn credentials_file(&self) -> Option<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = || folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        self.credentials_file.clone().or_else(|| Some(config()?.join("apex").join("credentials.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_scheme_and_host_alone() {
        for valid in ["https://apex.example", "http://127.0.0.1:8080", "https://apex.example/apex/"] {
            assert!(server_url(valid).is_ok(), "{valid}");
        }
        for wrong in ["", "apex.example", "ftp://apex.example", "https://a:b@apex.example", "https://apex.example?x=1"]
        {
            assert!(server_url(wrong).is_err(), "{wrong}");
        }
    }
}
