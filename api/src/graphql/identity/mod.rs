//! Service accounts and API keys: the credentials of programs. Secrets and hashes are never read here; the text of a new key
//! is in the payload that creates it, once.

mod error;
mod mutation;
mod query;
mod start;
mod types;

pub(crate) use error::{Executed, IdentityCommandError};
pub(crate) use mutation::IdentityMutation;
pub(crate) use query::{IdentityQuery, account, key};
pub(crate) use start::Start;
pub(crate) use types::{ApiKey, Role, ServiceAccount, roles};
