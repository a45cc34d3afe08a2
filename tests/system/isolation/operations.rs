//! What each operation of the API takes. Nothing else says so to the matrix: an operation that is missing here, or that no
//! longer exists, fails it.

use domain::permissions::{Permission, PermissionSet};
use std::collections::BTreeSet;

/// Any permission to read data of the tenant.
pub(super) const ANY: &str = "any";

/// Each field of the roots of the schema, and the permission that it takes.
const OPERATIONS: &[(&str, &str)] = &[
    // The id of `node` says what it takes: see `permission`.
    ("Query.node", ANY),
    ("Query.agent", "read:agents"),
    ("Query.agents", "read:agents"),
    ("Query.task", "read:tasks"),
    ("Query.tasks", "read:tasks"),
    ("Query.call", "read:calls"),
    ("Query.calls", "read:calls"),
    ("Query.memory", "read:memories"),
    ("Query.memories", "read:memories"),
    ("Query.budget", "read:budgets"),
    ("Query.budgets", "read:budgets"),
    ("Query.budgetAlerts", "read:budgets"),
    ("Query.budgetCrossings", "read:budgets"),
    ("Query.prices", "read:prices"),
    ("Query.discounts", "read:prices"),
    ("Query.tagKeys", "read:tag_keys"),
    ("Query.usageReport", "read:reports"),
    ("Query.events", "read:events"),
    ("Query.streamEvents", "read:events"),
    ("Query.head", ANY),
    ("Query.positionAt", "read:events"),
    ("Query.aggregateState", "read:events"),
    ("Query.accessOrigins", "read:access_log"),
    ("Query.serviceAccounts", "read:identities"),
    ("Query.apiKeys", "read:identities"),
    ("Query.teams", "read:identities"),
    ("Query.roles", "read:identities"),
    ("Query.roleAssignments", "read:identities"),
    ("Query.accessReview", "read:identities"),
    ("Query.viewer", ANY),
    ("Query.users", "read:identities"),
    ("Query.invitations", "read:identities"),
    ("Query.rateLimits", ANY),
    ("Query.projections", "read_projections:installation"),
    ("Query.parkedEvents", "read_projections:installation"),
    ("Query.parkingDecisions", "read_projections:installation"),
    ("Mutation.registerAgent", "command:agents"),
    ("Mutation.activateAgent", "command:agents"),
    ("Mutation.pauseAgent", "command:agents"),
    ("Mutation.resumeAgent", "command:agents"),
    ("Mutation.retireAgent", "command:agents"),
    ("Mutation.submitTask", "command:tasks"),
    ("Mutation.startTask", "command:tasks"),
    ("Mutation.reportTaskProgress", "command:tasks"),
    ("Mutation.completeTask", "command:tasks"),
    ("Mutation.failTask", "command:tasks"),
    ("Mutation.cancelTask", "command:tasks"),
    ("Mutation.reportCall", "command:calls"),
    ("Mutation.correctCall", "command:calls"),
    ("Mutation.voidCall", "command:calls"),
    ("Mutation.takeBackImport", "command:calls"),
    ("Mutation.storeMemory", "command:memories"),
    ("Mutation.shareMemory", "command:memories"),
    ("Mutation.recallMemory", "command:memories"),
    ("Mutation.forgetMemory", "command:memories"),
    ("Mutation.defineBudget", "command:budgets"),
    ("Mutation.reviseBudget", "command:budgets"),
    ("Mutation.closeBudget", "command:budgets"),
    ("Mutation.setPrices", "command:prices"),
    ("Mutation.setDiscounts", "command:prices"),
    ("Mutation.declareTagKey", "command:tag_keys"),
    ("Mutation.withdrawTagKey", "command:tag_keys"),
    ("Mutation.createServiceAccount", "command:identities"),
    ("Mutation.disableServiceAccount", "command:identities"),
    ("Mutation.enableServiceAccount", "command:identities"),
    ("Mutation.createApiKey", "command:identities"),
    ("Mutation.rotateApiKey", "command:identities"),
    ("Mutation.revokeApiKey", "command:identities"),
    ("Mutation.createTeam", "command:identities"),
    ("Mutation.renameTeam", "command:identities"),
    ("Mutation.addTeamMember", "command:identities"),
    ("Mutation.removeTeamMember", "command:identities"),
    ("Mutation.closeTeam", "command:identities"),
    ("Mutation.defineRole", "command:identities"),
    ("Mutation.changeRole", "command:identities"),
    ("Mutation.withdrawRole", "command:identities"),
    ("Mutation.grantRole", "command:identities"),
    ("Mutation.revokeRole", "command:identities"),
    ("Mutation.createUser", "command:identities"),
    ("Mutation.inviteUser", "command:identities"),
    ("Mutation.revokeInvitation", "command:identities"),
    ("Mutation.disableUser", "command:identities"),
    ("Mutation.enableUser", "command:identities"),
    ("Mutation.disableOneTimeCodes", "command:identities"),
    ("Mutation.eraseUser", "command:identities"),
    ("Mutation.createPasswordResetLink", "command:identities"),
    // Of another user: everyone may end a session of its own.
    ("Mutation.revokeSession", "command:identities"),
    ("Mutation.setRateLimits", "command:tenants"),
    ("Mutation.resumeParkedEvent", "operate_projections:installation"),
    ("Mutation.rebuildProjection", "operate_projections:installation"),
    ("Mutation.compareProjection", "operate_projections:installation"),
    ("Mutation.switchProjection", "operate_projections:installation"),
    ("Mutation.dropProjectionVersion", "operate_projections:installation"),
    ("Subscription.events", "read:events"),
    ("Subscription.usageTotals", "read:reports"),
    ("Subscription.budgetAlerts", "read:budgets"),
];

