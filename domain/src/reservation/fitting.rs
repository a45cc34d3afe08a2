//! What of a call fits into the budgets that apply to it.

use super::error::ReservationError;
use super::estimate::{Bound, Estimate};
use super::event::{Refusal, RefusalReason};
use crate::budget::Attributes;
use crate::budget_balance::Ledger;
use crate::budget_catalogue::{CatalogueEntry, Period};
use crate::meter::Meter;
use crate::price_book::PriceBook;
use chrono::{DateTime, Utc};

/// A budget that applies to the call, with its period.
#[derive(Clone, Copy)]
pub(super) struct Applying<'c> {
    pub(super) period: Period,
    pub(super) entry: &'c CatalogueEntry,
}

/// A call with some values.
#[derive(Clone, Copy)]
pub(super) struct AskedCall<'a> {
    pub(super) estimate: &'a Estimate,
    pub(super) attributes: &'a Attributes,
    pub(super) prices: &'a PriceBook,
    pub(super) at: DateTime<Utc>,
}

/// What budgets say of a call.
pub(super) enum Fit {
    /// All of it fits.
    All(Bound),
    /// Less output fits, as much as the bound has.
    Part(Bound),
    /// One of them refuses all of it, whose bound this is.
    Nothing(Bound, Refusal),
}

impl<'a> AskedCall<'a> {
    /// The call with other values.
    pub(super) fn with<'b>(self, attributes: &'b Attributes) -> AskedCall<'b>
    where
        'a: 'b,
    {
        AskedCall { attributes, ..self }
    }

    /// The upper bound of all that the call may use.
    pub(super) fn bound(&self) -> Result<Bound, ReservationError> {
        self.estimate.bound(self.estimate.usage, self.attributes, self.prices, self.at)
    }

    /// What of the call, whose upper bound is `full`, fits into budgets that apply to it.
    pub(super) fn fit(
        &self,
        full: Bound,
        applying: &[Applying<'_>],
        ledger: &Ledger<'_>,
    ) -> Result<Fit, ReservationError> {
        let Some(refusal) = refusal_of(&full, applying, ledger) else { return Ok(Fit::All(full)) };
        let largest = self.largest_output(&refusal, |output| {
            let usage = self.estimate.with_output(output);
            let bound = self.estimate.bound(usage, self.attributes, self.prices, self.at)?;
            Ok(refusal_of(&bound, applying, ledger).is_none().then_some(bound))
        })?;
        Ok(largest.map_or(Fit::Nothing(full, refusal), Fit::Part))
    }

    /// The bound with the largest output that fits; none if the smallest one that would do does not, or nothing is asked for.
    fn largest_output(
        &self,
        refusal: &Refusal,
        fits: impl Fn(u64) -> Result<Option<Bound>, ReservationError>,
    ) -> Result<Option<Bound>, ReservationError> {
        let (Some(min), RefusalReason::Exceeded) = (self.estimate.min_output, &refusal.reason) else { return Ok(None) };
        let Some(mut best) = fits(min)? else { return Ok(None) };
        // What fits grows with what is left, so that the largest is found by halves.
        let (mut fitting, mut exceeding) = (min, self.estimate.usage.get(Meter::Output).get());
        while exceeding - fitting > 1 {
            let middle = fitting + (exceeding - fitting) / 2;
            match fits(middle)? {
                Some(bound) => (fitting, best) = (middle, bound),
                None => exceeding = middle,
            }
        }
        Ok(Some(best))
    }
}

/// Why a bound is refused; none if it fits. Of several budgets that refuse, it is the one that renews last.
fn refusal_of(bound: &Bound, applying: &[Applying<'_>], ledger: &Ledger<'_>) -> Option<Refusal> {
    let refused = applying.iter().filter_map(|Applying { period, entry }| {
        let left = ledger.left(period.balance_id)?;
        let reason = match bound.amount(entry.measure) {
            _ if entry.counted_through.is_none() => RefusalReason::Counting,
            None => RefusalReason::Unpriced,
            Some(amount) if amount > left || ledger.is_exceeded(period.balance_id) => RefusalReason::Exceeded,
            Some(_) => return None,
        };
        let left = (reason == RefusalReason::Exceeded).then_some(left);
        let renews_at = Some(period.span.ends_at);
        Some(Refusal { reason, budget_id: period.budget_id, left, renews_at, follow_up: None })
    });
    refused.max_by_key(|refusal| refusal.renews_at)
}
