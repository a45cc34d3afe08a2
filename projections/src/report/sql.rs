//! The statements of the usage report, which depend on its dimensions and filters.

use super::dimension::{Dimension, Values, finest_time};
use super::query::{Allowed, Selection};
use super::usage_source::{COUNTS, OTHER_SUMS, UsageSource};
use super::{ReportCursor, Totals};
use chrono::{DateTime, Utc};
use domain::call::TraceId;
use domain::{Meter, TenantId};
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, FromRow as _, Row as _, Type};
use std::sync::LazyLock;
use uuid::Uuid;

/// Sums over rows of a usage source, or over rows that are such sums.
static SUMS: LazyLock<String> = LazyLock::new(|| {
    let counts = COUNTS.map(|column| format!("coalesce(sum({column}), 0)::bigint as {column}"));
    let sums = OTHER_SUMS.into_iter().chain(Meter::ALL.iter().map(|meter| meter.column()));
    let sums = sums.map(|column| format!("coalesce(sum({column}), 0) as {column}"));
    counts.into_iter().chain(sums).collect::<Vec<_>>().join(", ")
});

/// Sums up the calls of a trace that some agents made; all of its calls, if no agents are given. None if the trace has more than
/// `limit` calls, of any agent: then no more than these are read.
pub(crate) async fn sums_of_trace(
    connection: &mut PgConnection,
    tenant: &TenantId,
    trace_id: TraceId,
    agents: Option<Vec<Uuid>>,
    limit: i64,
) -> Result<Option<Totals>, sqlx::Error> {
    let calls = UsageSource::Calls.rows("null");
    // The calls that are read are those that the index by trace finds.
    let text = format!(
        "with read as (select * from {calls} where u.tenant_id = $1 and u.trace_id = $2 limit $4 + 1)
         select {}, (select count(*) > $4 from read) as is_too_many
         from read u where $3::uuid[] is null or u.agent_id = any($3)",
        *SUMS
    );
    let sums =
        sqlx::query(AssertSqlSafe(text)).bind(tenant.as_str()).bind(trace_id.to_string()).bind(agents).bind(limit);
    let sums = sums.fetch_one(connection).await?;
    Ok(if sums.try_get("is_too_many")? { None } else { Some(Totals::from_row(&sums)?) })
}

/// A statement with its parameters.
pub(super) struct Statement {
    text: String,
    parameters: PgArguments,
}

impl Statement {
    /// Selects the sums over all rows, or over all rows after a cursor.
    pub(super) fn total(selection: &Selection, after: Option<&ReportCursor>) -> Result<Self, sqlx::Error> {
        let mut parameters = Parameters::default();
        let tenant = parameters.add(selection.tenant.as_str())?;
        let text = match after {
            None => format!("select {} from {}", *SUMS, cells(selection, None, &tenant, &mut parameters)?),
            Some(after) => {
                let groups = groups(selection, Some(after), &tenant, &mut parameters)?;
                let is_after = is_after(&selection.by, after, &mut parameters)?;
                format!("select {} from ({groups}) g where {is_after}", *SUMS)
            }
        };
        Ok(Self { text, parameters: parameters.0 })
    }

    /// Selects up to `limit` rows, from the first one or after a cursor. The names of agents and tasks are looked up for
    /// these rows only.
    pub(super) fn page(
        selection: &Selection,
        after: Option<&ReportCursor>,
        limit: Option<i64>,
    ) -> Result<Self, sqlx::Error> {
        let mut parameters = Parameters::default();
        let tenant = parameters.add(selection.tenant.as_str())?;
        let groups = groups(selection, after, &tenant, &mut parameters)?;
        let condition = match after {
            Some(after) => format!("where {}", is_after(&selection.by, after, &mut parameters)?),
            None => String::new(),
        };
        let limit = parameters.add(limit)?;
        let (columns, order) = (keys_and_names(&selection.by, &tenant), row_order(&selection.by));
        let text = format!(
            "select g.*, {columns} from (select * from ({groups}) g {condition} order by {order} limit {limit}) g
             order by {order}"
        );
        Ok(Self { text, parameters: parameters.0 })
    }

