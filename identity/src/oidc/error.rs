//! Why a person cannot sign in by a provider.

use super::return_path::ReturnPathError;
use crate::error::{IdentityError, KeyFileError};
use crate::sign_in_error::Throttled;
use domain::access_log::RefusalReason;
use std::time::Duration;
use thiserror::Error;

/// Why a provider gives no usable answer. It is for the operator: it can have texts of the provider.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// A request failed.
    #[error("a request to the provider failed")]
    Request(#[from] reqwest::Error),
    /// An answer is too large.
    #[error("an answer of the provider has more than {max_bytes} bytes, which is the limit")]
    TooLarge {
        /// The limit, in bytes.
        max_bytes: usize,
    },
    /// A URL that the provider names is not one of HTTPS.
    #[error(
        "the provider names the server {0}, and requests are sent over https only, or to loopback by an issuer on loopback"
    )]
    NotHttps(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The discovery document, the keys, the answer of the token endpoint, or what the provider says of the user cannot be read.
    #[error("the {document} of the provider cannot be used: {message}")]
    Document {
        /// What cannot be read.
        document: &'static str,
        /// Why not.
        message: String,
    },
    /// It failed a moment ago, and is not asked again yet.
    #[error("the provider could not be reached a moment ago, and is not asked again yet: {0}")]
    FailedBefore(String),
    /// The provider did not answer in time.
    #[error("the provider did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// Why the answer of a provider about a person is refused. The person learns the name of the reason.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The browser has not started the sign-in, it was started too long ago, or it came back before.
    #[error("this sign-in was not started in this browser, took too long, or was used before: sign in again")]
    Attempt,
    /// The provider refused, or the person did.
    #[error("the provider did not sign you in ({0})")]
    ByProvider(&'static str),
    /// The answer is that of another provider.
    #[error("the answer is not that of the provider that you chose")]
    OtherIssuer,
    /// The provider does not accept the code.
    #[error("the provider does not accept the code of this sign-in: sign in again")]
    Code,
    /// The ID token is not valid.
    #[error("the ID token of the provider is not valid")]
    Token,
    /// Nobody may become a user by this provider, and the person is none.
    #[error("there is no user for you: ask an administrator to create one")]
    NoUser,
    /// A user has the address already, and is not linked by it.
    #[error("there is a user with your e-mail address already, who signs in otherwise: ask an administrator")]
    AddressTaken,
    /// The verified address is not in one of the domains of the provider.
    #[error("people with your e-mail address may not sign in by this provider")]
    Domain,
    /// None of the groups gives a role, and one is required.
    #[error("none of your groups may sign in: ask an administrator")]
    NoGroup,
    /// The user or its tenant is not active.
    #[error("your user is not active: ask an administrator")]
    NotActive,
    /// As many people have become users, without being created or invited, as the settings allow.
    #[error("as many people have become users by themselves as may: ask an administrator to invite you")]
    RegistrationFull,
}

impl Refused {
    /// The code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Attempt => "SIGN_IN_NOT_STARTED",
            Self::ByProvider(_) => "REFUSED_BY_PROVIDER",
            Self::OtherIssuer => "OTHER_ISSUER",
            Self::Code => "CODE_NOT_VALID",
            Self::Token => "TOKEN_NOT_VALID",
            Self::NoUser => "NO_USER",
            Self::AddressTaken => "ADDRESS_TAKEN",
            Self::Domain => "DOMAIN_NOT_ALLOWED",
            Self::NoGroup => "NO_GROUP",
            Self::NotActive => "NOT_ACTIVE",
            Self::RegistrationFull => "REGISTRATION_FULL",
        }
    }
}

/// Why a person cannot sign in by a provider.
#[derive(Debug, Error)]
pub enum ProviderSignInError {
    /// There were too many attempts by the client.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// No provider has this name.
    #[error("there is no provider with this name: GET /auth/providers lists them")]
    NoProvider,
    /// The path to go to afterwards is not one of this server.
    #[error("returnTo: {0}")]
    ReturnPath(#[from] ReturnPathError),
    /// The answer of the provider is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The provider cannot be reached, or gives no usable answer.
    #[error("the provider cannot be used at the moment: retry later")]
    Provider(#[from] ProviderError),
    /// It cannot be found out at the moment, or not be stored.
    #[error("credentials cannot be checked or stored at the moment; retry")]
    Unavailable(#[source] Box<IdentityError>),
}

impl ProviderSignInError {
    /// Why it was refused, for the access log; none if it was not refused.
    pub(super) const fn reason(&self) -> Option<RefusalReason> {
        match self {
            Self::Refused(Refused::RegistrationFull) => Some(RefusalReason::RegistrationFull),
            Self::Refused(_) => Some(RefusalReason::SignIn),
            Self::Throttled(_) => Some(RefusalReason::TooManyAttempts),
            Self::NoProvider | Self::ReturnPath(_) | Self::Provider(_) | Self::Unavailable(_) => None,
        }
    }
}

impl From<IdentityError> for ProviderSignInError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::TenantNotActive(_) => Refused::NotActive.into(),
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

impl From<KeyFileError> for ProviderSignInError {
    fn from(error: KeyFileError) -> Self {
        IdentityError::from(error).into()
    }
}
