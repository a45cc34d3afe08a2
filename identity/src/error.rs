//! Errors of credentials.

use domain::api_key::ApiKeyError;
use domain::custom_role::CustomRoleError;
use domain::invitation::InvitationError;
use domain::permissions::Forbidden;
use domain::role_assignment::{Holder, RoleAssignmentError};
use domain::service_account::ServiceAccountError;
use domain::team::{Member, TeamError};
use domain::user::UserError;
use domain::{AgentId, ApiKeyId, RoleId, ServiceAccountId, TeamId, TenantId, UserId};
use std::path::PathBuf;
use streams::{DatabaseError, ReadError};
use thiserror::Error;
use uuid::Uuid;

/// Why the file of key-encryption keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// There is no file, although hashes were made with one.
    #[error(
        "the key-encryption keys of this installation are not in {}: copy that file from another process of the \
         installation or from its backup, or name another with APEX_KEY_FILE",
        .0.display()
    )]
    Missing(PathBuf),
    /// The file has no keys.
    #[error("{} has no key-encryption key: restore it from its backup", .0.display())]
    Empty(PathBuf),
    /// The file belongs to another user, who could replace the keys.
    #[error(
        "{} belongs to the user {owner}, and this process runs as the user {user}: change its owner to that user or to root",
        path.display()
    )]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// The id of its owner.
        owner: u32,
        /// The id of the user of this process.
        user: u32,
    },
    /// Others than its owner can use the file.
    #[error(
        "{} has the mode {mode:03o}, so that others can use it: run chmod 600, or 640 if root owns it and another user \
         runs Apex, and replace its keys",
        path.display()
    )]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is too large to be one of keys.
    #[error("{} has more than {max_bytes} bytes, which is the limit: remove what is no key", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        max_bytes: u64,
    },
    /// A line of the file is not a key.
    #[error("line {line} of {} is not a version, a space and 64 hexadecimal digits, in ascending order", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
    },
    /// The file does not have the key that a hash was made with.
    #[error(
        "a secret was stored under version {version} of the key-encryption key, which this process does not have: add the \
         line of that version to {}, from another process of the installation or from the backup",
        path.display()
    )]
    MissingVersion {
        /// The file.
        path: PathBuf,
        /// The version.
        version: i32,
    },
    /// The file has another key than the one that a hash was made with.
    #[error(
        "version {version} of the key-encryption key in {} is not the one that this database was used with: copy the file \
         from another process of the installation, or restore it from its backup",
        path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The version.
        version: i32,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The key cannot be used.
    #[error("the key-encryption key cannot be used")]
    Unusable,
}

/// Why a credential gives no principal.
#[derive(Debug, Error)]
pub enum AuthenticationError {
    /// The credential is unknown, wrong, revoked or expired, or its account or tenant is not active. It is not said which.
    #[error("the credential is not valid")]
    Refused,
    /// It cannot be found out at the moment whether the credential is valid.
    #[error("credentials cannot be checked at the moment")]
    Unavailable(#[source] Box<IdentityError>),
}

/// Why an API key is not created, replaced or revoked, by the state of what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyRejection {
    /// The key's own rejection.
    #[error(transparent)]
    Key(#[from] ApiKeyError),
    /// The account does not exist or is disabled.
    #[error("the service account {0} does not exist or is disabled")]
    AccountNotActive(ServiceAccountId),
    /// The team whose agents the key would be bound to does not exist or was closed.
    #[error("the team {0} does not exist or was closed")]
    TeamNotActive(TeamId),
}

/// Why an account, a team, a custom role or a role assignment is not created or changed, by the state of what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GrantRejection {
    /// The account's own rejection.
    #[error(transparent)]
    Account(#[from] ServiceAccountError),
    /// The team's own rejection.
    #[error(transparent)]
    Team(#[from] TeamError),
    /// The custom role's own rejection.
    #[error(transparent)]
    Role(#[from] CustomRoleError),
    /// The role assignment's own rejection.
    #[error(transparent)]
    Assignment(#[from] RoleAssignmentError),
    /// The account does not exist.
    #[error("the service account {0} does not exist")]
    NoAccount(ServiceAccountId),
    /// The team that a role is granted to, or on, does not exist or was closed.
    #[error("the team {0} does not exist or was closed")]
    TeamNotActive(TeamId),
    /// The custom role that is granted does not exist or was withdrawn.
    #[error("the custom role {0} does not exist or was withdrawn")]
    RoleNotActive(RoleId),
    /// As many roles were granted to the holder as may be.
    #[error(
        "the {holder} has {limit} roles, and no more may be granted to it: revoke one first, or grant roles to a team"
    )]
    TooManyRoles {
        /// The holder.
        holder: Holder,
        /// The maximum number of roles that are granted to one holder.
        limit: usize,
    },
    /// The account or the user is in as many teams as it may be.
    #[error("the {member} is a member of {limit} teams, and cannot join more: remove it from one first")]
    TooManyTeams {
        /// The account or the user.
        member: Member,
        /// The maximum number of teams of one member.
        limit: usize,
    },
    /// The change would take away the last admin.
    #[error(
        "no account or user of the tenant could decide who may do what any more: make another one an admin first, or use the \
         command line"
    )]
    LastAdmin,
    /// The user does not exist.
    #[error("the user {0} does not exist")]
    NoUser(UserId),
    /// The agent that a role is granted on, or that is added to a team, was never registered.
    #[error("the agent {0} is not registered")]
    NoAgent(AgentId),
}

