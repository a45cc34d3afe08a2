//! Sums over calls, and what follows from them.

use super::sums::BASE;
use bigdecimal::{BigDecimal, ToPrimitive};
use domain::{Meter, Sum};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

/// The decimal places of a unit cost.
pub const UNIT_COST_PLACES: u32 = 12;

/// Sums over calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// LLM calls.
    pub calls: i64,
    /// Tool calls.
    pub tool_calls: i64,
    /// Failed calls of both kinds, see [`domain::call::CallFacts::failed`].
    pub failed_calls: i64,
    /// LLM calls without a known price, which are not part of the cost.
    pub unpriced_calls: i64,
    /// Calls of both kinds whose usage was not stated by their records, but assumed by their reader.
    pub assumed_calls: i64,
    /// The sum of each meter, in the order of [`Meter::ALL`].
    pub(super) quantities: [i128; Meter::COUNT],
    /// The sum of the latencies, in milliseconds.
    pub latency_ms: i128,
    /// The charged cost in US dollars; see [`Totals::known_cost`].
    pub cost: Sum,
    /// The cost in US dollars that the sources reported.
    pub reported_cost: Sum,
    /// The charged cost of the calls that have a reported one too.
    pub compared_cost: Sum,
    /// The reported cost of the calls that have a charge too.
    pub compared_reported_cost: Sum,
}

/// Which cost of a call counts: the one that Apex charges by the price book, or the one that its source reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CostPolicy {
    /// The charged cost; calls without a price have none.
    #[default]
    Charged,
    /// The reported cost; calls without one have none.
    Reported,
    /// The charged cost, or else the reported one.
    PreferCharged,
    /// The reported cost, or else the charged one.
    PreferReported,
}

impl Totals {
    /// The cost by a policy, over the calls that have it.
    #[must_use]
    pub fn cost_by(&self, policy: CostPolicy) -> Sum {
        let Self { cost, reported_cost, compared_cost, compared_reported_cost, .. } = self;
        let union = |less: &Sum| {
            let mut sum = cost.clone();
            sum += reported_cost;
            &sum - less
        };
        match policy {
            CostPolicy::Charged => cost.clone(),
            CostPolicy::Reported => reported_cost.clone(),
            CostPolicy::PreferCharged => union(compared_reported_cost),
            CostPolicy::PreferReported => union(compared_cost),
        }
    }

    /// How much more the sources reported than was charged, over the calls that have both costs.
    #[must_use]
    pub fn reported_difference(&self) -> Sum {
        &self.compared_reported_cost - &self.compared_cost
    }

    /// The sums of a number of calls, of which their cost is known, and nothing else.
    #[must_use]
    pub fn of_costs((calls, tool_calls, unpriced_calls): (i64, i64, i64), cost: Sum) -> Self {
        Self { calls, tool_calls, unpriced_calls, cost, ..Self::default() }
    }

    /// Returns the sum of a meter.
    #[must_use]
    pub fn quantity(&self, meter: Meter) -> i128 {
        self.quantities[meter as usize]
    }

    /// The sums with another sum of a meter.
    #[must_use]
    pub fn with_quantity(mut self, meter: Meter, quantity: i128) -> Self {
        self.quantities[meter as usize] = quantity;
        self
    }

    /// Adds other sums.
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.tool_calls += other.tool_calls;
        self.failed_calls += other.failed_calls;
        self.unpriced_calls += other.unpriced_calls;
        self.assumed_calls += other.assumed_calls;
        self.quantities.iter_mut().zip(other.quantities).for_each(|(sum, quantity)| *sum += quantity);
        self.latency_ms += other.latency_ms;
        self.cost += &other.cost;
        self.reported_cost += &other.reported_cost;
        self.compared_cost += &other.compared_cost;
        self.compared_reported_cost += &other.compared_reported_cost;
    }

    /// The tokens that the calls read and wrote: input and output.
    #[must_use]
    pub fn tokens(&self) -> i128 {
        self.quantity(Meter::Input) + self.quantity(Meter::Output)
    }

    /// The charged cost of a call: the cost divided by the number of calls of both kinds that have a price or need none, rounded
    /// half to even to [`UNIT_COST_PLACES`]. LLM calls need a price, tool calls do not. None if there are no such calls.
    #[must_use]
    pub fn cost_per_call(&self) -> Option<Sum> {
        let priced = Sum::from_integer((self.calls + self.tool_calls - self.unpriced_calls).into());
        self.known_cost()?.quotient(1, &priced, UNIT_COST_PLACES)
    }

    /// The charged cost of a million tokens, input and output together, rounded half to even to [`UNIT_COST_PLACES`]. None if
    /// there are no tokens. The tokens of calls without a price are included, so that it is too low if there are such calls.
    #[must_use]
    pub fn cost_per_million_tokens(&self) -> Option<Sum> {
        let tokens = Sum::from_integer(self.tokens());
        self.known_cost()?.quotient(1_000_000, &tokens, UNIT_COST_PLACES)
    }

    /// Returns the cost, or none if there are LLM calls and none of them has a price: then the cost is unknown, not 0.
    #[must_use]
    pub fn known_cost(&self) -> Option<&Sum> {
        (self.calls == 0 || self.unpriced_calls < self.calls).then_some(&self.cost)
    }
}

impl FromRow<'_, PgRow> for Totals {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Self::read(row, "")
    }
}

impl Totals {
    /// Reads the sums of the period that a report is compared with.
    pub(super) fn of_base(row: &PgRow) -> Result<Self, sqlx::Error> {
        Self::read(row, BASE)
    }

    /// Reads the sums from the columns whose names begin with a prefix.
    fn read(row: &PgRow, prefix: &str) -> Result<Self, sqlx::Error> {
        let column = |name: &str| format!("{prefix}{name}");
        let count = |name: &str| row.try_get(column(name).as_str());
        let cost = |name: &str| row.try_get::<BigDecimal, _>(column(name).as_str()).map(Sum::from);
        let mut quantities = [0; Meter::COUNT];
        for meter in Meter::ALL {
            quantities[*meter as usize] = whole(row, &column(meter.column()))?;
        }
        Ok(Self {
            calls: count("calls")?,
            tool_calls: count("tool_calls")?,
            failed_calls: count("failed_calls")?,
            unpriced_calls: count("unpriced_calls")?,
            assumed_calls: count("assumed_calls")?,
            quantities,
            latency_ms: whole(row, &column("latency_ms"))?,
            cost: cost("cost")?,
            reported_cost: cost("reported_cost")?,
            compared_cost: cost("compared_cost")?,
            compared_reported_cost: cost("compared_reported_cost")?,
        })
    }
}

/// A sum of integers. A log has fewer than 2^63 events, with quantities below 2^53, so that it is below 2^127.
fn whole(row: &PgRow, column: &str) -> Result<i128, sqlx::Error> {
    let sum: BigDecimal = row.try_get(column)?;
    sum.to_i128().ok_or_else(|| sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{sum} is not an integer in the range of i128").into(),
    })
}
