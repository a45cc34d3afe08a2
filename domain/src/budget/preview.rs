//! What a budget with some terms would have refused, of calls that were made.
//!
//! Each call is decided as if it had reserved what it used, one after the other in the order of their start. Reservations are upper
//! bounds, and those of calls at the same time add up, so that a budget may have refused more.

use super::amount::Amount;
use super::control::Measure;
use super::error::BudgetError;
use super::recurrence::{Recurrence, Span};
use super::terms::BudgetTerms;
use crate::call::CallKind;
use crate::money::Money;
use crate::usage::Usage;
use chrono::{DateTime, Utc};

/// A call of the past, as far as a budget counts it.
#[derive(Debug, Clone, Copy)]
pub struct PreviewedCall {
    /// Whether it called a model or a tool.
    pub kind: CallKind,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// What it used.
    pub usage: Usage,
    /// What it was charged, in US dollars; none if it has no price.
    pub cost: Option<Money>,
}

/// A period of a preview. Amounts are in the unit of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviewedPeriod {
    /// From when to when the period is.
    pub span: Span,
    /// The limit, with what was carried over.
    pub limit: Amount,
    /// The number of calls that would have been granted.
    pub granted_calls: u64,
    /// What they would have been charged.
    pub charged: Amount,
    /// The number of calls that would not have fit.
    pub refused_calls: u64,
    /// What they were charged.
    pub refused: Amount,
    /// The number of calls to models without a price, which a hard budget of money refuses.
    pub unpriced_calls: u64,
    /// When the first call started that would have been refused; none if none was.
    pub first_refused_at: Option<DateTime<Utc>>,
}

/// The periods of a preview, of which the last one is added to.
#[derive(Debug, Clone)]
pub struct Preview {
    recurrence: Recurrence,
    measure: Measure,
    limit: Amount,
    carries_over: bool,
    periods: Vec<PreviewedPeriod>,
}

impl Preview {
    /// A preview of terms, in which nothing is charged yet. It is of what a hard budget would refuse, however the terms say that the
    /// budget is enforced.
    ///
    /// # Errors
    /// [`BudgetError`] if no budget could have the terms, or they do not say how it is enforced.
    pub fn new(terms: &BudgetTerms) -> Result<Self, BudgetError> {
        terms.check()?;
        let (Some(control), Some(recurrence)) = (&terms.control, terms.recurrence()) else {
            return Err(BudgetError::NotControlled);
        };
        let (measure, carries_over) = (control.measure, control.carry_over);
        Ok(Self { recurrence, measure, limit: terms.limit.into(), carries_over, periods: Vec::new() })
    }

    /// Adds a call that the budget selects. Calls are added in the order of their start.
    pub fn add(&mut self, call: &PreviewedCall) {
        let measure = self.measure;
        let amount = match (measure, call.kind) {
            (Measure::Money, CallKind::Llm) => call.cost.map(Amount::from),
            // Calls to tools have no price before they are made.
            (Measure::Money, CallKind::Tool) => Some(call.cost.map_or(Amount::ZERO, Amount::from)),
            (Measure::Calls, CallKind::Llm | CallKind::Tool) => Some(Amount::units(1)),
            (Measure::Meter(meter), CallKind::Llm | CallKind::Tool) => Some(Amount::units(call.usage.get(meter).get())),
        };
        let period = self.period_of(call.started_at);
        let Some(amount) = amount else {
            period.unpriced_calls += 1;
            period.first_refused_at = period.first_refused_at.or(Some(call.started_at));
            return;
        };
        if period.charged + amount > period.limit {
            period.refused_calls += 1;
            period.refused = period.refused + amount;
            period.first_refused_at = period.first_refused_at.or(Some(call.started_at));
        } else {
            period.granted_calls += 1;
            period.charged = period.charged + amount;
        }
    }

    /// The periods that had calls, in their order.
    #[must_use]
    pub fn periods(&self) -> &[PreviewedPeriod] {
        &self.periods
    }

    /// The period of a time, which is the last one or a later one.
    fn period_of(&mut self, at: DateTime<Utc>) -> &mut PreviewedPeriod {
        let span = self.recurrence.containing(at);
        let is_new = self.periods.last().is_none_or(|last| last.span.starts_at < span.starts_at);
        let fresh = PreviewedPeriod {
            span,
            limit: self.limit + self.carried_into(span),
            granted_calls: 0,
            charged: Amount::ZERO,
            refused_calls: 0,
            refused: Amount::ZERO,
            unpriced_calls: 0,
            first_refused_at: None,
        };
        let at = if is_new { self.periods.len() } else { self.periods.len() - 1 };
        if is_new {
            self.periods.push(fresh);
        }
        &mut self.periods[at]
    }

