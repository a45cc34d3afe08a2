//! The statements of the usage report, which depend on its dimensions and filters.

use super::ReportCursor;
use super::dimension::{Dimension, Values, times};
use super::parameters::Parameters;
use super::period::Start;
use super::query::{Allowed, Selection};
use super::sums;
use super::usage_source::UsageSource;
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::{Query, QueryScalar};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

/// The limits of a time range.
type Range = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// A statement with its parameters.
pub(super) struct Statement {
    text: String,
    parameters: PgArguments,
}

impl Statement {
    /// Selects the sums over all rows, or over all rows after a cursor.
    pub(super) fn total(selection: &Selection, after: Option<&ReportCursor>) -> Result<Self, sqlx::Error> {
        let mut parameters = selection.parameters();
        let tenant = parameters.add(selection.tenant.as_str())?;
        let has_base = selection.base.is_some();
        let text = match after {
            None => {
                let cells = cells(selection, None, &tenant, &mut parameters)?;
                format!("select {} from {cells}", sums::of_cells(has_base))
            }
            Some(after) => {
                let rows = rows(selection, Some(after), &tenant, &mut parameters)?;
                let is_after = is_after(selection, after, &mut parameters)?;
                format!("select {} from ({rows}) g where {is_after}", sums::of_rows(has_base))
            }
        };
        Ok(Self { text, parameters: parameters.arguments })
    }

    /// Selects up to `limit` rows, from the first one or after a cursor. The names of agents and tasks are looked up for
    /// these rows only.
    pub(super) fn page(
        selection: &Selection,
        after: Option<&ReportCursor>,
        limit: Option<i64>,
    ) -> Result<Self, sqlx::Error> {
        let mut parameters = selection.parameters();
        let tenant = parameters.add(selection.tenant.as_str())?;
        let rows = rows(selection, after, &tenant, &mut parameters)?;
        let condition = match after {
            Some(after) => format!("where {}", is_after(selection, after, &mut parameters)?),
            None => String::new(),
        };
        let limit = parameters.add(limit)?;
        let (names, order) = (names(&selection.by, &tenant), row_order(selection));
        let text = format!(
            "select g.*{names} from (select * from ({rows}) g {condition} order by {order} limit {limit}) g
             order by {order}"
        );
        Ok(Self { text, parameters: parameters.arguments })
    }

    /// Counts the calls that a report reads in a time range which is summed from the calls themselves, up to a limit. Only
    /// conditions that one index answers are included, so that no more calls are read: the time range and values of one
    /// dimension.
    pub(super) fn count_calls(selection: &Selection, range: Range, limit: i64) -> Result<Self, sqlx::Error> {
        let mut parameters = selection.parameters();
        let tenant = parameters.add(selection.tenant.as_str())?;
        // No index answers a condition that calls without a value meet too.
        let indexed = UsageSource::INDEXED.iter().filter_map(|dimension| selection.allowed.get_key_value(dimension));
        let indexed = indexed.filter(|(_, allowed)| !allowed.none).take(1);
        let conditions = conditions(selection, range, indexed, &tenant, &mut parameters)?;
        let (calls, limit) = (source(selection, &mut parameters)?, parameters.add(limit)?);
        let text = format!("select count(*) from (select from {calls} where {conditions} limit {limit}) c");
        Ok(Self { text, parameters: parameters.arguments })
    }

    /// As a query for rows.
    pub(super) fn rows(self) -> Query<'static, Postgres, PgArguments> {
        sqlx::query_with(AssertSqlSafe(self.text), self.parameters)
    }

    /// As a query for a number.
    pub(super) fn number(self) -> QueryScalar<'static, Postgres, i64, PgArguments> {
        sqlx::query_scalar_with(AssertSqlSafe(self.text), self.parameters)
    }
}

impl Selection {
    fn parameters(&self) -> Parameters {
        Parameters::new(self.zone.between(self.from, self.to))
    }

    /// The columns that rows are grouped by, with the indices of their dimensions: first the time, as in the index of the usage
    /// source, so that a report by hour does not sort the whole table.
    fn columns(&self) -> Vec<(usize, Dimension)> {
        let mut others: Vec<_> = self.by.iter().copied().enumerate().filter(|(_, by)| !by.is_time()).collect();
        others.sort_by_key(|(_, by)| *by);
        times(&self.by).into_iter().chain(others).collect()
    }
}

