//! What each operation of the API takes. Nothing else says so to the matrix: an operation that is missing here, or that no
//! longer exists, fails it.

use domain::permissions::Permission;
use std::collections::BTreeSet;

/// Any permission to read data of the tenant.
pub(super) const ANY: &str = "any";

/// Each field of the roots of the schema, and the permissions that it takes, with spaces between them.
const OPERATIONS: &[(&str, &str)] = &[
    // The id of `node` says what it takes besides: see `NODES`.
    ("Query.node", ANY),
    ("Query.agent", "read:agents"),
    ("Query.agents", "read:agents"),
    ("Query.agentCounts", "read:agents"),
    ("Query.task", "read:tasks"),
    ("Query.tasks", "read:tasks"),
    ("Query.taskCounts", "read:tasks"),
    ("Query.call", "read:calls"),
    ("Query.calls", "read:calls"),
    ("Query.trace", "read:calls"),
    ("Query.reservation", "read:calls"),
    ("Query.memory", "read:memories"),
    ("Query.memories", "read:memories"),
    ("Query.budget", "read:budgets"),
    ("Query.budgets", "read:budgets"),
    ("Query.budgetPeriod", "read:spending"),
    ("Query.budgetAlerts", "read:budgets"),
    ("Query.budgetCrossings", "read:budgets"),
    ("Query.budgetThresholds", "read:spending"),
    ("Query.approval", "read:spending"),
    ("Query.approvals", "read:spending"),
    ("Query.budgetRefusals", "read:spending"),
    ("Query.budgetHistory", "read:spending"),
    ("Query.budgetPreview", "read:reports"),
    ("Query.budgetWatches", "read:spending"),
    ("Query.prices", "read:prices"),
    ("Query.discounts", "read:prices"),
    ("Query.repricing", "read:calls read:prices"),
    ("Query.tagKeys", "read:tag_keys"),
    ("Query.allocationRules", "read:allocation"),
    ("Query.costStatements", "read:reports read:allocation"),
    ("Query.invoice", "read:invoices"),
    ("Query.invoices", "read:invoices"),
    ("Query.invoiceVariances", "read:invoices"),
    ("Query.usageReport", "read:reports"),
    ("Query.costChanges", "read:reports"),
    ("Query.schedule", "read:schedules"),
    ("Query.schedules", "read:schedules"),
    ("Query.alertEndpoints", "read:alert_endpoints"),
    ("Query.alertDeliveries", "read:alert_endpoints"),
    ("Query.completedTaskCosts", "read:reports"),
    ("Query.meterCosts", "read:reports"),
    ("Query.costForecast", "read:reports"),
    ("Query.costAnomalies", "read:reports"),
    ("Query.events", "read:events"),
    ("Query.streamEvents", "read:events"),
    ("Query.head", ANY),
    ("Query.positionAt", "read:events"),
    // And the permission to read the kind of the aggregate: see `special` in schema.rs.
    ("Query.aggregateState", "read:events read:contents"),
    ("Query.aggregateChanges", "read:events read:contents"),
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
    ("Mutation.suspendBudget", "command:budgets"),
    ("Mutation.resumeBudget", "command:budgets"),
    ("Mutation.raiseBudget", "command:budgets"),
    ("Mutation.delegateBudget", "command:budgets"),
    ("Mutation.endDelegation", "command:budgets"),
    ("Mutation.closeBudget", "command:budgets"),
    ("Mutation.acknowledgeAlert", "command:budgets"),
    ("Mutation.resolveAlert", "command:budgets"),
    ("Mutation.answerApproval", "command:budgets command:spending"),
    ("Mutation.setBudgetWatch", "command:budgets"),
    ("Mutation.acknowledgeBudgetCondition", "command:budgets"),
    ("Mutation.reserveSpend", "command:calls command:spending"),
    ("Mutation.extendReservation", "command:calls command:spending"),
    ("Mutation.releaseReservation", "command:calls command:spending"),
    ("Mutation.setPrices", "command:prices"),
    ("Mutation.setDiscounts", "command:prices"),
    ("Mutation.repriceCalls", "read:calls command:calls command:prices"),
    ("Mutation.declareTagKey", "command:tag_keys"),
    ("Mutation.withdrawTagKey", "command:tag_keys"),
    ("Mutation.setAllocationRules", "command:allocation"),
    ("Mutation.recordInvoice", "command:invoices"),
    ("Mutation.reconcileInvoice", "command:invoices read:invoices read:reports"),
    ("Mutation.withdrawInvoice", "command:invoices"),
    ("Mutation.defineSchedule", "command:schedules"),
    ("Mutation.changeSchedule", "command:schedules"),
    ("Mutation.pauseSchedule", "command:schedules"),
    ("Mutation.resumeSchedule", "command:schedules"),
    ("Mutation.deleteSchedule", "command:schedules"),
    ("Mutation.runSchedule", "command:schedules"),
    ("Mutation.defineAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.reviseAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.rotateAlertEndpointSecret", "command:alert_endpoints"),
    ("Mutation.disableAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.enableAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.removeAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.silenceAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.setAlertEndpointQuietHours", "command:alert_endpoints"),
    ("Mutation.testAlertEndpoint", "command:alert_endpoints"),
    ("Mutation.redeliverAlerts", "command:alert_endpoints"),
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
    ("Mutation.addTeamAgent", "command:identities"),
    ("Mutation.removeTeamAgent", "command:identities"),
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
    ("Subscription.budgetThresholds", "read:spending"),
    ("Subscription.budgetPeriod", "read:spending"),
];

