//! Reports of budgets on the database.

use super::super::budgets::{
    RefusalSelection, ShownApproval, ShownEntry, ShownPreview, ShownPreviewPeriod, ShownRefusal, ShownStatus,
    enforcement_name, measure_name,
};
use super::super::operations::{BudgetOperations, Listed};
use super::{OnDatabase, listed, now};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::{BudgetStatus, ListedApproval, OutcomeKind};
use domain::approval::ApprovalAnswer;
use domain::budget::{Budget, BudgetTerms, Month, PreviewedPeriod};
use domain::budget_balance::Pace;
use domain::reservation::{Refusal, RefusalReason};
use domain::{ApprovalId, Body, BudgetId};
use identity::MAX_LISTED;
use projections::MAX_PAGE_ROWS;
use projections::budget_refusals::{self, RefusalFilter, RefusalRow};
use projections::budgets::{self, HistoryChange, HistoryEntry, HistorySelection};
use std::collections::HashMap;
use uuid::Uuid;

impl BudgetOperations for OnDatabase<'_> {
    async fn budget_statuses(&self, budget: Option<BudgetId>) -> anyhow::Result<Listed<ShownStatus>> {
        let (commands, principal, at) = (&self.rooms.commands, &self.rooms.principal, now());
        let statuses = commands.budget_statuses(principal, budget.as_ref().map(std::slice::from_ref), at).await?;
        if statuses.is_empty() {
            return Ok(listed(Vec::new()));
        }
        let ids: Vec<_> = statuses.iter().map(|status| status.budget_id.0).collect();
        let budgets: HashMap<_, _> = commands.load_all::<Budget>(principal, &ids).await?.into_iter().collect();
        let mut shown = Vec::with_capacity(statuses.len());
        for status in &statuses {
            let pace = commands.budget_pace(principal, status, at).await?;
            let budget = budgets.get(&status.budget_id.0).map(|budget| &*budget.state);
            shown.push(shown_status(status, budget, pace));
        }
        Ok(listed(shown))
    }

    async fn budget_refusals(&self, selection: RefusalSelection) -> anyhow::Result<Listed<ShownRefusal>> {
        let (reads, access) = (&self.rooms.reads, self.rooms.principal.authorise()?);
        let RefusalSelection { budget_id, from, to } = selection;
        let filter = RefusalFilter { budget_id: budget_id.map(|id| id.0), from, to };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let rows = budget_refusals::list(reads, &access, &filter, after.as_ref(), MAX_PAGE_ROWS).await?;
            let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < MAX_PAGE_ROWS;
            after = rows.last().map(|row| row.key.clone());
            found.extend(rows.into_iter().map(shown_refusal));
            if is_last || found.len() >= MAX_LISTED {
                found.truncate(MAX_LISTED);
                return Ok(listed(found));
            }
        }
    }

    async fn budget_history(
        &self,
        id: BudgetId,
        selection: HistorySelection,
        limit: usize,
    ) -> anyhow::Result<Listed<ShownEntry>> {
        let (log, access) = (self.rooms.log.of_tenants(self.rooms.reads.clone()), self.rooms.principal.authorise()?);
        let (mut items, mut before) = (Vec::new(), None);
        loop {
            let page = budgets::history(&log, &access, id, selection, before, limit - items.len()).await?;
            items.extend(page.entries.into_iter().map(shown_entry));
            before = page.before;
            if before.is_none() || items.len() == limit {
                return Ok(Listed { items, is_cut: before.is_some() });
            }
        }
    }

    async fn budget_preview(&self, terms: &BudgetTerms, month: Month) -> anyhow::Result<ShownPreview> {
        let access = self.rooms.principal.authorise()?;
        let preview = budgets::preview(&self.rooms.reads, &access, terms, month).await?;
        let periods = &preview.periods;
        let refused: domain::budget::Amount = periods.iter().map(|period| period.refused).sum();
        Ok(ShownPreview {
            from: preview.from,
            to: preview.to,
            calls: count(preview.calls),
            refused_calls: count(periods.iter().map(|period| period.refused_calls).sum()),
            refused: refused.to_string(),
            unpriced_calls: count(periods.iter().map(|period| period.unpriced_calls).sum()),
            cut_after: preview.cut_after,
            periods: periods.iter().map(shown_period).collect(),
        })
    }

    async fn approvals(&self) -> anyhow::Result<Listed<ShownApproval>> {
        let (commands, principal) = (&self.rooms.commands, &self.rooms.principal);
        let log = self.rooms.log.of_tenants(self.rooms.reads.clone());
        let found = commands.approvals(principal, &log, None, MAX_LISTED).await?;
        let at = now();
        Ok(listed(found.iter().map(|found| shown_approval(found, at)).collect::<anyhow::Result<_>>()?))
    }

    async fn answer_approval(
        &self,
        id: ApprovalId,
        answer: ApprovalAnswer,
        reason: Body,
    ) -> anyhow::Result<OutcomeKind> {
        Ok(self.rooms.commands.answer_approval(&self.context(), id, answer, reason, now()).await?.kind)
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn shown_status(status: &BudgetStatus, budget: Option<&Budget>, pace: Option<Pace>) -> ShownStatus {
    let sums = &status.sums;
    let terms = budget.and_then(|budget| budget.terms.as_ref());
    let control = terms.and_then(|terms| terms.control.as_ref());
    ShownStatus {
        id: status.budget_id.0,
        name: terms.map(|terms| terms.name.to_string()).unwrap_or_default(),
        enforcement: control.map(|control| enforcement_name(control.enforcement).to_owned()).unwrap_or_default(),
        measure: control.map(|control| measure_name(control.measure)).unwrap_or_default(),
        suspended: budget.is_some_and(|budget| budget.suspended),
        starts_at: sums.span.starts_at,
        ends_at: sums.span.ends_at,
        limit: status.limit.to_string(),
        charged: sums.charged.to_string(),
        assumed: sums.assumed.to_string(),
        reserved: sums.reserved.to_string(),
        left: status.left().to_string(),
        excess: status.excess().to_string(),
        would_refuse: count(sums.would_refuse),
        counted: status.is_counted,
        per_hour: pace.map(|pace| pace.per_hour.to_string()),
        exhausts_at: pace.and_then(|pace| pace.exhausts_at),
    }
}

fn shown_approval(found: &ListedApproval, at: DateTime<Utc>) -> anyhow::Result<ShownApproval> {
    let approval = &found.approval.state;
    let request = approval.request.as_ref().zip(approval.status_at(at));
    let (request, status) = request.with_context(|| format!("the request {} was never opened", found.id))?;
    Ok(ShownApproval {
        id: found.id.0,
        status: status.to_string(),
        budget_id: request.budget_id.0,
        reservation: request.reservation_id.0,
        agent_id: request.agent_id.map(|agent| agent.0),
        model: request.model.as_ref().map(ToString::to_string),
        amount: request.amount.to_string(),
        requested_at: request.at,
        expires_at: request.expires_at,
        period_ends_at: request.period_ends_at,
        answered_at: approval.answer.as_ref().map(|answer| answer.at),
        reason: approval.answer.as_ref().map(|answer| answer.reason.to_string()),
    })
}

fn shown_refusal(row: RefusalRow) -> ShownRefusal {
    let (api_key_id, user_id) = (row.key.api_key_id(), row.key.user_id());
    ShownRefusal {
        minute: row.key.minute,
        budget_id: row.key.budget_id,
        reason: row.key.reason,
        dimension: Some(row.key.dimension).filter(|dimension| !dimension.is_empty()),
        agent_id: Uuid::try_parse(&row.key.agent).ok(),
        api_key_id,
        user_id,
        refusals: row.refusals,
    }
}

fn bare(entry: &HistoryEntry, kind: &str) -> ShownEntry {
    ShownEntry {
        position: entry.position.to_string(),
        recorded_at: entry.recorded_at,
        kind: kind.to_owned(),
        actor: entry.actor.clone(),
        reason: entry.reason.clone(),
        limit: None,
        enforcement: None,
        amount: None,
        until: None,
        reservation: None,
        agent_id: None,
        refusal: None,
        dimension: None,
        left: None,
        renews_at: None,
    }
}

fn shown_entry(entry: HistoryEntry) -> ShownEntry {
    let bare = |kind| bare(&entry, kind);
    let of_terms = |kind, terms: &BudgetTerms| ShownEntry {
        limit: Some(terms.limit.to_string()),
        enforcement: terms.control.as_ref().map(|control| enforcement_name(control.enforcement).to_owned()),
        ..bare(kind)
    };
    let agent_id = |agent: &Option<String>| agent.as_deref().and_then(|agent| Uuid::try_parse(agent).ok());
    match &entry.change {
        HistoryChange::Defined(terms) => of_terms("defined", terms),
        HistoryChange::Revised(terms) => of_terms("revised", terms),
        HistoryChange::Suspended => bare("suspended"),
        HistoryChange::Resumed => bare("resumed"),
        HistoryChange::Closed => bare("closed"),
        HistoryChange::Raised { amount, until } => {
            ShownEntry { amount: Some(amount.to_string()), until: Some(*until), ..bare("raised") }
        }
        HistoryChange::Delegated(delegation) => ShownEntry {
            amount: Some(delegation.amount.to_string()),
            until: Some(delegation.until),
            ..bare("delegated")
        },
        HistoryChange::DelegationEnded(_) => bare("delegation_ended"),
        HistoryChange::Granted { reservation_id, amount, agent } => ShownEntry {
            amount: Some(amount.to_string()),
            reservation: Some(*reservation_id),
            agent_id: agent_id(agent),
            ..bare("granted")
        },
        HistoryChange::Extended { reservation_id, amount } => {
            ShownEntry { amount: Some(amount.to_string()), reservation: Some(*reservation_id), ..bare("extended") }
        }
        HistoryChange::Refused { reservation_id, refusal, agent } => {
            let Refusal { reason, left, renews_at, budget_id: _, follow_up: _ } = refusal;
            ShownEntry {
                reservation: Some(*reservation_id),
                agent_id: agent_id(agent),
                refusal: Some(reason.as_str().to_owned()),
                dimension: match reason {
                    RefusalReason::Undeclared { dimension } => Some(dimension.to_string()),
                    RefusalReason::Exceeded | RefusalReason::Counting | RefusalReason::Unpriced => None,
                },
                left: left.map(|left| left.to_string()),
                renews_at: *renews_at,
                ..bare("refused")
            }
        }
    }
}

fn shown_period(period: &PreviewedPeriod) -> ShownPreviewPeriod {
    ShownPreviewPeriod {
        starts_at: period.span.starts_at,
        ends_at: period.span.ends_at,
        limit: period.limit.to_string(),
        granted_calls: count(period.granted_calls),
        charged: period.charged.to_string(),
        refused_calls: count(period.refused_calls),
        refused: period.refused.to_string(),
        unpriced_calls: count(period.unpriced_calls),
        first_refused_at: period.first_refused_at,
    }
}
