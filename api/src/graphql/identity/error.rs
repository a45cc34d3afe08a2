//! The error with which commands about identities are rejected.

use crate::graphql::command_error::{Rejection as _, command_error};
use crate::graphql::errors::{self, Failure};
use crate::graphql::payload::Outcome;
use crate::graphql::scalars::Position;
use async_graphql::{Result, SimpleObject};
use commands::OutcomeKind;
use domain::api_key::ApiKeyError;
use domain::custom_role::CustomRoleError;
use domain::invitation::InvitationError;
use domain::role_assignment::RoleAssignmentError;
use domain::service_account::ServiceAccountError;
use domain::team::TeamError;
use domain::user::UserError;
use identity::{GrantRejection, IdentityError, KeyRejection, PeopleRejection};

command_error! {
    /// Reason for which a command about who may do what was rejected.
    IdentityCommandError,
    /// Reasons for which a command about who may do what is rejected.
    IdentityErrorCode {
        /// No service account, API key, team, custom role, user or invitation with this id was created, or the role was never
        /// granted to the holder.
        NotCreated,
        /// A service account, API key, team, custom role, user or invitation with other properties has this id.
        AlreadyCreated,
        /// The command was executed before, and the secret was returned then. It cannot be returned again: revoke the key or
        /// the invitation, and create another one with a new `commandId`.
        SecretAlreadyShown,
        /// Another user of the tenant has the e-mail address.
        EmailTaken,
        /// The service account does not exist or is disabled.
        AccountNotActive,
        /// The tenant does not exist or is suspended.
        TenantNotActive,
        /// The API key would have no permission.
        NoScopes,
        /// A scope is not a permission on the data of a tenant.
        ScopeOutsideTenant,
        /// The API key, invitation or link would expire before it can be used.
        ExpiresTooSoon,
        /// The API key or invitation expired.
        Expired,
        /// The API key or invitation was revoked.
        Revoked,
        /// The API key or invitation was revoked before, for a different reason, which is kept.
        RevokedOtherwise,
        /// The API key was already replaced by another one.
        AlreadyRotated,
        /// The service account was disabled, the team closed or the role withdrawn before, for a different reason, which is kept.
        OtherReason,
        /// The user does not exist, or is disabled or deleted.
        UserNotActive,
        /// The agent that the role is granted on, or that is added to the team, is not registered.
        AgentNotRegistered,
        /// The team does not exist or was closed, which is final.
        TeamNotActive,
        /// The custom role does not exist or was withdrawn, which is final.
        RoleNotActive,
        /// The custom role would have no permission.
        NoPermissions,
        /// A permission is not about the data of a tenant.
        PermissionOutsideTenant,
        /// The role is not one of a tenant.
        RoleOutsideTenant,
        /// The team has 500 members, and no more may be added.
        TooManyMembers,
        /// The team has 500 agents, and no more may be added.
        TooManyAgents,
        /// The API key would be bound to an agent and to a team.
        AgentAndTeam,
        /// The account or the user is a member of 64 teams, and cannot join more.
        TooManyTeams,
        /// The holder has 64 roles, and no more may be granted to it.
        TooManyRoles,
        /// The team or the custom role was changed as often as it may be: create another one.
        TooManyChanges,
        /// No account or user of the tenant could decide who may do what any more. Make another one an admin first, or use the
        /// command line.
        LastAdmin,
        /// As many invitations of the tenant wait to be accepted as the settings of the server allow.
        TooManyInvitations,
        /// The state of the user or the invitation does not allow the command.
        NotAllowed,
    }
}

