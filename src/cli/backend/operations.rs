//! What the subcommands about identities, calls and tags do, wherever it is done: by this process on the database, or by a server.

use super::alerts::{AddressFields, DeliveryState, EndpointMove, ShownDelivery, ShownEndpoint};
use super::budgets::{RefusalSelection, ShownApproval, ShownEntry, ShownPreview, ShownRefusal, ShownStatus};
use super::correction::Correction;
use super::invoice::{ShownInvoice, ShownVariance};
use crate::config::Secret;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use commands::OutcomeKind;
use domain::alert_endpoints::AlertEndpointTerms;
use domain::allocation::{AllocationRuleSet, AllocationRulesSet, RulesInForce};
use domain::api_key::KeyTerms;
use domain::approval::ApprovalAnswer;
use domain::budget::{BudgetTerms, Month};
use domain::custom_role::RoleDefinition;
use domain::invoice::{Cause, Figure, InvoiceHeader, InvoiceLine};
use domain::permissions::Role;
use domain::role_assignment::{Assignment, Holder};
use domain::schedule::ScheduleDefinition;
use domain::team::Member;
use domain::{
    AgentId, AlertEndpointId, ApiKeyId, ApprovalId, Body, BudgetId, CallId, InvitationId, InvoiceId, Name, RoleId,
    ScheduleId, ServiceAccountId, TagKey, TeamId, UserId,
};
use identity::{
    AccountSummary, AlertTarget, AssignmentSummary, Email, InvitationSummary, KeySummary, MemberSummary, ReviewRow,
    RoleSummary, TeamAgentSummary, TeamSummary, UserSummary,
};
use projections::budgets::HistorySelection;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;
use uuid::Uuid;

/// The first objects of a list, and whether there are more than are listed.
pub(in crate::cli) struct Listed<T> {
    pub(in crate::cli) items: Vec<T>,
    pub(in crate::cli) is_cut: bool,
}

/// A new API key with its text.
pub(in crate::cli) struct IssuedKey {
    pub(in crate::cli) id: ApiKeyId,
    pub(in crate::cli) text: Secret,
    /// The file of key-encryption keys, if this process has created it with the key.
    pub(in crate::cli) created_key_file: Option<PathBuf>,
}

/// A version of the allocation rules.
pub(in crate::cli) struct ShownRules {
    pub(in crate::cli) version: u64,
    pub(in crate::cli) set: AllocationRulesSet,
    /// The versions that are in force now.
    pub(in crate::cli) in_force: Vec<RulesInForce>,
}

/// A token in a link, with the id of what it is of.
pub(in crate::cli) struct IssuedToken<I> {
    pub(in crate::cli) id: I,
    pub(in crate::cli) token: Secret,
    pub(in crate::cli) expires_at: DateTime<Utc>,
}

/// Service accounts.
pub(in crate::cli) trait AccountOperations {
    async fn accounts(&self) -> anyhow::Result<Listed<AccountSummary>>;
    async fn create_account(&self, name: Name, roles: &[Role]) -> anyhow::Result<ServiceAccountId>;
    async fn disable_account(&self, id: ServiceAccountId, reason: Option<Body>) -> anyhow::Result<()>;
    async fn enable_account(&self, id: ServiceAccountId) -> anyhow::Result<()>;
}

/// API keys.
pub(in crate::cli) trait KeyOperations {
    async fn keys(&self) -> anyhow::Result<Listed<KeySummary>>;
    async fn create_key(&self, terms: KeyTerms) -> anyhow::Result<IssuedKey>;
    async fn rotate_key(
        &self,
        id: ApiKeyId,
        overlap: TimeDelta,
        expires_at: Option<DateTime<Utc>>,
    ) -> anyhow::Result<IssuedKey>;
    async fn revoke_key(&self, id: ApiKeyId, reason: Option<Body>) -> anyhow::Result<()>;
}

