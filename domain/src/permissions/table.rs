//! The permission table: which role allows which action on which kind of resource. It is the only place that says so.
//! `docs/permissions.md` shows it as a matrix.

use super::action::Action::{
    self, MaintainLog, OperateJobs, OperateProjections, ReadData, ReadMetrics, ReadOwnData, ReadProjections,
    RunInstallation, SendCommand,
};
use super::resource_kind::ResourceKind::{
    self, AccessLog, Agents, AlertEndpoints, Allocation, Budgets, Calls, Contents, Events, Identities, Installation,
    Invoices, Memories, Prices, Reports, Schedules, Spending, TagKeys, Tasks, Tenants,
};
use super::role::Role::{
    self, Admin, Agent, Auditor, Billing, InstallationOperator, InstallationViewer, Operator, System, Viewer,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A row of the table.
type Row = (Action, ResourceKind, &'static [Role]);

const TABLE: [Row; 42] = [
    (ReadData, Agents, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Tasks, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Calls, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Prices, &[Admin, Operator, Viewer, Agent, Billing, Auditor, System]),
    (ReadData, TagKeys, &[Admin, Operator, Viewer, Agent, Billing, Auditor, System]),
    (ReadData, Allocation, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Invoices, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Schedules, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, AlertEndpoints, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Budgets, &[Admin, Operator, Viewer, Agent, Billing, Auditor, System]),
    (ReadData, Spending, &[Admin, Operator, Viewer, Agent, Billing, Auditor, System]),
    (ReadData, Memories, &[Admin, Operator, Viewer, Auditor, System]),
    (ReadData, Identities, &[Admin, Operator, Viewer, Auditor, System]),
    (ReadData, Reports, &[Admin, Operator, Viewer, Billing, Auditor, System]),
    (ReadData, Events, &[Admin, Operator, Viewer, Auditor, System]),
    (ReadData, Contents, &[Admin, Operator, Agent, Auditor, System]),
    (ReadData, AccessLog, &[Admin, Auditor, System]),
    (ReadData, Tenants, &[InstallationOperator]),
    (ReadOwnData, Agents, &[Agent]),
    (ReadOwnData, Tasks, &[Agent]),
    (ReadOwnData, Memories, &[Agent]),
    (SendCommand, Agents, &[Admin, Operator, System]),
    (SendCommand, Tasks, &[Admin, Operator, Agent, System]),
    (SendCommand, Calls, &[Admin, Operator, Agent, System]),
    (SendCommand, Prices, &[Admin, Operator, Billing, System]),
    (SendCommand, TagKeys, &[Admin, Operator, Billing, System]),
    (SendCommand, Allocation, &[Admin, Operator, Billing, System]),
    (SendCommand, Invoices, &[Admin, Operator, Billing, System]),
    (SendCommand, Schedules, &[Admin, Operator, Billing, System]),
    (SendCommand, AlertEndpoints, &[Admin, Operator, Billing, System]),
    (SendCommand, Budgets, &[Admin, Operator, Billing, System]),
    (SendCommand, Spending, &[Admin, Operator, Agent, Billing, System]),
    (SendCommand, Memories, &[Admin, Operator, Agent, System]),
    (SendCommand, Identities, &[Admin]),
    (SendCommand, AccessLog, &[System]),
    (SendCommand, Tenants, &[InstallationOperator]),
    (ReadProjections, Installation, &[InstallationViewer, InstallationOperator]),
    (OperateProjections, Installation, &[InstallationOperator]),
    (OperateJobs, Installation, &[InstallationOperator]),
    (ReadMetrics, Installation, &[InstallationOperator]),
    (MaintainLog, Installation, &[InstallationOperator]),
    (RunInstallation, Installation, &[InstallationOperator]),
];

/// A set is a number with a bit for each row.
const _: () = assert!(TABLE.len() <= 64);

/// The right to do an action on a kind of resource: a row of the table. It is written as `ACTION:KIND`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(usize);

/// The text is not the name of a permission.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a permission: use ACTION:KIND, such as read:agents or command:calls")]
pub struct UnknownPermission(String);

impl Permission {
    /// The permission for an action on a kind of resource; none if there is no such permission.
    #[must_use]
    pub fn of(action: Action, kind: ResourceKind) -> Option<Self> {
        TABLE.iter().position(|row| (row.0, row.1) == (action, kind)).map(Self)
    }

    /// All permissions, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(Self)
    }

    /// The action.
    #[must_use]
    pub fn action(self) -> Action {
        TABLE[self.0].0
    }

    /// The kind of resource.
    #[must_use]
    pub fn kind(self) -> ResourceKind {
        TABLE[self.0].1
    }

    /// Whether a role has the permission.
    #[must_use]
    pub fn is_of(self, role: Role) -> bool {
        TABLE[self.0].2.contains(&role)
    }

    /// Whether the permission is about the data of one tenant.
    #[must_use]
    pub fn is_of_tenant(self) -> bool {
        ResourceKind::OF_TENANT.contains(&self.kind())
    }
}

/// By name, so that what is written does not depend on the order of the table.
impl Ord for Permission {
    fn cmp(&self, other: &Self) -> Ordering {
        let name = |permission: &Self| (permission.action().key(), permission.kind().key());
        name(self).cmp(&name(other))
    }
}

impl PartialOrd for Permission {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.action().key(), self.kind().key())
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all().find(|permission| permission.to_string() == text).ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}

