//! Comparing two versions of a read model row by row.

use crate::projection::{ApplyError, Projection};
use crate::target::{Slot, Target};
use crate::transaction;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgPool};
use streams::{DatabaseError, Position};

/// The number of rows of a table, and a hash of their content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The name of the table, without a schema.
    pub table: &'static str,
    /// The number of rows.
    pub rows: i64,
    /// The MD5 hash of the rows as text, in the order of their keys; empty for an empty table.
    pub hash: String,
}

/// A row that differs between two versions of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name of the table, without a schema.
    pub table: &'static str,
    /// The tenant that the row belongs to.
    pub tenant_id: String,
    /// The key of the row.
    pub key: String,
    /// The row in the live version; none if it has no such row.
    pub live: Option<String>,
    /// The row in the other version; none if it has no such row.
    pub other: Option<String>,
}

/// A comparison of the live version of a read model with another version at the same position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The position of both versions.
    pub position: Position,
    /// The live tables, of which only the columns that both versions have are compared.
    pub live: Vec<Fingerprint>,
    /// The tables of the other version, in the same order.
    pub other: Vec<Fingerprint>,
    /// The columns that only one of the versions has, as `table.column`.
    pub columns: Vec<String>,
    /// Rows that differ, at most [`MAX_DIFFERENCES`] of each table.
    pub differences: Vec<Difference>,
    /// The numbers of parked events of the live version and of the other version.
    pub parked: (i64, i64),
}

/// The maximum number of differing rows that a comparison lists for each table.
pub const MAX_DIFFERENCES: i64 = 20;

impl Comparison {
    /// Returns whether both versions have the same rows and the same number of parked events.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.live == self.other && self.parked.0 == self.parked.1
    }
}

/// Returns the fingerprints of a projection's live tables, and their position, in one snapshot.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn fingerprint(
    pool: &PgPool,
    projection: &dyn Projection,
) -> Result<(Position, Vec<Fingerprint>), DatabaseError> {
    let mut transaction = transaction::begin(pool).await?;
    sqlx::query("set transaction isolation level repeatable read read only").execute(&mut *transaction).await?;
    let position: Option<i64> = sqlx::query_scalar("select min(position) from apex.checkpoints where follower = $1")
        .bind(projection.name())
        .fetch_one(&mut *transaction)
        .await?;
    let mut fingerprints = Vec::new();
    for &(table, order) in projection.tables() {
        fingerprints.push(fingerprint_of(&mut transaction, Slot::Live, table, order, "t").await?);
    }
    transaction::commit(transaction).await?;
    Ok((Position::from_i64(position.unwrap_or(0)), fingerprints))
}

/// Compares the live tables with those in another slot, within a transaction in which both have the same position.
pub(crate) async fn compare_slots(
    connection: &mut PgConnection,
    projection: &'static dyn Projection,
    slot: Slot,
    position: Position,
) -> Result<Comparison, ApplyError> {
    let parked = (parked(connection, projection, Slot::Live).await?, parked(connection, projection, slot).await?);
    let (live, other, columns, differences) = (vec![], vec![], vec![], vec![]);
    let mut comparison = Comparison { position, live, other, columns, differences, parked };
    for &(table, order) in projection.tables() {
        let (common, single) = columns_of(connection, slot, table).await?;
        comparison.columns.extend(single.into_iter().map(|column| format!("{table}.{column}")));
        let row = format!("row({common})");
        let live = fingerprint_of(connection, Slot::Live, table, order, &row).await?;
        let other = fingerprint_of(connection, slot, table, order, &row).await?;
        if live != other {
            comparison.differences.extend(differences_of(connection, slot, table, order, &row).await?);
        }
        comparison.live.push(live);
        comparison.other.push(other);
    }
    Ok(comparison)
}

/// Sets the session settings that the text of values depends on.
async fn use_canonical_text(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
                set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
                set_config('extra_float_digits', '1', true), set_config('lc_monetary', 'C', true)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An `order by` of key columns that does not depend on the collation of the database.
fn bytewise(order: &str) -> String {
    order.split(", ").map(|column| format!("t.{column}::text collate \"C\"")).collect::<Vec<_>>().join(", ")
}

async fn fingerprint_of(
    connection: &mut PgConnection,
    slot: Slot,
    table: &'static str,
    order: &str,
    row: &str,
) -> Result<Fingerprint, sqlx::Error> {
    use_canonical_text(connection).await?;
    let (schema, order) = (slot.schema(), bytewise(order));
    let sql = format!(
        "select count(*), coalesce(md5(string_agg(md5(({row})::text), '' order by {order})), '') from {schema}.{table} t"
    );
    let (rows, hash) = sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_one(connection).await?;
    Ok(Fingerprint { table, rows, hash })
}

/// The columns that both versions of a table have, quoted, and those that only one has.
async fn columns_of(
    connection: &mut PgConnection,
    slot: Slot,
    table: &str,
) -> Result<(String, Vec<String>), sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select quote_ident(attname), count(*) from pg_attribute
         where attrelid in (to_regclass(format('apex.%I', $2)), to_regclass(format('%I.%I', $1, $2)))
           and attnum > 0 and not attisdropped
         group by 1 order by 1",
    )
    .bind(slot.schema())
    .bind(table)
    .fetch_all(connection)
    .await?;
    let (common, single): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, versions)| *versions == 2);
    let common = common.into_iter().map(|(column, _)| format!("t.{column}")).collect::<Vec<_>>().join(", ");
    Ok((common, single.into_iter().map(|(column, _)| column).collect()))
}

async fn differences_of(
    connection: &mut PgConnection,
    slot: Slot,
    table: &'static str,
    order: &str,
    row: &str,
) -> Result<Vec<Difference>, sqlx::Error> {
    let key: String = order.split(", ").map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
    let side = |slot: Slot| {
        let schema = slot.schema();
        format!("(select t.tenant_id, row({key})::text as key, ({row})::text as content from {schema}.{table} t)")
    };
    let sql = format!(
        "select tenant_id, key, a.content, b.content from {} a full join {} b using (tenant_id, key)
         where a.content is distinct from b.content order by 1, 2 limit {MAX_DIFFERENCES}",
        side(Slot::Live),
        side(slot)
    );
    let rows: Vec<(String, String, Option<String>, Option<String>)> =
        sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;
    let difference = |(tenant_id, key, live, other)| Difference { table, tenant_id, key, live, other };
    Ok(rows.into_iter().map(difference).collect())
}

async fn parked(
    connection: &mut PgConnection,
    projection: &'static dyn Projection,
    slot: Slot,
) -> Result<i64, sqlx::Error> {
    let target = Target { projection, slot };
    sqlx::query_scalar("select count(*) from apex.parked_events where projection = $1")
        .bind(target.follower())
        .fetch_one(connection)
        .await
}
