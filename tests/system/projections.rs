//! Projections: a rebuild has the live rows, poison events park their stream, and several workers share a projection.

use apex::rooms::Rooms;
use commands::Context;
use domain::agent::{Agent, AgentCommand, Profile};
use domain::budget::{Budget, BudgetCommand, BudgetScope, BudgetTerms};
use domain::call::{CallCommand, CallFacts, CallKind, Reporters, Tags};
use domain::memory::{Memory, MemoryCommand, Realm};
use domain::price_book::PriceBook;
use domain::tag_keys::{TagKeys, TagKeysCommand};
use domain::task::{TaskCommand, TaskSpec};
use domain::{AgentId, Body, CallId, Currency, Labels, Money, TagKey, TaskId};
use projections::{
    Decision, Fingerprint, InactiveVersion, ParkedEvent, ParkingDecision, ParkingError, REBUILD_BATCH_EVENTS,
    ResumeOutcome, ResumeRequest, SessionSettings, TenantSelection, build, drop_version, fingerprint, switch, verify,
};
use serde_json::json;
use streams::Position;
use testkit::{TIMEOUT, TestDatabase, at, name, sample, tenant};
use uuid::Uuid;

fn context() -> Context {
    testkit::context(tenant(), "test", Uuid::now_v7())
}

fn body(text: &str) -> Body {
    Body::new(text).unwrap()
}

/// Appends events of agents, tasks and memories in all their states.
pub(crate) async fn append_examples(rooms: &Rooms) {
    let agents: Vec<_> = (0..3).map(|_| AgentId(Uuid::now_v7())).collect();
    for (n, agent) in agents.iter().enumerate() {
        let profile = Profile { name: name(&format!("agent {n}")), kind: None, model: None, labels: Labels::default() };
        for command in [
            AgentCommand::Register { profile, at: at(0) },
            AgentCommand::Activate { at: at(1) },
            AgentCommand::Pause { reason: Some(body("lunch \"break\"\n\t✓")), at: at(2) },
            AgentCommand::Resume { at: at(3) },
        ] {
            rooms.commands.execute::<Agent>(&context(), agent.0, command).await.unwrap();
        }
        let task = TaskId(Uuid::now_v7());
        let spec = TaskSpec { title: name("work"), agent_id: *agent, dag_id: None };
        for command in [
            TaskCommand::Submit { spec, at: at(4) },
            TaskCommand::Start { at: at(5) },
            TaskCommand::Progress { percent: 40, note: Some(body("on it")), at: at(6) },
            TaskCommand::Complete { result: None, at: at(7) },
        ] {
            rooms.commands.execute_task(&context(), task, command).await.unwrap();
        }
        let memory = Uuid::now_v7();
        for command in [
            MemoryCommand::Store { agent_id: *agent, content: body("tea at four"), tags: vec![name("tea")], at: at(8) },
            MemoryCommand::Share { realm: Realm::Village, at: at(9) },
            MemoryCommand::Recall { agent_id: agents[0], at: at(10) },
            MemoryCommand::Forget { reason: None, at: at(11) },
        ] {
            let last = matches!(command, MemoryCommand::Forget { .. });
            if !last || n == 0 {
                rooms.commands.execute::<Memory>(&context(), memory, command).await.unwrap();
            }
        }
    }
}

/// Reports a call that is counted under a declared tag key.
async fn append_tagged_call(rooms: &Rooms) {
    let declare = TagKeysCommand::Declare { key: TagKey::new("team").unwrap(), at: at(0) };
    let declared = rooms.commands.execute::<TagKeys>(&context(), TagKeys::id(), declare).await.unwrap();
    let facts = CallFacts {
        model: Some(name("m")),
        tags: Some(Tags::new([("team", "search")]).unwrap()),
        ..CallFacts::new(CallKind::Llm, at(1), name("test"))
    };
    let tag_keys = TagKeys::clone(&declared.aggregate.state);
    let report =
        CallCommand::Report { facts, prices: PriceBook::default(), tag_keys, reported_by: Reporters::default() };
    rooms.commands.execute_call(&context(), &CallId(Uuid::now_v7()).into(), &report).await.unwrap();
}

fn terms(limit: &str, zone: chrono_tz::Tz) -> BudgetTerms {
    BudgetTerms {
        name: name("all"),
        scope: BudgetScope::Tenant,
        limit: Money::parse(limit).unwrap(),
        currency: Currency::Usd,
        time_zone: zone,
        thresholds: [10, 50, 80, 100].into_iter().map(|p| p.try_into().unwrap()).collect(),
        control: None,
    }
}

