//! Printing statements.

use super::view::{LineView, StatementView, UsageView, View};
use crate::cli::output::{self, Format, Sink};
use domain::Meter;
use serde_json::{Map, Value, json};

/// What is shown of a cost that is unknown.
const UNPRICED: &str = "unpriced";

/// Prints the statements of all cost centres, one a row, and the total.
pub(super) fn statements(view: &View, format: Format) -> anyhow::Result<()> {
    write_statements(&mut output::Standard, view, format)
}

/// As [`statements`], to a sink; a table is printed in any case.
pub(super) fn write_statements(sink: Sink<'_>, view: &View, format: Format) -> anyhow::Result<()> {
    let columns = [
        "cost_centre",
        "name",
        "calls",
        "tool_calls",
        "unpriced_calls",
        "direct_cost",
        "shared_base",
        "shared_cost",
        "total",
        "rounded_total",
    ];
    let row = |statement: &StatementView| {
        let direct = &statement.direct;
        vec![
            statement.code.clone(),
            statement.name.clone(),
            direct.calls.to_string(),
            direct.tool_calls.to_string(),
            direct.unpriced_calls.to_string(),
            shown(direct.cost.as_ref()),
            statement.base.clone(),
            shown(statement.shared_cost.as_ref()),
            shown(statement.total.as_ref()),
            shown(statement.rounded_total.as_ref()),
        ]
    };
    let rows = view.statements.iter().map(row);
    match format {
        Format::Json => output::json_to(sink, &document(view)),
        Format::Table => {
            let (total, shared) = (&view.total, &view.shared);
            let last = vec![
                "total".to_owned(),
                String::new(),
                total.calls.to_string(),
                total.tool_calls.to_string(),
                total.unpriced_calls.to_string(),
                String::new(),
                view.base.clone(),
                shown(shared.cost.as_ref()),
                shown(total.cost.as_ref()),
                shown(view.rounded_total.as_ref()),
            ];
            let rows: Vec<_> = rows.chain([last]).collect();
            Ok(output::table(&columns.map(str::to_owned), &rows, 2..columns.len())?)
        }
        Format::Csv => {
            let header: Vec<_> = columns.into_iter().chain(COMMON).map(str::to_owned).collect();
            let rows: Vec<_> = rows.map(|row| row.into_iter().chain(common(view)).collect()).collect();
            output::csv_to(sink, &header, &rows)
        }
    }
}

/// Prints the statement of one cost centre: its lines, its part of the shared cost, and its total.
pub(super) fn statement(view: &View, statement: &StatementView, format: Format) -> anyhow::Result<()> {
    let columns = ["line", "rule", "value", "calls", "tool_calls", "unpriced_calls", "cost"];
    if format == Format::Json {
        return output::json(&document(view));
    }
    let counts =
        |usage: &UsageView| [usage.calls, usage.tool_calls, usage.unpriced_calls].map(|count| count.to_string());
    let line = |line: &LineView| {
        let keys = ["direct".to_owned(), line.rule.to_string(), line.value.clone().unwrap_or_default()];
        keys.into_iter().chain(counts(&line.usage)).chain([shown(line.usage.cost.as_ref())]).collect()
    };
    let of_amount = |name: &str, note: String, cost: String| {
        let empty = String::new;
        vec![name.to_owned(), empty(), note, empty(), empty(), empty(), cost]
    };
    let share = format!("{} of {} ({})", statement.base, view.base, view.shared_by);
    let last = [
        of_amount("shared", share, shown(statement.shared_cost.as_ref())),
        of_amount("total", String::new(), shown(statement.total.as_ref())),
        of_amount("rounded total", String::new(), shown(statement.rounded_total.as_ref())),
    ];
    let rows: Vec<Vec<String>> = statement.lines.iter().map(line).chain(last).collect();
    match format {
        Format::Json | Format::Table => Ok(output::table(&columns.map(str::to_owned), &rows, 3..columns.len())?),
        Format::Csv => {
            let names = ["cost_centre", "name"].into_iter().chain(columns).chain(COMMON);
            let of = [statement.code.clone(), statement.name.clone()];
            let rows = rows.into_iter().map(|row| of.iter().cloned().chain(row).chain(common(view)).collect());
            output::csv(&names.map(str::to_owned).collect::<Vec<_>>(), &rows.collect::<Vec<_>>())
        }
    }
}

/// Says how the statements were made.
pub(super) fn describe(view: &View) {
    say!("Statements as of position {}, by version {} of the allocation rules.", view.position, view.rules_version);
    say!("Summed from: {}.", view.summed_from);
    if view.is_in_equal_parts_instead {
        say!(
            "The shared cost is split in equal parts: no cost centre has any of what it would be split {} in proportion to.",
            view.shared_by
        );
    }
    let shared = &view.shared;
    if shared.unpriced_calls != 0 {
        say!(
            "{} of the {} calls whose cost is shared have no known price, and are part of no statement.",
            shared.unpriced_calls,
            shared.calls
        );
    }
}

/// The columns of CSV that all rows have in common.
const COMMON: [&str; 2] = ["rules_version", "position"];

fn common(view: &View) -> [String; COMMON.len()] {
    [view.rules_version.to_string(), view.position.to_string()]
}

fn shown(cost: Option<&String>) -> String {
    cost.cloned().unwrap_or_else(|| UNPRICED.to_owned())
}

fn document(view: &View) -> Value {
    let line = |line: &LineView| json!({ "rule": line.rule, "value": line.value, "usage": usage(&line.usage) });
    let statement = |statement: &StatementView| {
        json!({
            "cost_centre": statement.code,
            "name": statement.name,
            "lines": statement.lines.iter().map(line).collect::<Vec<_>>(),
            "direct": usage(&statement.direct),
            "shared": { "base": statement.base, "cost": statement.shared_cost },
            "total": statement.total,
            "rounded_total": statement.rounded_total,
        })
    };
    json!({
        "statements": view.statements.iter().map(statement).collect::<Vec<_>>(),
        "total": usage(&view.total),
        "rounded_total": view.rounded_total,
        "shared": {
            "usage": usage(&view.shared),
            "by": view.shared_by,
            "in_equal_parts_instead": view.is_in_equal_parts_instead,
            "base": view.base,
        },
        "currency": "USD",
        "rules_version": view.rules_version,
        "position": view.position,
        "summed_from": view.summed_from,
    })
}

fn usage(usage: &UsageView) -> Map<String, Value> {
    // Readers of JSON may keep numbers as floats: those that would not be exact then are strings.
    let number = |number: i128| match i64::try_from(number) {
        Ok(exact) if exact.unsigned_abs() <= domain::Quantity::MAX => json!(exact),
        _ => json!(number.to_string()),
    };
    let counts = [
        ("calls", number(usage.calls)),
        ("tool_calls", number(usage.tool_calls)),
        ("unpriced_calls", number(usage.unpriced_calls)),
    ];
    let meters = Meter::ALL.iter().zip(usage.quantities).map(|(meter, sum)| (meter.column(), number(sum)));
    let entries = counts.into_iter().chain(meters).chain([("cost", json!(usage.cost))]);
    entries.map(|(name, value)| (name.to_owned(), value)).collect()
}
