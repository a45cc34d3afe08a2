//! What decisions need of a budget.

use crate::budget::{
    Amount, Attributes, Budget, BudgetDimension, BudgetError, BudgetTerms, Delegation, Enforcement, MAX_SEGMENTS,
    Measure, OnRefusal, OnUnreachable, Parts, PeriodUnit, Recurrence, Span, Threshold, balance_id, part_id,
};
use crate::call::CallKind;
use crate::ids::{BudgetId, DelegationId};
use crate::text::Name;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The recurrence of a budget from a time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// From when on; absent of the first one, which is for all times before the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// How periods follow each other.
    #[serde(flatten)]
    pub recurrence: Recurrence,
}

/// What decisions need of a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueEntry {
    /// How strictly the budget is enforced.
    pub enforcement: Enforcement,
    /// What the budget counts.
    pub measure: Measure,
    /// The values that a call must have to be counted.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub conditions: Attributes,
    /// The limit for each period.
    pub limit: Amount,
    /// Whether what is left of a period is added to the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carry_over: bool,
    /// How periods follow each other, from when on, the earliest first. A change is in force from the end of the period that
    /// runs when it is made.
    #[schemars(extend("minItems" = 1, "maxItems" = 16))]
    pub segments: Vec<Segment>,
    /// When the budget was defined.
    pub since: DateTime<Utc>,
    /// The temporary raises: what each adds to the limit, and when it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raises: Vec<(Amount, DateTime<Utc>)>,
    /// Whether the enforcement is suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// The shares of the limit at which alerts are raised. Empty of a budget that the read model counts by calendar month, which
    /// raises them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub thresholds: BTreeSet<Threshold>,
    /// What follows when a call does not fit.
    #[serde(default, skip_serializing_if = "OnRefusal::is_default")]
    pub on_refusal: OnRefusal,
    /// What clients do while Apex cannot be reached; absent if the terms do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unreachable: Option<OnUnreachable>,
    /// The number of parts of its periods; 1 if absent.
    #[serde(default, skip_serializing_if = "Parts::is_one")]
    pub parts: Parts,
    /// What is delegated, and ran when the budget was set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 8))]
    pub delegations: Vec<Delegation>,
    /// How often the terms were changed: what a part may grant alone was allotted to it under some terms. The event that sets the
    /// budget does not state it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// The position after which calls are charged one by one; none before the charging policy has reached it. The event that
    /// sets the budget does not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counting_from: Option<u64>,
    /// As `counting_from`, once what was charged up to it is counted. Before that, a hard budget refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_through: Option<u64>,
}

/// Which part of a period a stream is, beside the first one, which is the stream of the period itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartOf {
    /// The id of the stream of the period.
    pub balance_id: Uuid,
    /// The number of the part, from 1 on; absent of a delegation.
    #[serde(default, skip_serializing_if = "is_no_number")]
    pub number: u8,
    /// The delegation, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_id: Option<DelegationId>,
}

/// A period of a budget, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The budget.
    pub budget_id: BudgetId,
    /// The id of the stream of the period, or of the part.
    pub balance_id: Uuid,
    /// From when to when it is.
    pub span: Span,
    /// Which part it is; none of the stream of the period itself.
    pub part: Option<PartOf>,
}

impl Period {
    /// A part of a period. That with the number 0 is the stream of the period itself.
    #[must_use]
    pub fn in_part(self, number: u8) -> Self {
        let root = self.root();
        if number == 0 {
            return root;
        }
        let part = PartOf { balance_id: root.balance_id, number, delegation_id: None };
        Self { balance_id: part_id(root.balance_id, number), part: Some(part), ..root }
    }

    /// What is delegated of a period.
    #[must_use]
    pub fn in_delegation(self, delegation_id: DelegationId) -> Self {
        let root = self.root();
        let part = PartOf { balance_id: root.balance_id, number: 0, delegation_id: Some(delegation_id) };
        Self { balance_id: Delegation::stream(delegation_id), part: Some(part), ..root }
    }

