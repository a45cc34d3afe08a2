//! Budgets: every crossed threshold raises one alert.

use apex::rooms::Rooms;
use chrono::{DateTime, Utc};
use domain::budget::{
    Budget, BudgetCommand, BudgetPeriod, BudgetPeriodCommand, BudgetPeriodEvent, BudgetScope, BudgetTerms, Month,
    Threshold, ThresholdCrossed,
};
use domain::call::{Call, CallCommand, CallFacts, CallKind, Reporters};
use domain::price_book::{Price, PriceBook, PriceBookEvent, PriceComponent, PriceSource, PricesSet, rate};
use domain::tag_keys::TagKeys;
use domain::{Aggregate as _, BudgetId, Currency, Event, Meter, Money, Quantity, Usage};
use projections::budgets::{self, CrossingRow};
use streams::{Position, ReadFilter};
use testkit::{TIMEOUT, TestDatabase, at, name, sample, tenant, wait_until};
use uuid::Uuid;

fn terms(limit: &str, scope: BudgetScope) -> BudgetTerms {
    BudgetTerms {
        name: name("monthly"),
        scope,
        limit: Money::parse(limit).unwrap(),
        currency: Currency::Usd,
        time_zone: chrono_tz::UTC,
        thresholds: [50, 80, 100].into_iter().map(|percent| Threshold::try_from(percent).unwrap()).collect(),
        control: None,
    }
}

async fn define(database: &TestDatabase, terms: BudgetTerms) -> BudgetId {
    let id = BudgetId(Uuid::now_v7());
    let rooms = database.rooms().await;
    let context = testkit::context(tenant(), "test", Uuid::now_v7());
    rooms.commands.execute::<Budget>(&context, id.0, BudgetCommand::Define { terms, at: at(0) }).await.unwrap();
    rooms.close().await.unwrap();
    id
}

