//! Why a server did not do what a subcommand asked for, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why a request to a server failed. The message says what to do.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection could be made, or it broke.
    #[error("the server at {url} cannot be reached: start it, or correct APEX_URL")]
    Unreachable {
        /// The address of the server.
        url: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// The server ended what it sends before its end.
    #[error("the server at {url} sent a part only, which is not kept: its log says why; retry")]
    CutShort {
        /// The address of the server.
        url: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// The server did not answer in time.
    #[error("the server at {url} did not answer within {}: retry, or raise --request-timeout", humantime::format_duration(*timeout))]
    TimedOut {
        /// The address of the server.
        url: String,
        /// The timeout.
        timeout: Duration,
    },
    /// The certificate of the server is not trusted.
    #[error(
        "the certificate of {url} is not trusted ({cause}): if it is right, name the certificate of its authority with \
         --ca-file (APEX_CA_FILE)"
    )]
    Certificate {
        /// The address of the server.
        url: String,
        /// Why.
        cause: String,
    },
    /// A credential would be sent without TLS to another machine.
    #[error(
        "{url} is not on this machine, and a credential would be sent to it in plain text: use https://, or --insecure-http \
         if the network is trusted"
    )]
    PlainText {
        /// The address of the server.
        url: String,
    },
    /// What answered is no Apex server.
    #[error("{url} does not answer as an Apex server does (status {status}): correct APEX_URL")]
    NotApex {
        /// The address of the server.
        url: String,
        /// The status of the answer.
        status: u16,
    },
    /// The server does not know what was asked for.
    #[error(
        "the server at {url} has another version than this program ({}), and does not know what the subcommand needs: {message}",
        env!("CARGO_PKG_VERSION")
    )]
    OtherVersion {
        /// The address of the server.
        url: String,
        /// What it says.
        message: String,
    },
    /// There is no credential, and the server requires one.
    #[error("the server requires a credential: sign in with `apex login --url {url}`, or set APEX_TOKEN to an API key")]
    NotSignedIn {
        /// The address of the server.
        url: String,
    },
    /// The session has ended.
    #[error("your session at {url} has ended: sign in again with `apex login --url {url}`")]
    SessionEnded {
        /// The address of the server.
        url: String,
    },
    /// The token is refused.
    #[error("the server refuses the token (APEX_TOKEN, --token): it is wrong, expired or revoked")]
    TokenRefused,
    /// The principal may not do it.
    #[error("{message}; ask an administrator for a role that may, or use another credential")]
    Forbidden {
        /// What the server says.
        message: String,
    },
    /// There were too many requests.
    #[error("{message}")]
    TooMany {
        /// What the server says.
        message: String,
    },
    /// The server refuses the request, or cannot execute it at the moment.
    #[error("{message}")]
    Refused {
        /// The code of the error.
        code: String,
        /// The reason, where the code has several.
        reason: Option<String>,
        /// What the server says.
        message: String,
    },
    /// The answer lacks something that every answer to the request has.
    #[error("the answer of the server at {url} has no valid {what}: it may have another version than this program")]
    Incomplete {
        /// The address of the server.
        url: String,
        /// What is missing.
        what: String,
    },
    /// The file with the certificates of authorities cannot be used.
    #[error("the file of --ca-file, {}, cannot be used: {message}", file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why.
        message: String,
    },
    /// The TLS library cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file of sessions cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Why the file of sessions cannot be used.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// There is no place for it.
    #[error("there is no home directory to keep a session in: set APEX_CREDENTIALS_FILE, or use APEX_TOKEN")]
    NoHome,
    /// Others may read it.
    #[error("{} may be read or written by other users: run `chmod 600` on it, and sign in again if they may have read it", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// It belongs to another user.
    #[error("{} belongs to another user of this machine: use a file of your own (APEX_CREDENTIALS_FILE)", file.display())]
    NotOwn {
        /// The file.
        file: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{} cannot be used", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is not what this program writes.
    #[error("{} is not a file of sessions: remove it, and sign in with `apex login`", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// Another process holds its lock for too long.
    #[error("another process has been using {} for {}: end it, and retry", file.display(), humantime::format_duration(*timeout))]
    Locked {
        /// The file.
        file: PathBuf,
        /// How long it was waited for.
        timeout: Duration,
    },
}
