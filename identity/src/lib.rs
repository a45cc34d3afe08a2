//! Credentials, and who they belong to.
//!
//! Grants are events in the log; secrets are rows beside it. The [`Directory`] is the fold of the grants in this process,
//! and [`Identities`] joins both: it makes a principal from an API key, and creates, replaces and revokes keys.
//! Deliberately absent: roles in a credential. They are looked up at each request, so that a grant that is revoked ends.

mod accounts;
mod directory;
mod error;
mod grants;
mod identities;
mod issue;
mod key_file;
mod key_text;
mod review;
mod roles;
mod secrets;
mod teams;
mod throttle;
mod usage;

pub use directory::{
    AccountSummary, AssignmentSummary, Basis, Directory, EndReason, GrantBasis, KeySummary, MemberSummary,
    NotAReviewKey, Origin, ReviewKey, ReviewRow, RoleSummary, TeamBasis, TeamSummary, TenantSummary,
};
pub use error::{AuthenticationError, GrantRejection, IdentityError, KeyFileError, KeyRejection};
pub use grants::{Created, MAX_ROLES_OF_HOLDER};
pub use identities::{Identities, MAX_LISTED};
pub use issue::NewKey;
pub use key_text::{PREFIX, SecretText, key_prefix};
pub use teams::MAX_TEAMS_OF_MEMBER;