impl From<KeyRejection> for IdentityCommandError {
    fn from(error: KeyRejection) -> Self {
        let code = match &error {
            KeyRejection::AccountNotActive(_) => IdentityErrorCode::AccountNotActive,
            KeyRejection::TeamNotActive(_) => IdentityErrorCode::TeamNotActive,
            KeyRejection::Key(error) => match error {
                ApiKeyError::NotCreated => IdentityErrorCode::NotCreated,
                ApiKeyError::AlreadyCreated => IdentityErrorCode::AlreadyCreated,
                ApiKeyError::NoScopes => IdentityErrorCode::NoScopes,
                ApiKeyError::ExpiresTooSoon { .. } => IdentityErrorCode::ExpiresTooSoon,
                ApiKeyError::ScopeOutsideTenant(_) => IdentityErrorCode::ScopeOutsideTenant,
                ApiKeyError::AgentAndTeam => IdentityErrorCode::AgentAndTeam,
                ApiKeyError::Revoked => IdentityErrorCode::Revoked,
                ApiKeyError::Expired(_) => IdentityErrorCode::Expired,
                ApiKeyError::AlreadyRotated(_) => IdentityErrorCode::AlreadyRotated,
                ApiKeyError::AlreadyRevoked => IdentityErrorCode::RevokedOtherwise,
            },
        };
        Self::new(code, error)
    }
}

fn of_assignment(error: &RoleAssignmentError) -> IdentityErrorCode {
    match error {
        RoleAssignmentError::NeverGranted => IdentityErrorCode::NotCreated,
        RoleAssignmentError::NotOfTenant(_) => IdentityErrorCode::RoleOutsideTenant,
        RoleAssignmentError::OtherAssignment => IdentityErrorCode::AlreadyCreated,
    }
}

impl From<GrantRejection> for IdentityCommandError {
    fn from(error: GrantRejection) -> Self {
        let code = match &error {
            GrantRejection::NoAccount(_) => IdentityErrorCode::AccountNotActive,
            GrantRejection::NoUser(_) => IdentityErrorCode::UserNotActive,
            GrantRejection::NoAgent(_) => IdentityErrorCode::AgentNotRegistered,
            GrantRejection::TeamNotActive(_) => IdentityErrorCode::TeamNotActive,
            GrantRejection::RoleNotActive(_) => IdentityErrorCode::RoleNotActive,
            GrantRejection::TooManyRoles { .. } => IdentityErrorCode::TooManyRoles,
            GrantRejection::TooManyTeams { .. } => IdentityErrorCode::TooManyTeams,
            GrantRejection::LastAdmin => IdentityErrorCode::LastAdmin,
            GrantRejection::Account(error) => match error {
                ServiceAccountError::NotCreated => IdentityErrorCode::NotCreated,
                ServiceAccountError::AlreadyCreated => IdentityErrorCode::AlreadyCreated,
                ServiceAccountError::AlreadyDisabled => IdentityErrorCode::OtherReason,
            },
            GrantRejection::Team(error) => match error {
                TeamError::NotCreated => IdentityErrorCode::NotCreated,
                TeamError::AlreadyCreated => IdentityErrorCode::AlreadyCreated,
                TeamError::Closed => IdentityErrorCode::TeamNotActive,
                TeamError::ClosedOtherwise => IdentityErrorCode::OtherReason,
                TeamError::TooManyMembers => IdentityErrorCode::TooManyMembers,
                TeamError::TooManyAgents => IdentityErrorCode::TooManyAgents,
                TeamError::TooManyChanges => IdentityErrorCode::TooManyChanges,
            },
            GrantRejection::Role(error) => match error {
                CustomRoleError::NotDefined => IdentityErrorCode::NotCreated,
                CustomRoleError::AlreadyDefined => IdentityErrorCode::AlreadyCreated,
                CustomRoleError::NoPermissions => IdentityErrorCode::NoPermissions,
                CustomRoleError::OutsideTenant(_) => IdentityErrorCode::PermissionOutsideTenant,
                CustomRoleError::Withdrawn => IdentityErrorCode::RoleNotActive,
                CustomRoleError::WithdrawnOtherwise => IdentityErrorCode::OtherReason,
                CustomRoleError::TooManyChanges => IdentityErrorCode::TooManyChanges,
            },
            GrantRejection::Assignment(error) => of_assignment(error),
        };
        Self::new(code, error)
    }
}

