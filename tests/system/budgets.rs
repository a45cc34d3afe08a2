//! Budgets: every threshold that is crossed is told once.

use apex::rooms::Rooms;
use chrono::{DateTime, Utc};
use commands::Context;
use domain::budget::{
    Budget, BudgetCommand, BudgetPeriod, BudgetPeriodCommand, BudgetPeriodEvent, BudgetScope, BudgetTerms, Month,
    Threshold, ThresholdCrossed,
};
use domain::call::{Call, CallCommand, CallFacts, CallKind};
use domain::price_book::{Price, Quote, Rates, rate};
use domain::{BudgetId, Currency, Event, Money, Tokens, Usage};
use projections::{CrossingRow, query};
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
    }
}

async fn define(database: &TestDatabase, terms: BudgetTerms) -> BudgetId {
    let id = BudgetId(Uuid::now_v7());
    let rooms = database.rooms().await;
    let context = Context::new(tenant(), "test", Uuid::now_v7());
    rooms.commands.execute::<Budget>(&context, id.0, BudgetCommand::Define { terms, at: at(0) }).await.unwrap();
    rooms.close().await.unwrap();
    id
}

/// The alerts in the log: threshold, spent, position.
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
async fn three_thresholds_are_told_once_each_in_order_whatever_happens() {
    let database = TestDatabase::new().await;
    // The sample's calls of October 2023 come to 0.402832 dollars.
    let id = define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let import = ["import", "autogpt", &sample("autogpt.jsonl")];
    database.run(&import).await.assert_success();
    let told = alerts(&database).await;
    assert_eq!(thresholds(&told), [50, 80, 100]);
    for (percent, spent, _) in &told {
        let share = rust_decimal::Decimal::new(2 * i64::from(*percent), 3);
        let spent: rust_decimal::Decimal = spent.parse().unwrap();
        // A call of the sample costs at most 0.02 dollars: the alert came with the call that crossed.
        assert!(spent >= share && spent < share + rust_decimal::Decimal::new(2, 2), "{percent} % at {spent}");
    }

    database.run(&import).await.assert_success();
    database.run(&["projections", "rebuild", "budgets", "--switch"]).await.assert_success();
    database.run(&import).await.assert_success();
    assert_eq!(alerts(&database).await, told, "importing, rebuilding and starting again tells nothing new");

    let rows = query::alerts(&database.pool, &tenant(), Some(id.0), 0, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.threshold_percent).collect::<Vec<_>>(), [50, 80, 100]);
    let positions: Vec<_> = rows.iter().map(|row| u64::try_from(row.alert_position).unwrap()).collect();
    assert_eq!(positions, told.iter().map(|alert| alert.2).collect::<Vec<_>>());
    let months = query::budget_months(&database.pool, &tenant(), &[id.0]).await.unwrap();
    assert_eq!(months.len(), 1);
    assert_eq!((months[0].month.as_str(), months[0].spent.to_string().as_str()), ("2023-10", "0.402832"));
}

#[tokio::test]
async fn a_budget_counts_what_is_in_its_scope_alone() {
    let database = TestDatabase::new().await;
    let other = define(&database, terms("0.2", BudgetScope::Model { model: name("gpt-4o") })).await;
    let own = define(&database, terms("0.2", BudgetScope::Model { model: name("gpt-3.5-turbo-16k-0613") })).await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    let count = async |id: BudgetId| query::alerts(&database.pool, &tenant(), Some(id.0), 0, 10).await.unwrap().len();
    assert_eq!((count(other).await, count(own).await), (0, 3));
}