/// Roles and who has them.
pub(in crate::cli) trait RoleOperations {
    /// The custom roles.
    async fn roles(&self) -> anyhow::Result<Listed<RoleSummary>>;
    /// Who has which role, or which roles a holder has itself.
    async fn assignments(&self, holder: Option<Holder>) -> anyhow::Result<Listed<AssignmentSummary>>;
    async fn define_role(&self, definition: RoleDefinition) -> anyhow::Result<RoleId>;
    async fn change_role(&self, id: RoleId, definition: RoleDefinition) -> anyhow::Result<()>;
    async fn withdraw_role(&self, id: RoleId, reason: Option<Body>) -> anyhow::Result<()>;
    async fn grant_role(&self, assignment: Assignment) -> anyhow::Result<()>;
    async fn revoke_role(&self, assignment: Assignment, reason: Option<Body>) -> anyhow::Result<()>;
}

/// Teams.
pub(in crate::cli) trait TeamOperations {
    async fn teams(&self) -> anyhow::Result<Listed<TeamSummary>>;
    /// The members of a team; none if there is no such team.
    async fn members(&self, id: TeamId) -> anyhow::Result<Option<Vec<MemberSummary>>>;
    async fn create_team(&self, name: Name) -> anyhow::Result<TeamId>;
    async fn rename_team(&self, id: TeamId, name: Name) -> anyhow::Result<()>;
    async fn add_member(&self, id: TeamId, member: Member) -> anyhow::Result<()>;
    async fn remove_member(&self, id: TeamId, member: Member) -> anyhow::Result<()>;
    /// The agents of a team; none if there is no such team.
    async fn agents_of_team(&self, id: TeamId) -> anyhow::Result<Option<Vec<TeamAgentSummary>>>;
    async fn add_agent(&self, id: TeamId, agent: AgentId) -> anyhow::Result<()>;
    async fn remove_agent(&self, id: TeamId, agent: AgentId) -> anyhow::Result<()>;
    async fn close_team(&self, id: TeamId, reason: Option<Body>) -> anyhow::Result<()>;
}

/// Users and invitations.
pub(in crate::cli) trait UserOperations {
    async fn users(&self) -> anyhow::Result<Listed<UserSummary>>;
    async fn invitations(&self) -> anyhow::Result<Listed<InvitationSummary>>;
    async fn create_user(&self, email: &Email, name: Option<Name>, roles: &[Role]) -> anyhow::Result<UserId>;
    async fn invite_user(
        &self,
        email: &Email,
        roles: &[Role],
        lifetime: TimeDelta,
    ) -> anyhow::Result<IssuedToken<InvitationId>>;
    async fn revoke_invitation(&self, id: InvitationId, reason: Option<Body>) -> anyhow::Result<OutcomeKind>;
    async fn issue_reset_link(&self, id: UserId, lifetime: TimeDelta) -> anyhow::Result<IssuedToken<UserId>>;
    async fn disable_codes(&self, id: UserId) -> anyhow::Result<OutcomeKind>;
    async fn disable_user(&self, id: UserId, reason: Option<Body>) -> anyhow::Result<OutcomeKind>;
    async fn enable_user(&self, id: UserId) -> anyhow::Result<OutcomeKind>;
    async fn erase_user(&self, id: UserId) -> anyhow::Result<OutcomeKind>;
}

/// The access review, read page by page.
pub(in crate::cli) trait ReviewOperations {
    /// Where a page begins.
    type Cursor;
    /// The rows after a cursor, with the cursor of the next page; none if there is none.
    async fn review(&self, after: Option<Self::Cursor>) -> anyhow::Result<(Vec<ReviewRow>, Option<Self::Cursor>)>;
    /// The tenant, if its credentials are refused.
    fn inactive_tenant(&self) -> Option<String>;
}

/// Calls.
pub(in crate::cli) trait CallOperations {
    async fn correct_call(&self, id: CallId, correction: Correction, reason: Body) -> anyhow::Result<OutcomeKind>;
    async fn void_call(&self, id: CallId, reason: Body) -> anyhow::Result<OutcomeKind>;
    /// The text of the receipt of a call; none if there is no such call, or if it was voided.
    async fn receipt(&self, id: CallId) -> anyhow::Result<Option<String>>;
    /// The receipt of a call with the members that GraphQL has; none likewise.
    async fn receipt_document(&self, id: CallId) -> anyhow::Result<Option<Value>>;
}

