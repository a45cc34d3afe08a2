//! Row-level security: the connections of requests see the rows of one tenant, whatever a statement selects.

mod fixture;
mod roles;

pub(crate) use fixture::fill_log;

use crate::statements::Counter;
use domain::permissions::{ReadAlertEndpoints, ReadAny, ReadCalls, ReadEvents, ReadMemories, ReadReports};
use fixture::{
    NOT_READ_BY_REQUESTS, READ_BY_REQUESTS, TENANTS, access, filled_database, request_connection, tenant, tenants_in,
};
use projections::alert_deliveries::{self, AlertDeliveryFilter};
use projections::memories::{self, MemoryFilter, MemoryRow};
use projections::{Page, ReportQuery, WholeReport, agents, budgets, calls, tasks};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Connection as _};
use std::time::Duration;
use streams::{Position, TenantFilter, TenantReads};
use testkit::{TIMEOUT, TestDatabase};
use uuid::Uuid;

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_see_the_rows_of_their_tenant_and_none_without_one() {
    let database = filled_database().await;
    let mut without = request_connection(&database, None).await;
    let mut with_none = request_connection(&database, Some("")).await;
    for table in READ_BY_REQUESTS {
        for of in TENANTS {
            let mut connection = database.reads.acquire(&access::<ReadAny>(of)).await.unwrap();
            assert_eq!(tenants_in(&mut connection, table).await.unwrap(), [of], "{table}");
        }
        assert!(tenants_in(&mut without, table).await.unwrap().is_empty(), "{table}");
        assert!(tenants_in(&mut with_none, table).await.unwrap().is_empty(), "{table}");
        // Control: the role of workers sees both.
        let mut worker = database.pool.acquire().await.unwrap();
        assert_eq!(tenants_in(&mut worker, table).await.unwrap(), TENANTS, "{table}");
    }
    let mut connection = database.reads.acquire(&access::<ReadAny>(TENANTS[0])).await.unwrap();
    for table in NOT_READ_BY_REQUESTS {
        assert_eq!(code(&tenants_in(&mut connection, table).await.unwrap_err()), "42501", "{table}");
    }
    for change in ["insert into apex.tasks (tenant_id) values ('acme')", "delete from apex.calls"] {
        assert_eq!(code(&sqlx::query(change).execute(&mut *connection).await.unwrap_err()), "42501", "{change}");
    }
}

/// The net below the code: statements of the read models in which the tenant is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_forgets_the_tenant_finds_rows_of_the_own_tenant_only() {
    let database = filled_database().await;
    let list = include_str!("../../../projections/src/calls/list.sql").replace("{columns}", "*");
    let list = list.replace("{after}", ">").replace("{direction}", "asc");
    let forgetful = list.replace("where tenant_id = $1 and", "where $1::text is not null and");
    assert_ne!(forgetful, list, "the statement has no filter that can be left out");
    let fetch = async |connection: &mut PgConnection| -> Vec<String> {
        let query = sqlx::query_as::<_, calls::CallRow>(AssertSqlSafe(forgetful.clone()));
        let query = query.bind("").bind(Vec::<Uuid>::new()).bind(None::<String>).bind(None::<Uuid>).bind(None::<Uuid>);
        let none = None::<chrono::DateTime<chrono::Utc>>;
        let query = query.bind(None::<String>).bind(none).bind(none).bind(false).bind(none).bind(None::<Uuid>);
        let query = query.bind(100_i64).bind(None::<Vec<Uuid>>);
        // Provider, tool, outcome, conversation and trace.
        let query = (0..5).fold(query, |query, _| query.bind(None::<String>));
        let rows = query.fetch_all(connection).await.unwrap();
        rows.into_iter().map(|row| row.tenant_id).collect()
    };
    for of in TENANTS {
        let mut connection = database.reads.acquire(&access::<ReadCalls>(of)).await.unwrap();
        assert_eq!(fetch(&mut connection).await, [of]);
        for forgetful in [
            "(select tenant_id from apex.events order by position)",
            "(select tenant_id from apex.streams)",
            "(select m.tenant_id from apex.memories m where words @@ to_tsquery('simple', 'build'))",
            "(select a.tenant_id from apex.agents a join apex.tasks using (agent_id) union all
              select tenant_id from apex.agents)",
        ] {
            assert_eq!(tenants_in(&mut connection, forgetful).await.unwrap(), [of], "{forgetful}");
        }
        // What the function for text search finds does not depend on its arguments.
        let search = "(select m.tenant_id
             from apex.find_memories('build', '{}', null, null, null, null, null, null, 100) m)";
        assert_eq!(tenants_in(&mut connection, search).await.unwrap(), [of]);
    }
    // Control: as the role of workers the same statement finds the calls of both tenants.
    let mut found = fetch(&mut database.pool.acquire().await.unwrap()).await;
    found.sort();
    assert_eq!(found, TENANTS);
}