/// The rows `u` of the usage source that a report is about: those that can be in the report after a cursor. Those of the base
/// are marked.
fn cells(
    selection: &Selection,
    after: Option<&ReportCursor>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let from = selection.from.max(after.and_then(|after| after.time(selection)));
    let mut cells = |range: Range| {
        let conditions = conditions(selection, range, &selection.allowed, tenant, parameters)?;
        Ok::<_, sqlx::Error>(format!("{} where {conditions}", source(selection, parameters)?))
    };
    let current = cells((from, selection.to))?;
    let Some((from, to)) = selection.base else { return Ok(current) };
    let base = cells((Some(from), Some(to)))?;
    Ok(format!("(select u.*, false as is_base from {current} union all select u.*, true as is_base from {base}) u"))
}

/// All rows `u` of the usage source of a report.
fn source(selection: &Selection, parameters: &mut Parameters) -> Result<String, sqlx::Error> {
    // A parameter that the statement does not have is an error.
    let tag = match &selection.tag {
        Some(tag) => format!("{}::text", parameters.add(tag.key.as_str())?),
        None => "null".to_owned(),
    };
    Ok(selection.source.rows(&tag))
}

/// The conditions on rows `u` of the usage source of a report.
fn conditions<'s>(
    selection: &Selection,
    (from, to): Range,
    allowed: impl IntoIterator<Item = (&'s Dimension, &'s Allowed)>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let mut conditions = vec![format!("u.tenant_id = {tenant}")];
    if let Some(from) = from {
        conditions.push(selection.source.since(&parameters.add(from)?));
    }
    if let Some(to) = to {
        conditions.push(selection.source.before(&parameters.add(to)?));
    }
    for (dimension, allowed) in allowed {
        conditions.push(is_allowed(selection, *dimension, allowed, parameters)?);
    }
    Ok(conditions.join(" and "))
}

/// The value of a dimension of a row `u` of the usage source.
fn column(selection: &Selection, dimension: Dimension, parameters: &mut Parameters) -> Result<String, sqlx::Error> {
    match dimension.unit() {
        Some(unit) => parameters.period(unit, selection.source),
        None => Ok(dimension.definition().column.to_owned()),
    }
}

/// Whether a row has one of the allowed values of a dimension.
fn is_allowed(
    selection: &Selection,
    dimension: Dimension,
    allowed: &Allowed,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let values = match dimension.definition().values {
        Values::Text => parameters.add(&allowed.values)?,
        Values::Ids | Values::Objects(_) => {
            let ids = allowed.values.iter().filter_map(|value| Uuid::parse_str(value).ok());
            parameters.add(ids.collect::<Vec<_>>())?
        }
        Values::Periods(unit) => parameters.add_starts(unit, &allowed.starts)?,
    };
    let column = column(selection, dimension, parameters)?;
    Ok(if allowed.none {
        format!("({column} = any({values}) or {column} is null)")
    } else {
        format!("{column} = any({values})")
    })
}

/// The text of each key that is no time, and the name of each object, after a comma.
fn names(by: &[Dimension], tenant: &str) -> String {
    let columns = by.iter().enumerate().map(|(n, by)| match by.definition().values {
        Values::Text => format!(", g.column_{n} as key_{n}, null::text as name_{n}"),
        Values::Ids => format!(", g.column_{n}::text as key_{n}, null::text as name_{n}"),
        Values::Objects(objects) => format!(
            ", g.column_{n}::text as key_{n},
             (select o.{} from apex.{} o where o.tenant_id = {tenant} and o.{} = g.column_{n}) as name_{n}",
            objects.name, objects.table, objects.id
        ),
        Values::Periods(_) => String::new(),
    });
    columns.collect()
}

/// A text, or none, for each dimension of a report.
type Texts = Vec<Option<String>>;

/// The keys of a row that [`Statement::page`] selects, and the names of its objects.
pub(super) fn keys_and_names(selection: &Selection, row: &PgRow) -> Result<(Texts, Texts), sqlx::Error> {
    let start = |(n, by): &(usize, Dimension)| {
        let column = format!("column_{n}");
        Ok::<_, sqlx::Error>(match by.unit().and_then(super::period::Unit::minutes) {
            Some(_) => Start::At(row.try_get(column.as_str())?),
            None => Start::Midnight(row.try_get(column.as_str())?),
        })
    };
    let times = times(&selection.by);
    let starts = times.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let (mut keys, mut names) = (Vec::new(), Vec::new());
    for (n, by) in selection.by.iter().enumerate() {
        let own = times.iter().position(|(time, _)| *time == n).and_then(|index| starts.get(index));
        match (by.unit(), own.or(starts.last())) {
            (Some(unit), Some(start)) => {
                keys.push(Some(unit.text(&selection.zone, unit.of(&selection.zone, *start))));
                names.push(None);
            }
            _ => {
                keys.push(row.try_get(format!("key_{n}").as_str())?);
                names.push(row.try_get(format!("name_{n}").as_str())?);
            }
        }
    }
    Ok((keys, names))
}