/// Tag keys.
pub(in crate::cli) trait TagOperations {
    async fn tag_keys(&self) -> anyhow::Result<Vec<(TagKey, DateTime<Utc>)>>;
    async fn declare_tag_key(&self, key: TagKey) -> anyhow::Result<OutcomeKind>;
    async fn withdraw_tag_key(&self, key: TagKey) -> anyhow::Result<()>;
}

/// Allocation rules.
pub(in crate::cli) trait AllocationOperations {
    /// A version of the rules, or the latest one; none if there is none.
    async fn allocation_rules(&self, version: Option<u64>) -> anyhow::Result<Option<ShownRules>>;
    async fn set_allocation_rules(
        &self,
        rules: AllocationRuleSet,
        effective_from: Option<DateTime<Utc>>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind>;
}

/// Invoices.
pub(in crate::cli) trait InvoiceOperations {
    /// Records an invoice. Its lines are given in parts.
    async fn record_invoice(&self, header: &InvoiceHeader, lines: &[InvoiceLine]) -> anyhow::Result<OutcomeKind>;
    async fn invoices(&self, provider: Option<&str>) -> anyhow::Result<Listed<ShownInvoice>>;
    /// An invoice with the variances of its last comparison, of one cause or of all; none if there is no such invoice.
    async fn invoice(
        &self,
        id: InvoiceId,
        cause: Option<Cause>,
    ) -> anyhow::Result<Option<(ShownInvoice, Vec<ShownVariance>)>>;
    async fn reconcile_invoice(&self, id: InvoiceId, tolerance: Option<Figure>) -> anyhow::Result<OutcomeKind>;
    async fn withdraw_invoice(&self, id: InvoiceId, reason: Body) -> anyhow::Result<OutcomeKind>;
}

/// A schedule.
pub(in crate::cli) struct ShownSchedule {
    pub(in crate::cli) id: ScheduleId,
    pub(in crate::cli) name: String,
    pub(in crate::cli) status: String,
    /// The definition, with names in lower case.
    pub(in crate::cli) definition: Value,
    pub(in crate::cli) owner: String,
    pub(in crate::cli) failure: Option<String>,
    pub(in crate::cli) last_ran_at: Option<DateTime<Utc>>,
    pub(in crate::cli) next_run_at: Option<DateTime<Utc>>,
}

/// A run of a schedule.
#[derive(Serialize)]
pub(in crate::cli) struct ShownRun {
    pub(in crate::cli) outcome: String,
    pub(in crate::cli) due_at: Option<DateTime<Utc>>,
    pub(in crate::cli) request: Option<i64>,
    pub(in crate::cli) last_due_at: Option<DateTime<Utc>>,
    pub(in crate::cli) skipped: Option<i64>,
    pub(in crate::cli) period: Option<String>,
    pub(in crate::cli) file: Option<String>,
    pub(in crate::cli) bytes: Option<i64>,
    pub(in crate::cli) sha256: Option<String>,
    pub(in crate::cli) rows: Option<i64>,
    pub(in crate::cli) known_at: Option<i64>,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) at: DateTime<Utc>,
}

/// What moves a schedule from one status to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum ScheduleMove {
    Pause,
    Resume,
    Delete,
}