/// Deliveries are jobs, which requests do not read: they see those of their tenant by a view, and not what they carry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_see_the_deliveries_of_their_tenant_by_a_view() {
    let database = filled_database().await;
    for of in TENANTS {
        let access = access::<ReadAlertEndpoints>(of);
        let found =
            alert_deliveries::list(&database.reads, &access, &AlertDeliveryFilter::default(), 10).await.unwrap();
        assert_eq!(found.iter().map(|row| row.alert_type.as_str()).collect::<Vec<_>>(), [of]);
        let mut connection = database.reads.acquire(&access).await.unwrap();
        assert_eq!(tenants_in(&mut connection, "alert_deliveries").await.unwrap(), [of]);
        let payloads = sqlx::query("select payload from apex.jobs").fetch_all(&mut *connection).await;
        assert_eq!(code(&payloads.unwrap_err()), "42501");
    }
    // Without a tenant, also for the owner of the view, there are none.
    let mut owner = database.owner().await;
    assert_eq!(tenants_in(&mut owner, "alert_deliveries").await.unwrap(), [""; 0]);
}

/// The role of requests has no other privileges than the documented ones, in any schema.
#[tokio::test]
async fn requests_may_read_what_they_need_and_write_nothing() {
    let database = TestDatabase::new().await;
    let mut owner = database.owner().await;
    let readable = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname like 'apex%' and c.relkind in ('r', 'p', 'v', 'm', 'S') and has_table_privilege('apex_reader', c.oid, 'select')
         order by 1";
    let readable: Vec<String> = sqlx::query_scalar(readable).fetch_all(&mut owner).await.unwrap();
    let mut expected = [&READ_BY_REQUESTS[..], &["alert_deliveries", "archives", "checkpoints"]].concat();
    expected.sort_unstable();
    assert_eq!(readable, expected);
    let more = "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname like 'apex%' and c.relkind in ('r', 'p')
             and has_table_privilege('apex_reader', c.oid, 'insert, update, delete, truncate, references, trigger')
         union all
         select n.nspname::text from pg_namespace n
         where n.nspname like 'apex%' and n.nspname <> 'apex' and has_schema_privilege('apex_reader', n.oid, 'usage')
         union all
         select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname like 'apex%' and p.prosecdef and p.proname <> 'find_memories'
             and has_function_privilege('apex_reader', p.oid, 'execute')";
    assert_eq!(sqlx::query_scalar::<_, String>(more).fetch_all(&mut owner).await.unwrap(), [""; 0]);
}

/// A partition that is read directly is not covered by the policies of `apex.events`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_cannot_read_a_partition_directly() {
    let database = filled_database().await;
    let mut owner = database.owner().await;
    sqlx::query("select apex.ensure_partitions(5)").execute(&mut owner).await.unwrap();
    let names = "select name from apex.partitions order by from_position";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut owner).await.unwrap();
    assert!(names.len() >= 5, "{names:?}");
    let mut connection = database.reads.acquire(&access::<ReadEvents>(TENANTS[0])).await.unwrap();
    for name in &names {
        assert_eq!(code(&tenants_in(&mut connection, name).await.unwrap_err()), "42501", "{name}");
    }
    // Where one is granted nevertheless, it has the policies of the other tables.
    sqlx::query(AssertSqlSafe(format!("grant select on apex.{} to apex_reader", names[0])))
        .execute(&mut owner)
        .await
        .unwrap();
    assert_eq!(tenants_in(&mut connection, &names[0]).await.unwrap(), [TENANTS[0]]);
}

