//! Sums over calls by meter, and by the values of dimensions.

use super::{MeterCost, MeterCostError};
use crate::export::{Call, Priced, plain_money};
use crate::report::{CallGroups, Dimension, Totals};
use bytes::Bytes;
use domain::price_book::PriceBook;
use domain::{Meter, Sum, TagKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// What was billed of each meter of a call, and its cost in units of 10^-12 US dollars.
type Components = BTreeMap<Meter, (u64, i128)>;

/// The sums of a meter.
#[derive(Debug, Clone, Copy, Default)]
struct MeterSums {
    quantity: i128,
    billed_quantity: i128,
    calls: i64,
    /// In units of 10^-12 US dollars.
    cost: i128,
}

impl MeterSums {
    fn add_quantity(&mut self, quantity: u64) -> Option<()> {
        self.quantity = self.quantity.checked_add(quantity.into())?;
        Some(())
    }

    fn add_cost(&mut self, units: u64, cost: i128) -> Option<()> {
        self.billed_quantity = self.billed_quantity.checked_add(units.into())?;
        self.cost = self.cost.checked_add(cost)?;
        Some(())
    }

    fn cost(&self, meter: Option<Meter>) -> Result<MeterCost, MeterCostError> {
        let Self { quantity, billed_quantity, calls, cost } = *self;
        let cost = (calls > 0).then(|| sum(cost)).transpose()?;
        Ok(MeterCost { meter, quantity, billed_quantity, calls, cost })
    }
}

/// A number of units of 10^-12 US dollars as an amount.
fn sum(picodollars: i128) -> Result<Sum, MeterCostError> {
    let text = plain_money(picodollars);
    Sum::parse(&text).map_err(|_| MeterCostError::OutOfRange)
}

/// The sums of a group.
#[derive(Debug, Default)]
pub(super) struct GroupSums {
    calls: i64,
    tool_calls: i64,
    unpriced_calls: i64,
    meters: BTreeMap<Meter, MeterSums>,
    /// Those of charges whose components are not known.
    unknown: MeterSums,
}

impl GroupSums {
    /// Adds a call with the components of its charge; none if they are not known.
    fn add(&mut self, call: &Call, components: Option<&BTreeMap<Meter, (u64, i128)>>) -> Option<()> {
        let is_llm = call.is_llm();
        self.calls += i64::from(is_llm);
        self.tool_calls += i64::from(!is_llm);
        self.unpriced_calls += i64::from(is_llm && call.cost.is_none());
        for (meter, quantity) in call.usage.iter() {
            self.meters.entry(meter).or_default().add_quantity(quantity.get())?;
        }
        match (components, call.cost) {
            (Some(components), _) => {
                for (meter, (units, cost)) in components {
                    let sums = self.meters.entry(*meter).or_default();
                    sums.calls += 1;
                    sums.add_cost(*units, *cost)?;
                }
                Some(())
            }
            (None, Some(cost)) => {
                self.unknown.calls += 1;
                self.unknown.add_cost(0, cost)
            }
            (None, None) => Some(()),
        }
    }

    /// The number of rows: one for each meter.
    fn rows(&self) -> usize {
        self.meters.len() + usize::from(self.unknown.calls > 0)
    }

    pub(super) fn meters(&self) -> Result<Vec<MeterCost>, MeterCostError> {
        let unknown = (self.unknown.calls > 0).then(|| self.unknown.cost(None));
        self.meters.iter().map(|(meter, sums)| sums.cost(Some(*meter))).chain(unknown).collect()
    }

    pub(super) fn totals(&self) -> Result<Totals, MeterCostError> {
        let mut costs = self.meters.values().chain([&self.unknown]).map(|sums| sums.cost);
        let cost = costs.try_fold(0_i128, i128::checked_add);
        let cost = sum(cost.ok_or(MeterCostError::OutOfRange)?)?;
        Ok(Totals::of_costs((self.calls, self.tool_calls, self.unpriced_calls), cost))
    }
}

/// Sums up calls.
pub(super) struct Summing {
    pub(super) book: PriceBook,
    pub(super) groups: Arc<CallGroups>,
    pub(super) by: Vec<Dimension>,
    pub(super) tag_key: Option<TagKey>,
    pub(super) total: GroupSums,
    pub(super) by_key: HashMap<Vec<Option<String>>, GroupSums>,
    pub(super) rows: usize,
    pub(super) max_rows: usize,
}

impl Summing {
    pub(super) fn add(&mut self, call: &Call) -> Result<(), MeterCostError> {
        let components = self.components(call)?;
        self.total.add(call, components.as_ref()).ok_or(MeterCostError::OutOfRange)?;
        if self.by.is_empty() {
            return Ok(());
        }
        let keys = self.by.iter().map(|by| self.key(call, *by)).collect();
        let group = self.by_key.entry(keys).or_default();
        let before = group.rows();
        group.add(call, components.as_ref()).ok_or(MeterCostError::OutOfRange)?;
        self.rows += group.rows() - before;
        if self.rows > self.max_rows {
            return Err(MeterCostError::TooManyRows { limit: self.max_rows });
        }
        Ok(())
    }

    /// What was billed of each meter, and its cost in units of 10^-12 US dollars. None if the call has no charge, or one that the
    /// price book does not give again.
    fn components(&self, call: &Call) -> Result<Option<Components>, MeterCostError> {
        let Some(charge) = Priced::of(call).charge(call, &self.book) else { return Ok(None) };
        let mut components = Components::new();
        for line in &charge.lines {
            // A meter has a line for each of its graduated sizes.
            let (units, cost) = components.entry(line.component.meter).or_default();
            let added = || Some((units.checked_add(line.units)?, cost.checked_add(line.cost.picodollars()?)?));
            (*units, *cost) = added().ok_or(MeterCostError::OutOfRange)?;
        }
        Ok(Some(components))
    }

    /// The value of a dimension, in the form of the keys of rows of reports.
    fn key(&self, call: &Call, by: Dimension) -> Option<String> {
        let text = |text: &Option<Bytes>| text.as_ref().map(|text| String::from_utf8_lossy(text).into_owned());
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        match by {
            Dimension::Agent => id(call.agent_id),
            Dimension::Task => id(call.task_id),
            Dimension::Dag => id(call.dag_id),
            Dimension::User => text(&call.user),
            Dimension::Team => text(&call.team),
            Dimension::Key => text(&call.key),
            Dimension::Provider => text(&call.provider),
            Dimension::Model => text(&call.model),
            Dimension::Tool => text(&call.tool),
            Dimension::Conversation => text(&call.conversation),
            Dimension::Outcome => text(&call.outcome),
            Dimension::Source => text(&call.source),
            Dimension::Tag => call.tag(self.tag_key.as_ref()?),
            Dimension::Minute
            | Dimension::QuarterHour
            | Dimension::Hour
            | Dimension::Day
            | Dimension::Week
            | Dimension::Month
            | Dimension::Quarter
            | Dimension::Year => self.groups.time_key(by, call.started()),
        }
    }
}
