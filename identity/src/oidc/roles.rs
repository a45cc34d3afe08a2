//! The roles that groups give: what has to be granted and revoked when a person signs in.
//!
//! A role that a provider granted is revoked once the groups of the person do not give it. Who granted a role is the actor of
//! its event, so that a role that an administrator or another provider granted stays.

use crate::error::PeopleRejection;
use crate::grants::MAX_ROLES_OF_HOLDER;
use crate::people::rejected;
use chrono::{DateTime, Utc};
use commands::{States, Undecided};
use domain::custom_role::CustomRole;
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleAssignment, RoleAssignmentCommand, RoleExtent};
use domain::{Aggregate as _, UserId};
use std::collections::BTreeSet;

/// What has to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RoleChanges {
    pub(super) grant: Vec<AssignedRole>,
    pub(super) revoke: Vec<AssignedRole>,
}

impl RoleChanges {
    /// The changes of a user who has some roles, each by an actor, for an actor who says which ones it is to have on the tenant.
    pub(super) fn of(
        held: &[(AssignedRole, RoleExtent, String)],
        wanted: &BTreeSet<AssignedRole>,
        actor: &str,
    ) -> Self {
        let on_tenant = || held.iter().filter(|(_, extent, _)| *extent == RoleExtent::Tenant);
        let is_held = |role: &AssignedRole| on_tenant().any(|(held, ..)| held == role);
        let mut grant: Vec<_> = wanted.iter().filter(|role| !is_held(role)).copied().collect();
        let own = on_tenant().filter(|(.., by)| by == actor).map(|(role, ..)| *role);
        let revoke: Vec<_> = own.filter(|role| !wanted.contains(role)).collect();
        grant.truncate(MAX_ROLES_OF_HOLDER.saturating_sub(held.len() - revoke.len()));
        Self { grant, revoke }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.grant.is_empty() && self.revoke.is_empty()
    }

    /// Adds the events of the changes to a decision. Custom roles that do not exist are not granted.
    pub(super) fn apply(
        &self,
        states: &mut States<'_>,
        user: UserId,
        at: DateTime<Utc>,
    ) -> Result<(), Undecided<PeopleRejection>> {
        for role in &self.grant {
            if let AssignedRole::Custom(id) = role
                && !states.get::<CustomRole>(id.0)?.is_active()
            {
                continue;
            }
            let assignment = Assignment::on_tenant(Holder::User(user), *role);
            change(states, assignment, RoleAssignmentCommand::Grant { assignment, at })?;
        }
        for role in &self.revoke {
            let assignment = Assignment::on_tenant(Holder::User(user), *role);
            change(states, assignment, RoleAssignmentCommand::Revoke { reason: None, at })?;
        }
        Ok(())
    }
}

fn change(
    states: &mut States<'_>,
    assignment: Assignment,
    command: RoleAssignmentCommand,
) -> Result<(), Undecided<PeopleRejection>> {
    let id = assignment.stream_id();
    let events = states.get::<RoleAssignment>(id)?.decide(command).map_err(rejected)?;
    states.append::<RoleAssignment, _>(id, events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::permissions::Role;
    use domain::{AgentId, RoleId};
    use uuid::Uuid;

    const OKTA: &str = "oidc:okta";

    fn built_in(role: Role) -> AssignedRole {
        AssignedRole::BuiltIn(role)
    }

    #[test]
    fn only_what_the_provider_granted_is_revoked() {
        let [admin, viewer, auditor] = [Role::Admin, Role::Viewer, Role::Auditor].map(built_in);
        let on_tenant = |role, by: &str| (role, RoleExtent::Tenant, by.to_owned());
        let held = |by: &str| vec![on_tenant(admin, by), on_tenant(viewer, "command line")];
        let changes = |by: &str, wanted: &[AssignedRole]| {
            let RoleChanges { grant, revoke } = RoleChanges::of(&held(by), &wanted.iter().copied().collect(), OKTA);
            (grant, revoke)
        };
        assert_eq!(changes(OKTA, &[admin]), (vec![], vec![]));
        assert_eq!(changes(OKTA, &[]), (vec![], vec![admin]));
        assert_eq!(changes(OKTA, &[auditor]), (vec![auditor], vec![admin]));
        // What others granted stays, and is not granted again.
        for other in ["oidc:entra", "oidc:okta2", "user:1/session:2"] {
            assert_eq!(changes(other, &[]), (vec![], vec![]), "{other}");
            assert_eq!(changes(other, &[admin, viewer]), (vec![], vec![]), "{other}");
        }
    }

    #[test]
    fn a_role_on_an_agent_is_not_one_on_the_tenant() {
        let (viewer, agent) = (built_in(Role::Viewer), AgentId(Uuid::from_u128(1)));
        let held = [(viewer, RoleExtent::Agent(agent), OKTA.to_owned())];
        let changes = RoleChanges::of(&held, &BTreeSet::from([viewer]), OKTA);
        assert_eq!(changes, RoleChanges { grant: vec![viewer], revoke: vec![] });
        assert!(RoleChanges::of(&held, &BTreeSet::new(), OKTA).is_empty());
    }

    #[test]
    fn a_user_does_not_get_more_roles_than_a_holder_may_have() {
        let custom = |number: usize| AssignedRole::Custom(RoleId(Uuid::from_u128(number as u128)));
        let held: Vec<_> =
            (0..MAX_ROLES_OF_HOLDER - 1).map(|number| (custom(number), RoleExtent::Tenant, String::new())).collect();
        let wanted = (100..110).map(custom).collect();
        assert_eq!(RoleChanges::of(&held, &wanted, OKTA).grant.len(), 1);
        let own: Vec<_> = held.into_iter().map(|(role, extent, _)| (role, extent, OKTA.to_owned())).collect();
        assert_eq!(RoleChanges::of(&own, &wanted, OKTA).grant.len(), 10);
    }
}
