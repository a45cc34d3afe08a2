//! Why a person cannot sign in, or become a user.

use crate::error::IdentityError;
use std::time::Duration;
use thiserror::Error;

/// There were too many attempts for the account, or by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there were too many attempts: retry in {} s", self.retry_after_s())]
pub struct Throttled {
    /// How long to wait.
    pub retry_after: Duration,
}

impl Throttled {
    /// How long to wait, in whole seconds: never too short.
    #[must_use]
    pub const fn retry_after_s(self) -> u64 {
        self.retry_after.as_secs().saturating_add(1)
    }
}

/// Why a person cannot sign in, renew a session, become a user, or set a password.
#[derive(Debug, Error)]
pub enum SignInError {
    /// There were too many attempts for the account, or by the client.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The credential is unknown, wrong, used, revoked or expired, or its user or tenant is not active. It is not said which.
    #[error("the credential is not valid")]
    Refused,
    /// The password is right, and a one-time code or a recovery code is required too.
    #[error("a one-time code or a recovery code is required")]
    CodeRequired,
    /// There are as many users who registered without an invitation as the settings allow.
    #[error(
        "no more people may register: {limit} have, or {roleless_limit} of them have no role yet; ask an administrator"
    )]
    RegistrationFull {
        /// The maximum number of users of a tenant who registered without an invitation.
        limit: usize,
        /// The maximum number of those who have no role.
        roleless_limit: usize,
    },
    /// An input is not valid.
    #[error("{field}: {message}")]
    Invalid {
        /// The input.
        field: &'static str,
        /// Why it is not valid.
        message: String,
    },
    /// Too many passwords are checked at the moment.
    #[error("too many passwords are checked at the moment; retry")]
    Busy,
    /// It cannot be found out at the moment, or not be stored.
    #[error("credentials cannot be checked at the moment")]
    Unavailable(#[source] Box<IdentityError>),
}

impl SignInError {
    pub(crate) fn invalid(field: &'static str, message: impl ToString) -> Self {
        Self::Invalid { field, message: message.to_string() }
    }
}

impl From<IdentityError> for SignInError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::TooManyHashes => Self::Busy,
            IdentityError::TenantNotActive(_) => Self::Refused,
            error => Self::Unavailable(Box::new(error)),
        }
    }
}