/// The alerts in the log: threshold in percent, amount spent, position.
async fn alerts(database: &TestDatabase) -> Vec<(u16, String, u64)> {
    let rooms = database.rooms().await;
    let filter = ReadFilter { category: Some("budget_period".to_owned()), ..ReadFilter::default() };
    let events = rooms.log.read_after(Position::ZERO, &filter, 100).await.unwrap();
    let alerts = events
        .iter()
        .map(|event| match event.decode().unwrap() {
            Event::BudgetPeriod(BudgetPeriodEvent::ThresholdCrossed(crossed)) => {
                (crossed.threshold_percent.percent(), crossed.spent.to_string(), event.position.get())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    rooms.close().await.unwrap();
    alerts
}

fn thresholds(alerts: &[(u16, String, u64)]) -> Vec<u16> {
    alerts.iter().map(|alert| alert.0).collect()
}

#[tokio::test]
async fn each_threshold_alerts_once_and_in_order_despite_reimports_and_rebuilds() {
    let database = TestDatabase::new().await;
    // The sample's calls of October 2023 cost 0.402832 dollars.
    let id = define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let import = ["import", "autogpt", &sample("autogpt.jsonl")];
    database.run(&import).await.assert_success();
    let alerted = alerts(&database).await;
    assert_eq!(thresholds(&alerted), [50, 80, 100]);
    for (percent, spent, _) in &alerted {
        let share = rust_decimal::Decimal::new(2 * i64::from(*percent), 3);
        let spent: rust_decimal::Decimal = spent.parse().unwrap();
        // A call of the sample costs at most 0.02 dollars: the alert was raised by the call that crossed.
        assert!(spent >= share && spent < share + rust_decimal::Decimal::new(2, 2), "{percent} % at {spent}");
    }

    database.run(&import).await.assert_success();
    database.run(&["projections", "rebuild", "budgets", "--switch"]).await.assert_success();
    database.run(&import).await.assert_success();
    assert_eq!(alerts(&database).await, alerted, "reimporting, rebuilding and restarting raise no new alert");

    let rows = budgets::alerts(&database.reads, &testkit::access(), Some(id.0), 0, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.threshold_percent).collect::<Vec<_>>(), [50, 80, 100]);
    let positions: Vec<_> = rows.iter().map(|row| u64::try_from(row.alert_position).unwrap()).collect();
    assert_eq!(positions, alerted.iter().map(|alert| alert.2).collect::<Vec<_>>());
    let months = budgets::months(&database.reads, &testkit::access(), &[id.0]).await.unwrap();
    assert_eq!(months.len(), 1);
    assert_eq!((months[0].month.as_str(), months[0].spent.to_string().as_str()), ("2023-10", "0.402832"));
}

#[tokio::test]
async fn a_budget_counts_only_calls_in_its_scope() {
    let database = TestDatabase::new().await;
    let other = define(&database, terms("0.2", BudgetScope::Model { model: name("gpt-4o") })).await;
    let own = define(&database, terms("0.2", BudgetScope::Model { model: name("gpt-3.5-turbo-16k-0613") })).await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let count = async |id: BudgetId| {
        budgets::alerts(&database.reads, &testkit::access(), Some(id.0), 0, 10).await.unwrap().len()
    };
    assert_eq!((count(other).await, count(own).await), (0, 3));
}

#[tokio::test]
async fn a_budget_alerts_for_spending_before_its_definition() {
    let database = TestDatabase::new().await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    // The budget is defined in November 2023; the calls are of October.
    let id = define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    rooms.close().await.unwrap();
    let months = budgets::months(&database.reads, &testkit::access(), &[id.0]).await.unwrap();
    assert_eq!(months[0].spent.to_string(), "0.402832");
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// Two processes, each with its own policy, see the same crossings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_alert_once_per_threshold() {
    let database = TestDatabase::new().await;
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let mut processes = Vec::new();
    for _ in 0..2 {
        let mut rooms = database.rooms().await;
        rooms.start_projections();
        processes.push(rooms);
    }
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    for rooms in processes {
        rooms.wait_for_read_models(TIMEOUT).await.unwrap();
        rooms.close().await.unwrap();
    }
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// A call of a whole number of dollars.
fn call(started_at: DateTime<Utc>, dollars: u64) -> CallCommand {
    let facts = CallFacts {
        provider: Some(name("p")),
        model: Some(name("m")),
        usage: Usage::default().with(Meter::Input, Quantity::new(dollars * 1_000_000).unwrap()),
        ..CallFacts::new(CallKind::Llm, started_at, name("test"))
    };
    let components = vec![PriceComponent::per_million(Meter::Input, rate(1.into()).unwrap())];
    let price = Price::new(name("p"), name("m"), components);
    let source = PriceSource::named(name("test"));
    let set = PriceBookEvent::Set(PricesSet { prices: vec![price], source, at: started_at });
    CallCommand::Report {
        facts,
        prices: PriceBook::default().evolve(&set),
        tag_keys: TagKeys::default(),
        reported_by: Reporters::default(),
    }
}

/// The workers of a server without HTTP, and one budget.
struct Fixture {
    database: TestDatabase,
    rooms: Rooms,
    budget: Uuid,
}

/// A crossing: month, percent, version of the terms, and whether an alert is raised.
type Crossing = (String, i32, i64, bool);

fn alerted(month: &str, percent: i32, terms_version: i64) -> Crossing {
    (month.to_owned(), percent, terms_version, true)
}

impl Fixture {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let mut rooms = database.rooms().await;
        rooms.start_projections();
        Self { database, rooms, budget: Uuid::now_v7() }
    }

    async fn command(&self, command: BudgetCommand) {
        let context = testkit::context(tenant(), "test", Uuid::now_v7());
        self.rooms.commands.execute::<Budget>(&context, self.budget, command).await.unwrap();
    }

    async fn define(&self, terms: BudgetTerms) {
        self.command(BudgetCommand::Define { terms, at: at(0) }).await;
    }

    async fn revise(&self, terms: BudgetTerms, at: &str) {
        self.command(BudgetCommand::Revise { reason: None, terms, at: at.parse().unwrap() }).await;
    }

    async fn spend(&self, started_at: &str, dollars: u64) {
        let context = testkit::context(tenant(), "test", Uuid::now_v7());
        let call = call(started_at.parse().unwrap(), dollars);
        self.rooms.commands.execute::<Call>(&context, Uuid::now_v7(), call).await.unwrap();
    }

    /// All crossings in order; asserts that the log has one alert for each delivered crossing and no other alert.
    async fn crossings(&self) -> Vec<Crossing> {
        self.rooms.wait_for_read_models(TIMEOUT).await.unwrap();
        let rows =
            projections::budgets::crossings(&self.database.reads, &testkit::access(), Some(self.budget), None, 100)
                .await
                .unwrap();
        for row in &rows {
            assert_eq!(row.alert_position.is_some(), row.is_delivered, "{row:?}");
        }
        let delivered = rows.iter().filter(|row| row.is_delivered).count();
        assert_eq!(alerts(&self.database).await.len(), delivered);
        let to_crossing = |row: CrossingRow| (row.month, row.threshold_percent, row.terms_version, row.is_delivered);
        rows.into_iter().map(to_crossing).collect()
    }

    async fn close(self) {
        self.rooms.close().await.unwrap();
    }
}

/// A revision dated before the spending alerts too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_lowered_below_spending_alerts_regardless_of_the_revision_date() {
    let fixture = Fixture::new().await;
    fixture.define(terms("100", BudgetScope::Tenant)).await;
    fixture.spend("2023-09-15T12:00:00Z", 6).await;
    assert_eq!(fixture.crossings().await, []);
    fixture.revise(terms("10", BudgetScope::Tenant), "2023-07-01T00:00:00Z").await;
    assert_eq!(fixture.crossings().await, [alerted("2023-09", 50, 2)]);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lowered_limit_and_a_late_call_alert_for_a_past_month() {
    let fixture = Fixture::new().await;
    fixture.define(terms("100", BudgetScope::Tenant)).await;
    fixture.spend("2023-09-15T12:00:00Z", 6).await;
    fixture.spend("2023-10-15T12:00:00Z", 1).await;
    fixture.revise(terms("10", BudgetScope::Tenant), "2023-10-20T00:00:00Z").await;
    fixture.spend("2023-09-30T12:00:00Z", 1).await;
    assert_eq!(fixture.crossings().await, [alerted("2023-09", 50, 2)]);
    fixture.spend("2023-09-30T12:00:00Z", 1).await;
    assert_eq!(fixture.crossings().await, [alerted("2023-09", 50, 2), alerted("2023-09", 80, 2)]);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_zone_change_that_moves_a_month_over_a_threshold_alerts() {
    let fixture = Fixture::new().await;
    fixture.define(terms("10", BudgetScope::Tenant)).await;
    fixture.spend("2023-09-30T22:30:00Z", 4).await;
    fixture.spend("2023-10-05T12:00:00Z", 4).await;
    assert_eq!(fixture.crossings().await, []);
    // The first call is half past midnight in Berlin: both calls are in October there.
    let berlin = BudgetTerms { time_zone: chrono_tz::Europe::Berlin, ..terms("10", BudgetScope::Tenant) };
    fixture.revise(berlin, "2023-12-01T00:00:00Z").await;
    assert_eq!(fixture.crossings().await, [alerted("2023-10", 50, 2), alerted("2023-10", 80, 2)]);
    fixture.close().await;
}

/// Three months reached a threshold before the budget was defined: all are recorded, the latest two raise alerts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_crossings_are_recorded_for_every_month_and_alerted_for_the_latest_two() {
    let fixture = Fixture::new().await;
    for month in ["2023-07", "2023-08", "2023-09"] {
        fixture.spend(&format!("{month}-15T12:00:00Z"), 6).await;
    }
    fixture.define(terms("10", BudgetScope::Tenant)).await;
    let history = ("2023-07".to_owned(), 50, 1, false);
    assert_eq!(fixture.crossings().await, [history, alerted("2023-08", 50, 1), alerted("2023-09", 50, 1)]);

    let server = fixture.database.serve(&[]).await;
    let query = "query ($after: String) { budgetCrossings(first: 2, after: $after) {
        nodes { month thresholdPercent termsVersion spent limit raisesAlert alertPosition } pageInfo { endCursor } } }";
    let first = server.graphql(query, serde_json::json!({})).await;
    let [history, delivered] = first["budgetCrossings"]["nodes"].as_array().unwrap().as_slice() else {
        panic!("a page of two: {first}")
    };
    let shown = serde_json::json!({ "month": "2023-07", "thresholdPercent": 50, "termsVersion": 1, "spent": "6",
                                    "limit": "10", "raisesAlert": false, "alertPosition": null });
    assert_eq!(*history, shown);
    assert_eq!((&delivered["month"], &delivered["raisesAlert"]), (&"2023-08".into(), &true.into()));
    assert!(delivered["alertPosition"].is_string(), "{delivered}");
    let after = &first["budgetCrossings"]["pageInfo"]["endCursor"];
    let second = server.graphql(query, serde_json::json!({ "after": after })).await;
    assert_eq!(second["budgetCrossings"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(second["budgetCrossings"]["nodes"][0]["month"], "2023-09");
    server.terminate().await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raised_limit_rearms_the_thresholds_that_it_leaves_unreached() {
    let fixture = Fixture::new().await;
    fixture.define(terms("10", BudgetScope::Tenant)).await;
    fixture.spend("2023-09-15T12:00:00Z", 10).await;
    let first = [50, 80, 100].map(|percent| alerted("2023-09", percent, 1));
    assert_eq!(fixture.crossings().await, first);
    fixture.revise(terms("20", BudgetScope::Tenant), "2023-09-20T00:00:00Z").await;
    assert_eq!(fixture.crossings().await, first, "the 50 % threshold is still reached and does not alert again");
    fixture.spend("2023-09-25T12:00:00Z", 10).await;
    let again = [80, 100].map(|percent| alerted("2023-09", percent, 2));
    assert_eq!(fixture.crossings().await, [first.as_slice(), again.as_slice()].concat());
    let raised: Vec<_> = alerts(&fixture.database).await.into_iter().map(|alert| alert.0).collect();
    assert_eq!(raised, [50, 80, 100, 80, 100]);
    fixture.close().await;
}

/// More crossings than fit on a page, none of which can raise an alert, precede one that can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_cannot_be_raised_do_not_block_others() {
    let mut fixture = Fixture::new().await;
    fixture.database = fixture.database.unverified();
    fixture.define(terms("10", BudgetScope::Tenant)).await;
    fixture.rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    sqlx::query(
        "insert into apex.budget_crossings (tenant_id, budget_id, month, threshold_percent, terms_version, spent,
             limit_amount, crossed_at_position, crossed_by_event, correlation_id, is_delivered)
         select 'default', gen_random_uuid(), '2023-08', 50, 1, 0, 10, 1, gen_random_uuid(), gen_random_uuid(), true
         from generate_series(1, 250)",
    )
    .execute(&fixture.database.pool)
    .await
    .unwrap();
    fixture.spend("2023-09-15T12:00:00Z", 6).await;
    fixture.rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    assert_eq!(thresholds(&alerts(&fixture.database).await), [50]);
    fixture.close().await;
}

/// Another version of the code raised the alert earlier; this version must not wait for another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crossing_recorded_after_its_alert_counts_as_alerted() {
    let fixture = Fixture::new().await;
    fixture.define(terms("10", BudgetScope::Tenant)).await;
    let month: Month = "2023-09".parse().unwrap();
    let crossed = ThresholdCrossed {
        budget_id: BudgetId(fixture.budget),
        month,
        threshold_percent: Threshold::try_from(50).unwrap(),
        terms_version: 1,
        spent: Money::parse("5").unwrap().into(),
        limit: Money::parse("10").unwrap(),
        currency: Currency::Usd,
        crossed_at_position: 1,
    };
    let context = testkit::context(tenant(), "test", Uuid::now_v7());
    let raise = BudgetPeriodCommand::RaiseAlert { crossed };
    let id = BudgetPeriod::id(BudgetId(fixture.budget), month);
    fixture.rooms.commands.execute::<BudgetPeriod>(&context, id, raise).await.unwrap();
    fixture.spend("2023-09-15T12:00:00Z", 6).await;
    assert_eq!(fixture.crossings().await, [alerted("2023-09", 50, 1)]);
    let pending =
        projections::budgets::pending_alerts(&fixture.database.pool, Position::ZERO, Position::from(1000), None, 10)
            .await
            .unwrap();
    assert_eq!(pending, []);
    fixture.close().await;
}

