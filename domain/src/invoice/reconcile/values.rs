//! What lines without an amount count as.

use super::comparison::Billed;
use crate::invoice::expected::{Entry, Key};
use crate::invoice::figure::Figure;
use crate::invoice::line::InvoiceLine;
use crate::meter::Meter;
use crate::text::Name;
use std::collections::BTreeMap;

/// What Apex charges for a quantity, as a fraction.
#[derive(Debug, Clone, Copy, Default)]
struct Average {
    amount: Figure,
    quantity: Figure,
}

impl Average {
    fn of(entry: &Entry) -> Self {
        Self { amount: entry.total.amount, quantity: entry.total.quantity }
    }

    fn cost(self, quantity: Figure) -> Option<Figure> {
        self.amount.times(quantity.pico(), self.quantity.pico())
    }
}

/// The rates at which lines without an amount count.
pub(super) struct Values {
    /// The average rates of the whole period, by model and meter.
    averages: BTreeMap<(Option<Name>, Option<Meter>), Average>,
    unvalued: usize,
}

impl Values {
    pub(super) fn of(entries: &BTreeMap<Key, Entry>) -> Self {
        let mut averages: BTreeMap<_, Average> = BTreeMap::new();
        for ((_, model, meter), entry) in entries {
            let average = averages.entry((model.clone(), *meter)).or_default();
            average.amount += entry.total.amount;
            average.quantity += entry.total.quantity;
        }
        Self { averages, unvalued: 0 }
    }

    /// The number of lines that count as 0, because there is no rate for them.
    pub(super) fn unvalued(&self) -> u32 {
        u32::try_from(self.unvalued).unwrap_or(u32::MAX)
    }

    /// The lines of a key, in their order in the invoice, with the amounts that they count as. Those without an amount add up to
    /// what Apex charges for their quantity together.
    pub(super) fn value<'l>(
        &mut self,
        key: &Key,
        mut lines: Vec<&'l InvoiceLine>,
        entry: Option<&Entry>,
    ) -> Vec<Billed<'l>> {
        lines.sort();
        let own = entry.map(Average::of).filter(|average| !average.quantity.is_zero());
        let average = own.or_else(|| self.averages.get(&(key.1.clone(), key.2)).copied());
        let (mut quantity, mut valued) = (Figure::ZERO, Figure::ZERO);
        let mut billed = Vec::with_capacity(lines.len());
        for line in lines {
            let amount = match line.amount {
                Some(amount) => amount,
                None => {
                    quantity += line.quantity.unwrap_or_default();
                    let until = average.and_then(|average| average.cost(quantity));
                    self.unvalued += usize::from(until.is_none());
                    let until = until.unwrap_or(valued);
                    let amount = until - valued;
                    valued = until;
                    amount
                }
            };
            billed.push(Billed { line, amount });
        }
        billed
    }
}
