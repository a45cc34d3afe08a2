//! Reports of budgets at a server.

use super::super::budgets::{RefusalSelection, ShownApproval, ShownEntry, ShownPreview, ShownRefusal, ShownStatus};
use super::super::meter_name;
use super::super::operations::{BudgetOperations, Listed};
use super::values::GlobalId;
use super::{OnServer, PAGE, documents};
use chrono::{DateTime, Utc};
use commands::OutcomeKind;
use domain::approval::ApprovalAnswer;
use domain::budget::{BudgetScope, BudgetTerms, Measure, Month};
use domain::{ApprovalId, Body, BudgetId, Meter};
use identity::MAX_LISTED;
use projections::budgets::HistorySelection;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundControl {
    enforcement: String,
    measure: String,
    meter: Option<String>,
    suspended: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundPace {
    per_hour: String,
    exhausts_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundPeriod {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    limit: String,
    charged: String,
    assumed: String,
    reserved: String,
    left: String,
    excess: String,
    would_refuse: i64,
    counted: bool,
    pace: Option<FoundPace>,
}

#[derive(Deserialize)]
struct FoundBudget {
    uuid: Uuid,
    name: String,
    control: Option<FoundControl>,
    period: Option<FoundPeriod>,
}

impl FoundBudget {
    /// The running period; none of a budget that has none.
    fn shown(self) -> Option<ShownStatus> {
        let (control, period) = (self.control?, self.period?);
        let meter =
            |name: String| Meter::ALL.iter().find(|meter| meter_name(**meter) == name).map(|meter| meter.name());
        let measure = match control.meter.map(meter) {
            Some(meter) => meter.unwrap_or_default().to_owned(),
            None => control.measure.to_lowercase(),
        };
        let (per_hour, exhausts_at) = period.pace.map_or((None, None), |pace| (Some(pace.per_hour), pace.exhausts_at));
        Some(ShownStatus {
            id: self.uuid,
            name: self.name,
            enforcement: control.enforcement.to_lowercase(),
            measure,
            suspended: control.suspended,
            starts_at: period.starts_at,
            ends_at: period.ends_at,
            limit: period.limit,
            charged: period.charged,
            assumed: period.assumed,
            reserved: period.reserved,
            left: period.left,
            excess: period.excess,
            would_refuse: period.would_refuse,
            counted: period.counted,
            per_hour,
            exhausts_at,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundRefusal {
    minute: DateTime<Utc>,
    budget_id: GlobalId,
    reason: String,
    dimension: Option<String>,
    agent_id: Option<GlobalId>,
    api_key_id: Option<Uuid>,
    user_id: Option<Uuid>,
    refusals: i64,
}

impl From<FoundRefusal> for ShownRefusal {
    fn from(found: FoundRefusal) -> Self {
        Self {
            minute: found.minute,
            budget_id: found.budget_id.0,
            reason: found.reason.to_lowercase(),
            dimension: found.dimension,
            agent_id: found.agent_id.map(|id| id.0),
            api_key_id: found.api_key_id,
            user_id: found.user_id,
            refusals: found.refusals,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundReason {
    reason: String,
    dimension: Option<String>,
    left: Option<String>,
    renews_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundEntry {
    position: String,
    recorded_at: DateTime<Utc>,
    kind: String,
    actor: Option<String>,
    reason: Option<String>,
    limit: Option<String>,
    enforcement: Option<String>,
    amount: Option<String>,
    until: Option<DateTime<Utc>>,
    reservation: Option<Uuid>,
    agent_id: Option<GlobalId>,
    refusal: Option<FoundReason>,
}

impl From<FoundEntry> for ShownEntry {
    fn from(found: FoundEntry) -> Self {
        let (refusal, dimension, left, renews_at) = match found.refusal {
            Some(of) => (Some(of.reason.to_lowercase()), of.dimension, of.left, of.renews_at),
            None => (None, None, None, None),
        };
        Self {
            position: found.position,
            recorded_at: found.recorded_at,
            kind: found.kind.to_lowercase(),
            actor: found.actor,
            reason: found.reason,
            limit: found.limit,
            enforcement: found.enforcement.map(|enforcement| enforcement.to_lowercase()),
            amount: found.amount,
            until: found.until,
            reservation: found.reservation,
            agent_id: found.agent_id.map(|id| id.0),
            refusal,
            dimension,
            left,
            renews_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundApproval {
    uuid: Uuid,
    status: String,
    budget_id: GlobalId,
    reservation: Uuid,
    agent_id: Option<GlobalId>,
    model: Option<String>,
    amount: String,
    requested_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    period_ends_at: DateTime<Utc>,
    answered_at: Option<DateTime<Utc>>,
    reason: Option<String>,
}

impl From<FoundApproval> for ShownApproval {
    fn from(found: FoundApproval) -> Self {
        Self {
            id: found.uuid,
            status: found.status.to_lowercase(),
            budget_id: found.budget_id.0,
            reservation: found.reservation,
            agent_id: found.agent_id.map(|id| id.0),
            model: found.model,
            amount: found.amount,
            requested_at: found.requested_at,
            expires_at: found.expires_at,
            period_ends_at: found.period_ends_at,
            answered_at: found.answered_at,
            reason: found.reason,
        }
    }
}

#[derive(Deserialize)]
struct FoundHistory {
    entries: Vec<FoundEntry>,
    next: Option<String>,
}

/// The parts of a history as GraphQL names them.
fn parts(selection: HistorySelection) -> Vec<&'static str> {
    let HistorySelection { terms, grants, refusals } = selection;
    let parts = [("TERMS", terms), ("GRANTS", grants), ("REFUSALS", refusals)];
    parts.into_iter().filter(|(_, is_selected)| *is_selected).map(|(part, _)| part).collect()
}

/// The terms of a budget as GraphQL takes them.
fn terms_input(terms: &BudgetTerms) -> Value {
    let scope = match &terms.scope {
        BudgetScope::Tenant => json!({ "tenant": true }),
        BudgetScope::Agent { agent_id } => json!({ "agentId": agent_id.to_string() }),
        BudgetScope::Model { model } => json!({ "model": model }),
        BudgetScope::Conditions { conditions } => {
            let condition = |(dimension, value): (&domain::budget::BudgetDimension, &domain::Name)| json!({ "dimension": dimension.to_string(), "value": value });
            json!({ "conditions": conditions.iter().map(condition).collect::<Vec<_>>() })
        }
    };
    let control = terms.control.as_ref();
    let measure = control.map(|control| match control.measure {
        Measure::Money => json!({ "money": true }),
        Measure::Calls => json!({ "calls": true }),
        Measure::Meter(meter) => json!({ "meter": meter_name(meter) }),
    });
    json!({
        "name": terms.name,
        "scope": scope,
        "limit": terms.limit,
        "timeZone": terms.time_zone.name(),
        "enforcement": control.map(|_| "HARD"),
        "measure": measure,
        "period": control.map(|control| control.period.as_str().to_uppercase()),
        "anchor": control.map(|control| control.anchor.to_string()),
        "carryOver": control.map(|control| control.carry_over),
    })
}

impl BudgetOperations for OnServer {
    async fn budget_statuses(&self, budget: Option<BudgetId>) -> anyhow::Result<Listed<ShownStatus>> {
        let list = async |position: &Value| {
            let variables = json!({ "position": position });
            self.list::<FoundBudget, FoundBudget>(documents::BUDGET_STATUSES, variables, "/budgets").await
        };
        let Listed { items, is_cut } = self.fresh(list).await?;
        let is_wanted = |found: &FoundBudget| budget.is_none_or(|id| id.0 == found.uuid);
        Ok(Listed { items: items.into_iter().filter(is_wanted).filter_map(FoundBudget::shown).collect(), is_cut })
    }

    async fn budget_refusals(&self, selection: RefusalSelection) -> anyhow::Result<Listed<ShownRefusal>> {
        let list = async |position: &Value| {
            let RefusalSelection { budget_id, from, to } = selection;
            let budget = budget_id.map(|id| id.to_string());
            let variables = json!({ "budget": budget, "from": from, "to": to, "position": position });
            self.list::<FoundRefusal, ShownRefusal>(documents::BUDGET_REFUSALS, variables, "/budgetRefusals").await
        };
        self.fresh(list).await
    }

    async fn budget_history(
        &self,
        id: BudgetId,
        selection: HistorySelection,
        limit: usize,
    ) -> anyhow::Result<Listed<ShownEntry>> {
        let (mut items, mut before) = (Vec::new(), None);
        loop {
            let first = PAGE.min(limit - items.len());
            let variables =
                json!({ "id": id.to_string(), "parts": parts(selection), "first": first, "before": before });
            let page: FoundHistory = self.client.get(documents::BUDGET_HISTORY, variables, "/budgetHistory").await?;
            items.extend(page.entries.into_iter().map(ShownEntry::from));
            before = page.next;
            if before.is_none() || items.len() >= limit.min(MAX_LISTED) {
                return Ok(Listed { items, is_cut: before.is_some() });
            }
        }
    }

    async fn budget_preview(&self, terms: &BudgetTerms, month: Month) -> anyhow::Result<ShownPreview> {
        let preview = async |position: &Value| {
            let variables = json!({ "terms": terms_input(terms), "month": month.to_string(), "position": position });
            let found = self.client.get(documents::BUDGET_PREVIEW, variables, "/budgetPreview").await?;
            Ok::<ShownPreview, anyhow::Error>(found)
        };
        self.fresh(preview).await
    }

    async fn approvals(&self) -> anyhow::Result<Listed<ShownApproval>> {
        self.list::<FoundApproval, _>(documents::APPROVALS, json!({}), "/approvals").await
    }

    async fn answer_approval(
        &self,
        id: ApprovalId,
        answer: ApprovalAnswer,
        reason: Body,
    ) -> anyhow::Result<OutcomeKind> {
        let answer = match answer {
            ApprovalAnswer::Approve => "APPROVE",
            ApprovalAnswer::Deny => "DENY",
        };
        let input = json!({ "approvalId": id, "answer": answer, "reason": reason });
        self.done(documents::ANSWER_APPROVAL, input, "/answerApproval").await
    }
}
