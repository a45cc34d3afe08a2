//! Comparing the lines of an invoice with the components of the prices of calls, and naming the cause of each difference.
//!
//! Lines and components are compared by day, model and meter. A difference is explained by rules in one order, each of which
//! takes its part away exactly, so that the differences of all causes add up to the billed less the expected amount:
//!
//! 1. `cache`: the prompt tokens of a model on a day are as many as expected, and are divided otherwise among its meters;
//! 2. `duplicate`: equal lines, of which those beyond the first are more than what is expected;
//! 3. `missing`: one of the sides has nothing;
//! 4. `duplicate`: one of the quantities is a multiple of the other one;
//! 5. `quantity`: the quantities differ; the difference is valued at the expected rate;
//! 6. `rounding`: what is left is not more than rounding explains;
//! 7. `tier`: what is left is what the rate of another tier explains;
//! 8. `price`: what is left, or `quantity` if the invoice states none.
//!
//! docs/invoices.md has an example of each. The order of the lines does not matter.

mod cache;
mod comparison;
mod duplicates;
mod explain;
mod keys;
mod values;

use self::comparison::Comparison;
use self::keys::Keys;
use self::values::Values;
use super::expected::{Entry, Expected, Key};
use super::figure::Figure;
use super::limits::MAX_VARIANCES;
use super::line::InvoiceLine;
use super::variance::{Reconciliation, ReconciliationSummary, Variance, hash, totals};
use crate::text::Name;
use chrono::NaiveDate;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use thiserror::Error;
use uuid::Uuid;

/// Why an invoice cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReconcileError {
    /// There are too many variances.
    #[error(
        "the invoice has {found} variances, at most {MAX_VARIANCES} are recorded: check the provider, the account and the names \
         of the meters, or record the invoice in parts with shorter periods"
    )]
    TooManyVariances {
        /// The number of variances.
        found: usize,
    },
    /// The variances do not add up. No result is better than a wrong one.
    #[error("the variances add up to {variances}, and the invoice differs from the calls by {difference}")]
    NotTheDifference {
        /// The sum of the differences of the variances.
        variances: Figure,
        /// The billed less the expected amount.
        difference: Figure,
    },
}

/// The lines of an invoice that are compared, and how.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'l> {
    /// The lines.
    pub lines: &'l [InvoiceLine],
    /// Their hash.
    pub content: Uuid,
    /// The amount in US dollars by which rounding may change each line.
    pub tolerance: Figure,
    /// The position of the log up to which the calls are.
    pub position: u64,
}

/// Half a unit of a decimal place: what rounding to it may change, in US dollars.
#[must_use]
pub fn rounding_of(places: u8) -> Figure {
    // Beyond the twelfth place, nothing is rounded.
    let power = 12_u32.saturating_sub(places.into());
    Figure::from_pico(10_i128.pow(power) / 2)
}

/// Compares an invoice with the calls of its provider and period.
///
/// # Errors
/// [`ReconcileError`] if there are too many variances.
pub fn reconcile(compared: &Compared<'_>, expected: Expected) -> Result<Reconciliation, ReconcileError> {
    let (calls, unpriced_calls) = (expected.calls, expected.unpriced_calls);
    let keys = Keys::of(compared.lines, &expected);
    let mut billed: BTreeMap<Key, Vec<&InvoiceLine>> = BTreeMap::new();
    for line in compared.lines {
        billed.entry(keys.of_line(line)).or_default().push(line);
    }
    let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
    for (key, entry) in expected.entries {
        entries.entry(keys.merged(key)).or_default().merge(entry);
    }
    let mut values = Values::of(&entries);
    let mut groups: BTreeMap<(NaiveDate, Option<Name>), Vec<Comparison<'_>>> = BTreeMap::new();
    for (key, lines) in billed {
        let entry = entries.remove(&key);
        let lines = values.value(&key, lines, entry.as_ref());
        let comparison = Comparison::new(key, lines, entry, compared.tolerance);
        groups.entry((comparison.day, comparison.model.clone())).or_default().push(comparison);
    }
    for (key, entry) in entries {
        let comparison = Comparison::new(key, Vec::new(), Some(entry), compared.tolerance);
        groups.entry((comparison.day, comparison.model.clone())).or_default().push(comparison);
    }
    let all = || groups.values().flatten();
    let (billed, expected) =
        (all().map(|one| one.billed).sum::<Figure>(), all().map(|one| one.expected.amount).sum::<Figure>());
    let variances = explain_all(groups)?;
    let (difference, explained) = (billed - expected, variances.iter().map(|variance| variance.difference).sum());
    if difference != explained {
        return Err(ReconcileError::NotTheDifference { variances: explained, difference });
    }
    let summary = ReconciliationSummary {
        position: compared.position,
        content: compared.content,
        billed,
        expected,
        difference,
        causes: totals(&variances),
        variances: u32::try_from(variances.len()).unwrap_or(u32::MAX),
        variances_hash: hash(&variances),
        tolerance: compared.tolerance,
        calls,
        unpriced_calls,
        unvalued_lines: values.unvalued(),
    };
    Ok(Reconciliation { summary, variances })
}

/// The variances of all comparisons, that with the largest difference first.
fn explain_all(
    groups: BTreeMap<(NaiveDate, Option<Name>), Vec<Comparison<'_>>>,
) -> Result<Vec<Variance>, ReconcileError> {
    let mut variances = Vec::new();
    for mut group in groups.into_values() {
        // Equal lines of tokens that were billed as others are no duplicates, if all tokens are there with them.
        let is_explained = cache::explain(&mut group, &mut variances);
        group.iter_mut().for_each(|one| one.remove_equal_lines(&mut variances));
        if !is_explained {
            cache::explain(&mut group, &mut variances);
        }
        group.into_iter().for_each(|one| one.explain(&mut variances));
        if variances.len() > MAX_VARIANCES {
            return Err(ReconcileError::TooManyVariances { found: variances.len() });
        }
    }
    variances.sort_by(|one, other| {
        let rank = |variance: &Variance| Reverse(variance.difference.abs());
        rank(one)
            .cmp(&rank(other))
            .then_with(|| (one.day, &one.model, one.meter).cmp(&(other.day, &other.model, other.meter)))
            .then_with(|| one.cmp(other))
    });
    Ok(variances)
}
