//! The columns of a report.

use super::policy::cost;
use domain::{Meter, Quantity, Sum};
use projections::{Change, CostPolicy, NamedDimension, Totals};
use serde_json::{Map, Value, json};

/// The columns of sums before those of the meters.
const COUNTS: [&str; 5] = ["calls", "tool_calls", "failed_calls", "unpriced_calls", "assumed_calls"];
/// The columns of sums after those of the meters.
const COSTS: [&str; 5] = ["cost", "reported_cost", "reported_difference", "cost_per_call", "cost_per_million_tokens"];
/// The columns of a comparison.
const COMPARISON: [&str; 8] = [
    "base_calls",
    "calls_change",
    "calls_change_percent",
    "tokens_change",
    "tokens_change_percent",
    "base_cost",
    "cost_change",
    "cost_change_percent",
];
/// The column that marks the row of the rest.
pub(super) const IS_REST: &str = "is_rest";

/// The names of all columns of sums.
pub(super) fn names(is_compared: bool) -> impl Iterator<Item = &'static str> {
    let comparison = is_compared.then_some(COMPARISON).into_iter().flatten();
    COUNTS.into_iter().chain(Meter::ALL.iter().map(|meter| meter.column())).chain(COSTS).chain(comparison)
}

/// Columns that are shown in a table even if they contain only zeros.
const ALWAYS_SHOWN: [&str; 7] =
    ["calls", Meter::Input.column(), Meter::Output.column(), "cost", "base_cost", "cost_change", "cost_change_percent"];
/// Columns that tables do not have.
const NOT_IN_TABLES: [&str; 2] = ["cost_per_call", "cost_per_million_tokens"];

/// Whether a column with this total is shown in a table. CSV and JSON have all columns.
pub(super) fn is_shown(name: &str, total: &str) -> bool {
    ALWAYS_SHOWN.contains(&name) || (total != "0" && !NOT_IN_TABLES.contains(&name))
}

/// Columns that are omitted from a table if the terminal is too narrow, in this order.
pub(super) fn droppable() -> Vec<&'static str> {
    let meters = Meter::ALL.iter().rev().map(|meter| meter.column()).filter(|column| !ALWAYS_SHOWN.contains(column));
    let first = ["tool_calls", "failed_calls", "tokens_change", "tokens_change_percent", "calls_change"];
    let last =
        ["reported_difference", "reported_cost", Meter::Output.column(), Meter::Input.column(), "unpriced_calls"];
    first.into_iter().chain(meters).chain(["calls_change_percent", "base_calls", "assumed_calls"]).chain(last).collect()
}

/// The values of the columns of sums.
pub(super) fn values(totals: &Totals, base: Option<&Totals>, policy: CostPolicy) -> Vec<String> {
    let known = |cost: Option<Sum>| cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
    let text = |sum: Option<Sum>| sum.map_or_else(String::new, |sum| sum.to_string());
    let quantities = Meter::ALL.iter().map(|meter| totals.quantity(*meter).to_string());
    let mut values: Vec<_> = counts(totals).map(|count| count.to_string()).into_iter().chain(quantities).collect();
    values.extend([
        known(cost(totals, policy)),
        totals.reported_cost.to_string(),
        totals.reported_difference().to_string(),
        text(totals.cost_per_call()),
        text(totals.cost_per_million_tokens()),
    ]);
    if let Some(base) = base {
        let Changes { calls, tokens, cost: of_cost } = Changes::new(totals, base, policy);
        values.extend([
            all_calls(base).to_string(),
            calls.difference.to_string(),
            text(calls.percent),
            tokens.difference.to_string(),
            text(tokens.percent),
            known(cost(base, policy)),
            text(of_cost.as_ref().map(|cost| cost.difference.clone())),
            text(of_cost.and_then(|cost| cost.percent)),
        ]);
    }
    values
}

/// The values of [`COUNTS`].
fn counts(totals: &Totals) -> [i64; COUNTS.len()] {
    [totals.calls, totals.tool_calls, totals.failed_calls, totals.unpriced_calls, totals.assumed_calls]
}

/// The calls of both kinds.
fn all_calls(totals: &Totals) -> i64 {
    totals.calls + totals.tool_calls
}

/// How sums changed.
struct Changes {
    calls: Change,
    tokens: Change,
    /// None if a cost is not known.
    cost: Option<Change>,
}

impl Changes {
    fn new(totals: &Totals, base: &Totals, policy: CostPolicy) -> Self {
        let change = |count: &dyn Fn(&Totals) -> i128| {
            let [before, after] = [base, totals].map(|totals| Sum::from_integer(count(totals)));
            Change::new(&before, &after)
        };
        Self {
            calls: change(&|totals| all_calls(totals).into()),
            tokens: change(&Totals::tokens),
            cost: cost(base, policy).zip(cost(totals, policy)).map(|(before, after)| Change::new(&before, &after)),
        }
    }
}

/// A sum of integers. Readers of JSON may keep numbers as floats: those that would not be exact then are strings.
fn number(sum: i128) -> Value {
    match u64::try_from(sum) {
        Ok(exact) if exact <= Quantity::MAX => json!(exact),
        _ => json!(sum.to_string()),
    }
}

/// The sums as members of an object.
pub(super) fn object(totals: &Totals, policy: CostPolicy) -> Map<String, Value> {
    let counts = COUNTS.into_iter().zip(counts(totals).map(|count| json!(count)));
    let quantities = Meter::ALL.iter().map(|meter| (meter.column(), number(totals.quantity(*meter))));
    let costs = [
        json!(cost(totals, policy)),
        json!(totals.reported_cost),
        json!(totals.reported_difference()),
        json!(totals.cost_per_call()),
        json!(totals.cost_per_million_tokens()),
    ];
    let entries = counts.chain(quantities).chain(COSTS.into_iter().zip(costs)).chain([("currency", json!("USD"))]);
    entries.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The change of sums as an object.
pub(super) fn change(totals: &Totals, base: &Totals, policy: CostPolicy) -> Value {
    let Changes { calls, tokens, cost } = Changes::new(totals, base, policy);
    json!({
        "calls": calls.difference,
        "calls_percent": calls.percent,
        "tokens": tokens.difference,
        "tokens_percent": tokens.percent,
        "cost": cost.as_ref().map(|cost| &cost.difference),
        "cost_percent": cost.as_ref().and_then(|cost| cost.percent.as_ref()),
    })
}

/// Whether the values of a dimension have names.
pub(super) fn has_names(named: &NamedDimension) -> bool {
    named.dimension().names_projection().is_some()
}