    /// The whole period.
    #[must_use]
    pub fn root(self) -> Self {
        Self { balance_id: self.part.map_or(self.balance_id, |part| part.balance_id), part: None, ..self }
    }

    /// The ids of the streams of all parts, the first of which is that of the period itself.
    pub fn streams(self, parts: Parts) -> impl Iterator<Item = Uuid> {
        std::iter::once(0).chain(parts.further()).map(move |number| self.in_part(number).balance_id)
    }
}

impl CatalogueEntry {
    /// The entry of a budget whose terms were set; none if it is not decided on before calls are made. `known` is the entry
    /// under the terms before.
    ///
    /// # Errors
    /// [`BudgetError::TooManyPeriodChanges`].
    pub(crate) fn of(budget: &Budget, known: Option<&Self>, at: DateTime<Utc>) -> Result<Option<Self>, BudgetError> {
        let Some(terms) = &budget.terms else { return Ok(None) };
        let (Some(control), Some(recurrence)) = (&terms.control, terms.recurrence()) else { return Ok(None) };
        let segments = match known {
            None => vec![Segment { from: None, recurrence }],
            Some(known) => known.segments_with(recurrence, at)?,
        };
        Ok(Some(Self {
            enforcement: control.enforcement,
            measure: control.measure,
            conditions: terms.scope.conditions(),
            limit: limit_of(terms),
            carry_over: control.carry_over,
            segments,
            since: known.map_or(at, |known| known.since),
            raises: budget.raises.iter().filter(|(_, until)| *until > at).copied().collect(),
            suspended: budget.suspended,
            thresholds: if terms.is_counted_by_month() { BTreeSet::new() } else { terms.thresholds.clone() },
            on_refusal: control.on_refusal.clone(),
            on_unreachable: control.on_unreachable,
            parts: control.parts,
            delegations: budget.delegations.iter().filter(|known| known.is_running(at)).copied().collect(),
            revision: 0,
            counting_from: None,
            counted_through: None,
        }))
    }

    /// The segments with a recurrence from the end of the period on that runs at a time. One that would have begun later is
    /// replaced.
    fn segments_with(&self, recurrence: Recurrence, at: DateTime<Utc>) -> Result<Vec<Segment>, BudgetError> {
        let ends_at = self.span_at(at).ends_at;
        let mut segments = self.segments.clone();
        segments.retain(|segment| segment.from.is_none_or(|from| from <= at));
        if segments.last().map(|last| last.recurrence) != Some(recurrence) {
            segments.push(Segment { from: Some(ends_at), recurrence });
        }
        if segments.len() > MAX_SEGMENTS { Err(BudgetError::TooManyPeriodChanges) } else { Ok(segments) }
    }

    /// Whether the budget counts calls with some values.
    #[must_use]
    pub fn selects(&self, attributes: &Attributes) -> bool {
        self.conditions.iter().all(|(dimension, value)| attributes.get(dimension) == Some(value))
    }

    /// The first dimension that a call states no value of, if it could be one that the budget counts: what it states is what the
    /// budget counts, and it may have a value of all others. A hard budget demands them, because it could be avoided otherwise by
    /// not stating them. `fixed` is what the credential says of the call.
    #[must_use]
    pub fn undeclared(&self, attributes: &Attributes, kind: CallKind, fixed: &Attributes) -> Option<&BudgetDimension> {
        let is_other = |(dimension, value): (&BudgetDimension, &Name)| {
            attributes.get(dimension).is_some_and(|known| known != value)
        };
        if self.conditions.iter().any(is_other) {
            return None;
        }
        let mut missing = self.conditions.keys().filter(|dimension| !attributes.contains_key(*dimension));
        let first = missing.clone().next()?;
        let has_absent = missing.any(|dimension| dimension.is_absent(kind, fixed));
        (!has_absent).then_some(first)
    }

