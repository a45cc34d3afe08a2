//! Lines that are billed more than once, and calls that are charged more than once.

use super::comparison::Comparison;
use crate::invoice::figure::Figure;
use crate::invoice::line::InvoiceLine;
use crate::invoice::variance::{Cause, Variance};
use crate::meter::Meter;
use crate::text::Name;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The most times that something is looked for.
const MAX_TIMES: i128 = 10;

/// What equal lines have in common; those with the largest amount first.
type Content<'l> = (Reverse<[Option<Figure>; 2]>, [Option<&'l Name>; 3], Option<Meter>);

fn content(line: &InvoiceLine) -> Content<'_> {
    let InvoiceLine { model, meter, quantity, amount, tier, reference, line: _, day: _ } = line;
    (Reverse([*amount, *quantity]), [model.as_ref(), tier.as_ref(), reference.as_ref()], *meter)
}

impl Comparison<'_> {
    /// Removes lines that equal another one, as long as at least what is expected is left without them.
    pub(super) fn remove_equal_lines(&mut self, variances: &mut Vec<Variance>) {
        let mut equal: BTreeMap<Content<'_>, Vec<usize>> = BTreeMap::new();
        for (at, billed) in self.lines.iter().enumerate() {
            equal.entry(content(billed.line)).or_default().push(at);
        }
        let (mut quantity, mut amount, mut removed) = (self.quantity, self.billed, BTreeMap::new());
        for places in equal.into_values() {
            // The first one stays; the last ones are removed first.
            let Some((kept, others)) = places.split_first() else { continue };
            let first = self.lines[*kept].line.line;
            for at in others.iter().rev().copied() {
                let billed = self.lines[at];
                let of_line = billed.line.quantity.unwrap_or_default();
                let is_more = match quantity {
                    Some(all) => of_line > Figure::ZERO && all - of_line >= self.expected.quantity,
                    None => {
                        billed.amount > Figure::ZERO && amount - billed.amount + self.tolerance >= self.expected.amount
                    }
                };
                if !is_more {
                    break;
                }
                quantity = quantity.map(|all| all - of_line);
                amount -= billed.amount;
                removed.insert(at, first);
            }
        }
        if removed.is_empty() {
            return;
        }
        for (at, first) in &removed {
            let billed = self.lines[*at];
            let side = (billed.line.quantity, billed.amount);
            let detail = format!("equal to line {first}");
            let of_line = self.variance(Cause::Duplicate, detail, side, (None, Figure::ZERO));
            variances.push(Variance { line: Some(billed.line.line), lines: 1, ..of_line });
        }
        let lines = std::mem::take(&mut self.lines).into_iter().enumerate();
        self.lines = lines.filter(|(at, _)| !removed.contains_key(at)).map(|(_, billed)| billed).collect();
        (self.quantity, self.billed) = (quantity, amount);
    }

    /// Explains that one of the quantities is a multiple of the other one; the amounts, if the invoice states no quantity.
    pub(super) fn explain_multiples(&mut self, variances: &mut Vec<Variance>) {
        let expected = self.expected;
        let times = match self.quantity {
            Some(quantity) => multiple(quantity, expected.quantity, Figure::ZERO),
            None => multiple(self.billed, expected.amount, self.tolerance),
        };
        if let Some(times) = times {
            let Some(once) = self.billed.times(1, times) else { return };
            let detail = format!("billed {times} times");
            let more = self.quantity.map(|quantity| quantity - expected.quantity);
            variances.push(self.variance(Cause::Duplicate, detail, (more, self.billed - once), (None, Figure::ZERO)));
            self.quantity = self.quantity.map(|_| expected.quantity);
            self.billed = once;
            return;
        }
        let Some(quantity) = self.quantity else { return };
        let Some(times) = multiple(expected.quantity, quantity, Figure::ZERO) else { return };
        // Calls that were recorded several times are as many.
        if i128::from(expected.calls) % times != 0 {
            return;
        }
        let Some(once) = expected.amount.times(1, times) else { return };
        let detail = format!("charged {times} times: calls may have been recorded more than once");
        let more = (Some(expected.quantity - quantity), expected.amount - once);
        variances.push(self.variance(Cause::Duplicate, detail, (None, Figure::ZERO), more));
        self.expect(Some(quantity), once);
    }
}

/// How many times a figure is another one, from 2 to [`MAX_TIMES`]; none if it is no multiple of it.
fn multiple(figure: Figure, of: Figure, tolerance: Figure) -> Option<i128> {
    if of <= tolerance || figure <= of {
        return None;
    }
    let times = (figure.pico() + of.pico() / 2) / of.pico();
    let rest = figure.pico() - of.pico().checked_mul(times)?;
    ((2..=MAX_TIMES).contains(&times) && rest.abs() <= tolerance.pico()).then_some(times)
}
