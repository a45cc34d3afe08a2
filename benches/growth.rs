//! Whether appends become slower as the log grows: compares a log of nearly 10^7 events with one of 10^5. Not of exactly
//! 10^7, because a new partition starts there, whose indexes are small.
//!
//! `EVENTS` sets the size of the large log (default: 9 900 000). Both are filled through `apex.append` with one event per
//! stream; then the same appends alternate between them. A ratio of 1 means no slowdown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use sqlx::{AssertSqlSafe, ConnectOptions};
use testkit::bench::{Bench, Table, setting};

/// Appends streams of one event each, 2000 per transaction, generated inside the database.
const FILL: &str = r#"do $$
declare
    made bigint := 0;
    size constant int := 2000;
    ids uuid[]; now_ms bigint;
    ones int[] := array_fill(1, array[size]);
    each int[] := array(select generate_series(1, size));
    tenants text[] := array_fill('default'::text, array[size]); categories text[] := array_fill('call'::text, array[size]);
    metadata text[];
    payloads text[] := array_fill('{"kind":"llm","note":"' || repeat('x', 360) || '"}', array[size]);
begin
    while made < :events loop
        -- Like a UUID of version 7: the time first, then random bits.
        now_ms := extract(epoch from clock_timestamp()) * 1000;
        ids := array(select (lpad(to_hex(now_ms), 12, '0') || '7' || lpad(to_hex(n), 3, '0') || '8'
                            || substr(md5(random()::text), 1, 15))::uuid from generate_series(1, size) n order by 1);
        metadata := array(select '{"actor":"bench","command_id":"' || id || '","correlation_id":"' || id || '"}'
                          from unnest(ids) as id);
        perform apex.append(tenants, ids, array_fill(true, array[size]), ones, array_fill(null::bytea, array[size]),
            metadata, tenants, categories, ids, each, each, each, array_fill(0::bigint, array[size]),
            array_fill(0::bigint, array[size]), each, ids, array_fill('call.recorded'::text, array[size]),
            array_fill(1::smallint, array[size]), payloads, array_fill(sha256('x'), array[size]));
        made := made + size;
        if made % 1000000 = 0 then
            perform apex.ensure_partitions(2);
        end if;
        commit;
    end loop;
end $$"#;

async fn filled(events: u64) -> Bench {
    let bench = Bench::new().await;
    let mut owner = bench.owner.connect().await.unwrap();
    println!("filling a log with {events} events");
    sqlx::raw_sql(AssertSqlSafe(FILL.replace(":events", &events.to_string()))).execute(&mut owner).await.unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&mut owner).await.unwrap();
    sqlx::raw_sql("checkpoint").execute(&mut owner).await.unwrap();
    bench
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (small, large) = (100_000, setting("EVENTS", 9_900_000));
    let (small_log, large_log) = (filled(small).await, filled(large).await);
    let mut table = Table::new();
    for (in_flight, events) in [(64, 1), (64, 100)] {
        let case = format!("{in_flight} in flight, {events} events each, at {large} events; at {small}");
        table
            .case(
                &large_log,
                &case,
                "events/s",
                || large_log.ours(in_flight, events),
                || small_log.ours(in_flight, events),
            )
            .await;
    }
    table.write("growth");
    // It takes several gigabytes.
    large_log.drop_database().await;
}
