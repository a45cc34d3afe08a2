//! Cached tokens that are billed as uncached ones, and the other way round.

use super::comparison::Comparison;
use crate::invoice::figure::Figure;
use crate::invoice::variance::{Cause, Variance};
use crate::meter::Meter;

/// Explains the differences of the meters of the prompt of one model on one day, if the quantities of all of them together are as
/// expected. Returns whether they are, and differ.
pub(super) fn explain(group: &mut [Comparison<'_>], variances: &mut Vec<Variance>) -> bool {
    let is_in_prompt = |one: &&mut Comparison<'_>| one.model.is_some() && one.meter.is_some_and(Meter::is_in_prompt);
    let mut prompt: Vec<_> = group.iter_mut().filter(is_in_prompt).collect();
    let billed = prompt.iter().try_fold(Figure::ZERO, |sum, one| Some(sum + billed_quantity(one)?));
    let expected: Figure = prompt.iter().map(|one| one.expected.quantity).sum();
    let differs = prompt.iter().any(|one| billed_quantity(one) != Some(one.expected.quantity));
    let has_both = prompt.iter().any(|one| !one.lines.is_empty()) && !expected.is_zero();
    if billed != Some(expected) || !differs || !has_both {
        return false;
    }
    for one in &mut prompt {
        explain_one(one, variances);
    }
    true
}

/// The billed quantity: nothing, if no line has the meter.
fn billed_quantity(one: &Comparison<'_>) -> Option<Figure> {
    if one.lines.is_empty() { Some(Figure::ZERO) } else { one.quantity }
}

fn explain_one(one: &mut Comparison<'_>, variances: &mut Vec<Variance>) {
    let (Some(quantity), expected) = (billed_quantity(one), one.expected) else { return };
    if quantity == expected.quantity {
        return;
    }
    let detail = if quantity > expected.quantity {
        "calls have these tokens under other meters of the prompt"
    } else {
        "these tokens are billed as other meters of the prompt"
    };
    // Without an expected quantity there is no expected rate.
    let at_billed_quantity = expected.amount.times(quantity.pico(), expected.quantity.pico()).unwrap_or(one.billed);
    let side = (Some(quantity), at_billed_quantity);
    variances.push(one.variance(Cause::Cache, detail, side, (Some(expected.quantity), expected.amount)));
    one.is_recorded = true;
    one.expect(Some(quantity), at_billed_quantity);
}
