//! The statements of the usage report, which depend on its dimensions.

use super::dimension::{Dimension, finest_time};
use uuid::Uuid;

/// Sums over rows of the usage table, or over rows that are such sums.
const SUMS: &str = "coalesce(sum(calls), 0)::bigint as calls, coalesce(sum(tool_calls), 0)::bigint as tool_calls,
    coalesce(sum(failed_calls), 0)::bigint as failed_calls, coalesce(sum(unpriced_calls), 0)::bigint as unpriced_calls,
    coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(output_tokens), 0) as output_tokens,
    coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
    coalesce(sum(cache_write_tokens), 0) as cache_write_tokens,
    coalesce(sum(reasoning_tokens), 0) as reasoning_tokens, coalesce(sum(latency_ms), 0) as latency_ms,
    coalesce(sum(cost), 0) as cost, coalesce(sum(reported_cost), 0) as reported_cost";

/// The rows of a tenant (`$1`) from an hour (`$2`) to another (`$3`).
const RANGE: &str = "from apex.usage_hourly u
    where u.tenant_id = $1 and ($2::timestamptz is null or u.hour >= $2) and ($3::timestamptz is null or u.hour < $3)";

/// Selects the sums over all rows.
pub(super) fn total() -> String {
    format!("select {SUMS} {RANGE}")
}

/// Selects the sums over all rows after the one whose cost, calls, keys and time are `$4` to `$7`.
pub(super) fn total_after(by: &[Dimension]) -> String {
    format!("select {SUMS} from ({}) g where {}", groups(by), is_after(by, 4))
}

/// Selects up to `$4` rows with the names of agents and tasks, which are looked up for these rows only; if
/// `is_continued`, after the row whose cost, calls, keys and time are `$5` to `$8`.
pub(super) fn page(by: &[Dimension], is_continued: bool) -> String {
    let finest = finest_time(by);
    let keys = by.iter().enumerate().map(|(n, by)| {
        let column = if by.is_time() { finest.map_or(n, |(finest, _)| finest) } else { n };
        format!("{} as key_{n}", text_of(*by, &format!("g.column_{column}")))
    });
    let names = by.iter().enumerate().map(|(n, by)| match by {
        Dimension::Agent => format!(
            "(select a.name from apex.agents a where a.tenant_id = $1 and a.agent_id = g.column_{n}) as name_{n}"
        ),
        Dimension::Task => {
            format!(
                "(select t.title from apex.tasks t where t.tenant_id = $1 and t.task_id = g.column_{n}) as name_{n}"
            )
        }
        _ => format!("null::text as name_{n}"),
    });
    let columns: Vec<_> = keys.chain(names).collect();
    let (columns, order, groups) = (columns.join(", "), row_order(by), groups(by));
    let after = if is_continued { format!("where {}", is_after(by, 5)) } else { String::new() };
    format!(
        "select g.*, {columns} from (select * from ({groups}) g {after} order by {order} limit $4::bigint) g
         order by {order}"
    )
}

/// The expression that rows are grouped by; for times, their start.
fn column_of(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Agent => "u.agent_id",
        Dimension::Provider => "u.provider",
        Dimension::Model => "u.model",
        Dimension::Task => "u.task_id",
        Dimension::Hour => "u.hour",
        Dimension::Day => "date_trunc('day', u.hour, 'UTC')",
        Dimension::Month => "date_trunc('month', u.hour, 'UTC')",
    }
}

/// A column as the text of a key; for agents and tasks, their id.
fn text_of(dimension: Dimension, column: &str) -> String {
    match dimension {
        Dimension::Agent | Dimension::Task => format!("{column}::text"),
        Dimension::Provider | Dimension::Model => column.to_owned(),
        Dimension::Hour => format!(r#"to_char({column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:00"Z"')"#),
        Dimension::Day => format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD')"),
        Dimension::Month => format!("to_char({column} at time zone 'UTC', 'YYYY-MM')"),
    }
}

/// One row for each combination of keys, without rows that amendments have emptied. The columns are grouped in the
/// order of the table's index, so that a report by hour does not sort the whole table.
fn groups(by: &[Dimension]) -> String {
    let finest = finest_time(by);
    let mut columns: Vec<_> = by.iter().copied().enumerate().filter(|(_, by)| !by.is_time()).chain(finest).collect();
    columns.sort_by_key(|(_, by)| match by {
        Dimension::Hour | Dimension::Day | Dimension::Month => 0,
        Dimension::Agent => 1,
        Dimension::Provider => 2,
        Dimension::Model => 3,
        Dimension::Task => 4,
    });
    let keys: Vec<_> = columns.iter().map(|(n, by)| format!("{} as column_{n}", column_of(*by))).collect();
    let ordinals: Vec<_> = (1..=columns.len()).map(|ordinal| ordinal.to_string()).collect();
    let (keys, ordinals) = (keys.join(", "), ordinals.join(", "));
    format!("select {keys}, {SUMS} {RANGE} group by {ordinals} having sum(calls) <> 0 or sum(tool_calls) <> 0")
}

/// The sort key of rows, ascending: the time, then the highest cost, the most calls, and all keys with nulls last. The
/// arguments are the expressions. Text is compared by bytes, so that all databases agree.
fn order(by: &[Dimension], time: &str, cost: &str, calls: &str, column: impl Fn(usize) -> String) -> String {
    let time = finest_time(by).map(|_| time.to_owned());
    let ties = by.iter().enumerate().filter(|(_, by)| !by.is_time()).map(|(n, by)| {
        let column = column(n);
        match by {
            Dimension::Agent | Dimension::Task => {
                let nil = Uuid::nil();
                format!("({column})::uuid is null, coalesce(({column})::uuid, '{nil}')")
            }
            _ => format!("({column}) is null, coalesce({column}, '') collate \"C\""),
        }
    });
    time.into_iter().chain([format!("-({cost})"), format!("-({calls})")]).chain(ties).collect::<Vec<_>>().join(", ")
}

fn row_order(by: &[Dimension]) -> String {
    let time = finest_time(by).map_or_else(String::new, |(n, _)| format!("g.column_{n}"));
    order(by, &time, "g.cost", "g.calls", |n| format!("g.column_{n}"))
}

/// Whether a row comes after the one whose cost, calls, keys and time are the parameters from `first` on.
fn is_after(by: &[Dimension], first: usize) -> String {
    let key = |n: usize| format!("(${}::text[])[{}]", first + 2, n + 1);
    let (cost, calls) = (format!("${first}::numeric"), format!("${}::bigint", first + 1));
    let after = order(by, &format!("${}::timestamptz", first + 3), &cost, &calls, key);
    format!("({}) > ({after})", row_order(by))
}