/// Every table with a column that names a tenant, and what it lacks of row-level security.
async fn unprotected_tables(owner: &mut PgConnection) -> Vec<String> {
    let lacks = include_str!("unprotected.sql");
    sqlx::query_scalar(lacks).fetch_all(owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_with_rows_of_tenants_has_the_policies_also_after_a_rebuild() {
    let database = filled_database().await;
    let mut owner = database.owner().await;
    assert_eq!(unprotected_tables(&mut owner).await, [""; 0]);
    database.run(&["projections", "rebuild", "all"]).await.assert_success();
    let next = "select count(*) from pg_tables where schemaname = 'apex_next'";
    assert!(sqlx::query_scalar::<_, i64>(next).fetch_one(&mut owner).await.unwrap() >= 11);
    assert_eq!(unprotected_tables(&mut owner).await, [""; 0]);
    database.run(&["projections", "switch", "all"]).await.assert_success();
    sqlx::query("select apex.ensure_partitions(5)").execute(&mut owner).await.unwrap();
    assert_eq!(unprotected_tables(&mut owner).await, [""; 0]);
    // A switch forgets the parked events that the fixture invented.
    for table in READ_BY_REQUESTS.into_iter().filter(|table| *table != "parked_events") {
        let mut connection = database.reads.acquire(&access::<ReadAny>(TENANTS[1])).await.unwrap();
        assert_eq!(tenants_in(&mut connection, table).await.unwrap(), [TENANTS[1]], "{table} after the switch");
    }
    // Controls: each kind of gap is found.
    for (plant, expected) in [
        ("create table apex.planted (tenant_id text)", "apex.planted has no row-level security"),
        ("alter table apex.planted enable row level security", "apex.planted has other policies"),
        ("select apex.isolate_tenants('apex.planted')", ""),
        ("create policy more on apex.planted using (true)", "apex.planted has other policies"),
        ("drop policy more on apex.planted", ""),
        ("alter policy own_tenant on apex.planted using (tenant_id is not null)", "apex.planted has other policies"),
        ("alter table apex.calls disable row level security", "apex.calls has no row-level security"),
    ] {
        sqlx::query(plant).execute(&mut owner).await.unwrap();
        let found = unprotected_tables(&mut owner).await;
        assert_eq!(found.iter().any(|found| found == expected), !expected.is_empty(), "{plant}: {found:?}");
    }
}

/// Which tenant a connection has, and those whose rows it sees.
async fn seen(connection: &mut PgConnection) -> Result<(Option<String>, Vec<String>), sqlx::Error> {
    let query = "select current_setting('apex.tenant', true), array(select distinct tenant_id from apex.calls)";
    sqlx::query_as(query).fetch_one(connection).await
}

/// Requests of both tenants share few connections, and most of them are cancelled at some moment. Returns how often one saw
/// rows of the other tenant.
async fn foreign_after_cancellations(
    acquire: impl AsyncFn(&'static str, u64) -> Result<Vec<String>, sqlx::Error>,
) -> usize {
    let mut foreign = 0;
    for n in 0..300_u64 {
        let of = TENANTS[usize::from(n % 3 == 0)];
        // From at once to after the answer.
        let timeout = if n % 4 == 0 { TIMEOUT } else { Duration::from_micros(n * 37 % 1500) };
        if let Ok(seen) = tokio::time::timeout(timeout, acquire(of, n)).await {
            foreign += usize::from(seen.unwrap() != [of]);
        }
    }
    foreign
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_read_leaves_no_tenant_behind() {
    let database = filled_database().await;
    let reads = TenantReads::beside(&database.pool, 2);
    let foreign = foreign_after_cancellations(async |of, n| {
        if n % 2 == 0 {
            let mut connection = reads.acquire(&access::<ReadCalls>(of)).await?;
            return Ok(seen(&mut connection).await?.1);
        }
        let mut transaction = reads.begin_snapshot(&access::<ReadReports>(of)).await?;
        let seen = seen(&mut transaction).await?;
        assert_eq!(seen.0.as_deref(), Some(of));
        transaction.commit().await?;
        Ok(seen.1)
    });
    assert_eq!(foreign.await, 0);
    reads.close().await;

    // Control: connections whose tenant is set by the request that opened them only.
    let options = (*database.pool.connect_options()).clone().options([("role", "apex_reader")]);
    let planted: PgPool = database.pool.options().clone().max_connections(2).connect_lazy_with(options);
    let foreign = foreign_after_cancellations(async |of, _| {
        let mut connection = planted.acquire().await?;
        let set =
            "select set_config('apex.tenant', $1, false) where coalesce(current_setting('apex.tenant', true), '') = ''";
        sqlx::query(set).bind(of).execute(&mut *connection).await?;
        Ok(seen(&mut connection).await?.1)
    });
    assert!(foreign.await > 0, "the check does not see rows of another tenant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_continue_when_their_idle_connections_were_terminated() {
    let database = filled_database().await;
    let mut owner = database.owner().await;
    let reads = TenantReads::beside(&database.pool, 3);
    let (mut held, mut pids) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut connection = reads.acquire(&access::<ReadCalls>(TENANTS[0])).await.unwrap();
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *connection).await.unwrap();
        pids.push(pid);
        held.push(connection);
    }
    drop(held);
    let terminate = "select bool_and(pg_terminate_backend(pid, 10000)) from unnest($1::integer[]) pid";
    sqlx::query(terminate).bind(&pids).execute(&mut owner).await.unwrap();
    for _ in 0..3 {
        let rows = calls::list(&reads, &access(TENANTS[0]), &calls::CallFilter::default(), page()).await.unwrap();
        assert_eq!(rows.len(), 1);
    }
    owner.close().await.unwrap();
}

/// Where all connections are in use, a tenant with one read waits for one read of the tenant with many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_many_reads_does_not_keep_another_waiting() {
    let database = TestDatabase::new().await;
    let reads = TenantReads::beside(&database.pool, 1);
    let held = reads.acquire(&access::<ReadCalls>(TENANTS[0])).await.unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let read = async |of| {
        let mut connection = reads.acquire(&access::<ReadCalls>(of)).await.unwrap();
        order.lock().unwrap().push(of);
        sqlx::query("select pg_sleep(0.01)").execute(&mut *connection).await.unwrap();
    };
    let many = futures::future::join_all((0..20).map(|_| read(TENANTS[0])));
    let one = async {
        // The others wait by then: they are polled first.
        read(TENANTS[1]).await;
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(held);
    };
    futures::join!(many, one, release);
    let order = order.into_inner().unwrap();
    let place = order.iter().position(|of| *of == TENANTS[1]).unwrap();
    assert!(place <= 1, "it was number {place} of {}", order.len());
}

fn page() -> Page {
    Page { limit: 100, ..Page::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_on_behalf_of_a_tenant_costs_one_more_statement() {
    let database = filled_database().await;
    let counter = Counter::before(&database).await;
    let pool = apex::database::connect(&counter.url.clone().into(), 2).await.unwrap();
    let reads = TenantReads::beside(&pool, 1);
    let read = async |n: usize| {
        let before = counter.counts().0;
        for n in 0..n {
            let of = TENANTS[n % 2];
            assert_eq!(tasks::list(&reads, &access(of), &tasks::TaskFilter::default(), page()).await.unwrap().len(), 1);
        }
        counter.counts().0 - before
    };
    // The first read opens the connection.
    read(1).await;
    assert_eq!(read(10).await, 20);
}

/// Reads of the API by both tenants: lists, reports, history and events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_finds_what_the_tenant_has() {
    let database = filled_database().await;
    let (rooms, reads) = (database.rooms().await, &database.reads);
    let log = rooms.log.of_tenants(reads.clone());
    let all = rooms.log.read_after(Position::ZERO, &streams::ReadFilter::default(), 1000).await.unwrap();
    for of in TENANTS {
        assert_eq!(agents::list(reads, &access(of), &agents::AgentFilter::default(), page()).await.unwrap().len(), 1);
        assert_eq!(calls::list(reads, &access(of), &calls::CallFilter::default(), page()).await.unwrap().len(), 1);
        let budgets = budgets::list(reads, &access(of), &[], page()).await.unwrap();
        let ids = [budgets[0].budget_id];
        assert!(!budgets::months(reads, &access(of), &ids).await.unwrap().is_empty());
        assert!(!budgets::crossings(reads, &access(of), None, None, 10).await.unwrap().is_empty());
        assert_eq!(budgets::alerts(reads, &access(of), None, 0, 10).await.unwrap().len(), 3);
        assert_eq!(budgets::alerts_of_budgets(reads, &access(of), &ids).await.unwrap().len(), 3);
        let report = WholeReport::open(reads, &ReportQuery::new(access(of))).await.unwrap();
        assert_eq!(report.total.calls, 1);
        drop(report);

        let own: Vec<_> = all.iter().filter(|event| event.stream.tenant == tenant(of)).cloned().collect();
        let filter = TenantFilter::new(&access::<ReadEvents>(of), None, Vec::new(), None);
        assert_eq!(log.find_after(Position::ZERO, &filter, 1000).await.unwrap(), own);
        let mut backwards = log.find_before(Position::from(1000), &filter, 1000).await.unwrap();
        backwards.reverse();
        assert_eq!(backwards, own);
        for event in &all {
            let found = log.read_event(&access(of), event.position).await.unwrap();
            assert_eq!(found.as_ref(), (event.stream.tenant == tenant(of)).then_some(event));
            let (category, id) = (&event.stream.category, event.stream.id);
            let stream = log.read_own_stream(&access(of), category, id, 0.into(), 100).await.unwrap();
            assert_eq!(stream.is_empty(), event.stream.tenant != tenant(of));
        }
        assert_eq!(log.read_event(&access(of), Position::from(1000)).await.unwrap(), None);
    }
    rooms.close().await.unwrap();
}

/// The statement that lists memories, with the search in it, as it is without row-level security.
const SEARCH: &str = "
    select tenant_id, memory_id, agent_id, content, tags, realm, recalls, stored_at, recalled_at, forgotten_at, version,
           position
    from apex.memories
    where tenant_id = $1 and (cardinality($2::uuid[]) = 0 and forgotten_at is null or memory_id = any ($2))
      and ($3::uuid is null or agent_id = $3 or realm <> 'private') and ($4::text is null or realm = $4)
      and ($5::text is null or $5 = any (tags)) and words @@ websearch_to_tsquery('simple', $6)
      and ($7::timestamptz is null or (stored_at, memory_id) > ($7, $8))
    order by stored_at, memory_id limit $9";

/// Writes memories of both tenants with few words, agents, realms, tags and times.
async fn insert_memories(database: &TestDatabase) {
    let insert = "insert into apex.memories (tenant_id, memory_id, agent_id, content, tags, realm, recalls, stored_at,
            forgotten_at, version, position)
        select (array['acme', 'umbrella'])[1 + n % 2], gen_random_uuid(), lpad((n % 3)::text, 32, '0')::uuid,
            concat_ws(' ', 'tea', 'word' || n % 7, 'word' || n % 11), array['tag' || n % 5],
            (array['private', 'village', 'bridge'])[1 + n % 3], 0, timestamptz '2024-01-01Z' + n / 4 * interval '1 minute',
            case when n % 13 = 0 then timestamptz '2024-02-01Z' end, 1, n
        from generate_series(1, 2000) n";
    sqlx::query(insert).execute(&database.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_search_finds_what_it_finds_without_row_level_security() {
    let database = TestDatabase::new().await.unverified();
    insert_memories(&database).await;
    let agent = Some(Uuid::from_u128(1));
    let mut found = 0;
    for of in TENANTS {
        for search in ["tea", "word3", "word3 -word4", "\"word3 word4\"", "word1 or word2", "absent", ""] {
            for (visible_to, realm, tag) in [
                (None, None, None),
                (agent, None, None),
                (None, Some("village"), None),
                (agent, Some("private"), Some("tag1")),
            ] {
                let filter = MemoryFilter {
                    ids: Vec::new(),
                    visible_to,
                    realm: realm.map(str::to_owned),
                    tag: tag.map(str::to_owned),
                    search: Some(search.to_owned()),
                    content_readers: None,
                };
                found += compare_search(&database, of, filter).await;
            }
        }
    }
    assert!(found > 1000, "{found}");
}

/// Compares all pages of a search with those of the direct statement. Returns the number of rows.
async fn compare_search(database: &TestDatabase, of: &'static str, mut filter: MemoryFilter) -> usize {
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let page = Page { after, limit: 60, ..Page::default() };
        let found = memories::list(&database.reads, &access::<ReadMemories>(of), &filter, page).await.unwrap();
        let direct = sqlx::query_as::<_, MemoryRow>(SEARCH).bind(of).bind(&filter.ids).bind(filter.visible_to);
        let direct = direct.bind(&filter.realm).bind(&filter.tag).bind(&filter.search);
        let direct = direct.bind(after.map(|(at, _)| at)).bind(after.map(|(_, id)| id)).bind(page.limit);
        assert_eq!(found, direct.fetch_all(&database.pool).await.unwrap(), "{of} {filter:?}");
        let Some(last) = found.last() else { break };
        after = Some((last.stored_at, last.memory_id));
        ids.extend(found.iter().map(|row| row.memory_id));
    }
    if filter.ids.is_empty() && !ids.is_empty() {
        let all = ids.len();
        // Some of these by their ids, and one of another tenant.
        ids.truncate(3);
        ids.push(Uuid::from_u128(7));
        filter.ids = ids;
        Box::pin(compare_search(database, of, filter)).await;
        return all;
    }
    ids.len()
}
