//! Cost and usage in the form of FOCUS (<https://focus.finops.org>), versions 1.4 and 1.2.
//!
//! A row is what the calls of a day (UTC) with the same attributes cost by one component of a price: the meter, its rate and its
//! conditions. docs/exports.md says what each column holds, and what FOCUS cannot say. The components are those of the calls'
//! receipts: the charge is a function of the facts of a call and of the version of the price book that it names, so that it is
//! computed again, and compared with the cost that is stored. The rows add up to the report of the same calls, or the export
//! fails.

mod columns;
mod group;
mod version;

pub use version::FocusVersion;

use super::call::{Call, Priced};
use super::decimal::plain_money;
use super::error::ExportError;
use super::output::{Output, Stop};
use super::table::{Column, Value};
use bytes::Bytes;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use domain::price_book::{Charge, PriceBook};
use domain::{Money, Sum, TenantId};
use group::{Attributes, Component, Key, Sums};
use std::collections::HashMap;
use std::sync::Arc;

/// The most rows of a day that are summed up at the same time. A day with more has several rows with the same attributes.
const MAX_GROUPS: usize = 50_000;
/// The most memory that their attributes take, in bytes.
const MAX_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// How many rows are written before they are passed on: a row of NDJSON has about 1.5 kB.
const ROWS_PASSED_ON: usize = 256;

/// Makes the rows.
pub(super) struct Focus {
    book: PriceBook,
    tenant: Bytes,
    version: FocusVersion,
    /// The day whose calls are summed up.
    day: Option<DateTime<Utc>>,
    groups: HashMap<Key, Sums>,
    /// The memory of the attributes of the groups.
    bytes: usize,
    total: Sum,
    /// The sum of the report of the same calls.
    expected: Option<Sum>,
}

impl Focus {
    pub(super) fn new(book: PriceBook, tenant: &TenantId, version: FocusVersion, expected: Option<Sum>) -> Self {
        let tenant = Bytes::from(tenant.as_str().to_owned());
        Self { book, tenant, version, day: None, groups: HashMap::new(), bytes: 0, total: Sum::default(), expected }
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        columns::of(self.version)
    }

    /// Adds the cost of a call. Calls come in the order of their start.
    pub(super) fn add(&mut self, call: &Call, output: &mut Output<'_>) -> Result<(), Stop> {
        const OUT_OF_RANGE: ExportError = ExportError::OutOfRange { column: "BilledCost" };
        // Calls without a price have no cost, and tools have none: they are no charges.
        let Some(cost) = call.cost else { return Ok(()) };
        let day = call.started().duration_trunc(TimeDelta::days(1)).map_err(|_| OUT_OF_RANGE)?;
        let is_full = self.groups.len() >= MAX_GROUPS || self.bytes >= MAX_GROUP_BYTES;
        if self.day != Some(day) || is_full {
            self.flush(output)?;
            self.day = Some(day);
        }
        let priced = Priced::of(call);
        let charge = priced.charge(call, &self.book);
        let attributes = Arc::new(Attributes::of(call, charge.as_ref(), &priced));
        match charge {
            Some(charge) => self.add_lines(&charge, &attributes),
            None => self.add_one(Component::unknown(), &attributes, Sums { calls: 1, cost, list_cost: cost, units: 0 }),
        }
        .ok_or(Stop::Failed(OUT_OF_RANGE))
    }

    fn add_lines(&mut self, charge: &Charge, attributes: &Arc<Attributes>) -> Option<()> {
        for line in &charge.lines {
            let rate = line.component.rate.as_money().as_decimal();
            let list = Money::for_units(rate, line.units, line.component.per).ok()?;
            let sums = Sums {
                calls: 1,
                cost: line.cost.picodollars()?,
                list_cost: list.picodollars()?,
                units: line.units.into(),
            };
            self.add_one(Component::of(charge, line), attributes, sums)?;
        }
        Some(())
    }

    fn add_one(&mut self, component: Component, attributes: &Arc<Attributes>, sums: Sums) -> Option<()> {
        let (key, groups) = (Key { attributes: attributes.clone(), component }, self.groups.len());
        let added = self.groups.entry(key).or_default().add(sums);
        if self.groups.len() > groups {
            self.bytes += attributes.bytes();
        }
        added
    }

    /// Writes the rows of the day, in the order of their attributes.
    fn flush(&mut self, output: &mut Output<'_>) -> Result<(), Stop> {
        let Some(day) = self.day else { return Ok(()) };
        let mut groups: Vec<_> = std::mem::take(&mut self.groups).into_iter().collect();
        self.bytes = 0;
        groups.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut row: Vec<Value> = Vec::new();
        for some in groups.chunks(ROWS_PASSED_ON) {
            for (key, sums) in some {
                let cost = plain_money(sums.cost);
                self.total += &Sum::parse(&cost).map_err(|_| ExportError::OutOfRange { column: "BilledCost" })?;
                columns::fill(&mut row, (self.version, &self.tenant), day, (key, sums))?;
                output.row(&row)?;
            }
            output.pass_on_enough()?;
        }
        Ok(())
    }

    /// Writes the last rows, and compares the sum of all with that of the report.
    pub(super) fn finish(&mut self, output: &mut Output<'_>) -> Result<(), Stop> {
        self.flush(output)?;
        match &self.expected {
            Some(expected) if *expected != self.total => {
                let (exported, reported) = (self.total.to_string(), expected.to_string());
                Err(ExportError::SumsDiffer { exported, reported }.into())
            }
            _ => Ok(()),
        }
    }
}