/// A later record that only corrects when a call began adds no cost and crosses no threshold.
#[tokio::test]
async fn an_amendment_without_a_change_of_cost_raises_no_alert() {
    let database = TestDatabase::new().await;
    let id = define(&database, terms("10", BudgetScope::Tenant)).await;
    let mut rooms = database.rooms().await;
    // Three dollars, reported twice: the second record has an earlier start, in another quarter of an hour.
    let id_of_call = Uuid::now_v7();
    for second in [2000, 0] {
        let context = testkit::context(tenant(), "test", Uuid::now_v7());
        rooms.commands.execute::<Call>(&context, id_of_call, call(at(second), 3)).await.unwrap();
    }
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    let months = budgets::months(&database.reads, &testkit::access(), &[id.0]).await.unwrap();
    assert_eq!(months[0].spent.to_string(), "3");
    rooms.close().await.unwrap();
    assert!(alerts(&database).await.is_empty(), "six of ten dollars would have raised an alert");
}

/// The read model was late and no further event arrives: the alert is raised all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_raised_without_waiting_for_the_next_event() {
    let database = TestDatabase::new().await;
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    database.run(&["import", "--no-wait", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    // The checkpoint of the budgets is locked for longer than the policy waits for it.
    let mut holder = database.owner().await;
    sqlx::query("insert into apex.checkpoints values ('budgets', 0) on conflict do nothing")
        .execute(&mut holder)
        .await
        .unwrap();
    sqlx::query("begin").execute(&mut holder).await.unwrap();
    sqlx::query("select 1 from apex.checkpoints where name = 'budgets' for update").execute(&mut holder).await.unwrap();
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    sqlx::query("rollback").execute(&mut holder).await.unwrap();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    rooms.close().await.unwrap();
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// An old crossing that the read model found only now, after a retried parked event or a switch of versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crossing_found_later_alerts_without_a_new_event() {
    let database = TestDatabase::new().await.unverified();
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    sqlx::query(
        "insert into apex.budget_crossings (tenant_id, budget_id, month, threshold_percent, terms_version, spent,
             limit_amount, crossed_at_position, crossed_by_event, correlation_id, is_delivered)
         select tenant_id, budget_id, month, 90, terms_version, spent, limit_amount, crossed_at_position, crossed_by_event,
             correlation_id, true
         from apex.budget_crossings where threshold_percent = 100",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    wait_until("the alert is raised", async || thresholds(&alerts(&database).await) == [50, 80, 100, 90]).await;
    rooms.close().await.unwrap();
}

/// The policy processes every event and crossing again, with the same command ids as the first time.
#[tokio::test]
async fn a_policy_that_lost_its_checkpoint_alerts_once_in_effect() {
    let database = TestDatabase::new().await.unverified();
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let import = ["import", "autogpt", &sample("autogpt.jsonl")];
    database.run(&import).await.assert_success();
    let (alerted, head) = (alerts(&database).await, database.head().await);
    assert_eq!(thresholds(&alerted), [50, 80, 100]);
    sqlx::query("update apex.checkpoints set position = 0 where name = 'policy:budget-alerts'")
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::query("update apex.budget_crossings set alert_position = null, alerted_at = null")
        .execute(&database.pool)
        .await
        .unwrap();
    database.run(&import).await.assert_success();
    assert_eq!((alerts(&database).await, database.head().await), (alerted, head));
}