impl TryFrom<String> for Permission {
    type Error = UnknownPermission;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.to_string()
    }
}

impl JsonSchema for Permission {
    fn schema_name() -> Cow<'static, str> {
        "Permission".into()
    }

    /// Not a list of the names: a new permission is not a new version of each event that names some.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z_]+:[a-z_]+$" })
    }
}

/// A set of permissions. It is written as a list of their names, which is not empty: an empty one is refused, so that none is
/// ever taken for all.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<Permission>", into = "BTreeSet<Permission>")]
pub struct PermissionSet(u64);

/// A list of permissions is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the list of permissions is empty")]
pub struct NoPermissions;

impl PermissionSet {
    /// The permissions of some roles together.
    #[must_use]
    pub fn of_roles(roles: &[Role]) -> Self {
        Permission::all().filter(|permission| roles.iter().any(|&role| permission.is_of(role))).collect()
    }

    /// All permissions for an action.
    #[must_use]
    pub fn of_action(action: Action) -> Self {
        Permission::all().filter(|permission| permission.action() == action).collect()
    }

    /// The permissions that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set has no permission.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set has a permission.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission.0) != 0
    }

    /// The permissions of the set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::all().filter(move |&permission| self.contains(permission))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | 1 << permission.0))
    }
}

impl TryFrom<BTreeSet<Permission>> for PermissionSet {
    type Error = NoPermissions;

    fn try_from(permissions: BTreeSet<Permission>) -> Result<Self, NoPermissions> {
        if permissions.is_empty() { Err(NoPermissions) } else { Ok(permissions.into_iter().collect()) }
    }
}

impl From<PermissionSet> for BTreeSet<Permission> {
    fn from(permissions: PermissionSet) -> Self {
        permissions.iter().collect()
    }
}

impl JsonSchema for PermissionSet {
    fn schema_name() -> Cow<'static, str> {
        "PermissionSet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = Permission::json_schema(generator);
        json_schema!({ "type": "array", "items": items, "minItems": 1, "uniqueItems": true })
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::Level;
    use proptest::prelude::*;