#[tokio::test]
async fn a_budget_defined_late_tells_what_was_spent_before() {
    let database = TestDatabase::new().await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    // Defined in November 2023; the calls are of October.
    let id = define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.settle(TIMEOUT).await.unwrap();
    rooms.close().await.unwrap();
    let months = query::budget_months(&database.pool, &tenant(), &[id.0]).await.unwrap();
    assert_eq!(months[0].spent.to_string(), "0.402832");
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// Two processes, each with its policy, both see the same crossings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_tell_each_threshold_once() {
    let database = TestDatabase::new().await;
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let mut bystanders = Vec::new();
    for _ in 0..2 {
        let mut rooms = database.rooms().await;
        rooms.start_projections();
        bystanders.push(rooms);
    }
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    for rooms in bystanders {
        rooms.settle(TIMEOUT).await.unwrap();
        rooms.close().await.unwrap();
    }
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// A call of a whole number of dollars.
fn call(started_at: DateTime<Utc>, dollars: u64) -> CallCommand {
    let facts = CallFacts {
        kind: CallKind::Llm,
        agent_id: None,
        task_id: None,
        provider: Some(name("p")),
        model: Some(name("m")),
        tool: None,
        usage: Usage { input: Tokens::new(dollars * 1_000_000).unwrap(), ..Usage::default() },
        started_at,
        latency_ms: None,
        reported_cost: None,
        error: None,
        source: name("test"),
    };
    let dollar = rate(1.into()).unwrap();
    let rates = Rates { input: dollar, output: dollar, cache_read: None, cache_write: None, reasoning: None };
    let effective_from = "2023-01-01T00:00:00Z".parse().unwrap();
    let (provider, model) = (name("p"), name("m"));
    let price = Price { provider, model, effective_from, currency: Currency::Usd, rates, tiers: vec![] };
    CallCommand::Report { facts, quote: Some(Quote { price, book_version: 1 }) }
}

/// A server without HTTP, and one budget.
struct Stage {
    database: TestDatabase,
    rooms: Rooms,
    budget: Uuid,
}

/// Month, percent, version of the terms, whether an alert is raised.
type Crossed = (String, i32, i64, bool);

fn told(month: &str, percent: i32, terms_version: i64) -> Crossed {
    (month.to_owned(), percent, terms_version, true)
}

impl Stage {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let mut rooms = database.rooms().await;
        rooms.start_projections();
        Self { database, rooms, budget: Uuid::now_v7() }
    }

    async fn command(&self, command: BudgetCommand) {
        let context = Context::new(tenant(), "test", Uuid::now_v7());
        self.rooms.commands.execute::<Budget>(&context, self.budget, command).await.unwrap();
    }

    async fn define(&self, terms: BudgetTerms) {
        self.command(BudgetCommand::Define { terms, at: at(0) }).await;
    }

    async fn revise(&self, terms: BudgetTerms, at: &str) {
        self.command(BudgetCommand::Revise { terms, at: at.parse().unwrap() }).await;
    }

    async fn spend(&self, started_at: &str, dollars: u64) {
        let context = Context::new(tenant(), "test", Uuid::now_v7());
        let call = call(started_at.parse().unwrap(), dollars);
        self.rooms.commands.execute::<Call>(&context, Uuid::now_v7(), call).await.unwrap();
    }

    /// All crossings, in order; the log has an alert for each one that is delivered, and no other.
    async fn crossed(&self) -> Vec<Crossed> {
        self.rooms.settle(TIMEOUT).await.unwrap();
        let rows = projections::crossings(&self.database.pool, &tenant(), Some(self.budget), None, 100).await.unwrap();
        for row in &rows {
            assert_eq!(row.alert_position.is_some(), row.is_delivered, "{row:?}");
        }
        let delivered = rows.iter().filter(|row| row.is_delivered).count();
        assert_eq!(alerts(&self.database).await.len(), delivered);
        let shown = |row: CrossingRow| (row.month, row.threshold_percent, row.terms_version, row.is_delivered);
        rows.into_iter().map(shown).collect()
    }

    async fn close(self) {
        self.rooms.close().await.unwrap();
    }
}

