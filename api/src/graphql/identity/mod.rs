//! Who may do what: service accounts, API keys, teams, custom roles, role assignments and the access review. Secrets and hashes
//! are never read here; the text of a new key is in the payload that creates it, once.

mod assignment;
mod error;
mod holder;
mod mutation;
mod query;
mod review;
mod role;
mod start;
mod team;
mod types;

pub(crate) use assignment::RoleAssignment;
pub(crate) use error::{Executed, IdentityCommandError};
pub(crate) use query::{account, key};
pub(crate) use review::AccessReviewRow;
pub(crate) use role::{CustomRole, RoleDefinition, custom_role};
pub(crate) use start::Start;
pub(crate) use team::{Team, TeamAgent, TeamMember, team};
pub(crate) use types::{ApiKey, Role, ServiceAccount, assigned, roles};

use async_graphql::MergedObject;

/// Queries for who may do what.
#[derive(MergedObject, Default)]
pub(crate) struct IdentityQuery(
    query::AccountQuery,
    team::TeamQuery,
    role::RoleQuery,
    assignment::AssignmentQuery,
    review::ReviewQuery,
);

/// Commands about who may do what.
#[derive(MergedObject, Default)]
pub(crate) struct IdentityMutation(
    mutation::AccountMutation,
    team::TeamMutation,
    role::RoleMutation,
    assignment::AssignmentMutation,
);