    #[test]
    fn every_action_is_about_kinds_of_its_level_and_no_row_is_twice() {
        let names: BTreeSet<_> = Permission::all().map(|permission| permission.to_string()).collect();
        assert_eq!(names.len(), TABLE.len());
        for permission in Permission::all() {
            let of_installation = permission.kind() == ResourceKind::Installation;
            assert_eq!(permission.action().level() == Level::Installation, of_installation, "{permission}");
        }
        for action in Action::ALL {
            let kinds: BTreeSet<_> = Permission::all()
                .filter(|permission| permission.action() == *action)
                .map(|permission| permission.kind().key())
                .collect();
            let of_tenant = ResourceKind::OF_TENANT.into_iter();
            let with_tenants =
                |kinds: Vec<ResourceKind>| kinds.into_iter().chain([Tenants]).map(ResourceKind::key).collect();
            let expected: BTreeSet<_> = if *action == ReadData {
                with_tenants(of_tenant.collect())
            } else if *action == SendCommand {
                with_tenants(of_tenant.filter(|kind| kind.has_aggregates()).collect())
            } else if *action == ReadOwnData {
                ["agents", "tasks", "memories"].into()
            } else {
                ["installation"].into()
            };
            assert_eq!(kinds, expected, "{action}");
        }
    }

    /// A role that is granted in a tenant reaches neither other tenants nor the installation.
    #[test]
    fn roles_of_a_tenant_are_about_its_data_only() {
        for role in Role::ALL.into_iter().filter(|role| role.is_of_tenant()) {
            for permission in PermissionSet::of_roles(&[role]).iter() {
                assert!(permission.is_of_tenant(), "{role} has {permission}");
            }
        }
        // Control: the roles of the installation have such permissions.
        assert!(PermissionSet::of_roles(&[InstallationOperator]).iter().any(|permission| !permission.is_of_tenant()));
    }

    #[test]
    fn only_an_admin_decides_who_may_do_what() {
        let permission = Permission::of(SendCommand, Identities).unwrap();
        let roles: Vec<_> = Role::ALL.into_iter().filter(|&role| permission.is_of(role)).collect();
        assert_eq!(roles, [Admin]);
    }

    #[test]
    fn a_permission_is_read_as_it_is_written() {
        for permission in Permission::all() {
            assert_eq!(permission.to_string().parse(), Ok(permission));
            let json = serde_json::to_string(&permission).unwrap();
            assert_eq!(serde_json::from_str::<Permission>(&json).unwrap(), permission);
        }
        for wrong in ["", "read", "read:", "read:installation", "READ:agents", "read:agents "] {
            assert!(wrong.parse::<Permission>().is_err(), "{wrong:?}");
        }
    }

    proptest! {
        /// A set is what it was made of.
        #[test]
        fn a_set_has_the_permissions_that_it_was_made_of(chosen in proptest::collection::btree_set(0..TABLE.len(), 0..TABLE.len())) {
            let set: PermissionSet = chosen.iter().map(|&row| Permission(row)).collect();
            prop_assert_eq!(set.iter().map(|permission| permission.0).collect::<BTreeSet<_>>(), chosen);
        }

        /// A union has what either set has.
        #[test]
        fn a_union_has_the_permissions_of_both(one in any::<u64>(), other in any::<u64>()) {
            let all = (1 << TABLE.len()) - 1;
            let (one, other) = (PermissionSet(one & all), PermissionSet(other & all));
            for permission in Permission::all() {
                let is_in_either = one.contains(permission) || other.contains(permission);
                prop_assert_eq!(one.union(other).contains(permission), is_in_either);
            }
        }

        /// More roles never take away, and give nothing that none of them has.
        #[test]
        fn roles_together_have_the_permissions_of_each(chosen in proptest::collection::vec(0..Role::ALL.len(), 0..5)) {
            let roles: Vec<_> = chosen.iter().map(|&index| Role::ALL[index]).collect();
            let together = PermissionSet::of_roles(&roles);
            for permission in Permission::all() {
                prop_assert_eq!(together.contains(permission), roles.iter().any(|&role| permission.is_of(role)));
            }
        }
    }
}
