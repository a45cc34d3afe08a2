//! Credentials, and who they belong to.
//!
//! Grants are events in the log; secrets are rows beside it. The [`Directory`] is the fold of the grants in this process,
//! and [`Identities`] joins both: it makes a principal from an API key or from an access token of a session, and manages keys,
//! users and sessions.
//! Deliberately absent: roles in a credential. They are looked up at each request, so that a grant that is revoked ends.

mod access;
mod accounts;
mod alerts;
mod client;
mod directory;
mod error;
mod expired;
mod grants;
mod identities;
mod issue;
mod key_file;
mod key_text;
mod network;
mod oidc;
mod owner;
mod people;
mod programs;
mod review;
mod roles;
mod sealed;
mod secrets;
mod sessions;
mod sign_in_error;
mod teams;
mod throttle;
mod usage;

pub use access::{ACCESS_REVIEW, AccessRecorder, ContentsRead, KnownOrigin, Refusal, record_export};
pub use alerts::{AlertTarget, AlertTargetError};
pub use client::Client;
pub use directory::{
    AccountSummary, AssignmentSummary, Basis, Directory, EndReason, GrantBasis, InvitationSummary, KeySummary,
    MemberSummary, NotAReviewKey, Origin, ReviewKey, ReviewRow, RoleSummary, TeamAgentSummary, TeamBasis, TeamSummary,
    TenantSummary,
};
pub use error::{AuthenticationError, GrantRejection, IdentityError, KeyFileError, KeyRejection, PeopleRejection};
pub use grants::{Created, MAX_ROLES_OF_HOLDER};
pub use identities::{Identities, MAX_LISTED};
pub use issue::NewKey;
pub use key_text::{PREFIX, SecretText, key_prefix};
pub use network::client_network;
pub use oidc::{
    ATTEMPT_LIFETIME, Callback, ClientSecretText, FinishedAttempt, GroupsClaim, ProviderConfig, ProviderConfigError,
    ProviderError, ProviderSignInError, ProviderSummary, Providers, Refused, ReturnPath, ReturnPathError,
    StartedAttempt, TokenAuthentication,
};
pub use owner::OwnerPrincipal;
pub use people::{
    Credentials, Email, EmailError, MailAddress, MailQueue, MailedToken, NewInvitation, NewLink, NewPasswordText,
    NewTotp, OwnAccount, Password, PasswordError, PendingMail, QueueError, RecoveryCodes, Registration, SecondFactor,
    UserSummary,
};
pub use programs::{NewDeviceSignIn, ProgramSignIn, RedeemError};
pub use sessions::{SessionSummary, SessionTokens, SignInConfig, looks_like_access_token};
pub use sign_in_error::{SignInError, Throttled};
pub use teams::MAX_TEAMS_OF_MEMBER;
