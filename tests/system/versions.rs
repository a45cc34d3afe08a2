//! A new version of a read model: built beside the live one, compared and switched to under load.

use apex::rooms::Rooms;
use commands::Context;
use domain::agent::{Agent, AgentCommand, Profile};
use domain::task::{TaskCommand, TaskSpec};
use domain::{AgentId, Labels, TaskId};
use futures::future::BoxFuture;
use projections::{
    Applied, ApplyError, InactiveVersion, Projection, SessionSettings, Sharding, Worker, WorkerConfig, build, by_name,
    compare, drop_version, switch, verify,
};
use sqlx::postgres::PgConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use testkit::{TIMEOUT, TestDatabase, at, name, tenant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Version 2 of the read model of tasks: it writes another note to every row, and has three shards.
struct NextTasks;

impl Projection for NextTasks {
    fn name(&self) -> &'static str {
        "tasks"
    }
    fn version(&self) -> i32 {
        2
    }
    fn sharding(&self) -> Sharding {
        Sharding::ByStream(3)
    }
    fn categories(&self) -> &'static [&'static str] {
        &["task"]
    }
    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("tasks", "tenant_id, task_id")]
    }
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            by_name("tasks").unwrap().apply(connection, events).await?;
            let ids: Vec<_> = events.iter().map(|applied| applied.recorded.stream.id).collect();
            sqlx::query("update tasks set note = 'of version 2' where task_id = any ($1)")
                .bind(ids)
                .execute(connection)
                .await?;
            Ok(())
        })
    }
}

fn context() -> Context {
    testkit::context(tenant(), "test", Uuid::now_v7())
}

async fn agent(rooms: &Rooms) -> AgentId {
    let agent = AgentId(Uuid::now_v7());
    let profile = Profile { name: name("agent"), kind: None, model: None, labels: Labels::default() };
    for command in [AgentCommand::Register { profile, at: at(0) }, AgentCommand::Activate { at: at(1) }] {
        rooms.commands.execute::<Agent>(&context(), agent.0, command).await.unwrap();
    }
    agent
}

async fn task(rooms: &Rooms, agent_id: AgentId) {
    let task = TaskId(Uuid::now_v7());
    let spec = TaskSpec { title: name("work"), agent_id, dag_id: None };
    for command in [TaskCommand::Submit { spec, at: at(4) }, TaskCommand::Start { at: at(5) }] {
        rooms.commands.execute_task(&context(), task, command).await.unwrap();
    }
}

