//! Credentials, and who they belong to.
//!
//! Grants are events in the log; secrets are rows beside it. The [`Directory`] is the fold of the grants in this process,
//! and [`Identities`] joins both: it makes a principal from an API key, and creates, replaces and revokes keys.
//! Deliberately absent: roles in a credential. They are looked up at each request, so that a grant that is revoked ends.

mod access;
mod accounts;
mod directory;
mod error;
mod identities;
mod issue;
mod key_file;
mod key_text;
mod secrets;
mod throttle;
mod usage;

pub use access::{AccessRecorder, ContentsRead, KnownOrigin, Origin, Refusal};
pub use accounts::NewAccount;
pub use directory::{AccountSummary, Directory, EndReason, KeySummary, TenantSummary};
pub use error::{AccountRejection, AuthenticationError, IdentityError, KeyFileError, KeyRejection};
pub use identities::{Identities, MAX_LISTED};
pub use issue::NewKey;
pub use key_text::{PREFIX, SecretText};