impl From<PeopleRejection> for IdentityCommandError {
    fn from(error: PeopleRejection) -> Self {
        let code = match &error {
            PeopleRejection::User(UserError::NotCreated) | PeopleRejection::Invitation(InvitationError::NotCreated) => {
                IdentityErrorCode::NotCreated
            }
            PeopleRejection::User(UserError::AlreadyCreated)
            | PeopleRejection::Invitation(InvitationError::AlreadyCreated) => IdentityErrorCode::AlreadyCreated,
            PeopleRejection::User(UserError::ExpiresTooSoon { .. })
            | PeopleRejection::Invitation(InvitationError::ExpiresTooSoon { .. }) => IdentityErrorCode::ExpiresTooSoon,
            PeopleRejection::Invitation(InvitationError::Expired(_)) => IdentityErrorCode::Expired,
            PeopleRejection::LastAdmin => IdentityErrorCode::LastAdmin,
            PeopleRejection::Invitation(InvitationError::Revoked) => IdentityErrorCode::Revoked,
            PeopleRejection::Invitation(InvitationError::AlreadyRevoked) => IdentityErrorCode::RevokedOtherwise,
            PeopleRejection::Assignment(error) => of_assignment(error),
            PeopleRejection::User(_) | PeopleRejection::Invitation(_) => IdentityErrorCode::NotAllowed,
        };
        Self::new(code, error)
    }
}

/// The fields by which every payload of a command about identities says its outcome.
#[derive(SimpleObject)]
pub(crate) struct Executed {
    /// Outcome of the command.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    pub(crate) error: Option<IdentityCommandError>,
}

impl Executed {
    pub(crate) fn done(kind: OutcomeKind, position: commands::Position) -> Self {
        Self { outcome: kind.into(), position: Some(Position(position)), error: None }
    }

    pub(crate) fn rejected(error: impl Into<IdentityCommandError>) -> Self {
        Self { outcome: Outcome::Rejected, position: None, error: Some(error.into()) }
    }

    /// The part of the payload of a command that was executed or rejected.
    ///
    /// # Errors
    /// As for [`Executed::failed`].
    pub(super) fn of(result: Result<(OutcomeKind, commands::Position), IdentityError>) -> async_graphql::Result<Self> {
        match result {
            Ok((kind, position)) => Ok(Self::done(kind, position)),
            Err(error) => Self::failed(error),
        }
    }

    /// The part of the payload of a command that was not executed.
    ///
    /// # Errors
    /// The error of the response, for what is no rejection.
    pub(crate) fn failed(error: IdentityError) -> Result<Self> {
        let message = error.to_string();
        Ok(Self::rejected(match error {
            IdentityError::Key(error) => of_failure(error.into())?,
            IdentityError::Grant(error) => of_failure(error.into())?,
            IdentityError::People(error) => of_failure(error.into())?,
            IdentityError::EmailTaken => IdentityCommandError::new(IdentityErrorCode::EmailTaken, message),
            IdentityError::LinkAlreadyShown(_) => {
                IdentityCommandError::new(IdentityErrorCode::SecretAlreadyShown, message)
            }
            IdentityError::TooManyInvitations { .. } => {
                IdentityCommandError::new(IdentityErrorCode::TooManyInvitations, message)
            }
            IdentityError::OtherProfile(_) => IdentityCommandError::new(IdentityErrorCode::AlreadyCreated, message),
            IdentityError::TenantNotActive(_) => IdentityCommandError::new(IdentityErrorCode::TenantNotActive, message),
            IdentityError::AlreadyCreated(_) => {
                IdentityCommandError::new(IdentityErrorCode::SecretAlreadyShown, message)
            }
            IdentityError::TooLate { .. } => IdentityCommandError::new(IdentityErrorCode::InvalidInput, message),
            error => return Err(errors::identities(&error)),
        }))
    }
}

fn of_failure<R: Into<IdentityCommandError>>(failure: Failure<R>) -> Result<IdentityCommandError> {
    Ok(match failure {
        Failure::Rejected(rejection) => rejection.into(),
        Failure::WrongVersion { expected, current } => IdentityCommandError::wrong_version(expected, current),
        Failure::CommandIdReused => IdentityCommandError::command_id_reused(),
        Failure::Invalid(invalid) => IdentityCommandError::too_large(invalid.to_string()),
        Failure::Failed(error) => return Err(error),
    })
}