/// Wherever the date of a revision lies: what is reached under the new terms is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_revised_below_what_is_spent_is_told_whatever_its_date() {
    let stage = Stage::new().await;
    stage.define(terms("100", BudgetScope::Tenant)).await;
    stage.spend("2023-09-15T12:00:00Z", 6).await;
    assert_eq!(stage.crossed().await, []);
    stage.revise(terms("10", BudgetScope::Tenant), "2023-07-01T00:00:00Z").await;
    assert_eq!(stage.crossed().await, [told("2023-09", 50, 2)]);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lowered_limit_and_then_a_late_call_in_a_closed_month_are_told() {
    let stage = Stage::new().await;
    stage.define(terms("100", BudgetScope::Tenant)).await;
    stage.spend("2023-09-15T12:00:00Z", 6).await;
    stage.spend("2023-10-15T12:00:00Z", 1).await;
    stage.revise(terms("10", BudgetScope::Tenant), "2023-10-20T00:00:00Z").await;
    stage.spend("2023-09-30T12:00:00Z", 1).await;
    assert_eq!(stage.crossed().await, [told("2023-09", 50, 2)]);
    stage.spend("2023-09-30T12:00:00Z", 1).await;
    assert_eq!(stage.crossed().await, [told("2023-09", 50, 2), told("2023-09", 80, 2)]);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_time_zone_that_moves_a_month_over_a_threshold_is_told() {
    let stage = Stage::new().await;
    stage.define(terms("10", BudgetScope::Tenant)).await;
    stage.spend("2023-09-30T22:30:00Z", 4).await;
    stage.spend("2023-10-05T12:00:00Z", 4).await;
    assert_eq!(stage.crossed().await, []);
    // Half past midnight in Berlin: both calls are of October there.
    let berlin = BudgetTerms { time_zone: chrono_tz::Europe::Berlin, ..terms("10", BudgetScope::Tenant) };
    stage.revise(berlin, "2023-12-01T00:00:00Z").await;
    assert_eq!(stage.crossed().await, [told("2023-10", 50, 2), told("2023-10", 80, 2)]);
    stage.close().await;
}

/// Three months reached their threshold before there was a budget: all are recorded, and the latest two are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spending_from_before_the_definition_is_recorded_in_every_month_and_told_in_two() {
    let stage = Stage::new().await;
    for month in ["2023-07", "2023-08", "2023-09"] {
        stage.spend(&format!("{month}-15T12:00:00Z"), 6).await;
    }
    stage.define(terms("10", BudgetScope::Tenant)).await;
    let history = ("2023-07".to_owned(), 50, 1, false);
    assert_eq!(stage.crossed().await, [history, told("2023-08", 50, 1), told("2023-09", 50, 1)]);

    let server = stage.database.serve(&[]).await;
    let query = "query ($after: String) { budgetCrossings(first: 2, after: $after) {
        nodes { month thresholdPercent termsVersion spent limit isDelivered alertPosition } pageInfo { endCursor } } }";
    let first = server.graphql(query, serde_json::json!({})).await;
    let [history, delivered] = first["budgetCrossings"]["nodes"].as_array().unwrap().as_slice() else {
        panic!("a page of two: {first}")
    };
    let shown = serde_json::json!({ "month": "2023-07", "thresholdPercent": 50, "termsVersion": 1, "spent": "6",
                                    "limit": "10", "isDelivered": false, "alertPosition": null });
    assert_eq!(*history, shown);
    assert_eq!((&delivered["month"], &delivered["isDelivered"]), (&"2023-08".into(), &true.into()));
    assert!(delivered["alertPosition"].is_string(), "{delivered}");
    let after = &first["budgetCrossings"]["pageInfo"]["endCursor"];
    let second = server.graphql(query, serde_json::json!({ "after": after })).await;
    assert_eq!(second["budgetCrossings"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(second["budgetCrossings"]["nodes"][0]["month"], "2023-09");
    server.terminate().await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raised_limit_arms_again_what_it_leaves_unreached() {
    let stage = Stage::new().await;
    stage.define(terms("10", BudgetScope::Tenant)).await;
    stage.spend("2023-09-15T12:00:00Z", 10).await;
    let first = [50, 80, 100].map(|percent| told("2023-09", percent, 1));
    assert_eq!(stage.crossed().await, first);
    stage.revise(terms("20", BudgetScope::Tenant), "2023-09-20T00:00:00Z").await;
    assert_eq!(stage.crossed().await, first, "half of it stays reached and is not told again");
    stage.spend("2023-09-25T12:00:00Z", 10).await;
    let again = [80, 100].map(|percent| told("2023-09", percent, 2));
    assert_eq!(stage.crossed().await, [first.as_slice(), again.as_slice()].concat());
    let raised: Vec<_> = alerts(&stage.database).await.into_iter().map(|alert| alert.0).collect();
    assert_eq!(raised, [50, 80, 100, 80, 100]);
    stage.close().await;
}

/// More crossings than fit on a page, none of which can be raised, come before one that can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_cannot_be_raised_keep_no_other_waiting() {
    let mut stage = Stage::new().await;
    stage.database = stage.database.unverified();
    stage.define(terms("10", BudgetScope::Tenant)).await;
    stage.rooms.settle(TIMEOUT).await.unwrap();
    sqlx::query(
        "insert into apex.budget_crossings (tenant_id, budget_id, month, threshold_percent, terms_version, spent,
             limit_amount, crossed_at_position, crossed_by_event, correlation_id, is_delivered)
         select 'default', gen_random_uuid(), '2023-08', 50, 1, 0, 10, 1, gen_random_uuid(), gen_random_uuid(), true
         from generate_series(1, 250)",
    )
    .execute(&stage.database.pool)
    .await
    .unwrap();
    stage.spend("2023-09-15T12:00:00Z", 6).await;
    stage.rooms.settle(TIMEOUT).await.unwrap();
    assert_eq!(thresholds(&alerts(&stage.database).await), [50]);
    stage.close().await;
}