/// The rows of the report: all of them, or those of highest cost and the rest, of each period if there are some.
fn rows(
    selection: &Selection,
    after: Option<&ReportCursor>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let Some(top) = selection.top else { return groups(selection, after, tenant, parameters) };
    if let (UsageSource::Days(_) | UsageSource::TagHours, [(n, by)]) = (selection.source, &selection.columns()[..])
        && !by.is_time()
    {
        return highest_of_many(selection, (*n, *by), top, (after, tenant), parameters);
    }
    let groups = groups(selection, after, tenant, parameters)?;
    let has_base = selection.base.is_some();
    let (times, columns) = (times(&selection.by), selection.columns());
    let column = |(n, _): &(usize, Dimension)| format!("column_{n}");
    let of_period: Vec<_> = times.iter().map(column).collect();
    let all: Vec<_> = columns.iter().map(column).collect();
    let or_null = |named: &(usize, Dimension)| if named.1.is_time() { column(named) } else { "null".to_owned() };
    let rest: Vec<_> = columns.iter().map(or_null).collect();
    let list = |prefix: &str, columns: &[String]| {
        if columns.is_empty() { String::new() } else { format!("{prefix} {}", columns.join(", ")) }
    };
    let order = order(selection, &[], None, ("g.cost", "g.calls"), |n| format!("g.column_{n}"));
    Ok(format!(
        "with ranked as (
             select g.*, row_number() over ({} order by {order}) > {} as is_rest from ({groups}) g
         )
         select {}, is_rest, {} from ranked where not is_rest
         union all
         select {}, true, {} from ranked where is_rest {} having count(*) > 0",
        list("partition by", &of_period),
        parameters.add(i64::from(top))?,
        all.join(", "),
        sums::names(has_base),
        rest.join(", "),
        sums::of_rows(has_base),
        list("group by", &of_period),
    ))
}

/// One row for each combination of keys, without rows that amendments have emptied.
fn groups(
    selection: &Selection,
    after: Option<&ReportCursor>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let mut keys = Vec::new();
    for (n, by) in selection.columns() {
        keys.push(format!("{} as column_{n}", column(selection, by, parameters)?));
    }
    let ordinals: Vec<_> = (1..=keys.len()).map(|ordinal| ordinal.to_string()).collect();
    let cells = cells(selection, after, tenant, parameters)?;
    let sums = sums::of_cells(selection.base.is_some());
    let having = having(selection);
    let (keys, ordinals) = (keys.join(", "), ordinals.join(", "));
    Ok(format!("select {keys}, {sums} from {cells} group by {ordinals} having {having}"))
}

/// The condition that a group has calls, which amendments may have taken away.
fn having(selection: &Selection) -> String {
    if selection.base.is_none() {
        return "sum(calls) <> 0 or sum(tool_calls) <> 0".to_owned();
    }
    let counts = ["not u.is_base", "u.is_base"]
        .iter()
        .flat_map(|period| ["calls", "tool_calls"].map(|count| format!("sum({count}) filter (where {period}) <> 0")));
    counts.collect::<Vec<_>>().join(" or ")
}

/// The rows of highest cost and the rest of a report by one dimension with many values, and without time. Of every value only what
/// rows are sorted by is summed up; all sums are those of the values that are shown, and of the total, from which the rest follows.
fn highest_of_many(
    selection: &Selection,
    (n, by): (usize, Dimension),
    top: u32,
    (after, tenant): (Option<&ReportCursor>, &str),
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let has_base = selection.base.is_some();
    let key = column(selection, by, parameters)?;
    let cells = cells(selection, after, tenant, parameters)?;
    let (top, having) = (parameters.add(i64::from(top))?, having(selection));
    let current = if has_base { " filter (where not u.is_base)" } else { "" };
    let order = order(selection, &[], None, ("g.cost", "g.calls"), |n| format!("g.column_{n}"));
    Ok(format!(
        "with highest as materialized (
             select g.* from (
                 select {key} as column_{n}, coalesce(sum(cost){current}, 0) as cost,
                        coalesce(sum(calls){current}, 0)::bigint as calls
                 from {cells} group by 1 having {having}
             ) g order by {order} limit {top} + 1
         ), shown as materialized (
             select g.column_{n} from highest g order by {order} limit {top}
         ), shown_rows as materialized (
             select {key} as column_{n}, {} from (select u.* from {cells}) u
             where {key} = any (array(select column_{n} from shown))
                or ({key} is null and (select exists (select from shown where column_{n} is null)))
             group by 1
         )
         select column_{n}, false as is_rest, {} from shown_rows
         union all
         select null, true, {} from (select {} from {cells}) t, (select {} from shown_rows) r
         where (select count(*) from highest) > {top}",
        sums::of_cells(has_base),
        sums::names(has_base),
        sums::differences(has_base),
        sums::of_cells(has_base),
        sums::of_rows(has_base),
    ))
}

