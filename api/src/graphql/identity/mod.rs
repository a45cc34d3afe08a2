//! Service accounts and API keys: the credentials of programs. Secrets and hashes are never read here; the text of a new key
//! is in the payload that creates it, once.

mod error;
mod mutation;
mod query;
mod types;

pub(crate) use error::IdentityCommandError;
pub(crate) use mutation::IdentityMutation;
pub(crate) use query::{IdentityQuery, account, key};
pub(crate) use types::{ApiKey, ServiceAccount};