/// Why a command to a user or an invitation is rejected, by the state of what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeopleRejection {
    /// The user's own rejection.
    #[error(transparent)]
    User(#[from] UserError),
    /// The invitation's own rejection.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    /// The role assignment's own rejection.
    #[error(transparent)]
    Assignment(#[from] RoleAssignmentError),
    /// The change would take away the last admin.
    #[error("{}", GrantRejection::LastAdmin)]
    LastAdmin,
}

/// Why an operation on identities failed.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The principal may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant does not exist or is suspended.
    #[error("the tenant {0} does not exist or is suspended: create it with `apex tenants create`, or resume it")]
    TenantNotActive(TenantId),
    /// The command was executed before: the key was shown then.
    #[error(
        "this command was given before, and its key {0} was shown then: if you do not have it, revoke it, and create \
         another one with a new command id"
    )]
    AlreadyCreated(ApiKeyId),
    /// The database did not say whether the key was created.
    #[error(
        "it is not known whether the API key {id} was created: revoke it if it exists, and use a new command id to create \
         another one"
    )]
    CreationUnknown {
        /// The id that the key has if it was created.
        id: ApiKeyId,
        /// Why it is not known.
        #[source]
        source: commands::Error<KeyRejection>,
    },
    /// A key would expire, or an overlap would end, later than a time of an event can be.
    #[error("the time is after the year {max_year}, which is the last one that is accepted: choose a shorter time")]
    TooLate {
        /// The last year.
        max_year: i32,
    },
    /// A command to an API key was not executed.
    #[error(transparent)]
    Key(#[from] commands::Error<KeyRejection>),
    /// A command to a service account, a team, a custom role or a role assignment was not executed.
    #[error(transparent)]
    Grant(#[from] commands::Error<GrantRejection>),
    /// A command to a user or an invitation was not executed.
    #[error(transparent)]
    People(#[from] commands::Error<PeopleRejection>),
    /// Another user of the tenant has the address.
    #[error("there is a user with this address already")]
    EmailTaken,
    /// The user has another name or address.
    #[error("the user {0} has another name or address")]
    OtherProfile(UserId),
    /// The command was executed before: the token of the link was shown then.
    #[error(
        "this command was given before, and the token of its link {0} was shown then: if you do not have it, create another \
         one with a new command id"
    )]
    LinkAlreadyShown(Uuid),
    /// As many invitations of the tenant can be accepted as may be.
    #[error(
        "{limit} invitations wait to be accepted, and no more may be created: revoke some first, or wait until they expire"
    )]
    TooManyInvitations {
        /// The maximum number of invitations of a tenant that can be accepted.
        limit: usize,
    },
    /// A stored secret cannot be decrypted.
    #[error("the stored secret {0} cannot be decrypted: it was changed, or belongs to another installation")]
    Damaged(Uuid),
    /// A password cannot be hashed.
    #[error("a password cannot be hashed, or its stored hash is not one")]
    Hashing,
    /// Too many passwords are hashed at the moment.
    #[error("too many passwords are hashed at the moment; retry")]
    TooManyHashes,
    /// The stored secret of one-time codes is not one.
    #[error("the stored secret of one-time codes is not one")]
    Totp,
    /// A token cannot be signed.
    #[error("a token cannot be signed")]
    Signing(#[from] jsonwebtoken::errors::Error),
    /// There is no key to sign tokens with.
    #[error("there is no key to sign tokens with")]
    NoSigningKey,
    /// The database failed.
    #[error("the secrets cannot be read or written")]
    Database(#[from] DatabaseError),
    /// The log cannot be read.
    #[error("the grants cannot be read")]
    Read(#[from] ReadError),
    /// Reading the grants or the secrets takes too long.
    #[error("the grants and secrets could not be read within {} ms", .0.as_millis())]
    Timeout(std::time::Duration),
    /// Events about the credential, its account or its tenant are archived or cannot be decoded.
    #[error(
        "events about the credential, its account or its tenant cannot be read: set APEX_ARCHIVE if they are archived, or \
         run the version of Apex that wrote them"
    )]
    Unreadable,
    /// The file of key-encryption keys cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random(#[from] rand::rand_core::OsError),
}

impl From<sqlx::Error> for IdentityError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