async fn fingerprints(rooms: &Rooms) -> Vec<(&'static str, Vec<Fingerprint>)> {
    let mut all = Vec::new();
    for projection in projections::all() {
        all.push((projection.name(), fingerprint(&rooms.pool, projection).await.unwrap().1));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_has_the_live_rows_at_any_batch_size() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    let budget = |terms, revise: bool| {
        if revise {
            BudgetCommand::Revise { reason: None, terms, at: at(1) }
        } else {
            BudgetCommand::Define { terms, at: at(0) }
        }
    };
    let (early, late) = (Uuid::now_v7(), Uuid::now_v7());
    let execute = async |id, command| rooms.commands.execute::<Budget>(&context(), id, command).await.unwrap();
    execute(early, budget(terms("0.5", chrono_tz::UTC), false)).await;
    append_examples(&rooms).await;
    append_tagged_call(&rooms).await;
    for (format, file) in [("autogpt", "autogpt.jsonl"), ("claude-code", "claude-code.jsonl")] {
        database.run(&["import", format, &sample(file)]).await.assert_success();
    }
    execute(late, budget(terms("0.3", chrono_tz::Asia::Kathmandu), false)).await;
    execute(early, budget(terms("0.7", chrono_tz::America::New_York), true)).await;
    database.run(&["import", "azure-llm", "--model", "gpt-4o", &sample("azure-llm.csv")]).await.assert_success();
    // A budget that is closed directly after the calls that it counts.
    let closing = Uuid::now_v7();
    execute(closing, budget(terms("9", chrono_tz::UTC), false)).await;
    database.run(&["import", "--no-wait", "otlp", &sample("otlp.json")]).await.assert_success();
    execute(closing, BudgetCommand::Close { at: at(2) }).await;
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();

    let live = fingerprints(&rooms).await;
    // The tests of invoices, of schedules and of what budgets refuse compare theirs.
    let others = ["invoices", "schedules", "budget_refusals"];
    for (_, tables) in live.iter().filter(|(name, _)| !others.contains(name)) {
        for table in tables {
            assert!(table.rows > 0, "{} is empty: the test proves nothing", table.table);
        }
    }
    for batch_events in [1, 7, 1000] {
        for projection in projections::all() {
            let settings = SessionSettings::different_locale(batch_events);
            let comparison = verify(&testkit::access(), &rooms.pool, &rooms.log, projection, &settings).await.unwrap();
            assert!(comparison.is_same(), "batches of {batch_events}: {comparison:#?}");
        }
    }
    build(&testkit::access(), &rooms.pool, &rooms.log, &projections::all(), REBUILD_BATCH_EVENTS, |_| {})
        .await
        .unwrap();
    for projection in projections::all() {
        switch(&testkit::access(), &rooms.pool, &rooms.log, projection).await.unwrap();
    }
    assert_eq!(fingerprints(&rooms).await, live);
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    assert_eq!(fingerprints(&rooms).await, live, "a rebuild must not cause any event");
    rooms.close().await.unwrap();
}

/// Control of the test above: a single changed row is detected.
#[tokio::test]
async fn a_changed_row_changes_the_fingerprint() {
    let database = TestDatabase::new().await.unverified();
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let rooms = database.rooms().await;
    let before = fingerprints(&rooms).await;
    sqlx::query(
        "update apex.usage_quarter_hourly set cost = cost + 0.000001
         where ctid = (select min(ctid) from apex.usage_quarter_hourly)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let after = fingerprints(&rooms).await;
    assert_ne!(before, after);
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);
    let output = database.run(&["projections", "verify"]).await;
    assert_eq!(output.code, Some(1));
    assert_eq!(output.stderr.matches("different from the").count(), 1, "{}", output.stderr);
    assert_eq!(output.stderr.matches("  built ").count(), 1, "{}", output.stderr);
    rooms.close().await.unwrap();
}

/// The parked events of all tenants.
async fn parked_events(rooms: &Rooms) -> Vec<ParkedEvent> {
    projections::parked_events(TenantSelection::All(&rooms.pool, &testkit::access()), None, 10).await.unwrap()
}

async fn parking_decisions(of: TenantSelection<'_>, projection: Option<&str>) -> Vec<ParkingDecision> {
    projections::parking_decisions(of, projection, 10).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_event_parks_only_its_own_stream() {
    use streams::Expected;
    use testkit::{append, stream};
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    let poisoned = Uuid::now_v7();
    // Well-formed events that cannot be applied: a task is started twice without having been submitted.
    rooms.log.append(append(vec![stream(poisoned, Expected::Any, 2)])).await.unwrap();
    append_examples(&rooms).await;
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    let parked = parked_events(&rooms).await;
    assert_eq!(parked.len(), 2, "{parked:?}");
    assert!(parked.iter().all(|event| event.projection == "tasks" && event.stream_id == poisoned));
    assert!(parked[0].cause.contains("has no row"), "{}", parked[0].cause);
    let statuses = projections::statuses(&testkit::access(), &rooms.pool).await.unwrap();
    assert!(statuses.iter().all(|status| status.lag_events == 0));
    let tasks: i64 = sqlx::query_scalar("select count(*) from apex.tasks").fetch_one(&rooms.pool).await.unwrap();
    assert_eq!(tasks, 3);

    let position = u64::try_from(parked[0].position).unwrap();
    let order = |decision, position| ResumeRequest {
        decision,
        position: Position::from(position),
        tenant: Some("default"),
        actor: "tester",
        reason: "it was never submitted",
    };
    let tasks = projections::by_name("tasks").unwrap();
    let resume = async |order: &ResumeRequest<'_>| {
        projections::resume(&testkit::access(), &rooms.pool, &rooms.log, tasks, order).await
    };
    let topic = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&rooms.pool).await.unwrap();
    topic("insert into apex.checkpoints (name, position) values ('state:tasks', 1000000) returning position").await;
    // A retry parks the event again while its cause persists.
    let resumed = resume(&order(Decision::Retry, position)).await.unwrap();
    assert_eq!(resumed, ResumeOutcome { applied: 0, parked: 2 });
    // The state topic is set back, so that it republishes a row that the retry changes.
    let published = topic("select position from apex.checkpoints where name = 'state:tasks'").await;
    assert_eq!(published, parked[0].position - 1);
    let again = parked_events(&rooms).await;
    assert_eq!((again[0].attempts, again[1].attempts), (2, 1));
    // Events of a stream are resumed in order, and only those of the caller's tenant.
    assert!(matches!(resume(&order(Decision::Skip, position + 1)).await, Err(ParkingError::NotFirst(_, _))));
    assert!(matches!(resume(&order(Decision::Skip, position + 2)).await, Err(ParkingError::NotParked(_))));
    let other = ResumeRequest { tenant: Some("other"), ..order(Decision::Skip, position) };
    assert!(matches!(resume(&other).await, Err(ParkingError::NotParked(_))));
    // A built version that could apply the event would go live without the decision.
    build(&testkit::access(), &rooms.pool, &rooms.log, &[tasks], 7, |_| {}).await.unwrap();
    let able = "delete from apex.parked_events where projection = 'tasks@next'";
    assert_eq!(sqlx::query(able).execute(&rooms.pool).await.unwrap().rows_affected(), 2);
    assert!(matches!(
        resume(&order(Decision::Skip, position)).await,
        Err(ParkingError::AppliedInNextVersion("tasks", _))
    ));
    drop_version(&testkit::access(), &rooms.pool, tasks, InactiveVersion::Next).await.unwrap();
    assert_eq!(resume(&order(Decision::Skip, position)).await.unwrap(), ResumeOutcome { applied: 0, parked: 1 });
    let number = (position + 1).to_string();
    database
        .run(&["projections", "skip", "tasks", &number, "--reason", "so is this", "--actor", "me"])
        .await
        .assert_success();
    assert_eq!(parked_events(&rooms).await, []);
    assert_decisions(&database, &rooms, parked[0].position, parked[1].position).await;
    // A rebuild skips the same events: `TestDatabase` checks this when the test ends.
    rooms.close().await.unwrap();
}