/// An alert that other code had raised, before the events by which this code counts: it is not waited for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crossing_that_is_younger_than_its_alert_is_told() {
    let stage = Stage::new().await;
    stage.define(terms("10", BudgetScope::Tenant)).await;
    let month: Month = "2023-09".parse().unwrap();
    let crossed = ThresholdCrossed {
        budget_id: BudgetId(stage.budget),
        month,
        threshold_percent: Threshold::try_from(50).unwrap(),
        terms_version: 1,
        spent: Money::parse("5").unwrap().into(),
        limit: Money::parse("10").unwrap(),
        currency: Currency::Usd,
        crossed_at_position: 1,
    };
    let context = Context::new(tenant(), "test", Uuid::now_v7());
    let raise = BudgetPeriodCommand::RaiseAlert { crossed };
    let id = BudgetPeriod::id(BudgetId(stage.budget), month);
    stage.rooms.commands.execute::<BudgetPeriod>(&context, id, raise).await.unwrap();
    stage.spend("2023-09-15T12:00:00Z", 6).await;
    assert_eq!(stage.crossed().await, [told("2023-09", 50, 1)]);
    let pending = projections::pending_alerts(&stage.database.pool, Position::from(1000), None, 10).await.unwrap();
    assert_eq!(pending, []);
    stage.close().await;
}

/// A later record that only corrects when a call began costs nothing more, and crosses nothing.
#[tokio::test]
async fn an_amendment_that_moves_no_money_tells_nothing() {
    let database = TestDatabase::new().await;
    let id = define(&database, terms("10", BudgetScope::Tenant)).await;
    let mut rooms = database.rooms().await;
    // Three dollars, told twice: the second record knows an earlier start, in another quarter of an hour.
    let id_of_call = Uuid::now_v7();
    for second in [2000, 0] {
        let context = Context::new(tenant(), "test", Uuid::now_v7());
        rooms.commands.execute::<Call>(&context, id_of_call, call(at(second), 3)).await.unwrap();
    }
    rooms.start_projections();
    rooms.settle(TIMEOUT).await.unwrap();
    let months = query::budget_months(&database.pool, &tenant(), &[id.0]).await.unwrap();
    assert_eq!(months[0].spent.to_string(), "3");
    rooms.close().await.unwrap();
    assert!(alerts(&database).await.is_empty(), "six dollars of ten would have been told");
}

/// The read model was late, then the log went quiet: the alert is told all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_does_not_wait_for_the_next_event() {
    let database = TestDatabase::new().await;
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    database.run(&["import", "--no-wait", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    // Somebody holds the budgets' checkpoint for longer than the policy waits for it.
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
    rooms.settle(TIMEOUT).await.unwrap();
    rooms.close().await.unwrap();
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// A crossing of long ago that the read model found only now: by a parked event that was tried again, or in a version that
/// was switched to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_told_though_no_event_brings_it() {
    let database = TestDatabase::new().await.unverified();
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.assert_success();
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.settle(TIMEOUT).await.unwrap();
    sqlx::query(
        "insert into apex.budget_crossings (tenant_id, budget_id, month, threshold_percent, spent, limit_amount,
             crossed_at_position, crossed_by_event, correlation_id)
         select tenant_id, budget_id, month, 90, spent, limit_amount, crossed_at_position, crossed_by_event, correlation_id
         from apex.budget_crossings where threshold_percent = 100",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    wait_until("it is told", async || thresholds(&alerts(&database).await) == [50, 80, 100, 90]).await;
    rooms.close().await.unwrap();
}

/// The policy sees every event again, and every crossing as one to be told: the command ids are those of the first time.
#[tokio::test]
async fn a_policy_that_forgot_everything_acts_once_in_effect() {
    let database = TestDatabase::new().await.unverified();
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let import = ["import", "autogpt", &sample("autogpt.jsonl")];
    database.run(&import).await.assert_success();
    let (told, head) = (alerts(&database).await, database.head().await);
    assert_eq!(thresholds(&told), [50, 80, 100]);
    sqlx::query("update apex.checkpoints set position = 0 where name = 'policy:budget-alerts'")
        .execute(&database.pool)
        .await
        .unwrap();
    sqlx::query("update apex.budget_crossings set alert_position = null, alerted_at = null")
        .execute(&database.pool)
        .await
        .unwrap();
    database.run(&import).await.assert_success();
    assert_eq!((alerts(&database).await, database.head().await), (told, head));
}
