//! Sign-in by identity providers with OpenID Connect: the authorization code flow with PKCE, `state` and `nonce`.
//!
//! A provider says who a person is: a subject of an issuer. Which user that is, and what it may do, the log says. Deliberately
//! absent: refresh tokens of providers, which are not asked for and not kept. The session that begins is one of this server.

mod attempt;
mod claims;
mod config;
mod error;
mod http;
mod links;
mod metadata;
mod protocol;
mod provider;
mod return_path;
mod roles;
mod sign_in;
mod used_states;
mod users;

pub use attempt::{ATTEMPT_LIFETIME, StartedAttempt};
pub use config::{ClientSecretText, GroupsClaim, ProviderConfig, ProviderConfigError, TokenAuthentication};
pub use error::{ProviderError, ProviderSignInError, Refused};
pub use provider::{ProviderSummary, Providers};
pub use return_path::{ReturnPath, ReturnPathError};
pub use sign_in::{Callback, FinishedAttempt};