/// The kind of object by which `node` finds it, and the permission that it takes.
pub(super) const NODES: &[(&str, &str)] = &[
    ("Agent", "read:agents"),
    ("Task", "read:tasks"),
    ("Call", "read:calls"),
    ("Memory", "read:memories"),
    ("Budget", "read:budgets"),
    ("Event", "read:events"),
    ("ServiceAccount", "read:identities"),
    ("ApiKey", "read:identities"),
    ("Team", "read:identities"),
    ("CustomRole", "read:identities"),
    ("User", "read:identities"),
];

/// Permissions that no operation of GraphQL takes: they are about texts inside of what other permissions show, about own
/// objects, about routes, or about the command line.
pub(super) const OUTSIDE: &[&str] = &[
    "read:contents",
    "read:tenants",
    "read_own:agents",
    "read_own:tasks",
    "read_own:memories",
    "command:access_log",
    "operate_jobs:installation",
    "read_metrics:installation",
    "maintain_log:installation",
    "run:installation",
];

/// The permission that an operation takes.
///
/// # Panics
/// If the operation is not in the table: a new one has to be added.
pub(super) fn permission(operation: &str) -> &'static str {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    found.unwrap_or_else(|| panic!("{operation} is new: add it to OPERATIONS in tests/system/isolation")).1
}

/// Compares the table with the schema and with the permission table.
pub(super) fn check_table(of_schema: &BTreeSet<String>) {
    let known: BTreeSet<_> = OPERATIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let differing: Vec<_> = known.symmetric_difference(of_schema).collect();
    assert!(differing.is_empty(), "OPERATIONS in tests/system/isolation and the schema differ: {differing:?}");
    let taken: BTreeSet<_> = OPERATIONS.iter().map(|(_, permission)| *permission).collect();
    for permission in taken.iter().filter(|permission| **permission != ANY) {
        assert!(permission.parse::<Permission>().is_ok(), "{permission} is not in the permission table");
    }
    for permission in Permission::all().map(|permission| permission.to_string()) {
        let (is_taken, is_outside) = (taken.contains(&*permission), OUTSIDE.contains(&&*permission));
        assert!(is_taken != is_outside, "no operation takes {permission}, or one does that is said to be outside");
    }
}

/// Whether a set of permissions is enough for what an operation takes.
pub(super) fn is_enough(permissions: PermissionSet, taken: &str) -> bool {
    if taken == ANY {
        let is_read = |permission: Permission| permission.to_string().starts_with("read:") && permission.is_of_tenant();
        return permissions.iter().any(is_read);
    }
    taken.parse::<Permission>().is_ok_and(|permission| permissions.contains(permission))
}

#[test]
#[should_panic(expected = "Query.planted is new")]
fn an_operation_that_is_not_in_the_table_is_found() {
    permission("Query.planted");
}

#[test]
#[should_panic(expected = "Mutation.planted")]
fn a_schema_with_another_operation_is_found() {
    let planted = OPERATIONS.iter().map(|(name, _)| (*name).to_owned()).chain(["Mutation.planted".to_owned()]);
    check_table(&planted.collect());
}