/// Commands and queries that run for the whole test.
struct Load {
    stop: Arc<AtomicBool>,
    queries_run: Arc<AtomicU64>,
    queries_failed: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(rooms: &Arc<Rooms>, agent: AgentId) -> Self {
        let (stop, queries_run, queries_failed) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::default());
        let mut load = Self { stop, queries_run, queries_failed, tasks: Vec::new() };
        let (stop, of) = (load.stop.clone(), rooms.clone());
        load.tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                task(&of, agent).await;
            }
        }));
        // Prepared statements on pooled connections that outlive the switch.
        for sql in [
            "select task_id, agent_id, title, status, percent, note, position from apex.tasks where tenant_id = $1",
            "select t.task_id, a.agent_id, a.name, to_jsonb(t) from apex.tasks t join apex.agents a using (tenant_id, agent_id)
             where tenant_id = $1 order by t.submitted_at limit 10",
            "select status, count(*) from apex.tasks where tenant_id = $1 group by status",
        ] {
            let (stop, pool) = (load.stop.clone(), rooms.pool.clone());
            let (queries_run, queries_failed) = (load.queries_run.clone(), load.queries_failed.clone());
            load.tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let rows = sqlx::query(sql).bind("default").fetch_all(&pool).await;
                    queries_run.fetch_add(1, Ordering::Relaxed);
                    if !rows.is_ok_and(|rows| !rows.is_empty()) {
                        queries_failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
        load
    }

    /// Waits until this many further queries have run.
    async fn wait_for_queries(&self, queries: u64) {
        let until = self.queries_run.load(Ordering::Relaxed) + queries;
        while self.queries_run.load(Ordering::Relaxed) < until {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    async fn finish(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        (self.queries_run.load(Ordering::Relaxed), self.queries_failed.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_read_model_version_is_built_compared_and_switched_without_a_failed_query() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    let agent = agent(&rooms).await;
    for _ in 0..50 {
        task(&rooms, agent).await;
    }
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    let rooms = Arc::new(rooms);
    let load = Load::start(&rooms, agent);
    load.wait_for_queries(50).await;

    // Small batches, so that more than one batch of events is appended meanwhile.
    build(&testkit::access(), &rooms.pool, &rooms.log, &[&NextTasks], 7, |_| {}).await.unwrap();
    let comparison = compare(&testkit::access(), &rooms.pool, &rooms.log, &NextTasks).await.unwrap();
    assert!(!comparison.is_same());
    assert_eq!(comparison.live[0].rows, comparison.other[0].rows);
    let difference = &comparison.differences[0];
    assert!(difference.other.as_deref().unwrap().contains("of version 2"), "{difference:?}");
    assert!(!difference.live.as_deref().unwrap().contains("of version 2"), "{difference:?}");

    let published = "insert into apex.checkpoints (name, position) values ('state:tasks', 5)";
    sqlx::query(published).execute(&rooms.pool).await.unwrap();
    let position = switch(&testkit::access(), &rooms.pool, &rooms.log, &NextTasks).await.unwrap();
    // The state topic has the rows of version 1: its checkpoint is reset so that all rows are republished.
    let published = "select position from apex.checkpoints where name = 'state:tasks'";
    assert_eq!(sqlx::query_scalar::<_, i64>(published).fetch_one(&rooms.pool).await.unwrap(), 0);
    load.wait_for_queries(50).await;
    // The workers of version 1 still run and do not write to the tables of version 2.
    let status = projections::statuses(&testkit::access(), &rooms.pool).await.unwrap().remove(1);
    assert_eq!((status.code_version, status.version, status.old_version), (1, Some(2), Some(1)));
    assert!(!status.is_current());
    let settings = SessionSettings::different_locale(7);
    assert!(verify(&testkit::access(), &rooms.pool, &rooms.log, by_name("tasks").unwrap(), &settings).await.is_err());
    let stop = CancellationToken::new();
    let workers: Vec<_> = Worker::all(&NextTasks, &rooms.pool, rooms.log.tail(), WorkerConfig::default())
        .into_iter()
        .map(|worker| tokio::spawn(worker.run(stop.clone().cancelled_owned())))
        .collect();
    assert_eq!(workers.len(), 3);
    load.wait_for_queries(50).await;
    // The three live shards are at different positions from now on.
    build(&testkit::access(), &rooms.pool, &rooms.log, &[&NextTasks], 100, |_| {}).await.unwrap();
    for _ in 0..5 {
        let comparison = compare(&testkit::access(), &rooms.pool, &rooms.log, &NextTasks).await.unwrap();
        assert!(comparison.is_same(), "{comparison:#?}");
    }
    let (queries_run, queries_failed) = load.finish().await;
    assert_eq!(queries_failed, 0, "of {queries_run} queries");

    let head = rooms.log.head().await.unwrap();
    assert!(head > position, "no event was appended after the switch: the test proves little");
    projections::wait_for(&rooms.pool, &["tasks"], head, TIMEOUT).await.unwrap();
    let tasks = "select count(*), count(*) filter (where note = 'of version 2') from apex.tasks";
    let (tasks, changed): (i64, i64) = sqlx::query_as(tasks).fetch_one(&rooms.pool).await.unwrap();
    assert!(tasks > 50 && tasks == changed, "{changed} of {tasks}");
    let comparison = verify(&testkit::access(), &rooms.pool, &rooms.log, &NextTasks, &settings).await.unwrap();
    assert!(comparison.is_same(), "{comparison:#?}");

    drop_version(&testkit::access(), &rooms.pool, &NextTasks, InactiveVersion::Previous).await.unwrap();
    let status = projections::statuses(&testkit::access(), &rooms.pool).await.unwrap().remove(1);
    assert_eq!(status.old_version, None);
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    Arc::into_inner(rooms).unwrap().close().await.unwrap();
}

/// The indexes of the tables of read models in a schema, as they would be defined in `apex`.
async fn indexes(database: &TestDatabase, schema: &str) -> Vec<String> {
    let sql = "select replace(indexdef, $1 || '.', 'apex.') from pg_indexes
               where schemaname = $1 and tablename in (select table_name from apex.projection_tables) order by indexname";
    sqlx::query_scalar(sql).bind(schema).fetch_all(&database.pool).await.unwrap()
}

/// Also after a build that went on.
#[tokio::test]
async fn a_build_ends_with_the_indexes_of_the_live_tables() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let live = indexes(&database, "apex").await;
    assert!(!live.is_empty());
    for _ in 0..2 {
        agent(&rooms).await;
        build(&testkit::access(), &rooms.pool, &rooms.log, &projections::all(), 1000, |_| {}).await.unwrap();
        assert_eq!(indexes(&database, "apex_next").await, live);
    }
    rooms.close().await.unwrap();
}