    /// Counts the calls that a report reads which is summed from the calls themselves, up to a limit. Only conditions that
    /// one index answers are included, so that no more calls are read: the time range and values of one dimension.
    pub(super) fn count_calls(selection: &Selection, limit: i64) -> Result<Self, sqlx::Error> {
        let mut parameters = Parameters::default();
        let tenant = parameters.add(selection.tenant.as_str())?;
        // No index answers a condition that calls without a value meet too.
        let indexed = UsageSource::INDEXED.iter().filter_map(|dimension| selection.allowed.get_key_value(dimension));
        let indexed = indexed.filter(|(_, allowed)| !allowed.none).take(1);
        let conditions = conditions(selection, selection.from, indexed, &tenant, &mut parameters)?;
        let (calls, limit) = (rows(selection, &mut parameters)?, parameters.add(limit)?);
        let text = format!("select count(*) from (select from {calls} where {conditions} limit {limit}) c");
        Ok(Self { text, parameters: parameters.0 })
    }

    /// As a query for rows.
    pub(super) fn rows(self) -> Query<'static, Postgres, PgArguments> {
        sqlx::query_with(AssertSqlSafe(self.text), self.parameters)
    }

    /// As a query for a number.
    pub(super) fn number(self) -> QueryScalar<'static, Postgres, i64, PgArguments> {
        sqlx::query_scalar_with(AssertSqlSafe(self.text), self.parameters)
    }

    /// As a query for sums.
    pub(super) fn sums(self) -> QueryAs<'static, Postgres, Totals, PgArguments> {
        sqlx::query_as_with(AssertSqlSafe(self.text), self.parameters)
    }
}

/// The parameters of a statement.
#[derive(Default)]
struct Parameters(PgArguments);

impl Parameters {
    /// Adds a parameter, and returns its name in the statement.
    fn add<'t, T: Encode<'t, Postgres> + Type<Postgres>>(&mut self, value: T) -> Result<String, sqlx::Error> {
        self.0.add(value).map_err(sqlx::Error::Encode)?;
        Ok(format!("${}", self.0.len()))
    }
}

/// The rows of the usage source that a report is about: those that can be in the report after a cursor.
fn cells(
    selection: &Selection,
    after: Option<&ReportCursor>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let from = selection.from.max(after.and_then(|after| after.time(&selection.by)));
    let conditions = conditions(selection, from, &selection.allowed, tenant, parameters)?;
    Ok(format!("{} where {conditions}", rows(selection, parameters)?))
}

/// All rows `u` of the usage source of a report.
fn rows(selection: &Selection, parameters: &mut Parameters) -> Result<String, sqlx::Error> {
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
    from: Option<DateTime<Utc>>,
    allowed: impl IntoIterator<Item = (&'s Dimension, &'s Allowed)>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let mut conditions = vec![format!("u.tenant_id = {tenant}")];
    if let Some(from) = from {
        conditions.push(selection.source.since(&parameters.add(from)?));
    }
    if let Some(to) = selection.to {
        conditions.push(selection.source.before(&parameters.add(to)?));
    }
    for (dimension, allowed) in allowed {
        conditions.push(is_allowed(*dimension, allowed, parameters)?);
    }
    Ok(conditions.join(" and "))
}

/// Whether a row has one of the allowed values of a dimension.
fn is_allowed(dimension: Dimension, allowed: &Allowed, parameters: &mut Parameters) -> Result<String, sqlx::Error> {
    let (definition, values) = (dimension.definition(), allowed.values.iter());
    let values = match definition.values {
        Values::Text => parameters.add(&allowed.values)?,
        Values::Ids | Values::Objects(_) => {
            parameters.add(values.filter_map(|value| Uuid::parse_str(value).ok()).collect::<Vec<_>>())?
        }
        Values::Periods(_) => parameters.add(values.filter_map(|value| dimension.start(value)).collect::<Vec<_>>())?,
    };
    let column = definition.column;
    Ok(if allowed.none {
        format!("({column} = any({values}) or {column} is null)")
    } else {
        format!("{column} = any({values})")
    })
}

