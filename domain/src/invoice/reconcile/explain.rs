//! Differences in quantity and in price.

use super::comparison::Comparison;
use crate::invoice::expected::Rate;
use crate::invoice::figure::Figure;
use crate::invoice::variance::{Cause, Variance};

impl Comparison<'_> {
    /// Explains everything that is left.
    pub(super) fn explain(mut self, variances: &mut Vec<Variance>) {
        let nothing = (None, Figure::ZERO);
        let expected = (self.expected_quantity(), self.expected.amount);
        match (self.lines.is_empty(), self.is_recorded) {
            (false, true) => {
                self.explain_multiples(variances);
                self.explain_quantity(variances);
                self.explain_rates(variances);
            }
            (false, false) => {
                // A line without an amount may have no value, and is missing all the same.
                if !self.billed.is_zero() || self.quantity.is_some_and(|quantity| !quantity.is_zero()) {
                    let billed = (self.quantity, self.billed);
                    let detail = "billed, and no calls were recorded";
                    variances.push(self.variance(Cause::Missing, detail, billed, nothing));
                }
            }
            (true, _) => {
                if !self.expected.amount.is_zero() {
                    let detail = "calls were recorded, and not billed";
                    variances.push(self.variance(Cause::Missing, detail, nothing, expected));
                }
            }
        }
    }

    /// Explains that another quantity was billed, at the expected rate.
    fn explain_quantity(&mut self, variances: &mut Vec<Variance>) {
        let (Some(quantity), expected) = (self.quantity, self.expected) else { return };
        if quantity == expected.quantity {
            return;
        }
        let more = quantity - expected.quantity;
        // If the calls were charged at several rates, the difference may be of one of them.
        let at_one_rate = |rate: &Rate| Some(expected.amount + rate.price.cost(more)?);
        let of_one = self.components.keys().filter_map(at_one_rate).find(|amount| self.is_near(*amount, self.billed));
        let average = || expected.amount.times(quantity.pico(), expected.quantity.pico());
        let amount = of_one.or_else(average).unwrap_or(self.billed);
        let detail =
            if more > Figure::ZERO { "more was billed than calls used" } else { "less was billed than calls used" };
        let sides = ((Some(quantity), amount), (Some(expected.quantity), expected.amount));
        variances.push(self.variance(Cause::Quantity, detail, sides.0, sides.1));
        self.expect(Some(quantity), amount);
    }

    /// Explains what is left at the billed quantity.
    fn explain_rates(self, variances: &mut Vec<Variance>) {
        let (billed, expected) = (self.billed, self.expected.amount);
        if billed == expected {
            return;
        }
        let (cause, detail) = if self.is_near(billed, expected) {
            (Cause::Rounding, "within what rounding of the billed amounts explains".to_owned())
        } else if let Some(detail) = self.other_tier() {
            (Cause::Tier, detail)
        } else if let Some(quantity) = self.quantity {
            (Cause::Price, self.prices(quantity))
        } else {
            (Cause::Quantity, "the amounts differ, and the invoice states no quantity".to_owned())
        };
        let sides = ((self.quantity, billed), (self.expected_quantity(), expected));
        variances.push(self.variance(cause, detail, sides.0, sides.1));
    }

    /// The tier at whose rate everything was billed, or what was charged by one of the components.
    fn other_tier(&self) -> Option<String> {
        let quantity = self.expected_quantity()?;
        let is_near = |rate: &&Rate| rate.price.cost(quantity).is_some_and(|cost| self.is_near(cost, self.billed));
        if let Some(rate) = self.other_rates().find(is_near) {
            return Some(format!("billed at the rate of {}", tier(rate)));
        }
        self.components.iter().find_map(|(charged_by, charged)| {
            let others = self.expected.amount - charged.amount;
            let is_it = |rate: &&Rate| {
                let cost = rate.price.cost(charged.quantity);
                cost.is_some_and(|cost| self.is_near(others + cost, self.billed))
            };
            let rate = self.other_rates().filter(|rate| rate.tier != charged_by.tier).find(is_it)?;
            let (charged_as, billed_as) = (tier(charged_by), tier(rate));
            Some(format!("charged at the rate of {charged_as}, billed at the rate of {billed_as}"))
        })
    }

    /// Both prices of a million units.
    fn prices(&self, quantity: Figure) -> String {
        let of_million = |amount: Figure| {
            let price = amount.times(Figure::from_units(1_000_000).pico(), quantity.pico());
            price.map_or_else(|| "an unknown price".to_owned(), |price| format!("{price} USD"))
        };
        let (billed, expected) = (of_million(self.billed), of_million(self.expected.amount));
        format!("billed at {billed} for 1000000, expected {expected}")
    }
}

/// The tier of a rate, in words.
fn tier(rate: &Rate) -> String {
    if rate.tier.is_empty() { "the standard tier".to_owned() } else { rate.tier.clone() }
}
