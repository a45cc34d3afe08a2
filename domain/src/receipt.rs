//! Receipts: how the cost of a call follows from its usage, in steps that can be checked by hand.
//!
//! A receipt states what the call used, which of it was billed as which meter, the rate and the conditions of each line, and
//! the sum. Its text holds all numbers that the steps need, so that a reader, or a program, needs nothing else.

use crate::call::{ChargedCall, ReportedCost};
use crate::ids::CallId;
use crate::meter::Meter;
use crate::price_book::{Charge, ChargeLine, PriceBook, PriceSource, Unpriced};
use crate::text::Name;
use crate::usage::Quantity;
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;
use std::sync::Arc;

/// How the cost of a call follows from its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The call.
    pub call: CallId,
    /// The provider that the call names.
    pub provider: Option<Name>,
    /// The model that the call names.
    pub model: Option<Name>,
    /// The tool that was called.
    pub tool: Option<Name>,
    /// When the call started, which decides which price applies.
    pub started_at: DateTime<Utc>,
    /// What the call used, in the order of the table of meters.
    pub usage: Vec<UsedMeter>,
    /// Whether the usage was inferred from a total, not stated.
    pub usage_assumed: bool,
    /// The charge; none if the call has none.
    pub charge: Option<Charge>,
    /// Why a call without a charge has no price by the newest version of the price book.
    pub unpriced: Option<Unpriced>,
    /// Where the applied price is from, and the version of the price book that set it.
    pub source: Option<(Arc<PriceSource>, u64)>,
    /// The cost that the record of the call stated, which is not part of the charge.
    pub reported_cost: Option<ReportedCost>,
}

/// What a call used of one meter, and how it was billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedMeter {
    /// The meter.
    pub meter: Meter,
    /// The quantity, with its parts, in the unit of the meter.
    pub quantity: u64,
    /// The quantities of other meters that are included, and are billed as those.
    pub parts: Vec<(Meter, u64)>,
    /// The quantity without the parts.
    pub units: u64,
    /// The meter whose lines bill the units; none if no line does.
    pub billed_as: Option<Meter>,
}

impl Receipt {
    /// The receipt of a call. The price book may be newer than the charge.
    #[must_use]
    pub fn new(id: CallId, call: &ChargedCall, book: &PriceBook) -> Self {
        let (facts, charge) = (&call.facts, call.charge.as_ref());
        let has_line =
            |meter: &Meter| charge.is_some_and(|charge| charge.lines.iter().any(|line| line.component.meter == *meter));
        let used = |(meter, quantity): (Meter, Quantity)| {
            let parts = meter.parts().map(|part| (part, facts.usage.get(part).get())).filter(|(_, part)| *part > 0);
            UsedMeter {
                meter,
                quantity: quantity.get(),
                parts: parts.collect(),
                units: facts.usage.without_parts(meter),
                billed_as: meter.billing_chain().find(has_line),
            }
        };
        let mut usage: Vec<_> = facts.usage.iter().map(used).collect();
        // A call is billed as a request also where its record does not count it.
        if has_line(&Meter::Requests) && usage.iter().all(|used| used.meter != Meter::Requests) {
            let (meter, parts) = (Meter::Requests, Vec::new());
            usage.push(UsedMeter { meter, quantity: 1, parts, units: 1, billed_as: Some(meter) });
        }
        let applied = charge.and_then(|charge| {
            let (provider, model) = charge.priced_as(facts.provider.as_ref(), facts.model.as_ref());
            book.applied(provider?, model?, charge)
        });
        Self {
            call: id,
            provider: facts.provider.clone(),
            model: facts.model.clone(),
            tool: facts.tool.clone(),
            started_at: facts.started_at,
            usage,
            usage_assumed: facts.usage_assumed,
            charge: call.charge.clone(),
            unpriced: charge.is_none().then(|| facts.unpriced(book)).flatten(),
            source: applied.map(|quote| (quote.source.clone(), quote.book_version)),
            reported_cost: facts.reported_cost,
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn names<'a>(names: impl IntoIterator<Item = Option<&'a Name>>) -> String {
    let names: Vec<_> = names.into_iter().flatten().map(Name::as_str).collect();
    if names.is_empty() { "unknown".to_owned() } else { names.join(" ") }
}

/// The width of the names of meters.
const NAME_WIDTH: usize = 21;

/// The receipt as text, which adds up by hand. Amounts are US dollars.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = names([self.provider.as_ref(), self.model.as_ref(), self.tool.as_ref()]);
        writeln!(f, "Call      {}", self.call)?;
        writeln!(f, "          {names}, started {}", time(self.started_at))?;
        if let Some(charge) = &self.charge {
            self.write_price(f, charge)?;
        }
        writeln!(f, "Usage{}", if self.usage_assumed { " (inferred from a total)" } else { "" })?;
        self.usage.iter().try_for_each(|used| writeln!(f, "  {used}"))?;
        if self.usage.is_empty() {
            writeln!(f, "  none")?;
        }
        match (&self.charge, &self.unpriced) {
            (Some(charge), _) => {
                writeln!(f, "Charge in USD")?;
                charge.lines.iter().try_for_each(|line| write_line(f, line))?;
                writeln!(f, "  {:NAME_WIDTH$} = {}", "total", charge.amount)?;
            }
            (None, Some(reason)) => writeln!(f, "Charge    none: {reason}")?,
            (None, None) => writeln!(f, "Charge    none")?,
        }
        self.reported_cost.iter().try_for_each(|ReportedCost { amount, source }| {
            let source = source.map_or(String::new(), |source| format!(", by the {}", source.as_str()));
            writeln!(f, "Reported  {amount} USD{source}")
        })
    }
}