/// Schedules.
pub(in crate::cli) trait ScheduleOperations {
    async fn schedules(&self) -> anyhow::Result<Listed<ShownSchedule>>;
    /// A schedule with its last runs; none if there is no such schedule.
    async fn schedule(&self, id: ScheduleId) -> anyhow::Result<Option<(ShownSchedule, Vec<ShownRun>)>>;
    async fn define_schedule(&self, definition: ScheduleDefinition, reason: Option<Body>)
    -> anyhow::Result<ScheduleId>;
    async fn change_schedule(
        &self,
        id: ScheduleId,
        definition: ScheduleDefinition,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind>;
    async fn move_schedule(
        &self,
        id: ScheduleId,
        to: ScheduleMove,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind>;
    async fn run_schedule(&self, id: ScheduleId, day: Option<NaiveDate>) -> anyhow::Result<()>;
}

/// Endpoints for alerts, and deliveries.
pub(in crate::cli) trait AlertOperations {
    async fn alert_endpoints(&self) -> anyhow::Result<Vec<ShownEndpoint>>;
    /// Defines an endpoint. Returns its id, and the secret of one that is signed.
    async fn define_alert_endpoint(
        &self,
        terms: AlertEndpointTerms,
        target: AlertTarget,
        reason: Option<Body>,
    ) -> anyhow::Result<(AlertEndpointId, Option<Secret>)>;
    /// Replaces the terms, and the address if one is given: a URL, a routing key and an e-mail address.
    async fn revise_alert_endpoint(
        &self,
        id: AlertEndpointId,
        terms: AlertEndpointTerms,
        address: Option<AddressFields>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind>;
    /// Returns the new secret.
    async fn rotate_alert_secret(
        &self,
        id: AlertEndpointId,
        overlap: TimeDelta,
        reason: Option<Body>,
    ) -> anyhow::Result<Secret>;
    async fn move_alert_endpoint(
        &self,
        id: AlertEndpointId,
        to: EndpointMove,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind>;
    async fn silence_alert_endpoint(
        &self,
        id: AlertEndpointId,
        until: Option<DateTime<Utc>>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind>;
    async fn test_alert_endpoint(&self, id: AlertEndpointId) -> anyhow::Result<()>;
    async fn alert_deliveries(
        &self,
        endpoint: Option<AlertEndpointId>,
        state: Option<DeliveryState>,
    ) -> anyhow::Result<Listed<ShownDelivery>>;
    async fn redeliver_alerts(
        &self,
        id: AlertEndpointId,
        delivery: Option<Uuid>,
        reason: Option<Body>,
    ) -> anyhow::Result<()>;
}

/// Reports of budgets, and answers to requests for approval.
pub(in crate::cli) trait BudgetOperations {
    /// The running periods of one budget, or of all that are decided on before calls are made.
    async fn budget_statuses(&self, budget: Option<BudgetId>) -> anyhow::Result<Listed<ShownStatus>>;
    async fn budget_refusals(&self, selection: RefusalSelection) -> anyhow::Result<Listed<ShownRefusal>>;
    /// The last entries of the history of a budget, up to a number of them.
    async fn budget_history(
        &self,
        id: BudgetId,
        selection: HistorySelection,
        limit: usize,
    ) -> anyhow::Result<Listed<ShownEntry>>;
    async fn budget_preview(&self, terms: &BudgetTerms, month: Month) -> anyhow::Result<ShownPreview>;
    /// The last requests for approval, the last one first.
    async fn approvals(&self) -> anyhow::Result<Listed<ShownApproval>>;
    async fn answer_approval(
        &self,
        id: ApprovalId,
        answer: ApprovalAnswer,
        reason: Body,
    ) -> anyhow::Result<OutcomeKind>;
}

/// All of it.
pub(in crate::cli) trait Backend:
    AccountOperations
    + KeyOperations
    + RoleOperations
    + TeamOperations
    + UserOperations
    + ReviewOperations
    + CallOperations
    + TagOperations
    + AllocationOperations
    + InvoiceOperations
    + ScheduleOperations
    + AlertOperations
    + BudgetOperations
{
}

impl<B> Backend for B where
    B: AccountOperations
        + KeyOperations
        + RoleOperations
        + TeamOperations
        + UserOperations
        + ReviewOperations
        + CallOperations
        + TagOperations
        + AllocationOperations
        + InvoiceOperations
        + ScheduleOperations
        + AlertOperations
        + BudgetOperations
{
}