/// Asserts the recorded decisions, latest first, over every interface; other tenants see none of them.
async fn assert_decisions(database: &TestDatabase, rooms: &Rooms, first: i64, second: i64) {
    let decisions = parking_decisions(TenantSelection::Own(&rooms.reads, &testkit::access()), Some("tasks")).await;
    let recorded = decisions.iter().map(|made| (made.position, made.decision, &*made.actor, &*made.reason));
    let why = "it was never submitted";
    let expected = [
        (second, Decision::Skip, "me", "so is this"),
        (first, Decision::Skip, "tester", why),
        (first, Decision::Retry, "tester", why),
    ];
    assert_eq!(recorded.collect::<Vec<_>>(), expected);
    let other = testkit::principal("other".parse().unwrap(), "test").authorise().unwrap();
    assert_eq!(parking_decisions(TenantSelection::Own(&rooms.reads, &other), None).await, []);
    assert_eq!(parking_decisions(TenantSelection::All(&rooms.pool, &testkit::access()), Some("calls")).await, []);
    let output = database.run(&["projections", "decisions", "--format", "json"]).await.assert_success();
    let listed = output.json();
    assert_eq!((&listed[0]["decision"], &listed[0]["actor"]), (&json!("skip"), &json!("me")), "{listed}");
    assert_eq!((&listed[0]["position"], &listed[0]["reason"]), (&json!(second.to_string()), &json!("so is this")));
    let server = database.serve(&[]).await;
    let asked = server.graphql("{ parkingDecisions { projection position decision actor reason } }", json!({})).await;
    let latest = json!({ "projection": "tasks", "position": second.to_string(), "decision": "SKIP", "actor": "me",
                         "reason": "so is this" });
    assert_eq!(asked["parkingDecisions"][0], latest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_workers_of_one_projection_apply_each_event_once() {
    let database = TestDatabase::new().await;
    let mut processes = Vec::new();
    for _ in 0..3 {
        let mut rooms = database.rooms().await;
        rooms.start_projections();
        processes.push(rooms);
    }
    for (format, file) in [("autogpt", "autogpt.jsonl"), ("otlp", "otlp.json")] {
        database.run(&["import", "--no-wait", format, &sample(file)]).await.assert_success();
    }
    for rooms in &processes {
        rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    }
    assert_eq!(database.total().await["calls"], 37 + 22);
    assert_eq!(database.total().await["tool_calls"], 16);
    for rooms in processes {
        rooms.close().await.unwrap();
    }
}