    /// The recurrence that is in force at a time, and from when to when it is.
    fn segment_at(&self, at: DateTime<Utc>) -> Option<(Segment, Option<DateTime<Utc>>)> {
        let begun = self.segments.iter().rposition(|segment| segment.from.is_none_or(|from| from <= at))?;
        let next = self.segments.get(begun + 1).and_then(|next| next.from);
        Some((*self.segments.get(begun)?, next))
    }

    /// From when to when the period is that a time belongs to. A period at a change of the recurrence begins or ends with it.
    #[must_use]
    pub fn span_at(&self, at: DateTime<Utc>) -> Span {
        let Some((segment, next)) = self.segment_at(at) else { return Span { starts_at: at, ends_at: at } };
        let span = segment.recurrence.containing(at);
        Span {
            starts_at: segment.from.map_or(span.starts_at, |from| from.max(span.starts_at)),
            ends_at: next.map_or(span.ends_at, |next| next.min(span.ends_at)),
        }
    }

    /// The period that a time belongs to.
    #[must_use]
    pub fn period_at(&self, budget_id: BudgetId, at: DateTime<Utc>) -> Option<Period> {
        let (segment, _) = self.segment_at(at)?;
        let span = self.span_at(at);
        Some(Period { budget_id, balance_id: balance_id(budget_id, &segment.recurrence, span), span, part: None })
    }

    /// How often a period begins at a time.
    #[must_use]
    pub fn unit_at(&self, at: DateTime<Utc>) -> Option<PeriodUnit> {
        self.recurrence_at(at).map(|recurrence| recurrence.unit)
    }

    /// How periods follow each other at a time.
    #[must_use]
    pub fn recurrence_at(&self, at: DateTime<Utc>) -> Option<Recurrence> {
        self.segment_at(at).map(|(segment, _)| segment.recurrence)
    }

    /// The period before another one, if what is left of it is carried over.
    #[must_use]
    pub fn carried_from(&self, period: &Period) -> Option<Period> {
        let before = period.span.starts_at - TimeDelta::seconds(1);
        self.carry_over.then(|| self.period_at(period.budget_id, before)).flatten()
    }

    /// What is delegated of a period, as far as the terms that were set last have it.
    pub fn delegations_of(&self, balance_id: Uuid) -> impl Iterator<Item = &Delegation> {
        self.delegations.iter().filter(move |delegation| delegation.balance_id == balance_id)
    }

    /// The part of a period that a call with some values is decided in: that of the first delegation that holds it, else the one with a
    /// number.
    #[must_use]
    pub fn part_for(&self, period: Period, attributes: &Attributes, part: u8, at: DateTime<Utc>) -> Period {
        let delegation = self.delegations_of(period.balance_id).find(|delegation| delegation.holds(attributes, at));
        match delegation {
            Some(delegation) => period.in_delegation(delegation.delegation_id),
            None => period.in_part(part % self.parts.get()),
        }
    }

    /// The streams that a decision about a call reads of a period beside that of the period itself.
    pub(crate) fn further_streams(&self) -> usize {
        usize::from(self.parts.get()) - 1 + usize::from(!self.delegations.is_empty())
    }

    /// The limit at a time, without what is carried over; none if the budget refuses nothing.
    #[must_use]
    pub fn limit_at(&self, at: DateTime<Utc>) -> Option<Amount> {
        (self.enforcement == Enforcement::Hard && !self.suspended).then(|| self.stated_limit_at(at))
    }

    /// Whether calls that the budget counts are not made while Apex cannot be reached.
    #[must_use]
    pub fn is_closed_when_unreachable(&self) -> bool {
        !self.suspended && self.enforcement.on_unreachable(self.on_unreachable) == OnUnreachable::Closed
    }

    /// The limit at a time with the temporary raises, without what is carried over, however the budget is enforced.
    #[must_use]
    pub fn stated_limit_at(&self, at: DateTime<Utc>) -> Amount {
        let raises = self.raises.iter().filter(|(_, until)| *until > at);
        self.limit + raises.map(|(amount, _)| *amount).sum()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_no_number(number: &u8) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn limit_of(terms: &BudgetTerms) -> Amount {
    terms.limit.into()
}
