//! What is billed and expected of one meter of one model on one day.

use crate::invoice::expected::{Charged, Entry, Key, Rate};
use crate::invoice::figure::Figure;
use crate::invoice::line::InvoiceLine;
use crate::invoice::variance::{Cause, Variance};
use crate::meter::Meter;
use crate::text::Name;
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};

/// A line, and the amount that it counts as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Billed<'l> {
    pub(super) line: &'l InvoiceLine,
    pub(super) amount: Figure,
}

/// A quantity and an amount.
pub(super) type Side = (Option<Figure>, Figure);

/// What is compared under one key, as far as it is not explained.
pub(super) struct Comparison<'l> {
    pub(super) day: NaiveDate,
    pub(super) model: Option<Name>,
    pub(super) meter: Option<Meter>,
    /// The lines, in the order of their numbers.
    pub(super) lines: Vec<Billed<'l>>,
    /// The billed quantity; none if a line states none, or lines are of several meters.
    pub(super) quantity: Option<Figure>,
    pub(super) billed: Figure,
    pub(super) expected: Charged,
    /// Whether calls were charged under the key.
    pub(super) is_recorded: bool,
    /// What was charged by each component; empty once it is not what is expected any more.
    pub(super) components: BTreeMap<Rate, Charged>,
    /// The tiers by whose rates calls were charged.
    charged_tiers: BTreeSet<String>,
    /// The rates that the prices have for the meter.
    rates: BTreeSet<Rate>,
    /// What rounding explains.
    pub(super) tolerance: Figure,
}

impl<'l> Comparison<'l> {
    pub(super) fn new(
        (day, model, meter): Key,
        lines: Vec<Billed<'l>>,
        entry: Option<Entry>,
        line_tolerance: Figure,
    ) -> Self {
        let is_recorded = entry.is_some();
        let Entry { total: expected, components, rates } = entry.unwrap_or_default();
        let quantity = lines.iter().try_fold(Figure::ZERO, |sum, billed| Some(sum + billed.line.quantity?));
        // Each charge is rounded at the twelfth decimal place.
        let of_calls = Figure::from_pico(expected.calls.into());
        let of_lines = (0..lines.len()).map(|_| line_tolerance).sum::<Figure>();
        Self {
            day,
            model,
            meter,
            quantity: quantity.filter(|_| meter.is_some() && !lines.is_empty()),
            billed: lines.iter().map(|billed| billed.amount).sum(),
            lines,
            expected,
            is_recorded,
            charged_tiers: components.keys().map(|rate| rate.tier.clone()).collect(),
            components,
            rates,
            tolerance: of_lines + of_calls,
        }
    }

    /// The quantity that is expected; none if that of several meters is.
    pub(super) fn expected_quantity(&self) -> Option<Figure> {
        self.meter.map(|_| self.expected.quantity)
    }

    /// A variance of the lines that are left.
    pub(super) fn variance(
        &self,
        cause: Cause,
        detail: impl Into<String>,
        (billed_quantity, billed): Side,
        (expected_quantity, expected): Side,
    ) -> Variance {
        Variance {
            cause,
            detail: detail.into(),
            day: self.day,
            model: self.model.clone(),
            meter: self.meter,
            line: self.lines.first().map(|billed| billed.line.line),
            lines: u32::try_from(self.lines.len()).unwrap_or(u32::MAX),
            billed_quantity,
            expected_quantity,
            billed,
            expected,
            difference: billed - expected,
        }
    }

    /// Goes on with another expectation, of the billed quantity.
    pub(super) fn expect(&mut self, quantity: Option<Figure>, amount: Figure) {
        self.expected.quantity = quantity.unwrap_or(self.expected.quantity);
        self.expected.amount = amount;
        self.components.clear();
    }

    /// The rates of other tiers than that by which all calls were charged; those of all tiers, if they were charged by several.
    pub(super) fn other_rates(&self) -> impl Iterator<Item = &Rate> {
        let is_only = |rate: &&Rate| self.charged_tiers.len() == 1 && self.charged_tiers.contains(&rate.tier);
        self.rates.iter().filter(move |rate| !is_only(rate))
    }

    /// Whether two amounts are equal but for rounding.
    pub(super) fn is_near(&self, one: Figure, other: Figure) -> bool {
        (one - other).abs() <= self.tolerance
    }
}
