//! Budgets: every threshold that is crossed is told once.

use crate::harness::{PATIENCE, TestDatabase, at, name, sample, tenant, until};
use commands::Context;
use domain::budget::{Budget, BudgetCommand, BudgetPeriodEvent, BudgetScope, BudgetTerms, Threshold};
use domain::{BudgetId, Currency, Event, Money};
use projections::query;
use streams::{Position, ReadFilter};
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
    database.run(&import).await.ok();
    let told = alerts(&database).await;
    assert_eq!(thresholds(&told), [50, 80, 100]);
    for (percent, spent, _) in &told {
        let share = rust_decimal::Decimal::new(2 * i64::from(*percent), 3);
        let spent: rust_decimal::Decimal = spent.parse().unwrap();
        // A call of the sample costs at most 0.02 dollars: the alert came with the call that crossed.
        assert!(spent >= share && spent < share + rust_decimal::Decimal::new(2, 2), "{percent} % at {spent}");
    }

    database.run(&import).await.ok();
    database.run(&["projections", "rebuild", "budgets", "--switch"]).await.ok();
    database.run(&import).await.ok();
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
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.ok();
    let count = async |id: BudgetId| query::alerts(&database.pool, &tenant(), Some(id.0), 0, 10).await.unwrap().len();
    assert_eq!((count(other).await, count(own).await), (0, 3));
}

#[tokio::test]
async fn a_budget_defined_later_knows_what_was_spent_and_tells_of_its_own_month_alone() {
    let database = TestDatabase::new().await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.ok();
    // Defined in November 2023: October is history.
    let id = define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.settle(PATIENCE).await.unwrap();
    rooms.close().await.unwrap();
    let months = query::budget_months(&database.pool, &tenant(), &[id.0]).await.unwrap();
    assert_eq!(months[0].spent.to_string(), "0.402832");
    assert!(alerts(&database).await.is_empty());
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
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.ok();
    for rooms in bystanders {
        rooms.settle(PATIENCE).await.unwrap();
        rooms.close().await.unwrap();
    }
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// A later record that only corrects when a call began costs nothing more, and crosses nothing.
#[tokio::test]
async fn an_amendment_that_moves_no_money_tells_nothing() {
    use domain::call::{Call, CallCommand, CallFacts, CallKind};
    use domain::price_book::{Price, Quote, Rates, rate};
    use domain::{Tokens, Usage};
    let database = TestDatabase::new().await;
    let id = define(&database, terms("10", BudgetScope::Tenant)).await;
    let mut rooms = database.rooms().await;
    let facts = |second| CallFacts {
        kind: CallKind::Llm,
        agent_id: None,
        task_id: None,
        provider: Some(name("p")),
        model: Some(name("m")),
        tool: None,
        usage: Usage { input: Tokens::new(3_000_000).unwrap(), ..Usage::default() },
        started_at: at(second),
        latency_ms: None,
        reported_cost: None,
        error: None,
        source: name("test"),
    };
    let dollar = rate(1.into()).unwrap();
    let rates = Rates { input: dollar, output: dollar, cache_read: None, cache_write: None, reasoning: None };
    let price = Price {
        provider: name("p"),
        model: name("m"),
        effective_from: at(-9),
        currency: Currency::Usd,
        rates,
        tiers: vec![],
    };
    let quote = Quote { price, book_version: 1 };
    // Three dollars, told twice: the second record knows an earlier start, in another quarter of an hour.
    let call = Uuid::now_v7();
    for second in [2000, 0] {
        let command = CallCommand::Report { facts: facts(second), quote: Some(quote.clone()) };
        let context = Context::new(tenant(), "test", Uuid::now_v7());
        rooms.commands.execute::<Call>(&context, call, command).await.unwrap();
    }
    rooms.start_projections();
    rooms.settle(PATIENCE).await.unwrap();
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
    database.run(&["import", "--no-wait", "autogpt", &sample("autogpt.jsonl")]).await.ok();
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
    rooms.settle(PATIENCE).await.unwrap();
    rooms.close().await.unwrap();
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
}

/// A crossing of long ago that the read model found only now: by a parked event that was tried again, or in a version that
/// was switched to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_told_though_no_event_brings_it() {
    let database = TestDatabase::new().await.unverified();
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    database.run(&["import", "autogpt", &sample("autogpt.jsonl")]).await.ok();
    assert_eq!(thresholds(&alerts(&database).await), [50, 80, 100]);
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.settle(PATIENCE).await.unwrap();
    sqlx::query(
        "insert into apex.budget_crossings (tenant_id, budget_id, month, threshold_percent, spent, limit_amount,
             crossed_at_position, crossed_by_event, correlation_id)
         select tenant_id, budget_id, month, 90, spent, limit_amount, crossed_at_position, crossed_by_event, correlation_id
         from apex.budget_crossings where threshold_percent = 100",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    until("it is told", async || thresholds(&alerts(&database).await) == [50, 80, 100, 90]).await;
    rooms.close().await.unwrap();
}

/// The policy sees every event again, and every crossing as one to be told: the command ids are those of the first time.
#[tokio::test]
async fn a_policy_that_forgot_everything_acts_once_in_effect() {
    let database = TestDatabase::new().await.unverified();
    define(&database, terms("0.2", BudgetScope::Tenant)).await;
    let import = ["import", "autogpt", &sample("autogpt.jsonl")];
    database.run(&import).await.ok();
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
    database.run(&import).await.ok();
    assert_eq!((alerts(&database).await, database.head().await), (told, head));
}