/// The sort key of rows, ascending: the times, whether it is the rest, then the highest cost, the most calls, and all keys with
/// nulls last. The arguments are the expressions. Text is compared by bytes, so that all databases agree.
fn order(
    selection: &Selection,
    times: &[String],
    is_rest: Option<&str>,
    (cost, calls): (&str, &str),
    column: impl Fn(usize) -> String,
) -> String {
    let ties = selection.by.iter().enumerate().filter_map(|(n, by)| match by.definition().values {
        Values::Text => Some(format!("({0}) is null, coalesce({0}, '') collate \"C\"", column(n))),
        Values::Ids | Values::Objects(_) => {
            let nil = Uuid::nil();
            Some(format!("({0})::uuid is null, coalesce(({0})::uuid, '{nil}')", column(n)))
        }
        Values::Periods(_) => None,
    });
    let first = times.iter().cloned().chain(is_rest.map(str::to_owned));
    first.chain([format!("-({cost})"), format!("-({calls})")]).chain(ties).collect::<Vec<_>>().join(", ")
}

fn row_order(selection: &Selection) -> String {
    let times: Vec<_> = times(&selection.by).iter().map(|(n, _)| format!("g.column_{n}")).collect();
    let is_rest = selection.top.map(|_| "g.is_rest");
    order(selection, &times, is_rest, ("g.cost", "g.calls"), |n| format!("g.column_{n}"))
}

/// Whether a row comes after a cursor.
fn is_after(selection: &Selection, after: &ReportCursor, parameters: &mut Parameters) -> Result<String, sqlx::Error> {
    let times = after.times(selection).into_iter().map(|start| parameters.add_start(start));
    let times = times.collect::<Result<Vec<_>, _>>()?;
    let is_rest = selection.top.map(|_| if after.is_rest { "true" } else { "false" });
    let (cost, calls) = (parameters.add(after.cost.as_number())?, parameters.add(after.calls)?);
    let keys = parameters.add(&after.keys)?;
    let position = order(selection, &times, is_rest, (&cost, &calls), |n| format!("({keys})[{}]", n + 1));
    Ok(format!("({}) > ({position})", row_order(selection)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn calls_are_counted_by_the_conditions_that_one_index_answers() {
        let value = |text: &str| Allowed { values: vec![text.to_owned()], starts: Vec::new(), none: false };
        let id = "00000000-0000-0000-0000-000000000007";
        let counted = |filters: Vec<(Dimension, Allowed)>| {
            let selection = Selection {
                source: UsageSource::Calls,
                tenant: "t".parse().unwrap(),
                tag: None,
                by: vec![Dimension::Hour],
                zone: chrono_tz::UTC.into(),
                top: None,
                base: None,
                allowed: BTreeMap::from_iter(filters),
                from: Some(DateTime::UNIX_EPOCH),
                to: None,
            };
            let text = Statement::count_calls(&selection, (selection.from, None), 7).unwrap().text;
            text.split_once("where u.tenant_id = $1 and u.started_at >= $2").unwrap().1.to_owned()
        };
        let (agent, task) = ((Dimension::Agent, value(id)), (Dimension::Task, value(id)));
        let (model, conversation) = ((Dimension::Model, value("m")), (Dimension::Conversation, value("c")));
        let of = |column: &str| format!(" and {column} = any($3) limit $4) c");
        assert_eq!(counted(vec![agent, conversation, task]), of("u.task_id"));
        assert_eq!(counted(vec![model, (Dimension::Conversation, value("c"))]), of("u.conversation"));
        assert_eq!(counted(vec![(Dimension::Dag, value(id)), (Dimension::Agent, value(id))]), of("u.dag_id"));
        let without_value = Allowed { none: true, ..value(id) };
        assert_eq!(counted(vec![(Dimension::Task, without_value)]), " limit $3) c");
    }
}