    /// What is carried over into a period: what was left of the one before, at most the limit. Nothing into the first one.
    fn carried_into(&self, span: Span) -> Amount {
        let Some(last) = self.periods.last().filter(|_| self.carries_over) else { return Amount::ZERO };
        if last.span.ends_at < span.starts_at {
            // Nothing was charged in a period between.
            return self.limit;
        }
        (last.limit - last.charged).or_zero().min(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BudgetControl, BudgetScope, Enforcement, OnRefusal, PeriodUnit};
    use super::*;
    use crate::money::Currency;
    use crate::text::Name;
    use std::collections::BTreeSet;

    fn terms(limit: &str, measure: Measure, carry_over: bool) -> BudgetTerms {
        let control = BudgetControl {
            enforcement: Enforcement::Shadow,
            measure,
            period: PeriodUnit::Day,
            anchor: "2024-01-01".parse().unwrap(),
            carry_over,
            on_refusal: OnRefusal::default(),
            on_unreachable: None,
            parts: crate::budget::Parts::default(),
        };
        BudgetTerms {
            name: Name::new("daily").unwrap(),
            scope: BudgetScope::Tenant,
            limit: Money::parse(limit).unwrap(),
            currency: Currency::Usd,
            time_zone: chrono_tz::UTC,
            thresholds: BTreeSet::new(),
            control: Some(control),
        }
    }

    fn call(at: &str, cost: Option<&str>) -> PreviewedCall {
        PreviewedCall {
            kind: CallKind::Llm,
            started_at: at.parse().unwrap(),
            usage: Usage::default(),
            cost: cost.map(|cost| Money::parse(cost).unwrap()),
        }
    }

    fn preview(terms: &BudgetTerms, calls: &[PreviewedCall]) -> Vec<PreviewedPeriod> {
        let mut preview = Preview::new(terms).unwrap();
        calls.iter().for_each(|call| preview.add(call));
        preview.periods().to_vec()
    }

    #[test]
    fn what_does_not_fit_is_refused_and_not_charged() {
        let calls = [
            call("2026-10-01T08:00:00Z", Some("6")),
            call("2026-10-01T09:00:00Z", Some("5")),
            // What is less fits later.
            call("2026-10-01T10:00:00Z", Some("4")),
            call("2026-10-01T11:00:00Z", Some("0.000000000001")),
            call("2026-10-01T12:00:00Z", None),
            call("2026-10-02T00:00:00Z", Some("10")),
        ];
        let [first, second] = preview(&terms("10", Measure::Money, false), &calls)[..] else { panic!() };
        assert_eq!((first.granted_calls, first.charged), (2, Amount::units(10)));
        assert_eq!((first.refused_calls, first.refused.to_string()), (2, "5.000000000001".to_owned()));
        assert_eq!((first.unpriced_calls, first.first_refused_at), (1, Some(calls[1].started_at)));
        assert_eq!((second.granted_calls, second.refused_calls, second.first_refused_at), (1, 0, None));
        // By calls, also those without a price.
        let [first, second] = preview(&terms("3", Measure::Calls, false), &calls)[..] else { panic!() };
        assert_eq!(
            (first.granted_calls, first.refused_calls, first.unpriced_calls, second.granted_calls),
            (3, 2, 0, 1)
        );
    }

    #[test]
    fn what_is_left_is_carried_over_at_most_one_limit() {
        let calls = [
            call("2026-10-01T08:00:00Z", Some("4")),
            call("2026-10-02T08:00:00Z", Some("16")),
            call("2026-10-03T08:00:00Z", Some("11")),
            // A day without calls is before it.
            call("2026-10-05T08:00:00Z", Some("20")),
            call("2026-10-05T08:00:00Z", Some("1")),
        ];
        let of = |carry_over| -> Vec<_> {
            let periods = preview(&terms("10", Measure::Money, carry_over), &calls);
            periods.iter().map(|period| (period.limit.to_string(), period.refused_calls)).collect()
        };
        let texts = |expected: [(&str, u64); 4]| expected.map(|(limit, refused)| (limit.to_owned(), refused)).to_vec();
        assert_eq!(of(true), texts([("10", 0), ("16", 0), ("10", 1), ("20", 1)]));
        assert_eq!(of(false), texts([("10", 0), ("10", 1), ("10", 1), ("10", 1)]));
    }

    #[test]
    fn terms_that_no_budget_could_have_are_an_error() {
        let zero = terms("0", Measure::Money, false);
        assert_eq!(Preview::new(&zero).unwrap_err(), BudgetError::LimitNotPositive(Money::ZERO));
        let uncontrolled = BudgetTerms { control: None, ..terms("1", Measure::Money, false) };
        assert_eq!(Preview::new(&uncontrolled).unwrap_err(), BudgetError::NotControlled);
    }
}