/// The text of each key, and the name of each object.
fn keys_and_names(by: &[Dimension], tenant: &str) -> String {
    let finest = finest_time(by);
    let keys = by.iter().enumerate().map(|(n, by)| {
        let column = if by.is_time() { finest.map_or(n, |(finest, _)| finest) } else { n };
        let text = match by.definition().values {
            Values::Text => format!("g.column_{column}"),
            Values::Ids | Values::Objects(_) => format!("g.column_{column}::text"),
            Values::Periods(period) => {
                format!("to_char(g.column_{column} at time zone 'UTC', '{}')", period.sql_format)
            }
        };
        format!("{text} as key_{n}")
    });
    let names = by.iter().enumerate().map(|(n, by)| match by.definition().values {
        Values::Objects(objects) => format!(
            "(select o.{} from apex.{} o where o.tenant_id = {tenant} and o.{} = g.column_{n}) as name_{n}",
            objects.name, objects.table, objects.id
        ),
        Values::Text | Values::Ids | Values::Periods(_) => format!("null::text as name_{n}"),
    });
    keys.chain(names).collect::<Vec<_>>().join(", ")
}

/// One row for each combination of keys, without rows that amendments have emptied. The time comes first, as in the index
/// of the usage source, so that a report by hour does not sort the whole table.
fn groups(
    selection: &Selection,
    after: Option<&ReportCursor>,
    tenant: &str,
    parameters: &mut Parameters,
) -> Result<String, sqlx::Error> {
    let by = &selection.by;
    let others = by.iter().copied().enumerate().filter(|(_, by)| !by.is_time());
    let mut columns: Vec<_> = finest_time(by).into_iter().chain(others).collect();
    columns.sort_by_key(|(_, by)| (!by.is_time(), *by));
    let keys: Vec<_> = columns.iter().map(|(n, by)| format!("{} as column_{n}", by.definition().column)).collect();
    let ordinals: Vec<_> = (1..=columns.len()).map(|ordinal| ordinal.to_string()).collect();
    let (keys, ordinals, cells) = (keys.join(", "), ordinals.join(", "), cells(selection, after, tenant, parameters)?);
    let sums = SUMS.as_str();
    Ok(format!("select {keys}, {sums} from {cells} group by {ordinals} having sum(calls) <> 0 or sum(tool_calls) <> 0"))
}

/// The sort key of rows, ascending: the time, then the highest cost, the most calls, and all keys with nulls last. The
/// arguments are the expressions. Text is compared by bytes, so that all databases agree.
fn order(by: &[Dimension], time: Option<String>, cost: &str, calls: &str, column: impl Fn(usize) -> String) -> String {
    let ties = by.iter().enumerate().filter_map(|(n, by)| match by.definition().values {
        Values::Text => Some(format!("({0}) is null, coalesce({0}, '') collate \"C\"", column(n))),
        Values::Ids | Values::Objects(_) => {
            let nil = Uuid::nil();
            Some(format!("({0})::uuid is null, coalesce(({0})::uuid, '{nil}')", column(n)))
        }
        Values::Periods(_) => None,
    });
    time.into_iter().chain([format!("-({cost})"), format!("-({calls})")]).chain(ties).collect::<Vec<_>>().join(", ")
}

fn row_order(by: &[Dimension]) -> String {
    let time = finest_time(by).map(|(n, _)| format!("g.column_{n}"));
    order(by, time, "g.cost", "g.calls", |n| format!("g.column_{n}"))
}

/// Whether a row comes after a cursor.
fn is_after(by: &[Dimension], after: &ReportCursor, parameters: &mut Parameters) -> Result<String, sqlx::Error> {
    let time = after.time(by).map(|time| parameters.add(time)).transpose()?;
    let (cost, calls) = (parameters.add(after.cost.as_number())?, parameters.add(after.calls)?);
    let keys = parameters.add(&after.keys)?;
    let position = order(by, time, &cost, &calls, |n| format!("({keys})[{}]", n + 1));
    Ok(format!("({}) > ({position})", row_order(by)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn calls_are_counted_by_the_conditions_that_one_index_answers() {
        let value = |text: &str| Allowed { values: vec![text.to_owned()], none: false };
        let id = "00000000-0000-0000-0000-000000000007";
        let counted = |filters: Vec<(Dimension, Allowed)>| {
            let selection = Selection {
                source: UsageSource::Calls,
                tenant: "t".parse().unwrap(),
                tag: None,
                by: vec![Dimension::Hour],
                allowed: BTreeMap::from_iter(filters),
                from: Some(DateTime::UNIX_EPOCH),
                to: None,
            };
            let text = Statement::count_calls(&selection, 7).unwrap().text;
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