impl Receipt {
    fn write_price(&self, f: &mut fmt::Formatter<'_>, charge: &Charge) -> fmt::Result {
        let (seller, model) = charge.priced_as(self.provider.as_ref(), self.model.as_ref());
        let kind = if charge.contract { "contract price" } else { "price" };
        write!(f, "Price     {kind} of {}", names([seller, model]))?;
        write!(f, ", effective from {}", time(charge.effective_from))?;
        if let Some(matched) = &charge.matched {
            write!(f, ", found by its name ({})", matched.by.as_str())?;
        }
        writeln!(f, "\n          charged by version {} of the price book", charge.book_version)?;
        if let Some((source, version)) = &self.source {
            writeln!(f, "Source    {source}, set in version {version}")?;
        }
        charge
            .discount
            .iter()
            .try_for_each(|discount| writeln!(f, "Discount  {}: {} % of each line", discount.name, discount.percent))
    }
}

/// A meter in one line, such as `output 59 - reasoning 20 = 39, billed as output`.
impl fmt::Display for UsedMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:NAME_WIDTH$} {}", self.meter.name(), self.quantity)?;
        self.parts.iter().try_for_each(|(part, quantity)| write!(f, " - {} {quantity}", part.name()))?;
        if !self.parts.is_empty() {
            write!(f, " = {}", self.units)?;
        }
        match self.billed_as {
            Some(meter) if meter == self.meter => Ok(()),
            Some(meter) => write!(f, ", billed as {}", meter.name()),
            None => f.write_str(", not billed"),
        }
    }
}

/// A line of a charge, such as `input 1512 x 2.5 / 1000000 = 0.00378`.
fn write_line(f: &mut fmt::Formatter<'_>, line: &ChargeLine) -> fmt::Result {
    let ChargeLine { component, units, discount_percent, cost } = line;
    write!(f, "  {:NAME_WIDTH$} {units} x {} / {}", component.meter.name(), component.rate, component.per)?;
    discount_percent.iter().try_for_each(|percent| write!(f, " x (100 - {percent}) / 100"))?;
    write!(f, " = {cost}")?;
    if line.is_rounded() {
        f.write_str(" (rounded half to even)")?;
    }
    if component.when.is_empty() { writeln!(f) } else { writeln!(f, ", as {}", component.when) }
}

#[cfg(test)]
mod tests;
