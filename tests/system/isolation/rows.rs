//! The rows that a tenant has in the database, by which it is seen that nobody has changed them.

use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use testkit::{TIMEOUT, TestDatabase};

/// Tables whose rows of a tenant change without a command to it: with every use of a credential, with what is done later, and
/// with operations on the read models of the whole installation. What a command changes is in the other tables, too.
const CHANGING: [&str; 6] = ["access_origins", "credential_origins", "jobs", "parked_events", "receipts", "snapshots"];

/// For each table, the number of rows of a tenant and a hash of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows(BTreeMap<String, String>);

impl Rows {
    /// The tables that differ.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let differing = self.0.iter().filter(|(table, rows)| before.0.get(*table) != Some(rows));
        differing.map(|(table, rows)| format!("{table}: {:?} became {rows}", before.0.get(table))).collect()
    }
}

/// Waits until the read models have everything that is in the log, before rows are compared.
pub(super) async fn wait_for_read_models(database: &TestDatabase) {
    let models: Vec<_> = projections::all().iter().map(|model| model.name()).collect();
    let head = u64::try_from(database.head().await).unwrap();
    projections::wait_for(&database.pool, &models, head.into(), TIMEOUT).await.unwrap();
}

/// The rows of a tenant, without those of access logs.
pub(super) async fn rows_of(database: &TestDatabase, tenant: &str) -> Rows {
    let tables = "select c.relname::text, bool_or(a.attname = 'category') from pg_class c
                  join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
                  where n.nspname = 'apex' and c.relkind in ('r', 'p') and not c.relispartition
                      and not a.attisdropped and not c.relname = any ($1)
                  group by 1 having bool_or(a.attname = 'tenant_id')";
    let mut owner = database.owner().await;
    let tables: Vec<(String, bool)> = sqlx::query_as(tables).bind(CHANGING).fetch_all(&mut owner).await.unwrap();
    let mut rows = BTreeMap::new();
    for (table, has_category) in tables {
        let is_counted = if has_category { "and category <> 'access_log'" } else { "" };
        // When a credential was used, and that it counts, is noted later.
        let hash = format!(
            "select count(*) || ' rows, ' || coalesce(md5(string_agg(hash, ' ' order by hash)), '')
             from (select md5((to_jsonb(t) - 'last_used_at' - 'is_confirmed')::text) as hash
                   from apex.{table} t where tenant_id = $1 {is_counted}) as hashes"
        );
        let hash = sqlx::query_scalar(AssertSqlSafe(hash)).bind(tenant).fetch_one(&mut owner).await.unwrap();
        rows.insert(table, hash);
    }
    assert!(rows.len() > 15 && rows.contains_key("events"), "{rows:?}");
    Rows(rows)
}