/// The kind of object by which `node` finds it, and the permission that it takes.
pub(super) const NODES: &[(&str, &str)] = &[
    ("Agent", "read:agents"),
    ("Task", "read:tasks"),
    ("Call", "read:calls"),
    ("Memory", "read:memories"),
    ("Budget", "read:budgets"),
    ("Invoice", "read:invoices"),
    ("Schedule", "read:schedules"),
    ("Event", "read:events"),
    ("ServiceAccount", "read:identities"),
    ("ApiKey", "read:identities"),
    ("Team", "read:identities"),
    ("CustomRole", "read:identities"),
    ("User", "read:identities"),
];

/// Permissions that no operation of GraphQL takes: they are about own objects, about routes, or about the command line.
pub(super) const OUTSIDE: &[&str] = &[
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

/// The permissions that an operation takes.
///
/// # Panics
/// If the operation is not in the table: a new one has to be added.
pub(super) fn permissions(operation: &str) -> impl Iterator<Item = &'static str> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == operation);
    found.unwrap_or_else(|| panic!("{}", missing(&[operation.to_owned()]))).1.split(' ')
}

fn missing(operations: &[String]) -> String {
    let lines = operations.iter().map(|name| format!("    (\"{name}\", \"ACTION:KIND\"),\n")).collect::<String>();
    format!(
        "operations without a line in OPERATIONS in tests/system/isolation/operations.rs, which says what an operation takes. \
         Add:\n{lines}"
    )
}

/// Compares the table with the schema and with the permission table.
pub(super) fn check_table(of_schema: &BTreeSet<String>) {
    let known: BTreeSet<_> = OPERATIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let new: Vec<_> = of_schema.difference(&known).cloned().collect();
    assert!(new.is_empty(), "{}", missing(&new));
    let removed: Vec<_> = known.difference(of_schema).collect();
    assert!(removed.is_empty(), "remove from OPERATIONS in tests/system/isolation/operations.rs: {removed:?}");
    let taken: BTreeSet<_> = OPERATIONS.iter().flat_map(|(_, permissions)| permissions.split(' ')).collect();
    for permission in taken.iter().filter(|permission| **permission != ANY) {
        assert!(permission.parse::<Permission>().is_ok(), "{permission} is not in the permission table");
    }
    for permission in Permission::all().map(|permission| permission.to_string()) {
        let (is_taken, is_outside) = (taken.contains(&*permission), OUTSIDE.contains(&&*permission));
        assert!(is_taken != is_outside, "no operation takes {permission}, or one does that is said to be OUTSIDE");
    }
}

/// Compares the kinds of objects that `node` finds with those of the schema.
pub(super) fn check_nodes(of_schema: &BTreeSet<&str>) {
    let known: BTreeSet<_> = NODES.iter().map(|(kind, _)| *kind).collect();
    let differing: Vec<_> = known.symmetric_difference(of_schema).collect();
    assert!(
        differing.is_empty(),
        "NODES in tests/system/isolation/operations.rs and the types that implement Node differ: {differing:?}"
    );
}

#[test]
#[should_panic(expected = "(\"Query.planted\", \"ACTION:KIND\")")]
fn an_operation_that_is_not_in_the_table_is_found() {
    drop(permissions("Query.planted"));
}

#[test]
#[should_panic(expected = "(\"Mutation.planted\", \"ACTION:KIND\")")]
fn a_schema_with_another_operation_is_found() {
    let planted = OPERATIONS.iter().map(|(name, _)| (*name).to_owned()).chain(["Mutation.planted".to_owned()]);
    check_table(&planted.collect());
}

#[test]
#[should_panic(expected = "remove from OPERATIONS")]
fn an_operation_that_the_schema_no_longer_has_is_found() {
    check_table(&OPERATIONS.iter().skip(1).map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
#[should_panic(expected = "\"Planted\"")]
fn a_kind_of_object_that_is_not_in_the_table_is_found() {
    check_nodes(&NODES.iter().map(|(kind, _)| *kind).chain(["Planted"]).collect());
}
