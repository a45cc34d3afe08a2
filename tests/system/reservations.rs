//! Budgets that refuse: reservations by many clients at two servers, of which one is killed, and an audit of the whole log.

use chrono::{DateTime, TimeDelta, Utc};
use commands::{Component, Context, Principal};
use domain::budget::{
    BudgetCommand, BudgetControl, BudgetScope, BudgetTerms, Enforcement, Measure, OnRefusal, PeriodUnit,
};
use domain::budget_catalogue::BudgetCatalogue;
use domain::call::{CallEvent, CallFacts, CallKind, ChargedCall, Provenance, Reporters};
use domain::charging::{ChargeBatch, Charging, LoggedEvent};
use domain::spend_audit::{AuditedEvent, SpendAudit, Violation};
use domain::{BudgetId, Currency, Event, Money, derived_id};
use serde_json::{Value, json};
use std::sync::Arc;
use streams::{Append, Expected, Log, LogConfig, NewEvent, StreamAppend};
use testkit::{Server, TIMEOUT, TestDatabase, append, call_append, name, tenant, wait_until};
use uuid::Uuid;

const CLIENTS: u128 = 64;
/// The reservations of each client.
const ATTEMPTS: u128 = 6;
pub(crate) const RESERVE: &str = "mutation ($input: ReserveSpendInput!) { reserveSpend(input: $input) {
    outcome error { code message } reservation { uuid status partly usage { output } refusal { reason left } } } }";
pub(crate) const REPORT: &str =
    "mutation ($input: ReportCallInput!) { reportCall(input: $input) { outcome error { code message } } }";
const PERIOD: &str = "query ($id: ID!) { budget(id: $id) { control { enforcement measure } }
    budgetPeriod(id: $id) { limit charged assumed reserved left excess unpriced counted } }";

/// The events of the log, as `apex replay` prints them.
pub(crate) async fn audited(database: &TestDatabase) -> Vec<AuditedEvent> {
    let output = database.run(&["replay"]).await;
    let output = output.assert_success();
    let event = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let version = u16::try_from(line["schema_version"].as_u64().unwrap()).unwrap();
        AuditedEvent {
            position: line["position"].as_u64().unwrap(),
            stream_id: text("stream_id").parse().unwrap(),
            command_id: line["metadata"]["command_id"].as_str().unwrap().parse().unwrap(),
            event: Event::decode(&text("category"), &text("type"), version, &line["payload"].to_string()).unwrap(),
        }
    };
    output.stdout.lines().map(event).collect()
}

pub(crate) fn audit(events: &[AuditedEvent]) -> (u64, Vec<Violation>) {
    let mut audit = SpendAudit::default();
    events.iter().for_each(|event| audit.read(event));
    audit.finish()
}

/// A model that costs a dollar for a million output tokens.
pub(crate) async fn set_price(server: &Server) {
    set_price_of(server, "m").await;
}

async fn set_price_of(server: &Server, model: &str) {
    let set = format!(
        "mutation {{ setPrices(input: {{source: \"test\", prices: [{{provider: \"p\", model: \"{model}\",
        effectiveFrom: \"2020-01-01T00:00:00Z\", components: [{{meter: OUTPUT, rate: \"1\"}}, {{meter: INPUT, rate: \"1\"}}]}}]}}) {{
        outcome error {{ message }} }} }}"
    );
    let set = server.graphql(&set, json!({})).await;
    assert_eq!(set["setPrices"]["outcome"], "DONE", "{set}");
}

/// Defines a budget of all calls, and waits until it is counted.
pub(crate) async fn define(server: &Server, terms: Value) -> String {
    let define = "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) {
        position budget { id } error { code message } } }";
    let defined = server.graphql(define, json!({ "input": { "terms": terms } })).await;
    let id = defined["defineBudget"]["budget"]["id"].as_str().unwrap_or_else(|| panic!("{defined}")).to_owned();
    wait_until("the budget is counted", async || period(server, &id).await["counted"] == true).await;
    id
}

pub(crate) async fn period(server: &Server, id: &str) -> Value {
    server.graphql(PERIOD, json!({ "id": id })).await["budgetPeriod"].take()
}

fn terms(limit: &str) -> Value {
    json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "TOTAL",
            "thresholds": [10, 20, 50] })
}

pub(crate) fn request(command_id: Uuid, output: u64) -> Value {
    json!({ "input": { "commandId": command_id, "provider": "p", "model": "m", "usage": { "output": output * 1_000_000 } } })
}

/// Sends a request until a server answers it: one of two, since the other one may be killed.
async fn send(addresses: &[String; 2], first: usize, query: &str, variables: &Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    for attempt in first.. {
        let url = format!("{}/graphql", addresses[attempt % 2]);
        if let Ok(response) = testkit::http_client().post(url).json(&body).send().await
            && let Ok(response) = response.json::<Value>().await
            && response.get("errors").is_none()
        {
            return response["data"].clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "no server answers");
        tokio::task::yield_now().await;
    }
    unreachable!("the attempts have no end")
}

/// What a client does: it reserves, and settles what was granted for more, less or as much as reserved.
async fn client(addresses: Arc<[String; 2]>, number: u128) -> (u64, u64) {
    let (mut granted, mut refused) = (0, 0);
    for attempt in 0..ATTEMPTS {
        let name = format!("{number} {attempt}");
        let command_id = derived_id(&["reservation", &name]);
        let variables = request(command_id, 2);
        let server = usize::try_from(number).unwrap();
        let reserved = send(&addresses, server, RESERVE, &variables).await;
        // A retry gets the same answer, at the other server, too.
        let again = send(&addresses, server + 1, RESERVE, &variables).await;
        let (reservation, repeated) = (&reserved["reserveSpend"]["reservation"], &again["reserveSpend"]["reservation"]);
        assert_eq!(reservation, repeated, "{reserved} {again}");
        if reservation["status"] == "REFUSED" {
            refused += 1;
            continue;
        }
        granted += 1;
        if attempt == ATTEMPTS - 1 {
            continue;
        }
        let used = u64::try_from((number + attempt) % 3).unwrap();
        let report = json!({ "input": { "callKey": name, "provider": "p", "model": "m", "reservation": reservation["uuid"],
            "commandId": derived_id(&["report", &name]), "usage": { "output": used * 1_000_000 } } });
        let settled = send(&addresses, server, REPORT, &report).await;
        assert!(settled["reportCall"]["error"].is_null(), "{settled}");
    }
    (granted, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_budget_is_not_overspent_by_clients_at_two_servers_of_which_one_is_killed() {
    let database = TestDatabase::new().await;
    let (first, second) = (database.serve(&[]).await, database.serve(&[]).await);
    set_price(&first).await;
    let id = define(&first, terms("120")).await;
    let addresses = Arc::new([first.address.clone(), second.address.clone()]);
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(addresses.clone(), number))).collect();
    // In the middle: once some of the money is spent.
    let spent = async || period(&first, &id).await["charged"].as_str().unwrap().parse::<f64>().unwrap();
    wait_until("some calls are charged", async || spent().await > 20.0).await;
    second.kill().await;
    let (mut granted, mut refused) = (0, 0);
    for client in clients {
        let (of_client, refused_of_client) = client.await.unwrap();
        (granted, refused) = (granted + of_client, refused + refused_of_client);
    }
    assert!(granted > 60 && refused > 0, "{granted} granted, {refused} refused");
    let left = period(&first, &id).await;
    assert_eq!(left["excess"], "0", "{left}");
    let events = audited(&database).await;
    let (audited_grants, violations) = audit(&events);
    assert_eq!(violations, []);
    assert_eq!(audited_grants, granted, "each grant once");
    // Each threshold once, in the appends of racing clients, too: the audit finds one that is missing or repeated.
    let crossed = events.iter().filter_map(|event| match &event.event {
        Event::BudgetBalance(domain::budget_balance::BudgetBalanceEvent::ThresholdCrossed(crossed)) => {
            Some(crossed.threshold_percent.percent())
        }
        _ => None,
    });
    let crossed: Vec<_> = crossed.collect();
    assert!(crossed.starts_with(&[10]) && crossed.len() <= 3 && crossed.is_sorted(), "{crossed:?}");
    first.terminate().await;
    database.verify_log().await;
}

/// The control: a log in which a reservation was granted beyond the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_of_a_log_finds_a_grant_beyond_the_limit() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    define(&server, terms("5")).await;
    for number in 0..3 {
        server.graphql(RESERVE, request(derived_id(&[&number.to_string()]), 2)).await;
    }
    let events = audited(&database).await;
    assert_eq!(audit(&events), (2, vec![]));
    // Two servers that checked first and incremented later would have written the last grant again.
    let is_grant =
        |event: &AuditedEvent| matches!(&event.event, Event::BudgetBalance(balance) if balance.moved().is_some());
    let last = events.iter().rfind(|event| is_grant(event)).unwrap().command_id;
    let mut planted = events.clone();
    let mut repeated: Vec<_> = events.iter().filter(|event| event.command_id == last).cloned().collect();
    for event in &mut repeated {
        event.command_id = Uuid::nil();
        if let Event::Reservation(_) = event.event {
            event.stream_id = Uuid::nil();
        }
        if let Event::BudgetBalance(domain::budget_balance::BudgetBalanceEvent::Reserved(moved)) = &mut event.event {
            moved.after.reserved = moved.after.reserved + moved.reserved;
        }
    }
    planted.extend(repeated);
    let (_, violations) = audit(&planted);
    assert!(violations.iter().any(|found| matches!(found, Violation::Overspent { .. })), "{violations:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_any_source_are_charged_once_and_a_budget_opens_with_them() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let report = |key: &str, output: u64| json!({ "input": { "callKey": key, "provider": "p", "model": "m", "usage": { "output": output * 1_000_000 } } });
    server.graphql(REPORT, report("before", 3)).await;
    let id = define(&server, terms("10")).await;
    assert_eq!(period(&server, &id).await["charged"], "3");
    server.graphql(REPORT, report("after", 5)).await;
    server.graphql(REPORT, report("after", 6)).await;
    wait_until("the policy charges", async || period(&server, &id).await["charged"] == "9").await;
    let refused = server.graphql(RESERVE, request(Uuid::now_v7(), 2)).await;
    let refusal = &refused["reserveSpend"]["reservation"]["refusal"];
    assert_eq!((&refusal["reason"], &refusal["left"]), (&json!("EXCEEDED"), &json!("1")), "{refused}");
    let mut partly = request(Uuid::now_v7(), 2);
    partly["input"]["minOutputTokens"] = json!(1000);
    let partly = server.graphql(RESERVE, partly).await;
    let reservation = &partly["reserveSpend"]["reservation"];
    assert_eq!(
        (&reservation["partly"], &reservation["usage"]["output"]),
        (&json!(true), &json!(1_000_000)),
        "{partly}"
    );
    assert_eq!(audit(&audited(&database).await).1, []);
}

/// A budget with which a decision would have to take too many is refused when it is defined, so that no reservation is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_budgets_as_a_decision_takes_are_defined_and_a_call_settles_in_all_of_them() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let mut ids = Vec::new();
    for _ in 0..24 {
        ids.push(define(&server, terms("10")).await);
    }
    let more =
        "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { outcome error { code message } } }";
    let refused = server.graphql(more, json!({ "input": { "terms": terms("10") } })).await;
    assert_eq!(refused["defineBudget"]["error"]["code"], "TOO_MANY_APPLYING", "{refused}");
    let reserved = server.graphql(RESERVE, request(derived_id(&["first"]), 2)).await;
    let reservation = &reserved["reserveSpend"]["reservation"];
    assert_eq!(reservation["status"], "HELD", "{reserved}");
    let report = json!({ "input": { "callKey": "first", "provider": "p", "model": "m", "reservation": reservation["uuid"],
        "usage": { "output": 1_000_000 } } });
    let settled = server.graphql(REPORT, report).await;
    assert!(settled["reportCall"]["error"].is_null(), "{settled}");
    for id in &ids {
        let period = period(&server, id).await;
        assert_eq!((&period["charged"], &period["reserved"]), (&json!("1"), &json!("0")), "{period}");
    }
    assert_eq!(audit(&audited(&database).await).1, []);
}

/// An event of a later version of the program.
fn undecodable(category: &str, name: &'static str, id: Uuid) -> StreamAppend {
    let event =
        NewEvent { event_id: Uuid::now_v7(), name, schema_version: 1, payload: r#"{"unknown":true}"#.to_owned() };
    StreamAppend { category: category.into(), id, expected: Expected::Any, events: vec![event] }
}

/// The charging policy goes on when it cannot decode a reservation: what its call costs more is kept to be charged later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_that_cannot_be_decoded_stops_no_charge_but_that_of_its_call() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let id = define(&server, terms("100")).await;
    let reserved = server.graphql(RESERVE, request(derived_id(&["first"]), 2)).await;
    let uuid = reserved["reserveSpend"]["reservation"]["uuid"].clone();
    let report = |key: &str, output: u64, reservation: &Value| {
        json!({ "input": { "callKey": key, "provider": "p", "model": "m", "reservation": reservation,
            "usage": { "output": output * 1_000_000 } } })
    };
    server.graphql(REPORT, report("first", 1, &uuid)).await;
    assert_eq!(period(&server, &id).await["charged"], "1");
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    let stream_id = uuid.as_str().unwrap().parse().unwrap();
    log.append(append(vec![undecodable("reservation", "reservation.exploded", stream_id)])).await.unwrap();
    server.graphql(REPORT, report("first", 3, &Value::Null)).await;
    server.graphql(REPORT, report("second", 5, &Value::Null)).await;
    wait_until("the other call is charged", async || period(&server, &id).await["charged"] == "6").await;
    let parked = "select coalesce(json_array_length(payload->'parked'), 0) from apex.events
        where category = 'charging' order by position desc limit 1";
    assert_eq!(sqlx::query_scalar::<_, i32>(parked).fetch_one(&database.pool).await.unwrap(), 1);
    let attempted = "select last_error from apex.jobs where kind = 'charging-catch-up' and last_error is not null";
    let error = async || sqlx::query_scalar::<_, String>(attempted).fetch_optional(&database.pool).await.unwrap();
    wait_until("the job that charges it has failed", async || error().await.is_some()).await;
    let error = error().await.unwrap();
    assert!(error.contains("no budget is charged for the events at"), "{error}");
    server.terminate().await;
}

/// A call whose model has no price when it is reported is charged what was reserved, in sight, until it is charged what it cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_price_is_charged_what_was_reserved_until_it_has_one() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let id = define(&server, terms("10")).await;
    let reserved = server.graphql(RESERVE, request(derived_id(&["first"]), 4)).await;
    let report = |reservation: &Value| {
        json!({ "input": { "callKey": "first", "provider": "p", "model": "other", "reservation": reservation,
            "usage": { "output": 1_000_000 } } })
    };
    let settled = server.graphql(REPORT, report(&reserved["reserveSpend"]["reservation"]["uuid"])).await;
    assert!(settled["reportCall"]["error"].is_null(), "{settled}");
    let sums = async || {
        let period = period(&server, &id).await;
        ["charged", "assumed", "reserved", "unpriced"].map(|name| period[name].clone())
    };
    assert_eq!(sums().await, [json!("0"), json!("4"), json!("0"), json!(1)]);
    set_price_of(&server, "other").await;
    server.graphql(REPORT, report(&Value::Null)).await;
    wait_until("the call is charged what it cost", async || {
        sums().await == [json!("1"), json!("0"), json!("0"), json!(0)]
    })
    .await;
    assert_eq!(audit(&audited(&database).await).1, []);
}

/// A budget of an agent cannot be avoided by not stating the agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_budget_of_an_agent_demands_that_the_agent_is_stated() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let register = "mutation { registerAgent(input: {name: \"a\"}) { agent { uuid } error { message } } }";
    let agent = server.graphql(register, json!({})).await["registerAgent"]["agent"]["uuid"].take();
    let mut of_agent = terms("10");
    of_agent["scope"] = json!({ "conditions": [{ "dimension": "agent", "value": agent }] });
    define(&server, of_agent).await;
    let reserve = async |agent: &Value| {
        let mut request = request(Uuid::now_v7(), 1);
        request["input"]["agentId"] = agent.clone();
        server.graphql(RESERVE, request).await["reserveSpend"]["reservation"].take()
    };
    let refused = reserve(&Value::Null).await;
    assert_eq!((&refused["status"], &refused["refusal"]["reason"]), (&json!("REFUSED"), &json!("UNDECLARED")));
    for agent in [agent, json!(Uuid::now_v7())] {
        assert_eq!(reserve(&agent).await["status"], "HELD");
    }
    assert_eq!(audit(&audited(&database).await).1, []);
}

/// The charging policy goes on with other tenants when it cannot decode the catalogue of one, whose calls are charged later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalogue_that_cannot_be_decoded_stops_no_charge_of_another_tenant() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let id = define(&server, terms("100")).await;
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    let catalogue = undecodable("budget_catalogue", "budget_catalogue.exploded", BudgetCatalogue::id());
    let of_other = Append { tenant: "other".parse().unwrap(), ..append(vec![catalogue]) };
    log.append(of_other).await.unwrap();
    let report =
        json!({ "input": { "callKey": "first", "provider": "p", "model": "m", "usage": { "output": 2_000_000 } } });
    server.graphql(REPORT, report).await;
    wait_until("the call is charged", async || period(&server, &id).await["charged"] == "2").await;
    let held = "select payload->>'held_through' from apex.events
        where category = 'charging' and tenant_id = 'other' order by position desc limit 1";
    let held = async || sqlx::query_scalar::<_, String>(held).fetch_optional(&database.pool).await.unwrap();
    wait_until("what the other tenant is charged is kept", async || held().await.is_some()).await;
    let attempted = "select count(*) from apex.jobs
        where kind = 'charging-catch-up' and tenant_id = 'other' and last_error is not null";
    let attempts = async || sqlx::query_scalar::<_, i64>(attempted).fetch_one(&database.pool).await.unwrap();
    wait_until("the job that charges it has failed", async || attempts().await == 1).await;
    server.terminate().await;
}

/// What could not be decoded once is charged by the job, which makes room for what cannot be decoded yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_off_is_charged_by_a_job_once_it_can_be_decoded() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    let id = define(&server, terms("10000")).await;
    server.terminate().await;
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    // As many as may be parked, one more that was put off, and one that cannot be decoded. Each costs 6.3.
    let mut parked = Vec::new();
    for _ in 0..100 {
        log.append(call_append()).await.unwrap();
        parked.push(json!({ "position": database.head().await }));
    }
    let through = database.head().await;
    log.append(call_append()).await.unwrap();
    log.append(append(vec![undecodable("call", "call.exploded", Uuid::now_v7())])).await.unwrap();
    let last = database.head().await;
    let payload = json!({ "through": through, "parked": parked, "held_through": last }).to_string();
    let event = NewEvent { event_id: Uuid::now_v7(), name: "charging.advanced", schema_version: 1, payload };
    let (id_of_charging, expected) = (Charging::id(), Expected::Any);
    let advanced = StreamAppend { category: "charging".into(), id: id_of_charging, expected, events: vec![event] };
    log.append(append(vec![advanced])).await.unwrap();
    let server = database.serve(&[]).await;
    wait_until("all that can be decoded is charged", async || period(&server, &id).await["charged"] == "636.3").await;
    let state = "select payload::text from apex.events where category = 'charging' order by position desc limit 1";
    let state: String = sqlx::query_scalar(state).fetch_one(&database.pool).await.unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((&state["parked"], &state["held_through"]), (&json!([{ "position": last }]), &Value::Null));
    server.terminate().await;
}

/// A hard budget does not grant before it is known what calls have cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_not_counted_while_a_call_before_it_cannot_be_decoded() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    log.append(append(vec![undecodable("call", "call.exploded", Uuid::now_v7())])).await.unwrap();
    let define =
        "mutation ($input: DefineBudgetInput!) { defineBudget(input: $input) { budget { id } error { message } } }";
    let defined = server.graphql(define, json!({ "input": { "terms": terms("10") } })).await;
    let id = defined["defineBudget"]["budget"]["id"].as_str().unwrap();
    let attempted = "select last_error from apex.jobs where kind = 'budget-count' and last_error like '%be decoded'";
    let error = async || sqlx::query_scalar::<_, String>(attempted).fetch_optional(&database.pool).await.unwrap();
    wait_until("the job that counts has failed", async || error().await.is_some()).await;
    assert_eq!(period(&server, id).await["counted"], false);
    let refused = server.graphql(RESERVE, request(Uuid::now_v7(), 1)).await;
    assert_eq!(refused["reserveSpend"]["reservation"]["refusal"]["reason"], "COUNTING", "{refused}");
    server.terminate().await;
}

/// An event of a call that starts at a time, without a cost.
fn call_at(position: u64, started_at: DateTime<Utc>) -> LoggedEvent {
    let facts = CallFacts { model: Some(name("m")), ..CallFacts::new(CallKind::Llm, started_at, name("test")) };
    let after = ChargedCall {
        facts,
        provenance: Provenance::default(),
        charge: None,
        counted_tags: Default::default(),
        reservation_id: None,
        reported_by: Reporters::default(),
    };
    LoggedEvent::Call { position, event: Arc::new(CallEvent::Recorded(after.into())) }
}

/// A retry finds that the first append of a batch was written, and that there is more to charge than was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_periods_is_charged_to_its_end_if_a_reply_is_lost() {
    const CALLS: u64 = 30;
    let database = TestDatabase::new().await.unverified();
    let rooms = database.rooms().await;
    let control = BudgetControl {
        enforcement: Enforcement::Hard,
        measure: Measure::Calls,
        period: PeriodUnit::Hour,
        anchor: "2024-01-01".parse().unwrap(),
        carry_over: false,
        on_refusal: OnRefusal::default(),
        on_unreachable: None,
        parts: domain::budget::Parts::default(),
    };
    let terms = BudgetTerms {
        name: name("hourly"),
        scope: BudgetScope::Tenant,
        limit: Money::from_decimal(10.into()),
        currency: Currency::Usd,
        time_zone: chrono_tz::UTC,
        thresholds: Default::default(),
        control: Some(control),
    };
    let at: DateTime<Utc> = "2026-03-10T10:00:00Z".parse().unwrap();
    let budget_id = BudgetId(Uuid::now_v7());
    let define = BudgetCommand::Define { terms, at };
    let by_operator = Context::new(testkit::operator(), Uuid::now_v7());
    rooms.commands.execute_budget(&by_operator, budget_id, define, at).await.unwrap();
    // The policy reads it at some position, and then calls of an hour each, which are not in the log here.
    let hours = (1..=CALLS).map(|hour| call_at(1000 + hour, at + TimeDelta::hours(i64::try_from(hour).unwrap())));
    let events = [LoggedEvent::BudgetSet { position: 1000, budget_id }].into_iter().chain(hours).collect();
    let batch = ChargeBatch { events, at, ..ChargeBatch::default() };
    let principal = Arc::new(Principal::component(tenant(), Component::Policy("budget-charging")));
    let context = Context::new(principal.clone(), Uuid::now_v7());
    let first = rooms.commands.charge_calls(&context, &batch).await.unwrap();
    assert!(first.has_more && first.charging.through < 1000 + CALLS, "{:?}", first.charging);
    let retried = rooms.commands.charge_calls(&context, &batch).await.unwrap();
    assert!(retried.has_more, "the same command charges nothing twice: what is left needs another one");
    let context = Context::new(principal, Uuid::now_v7());
    let rest = rooms.commands.charge_calls(&context, &batch).await.unwrap();
    assert_eq!((rest.has_more, rest.charging.through), (false, 1000 + CALLS));
    let charged = "select count(*) from apex.events where category = 'budget_balance'
        and payload->>'add_charged' is not null";
    let charged: i64 = sqlx::query_scalar(charged).fetch_one(&database.pool).await.unwrap();
    assert_eq!(charged.unsigned_abs(), CALLS);
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_cannot_be_decoded_hides_the_enforcement_of_no_other_one() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    let (sound, damaged) = (define(&server, terms("10")).await, define(&server, terms("20")).await);
    let query = "{ budgets(first: 5) { nodes { id uuid control { enforcement } } } }";
    let nodes = async || server.graphql_response(query, json!({})).await["data"]["budgets"]["nodes"].take();
    wait_until("both are in the read model", async || nodes().await.as_array().is_some_and(|nodes| nodes.len() == 2))
        .await;
    let of = |nodes: &Value, id: &str| nodes.as_array().unwrap().iter().find(|node| node["id"] == id).unwrap().clone();
    let uuid: Uuid = of(&nodes().await, &damaged)["uuid"].as_str().unwrap().parse().unwrap();
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    log.append(append(vec![undecodable("budget", "budget.exploded", uuid)])).await.unwrap();
    let nodes = nodes().await;
    assert_eq!(of(&nodes, &sound)["control"], json!({ "enforcement": "HARD" }));
    assert_eq!(of(&nodes, &damaged)["control"], Value::Null);
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_period_that_cannot_be_decoded_hides_that_of_no_other_budget() {
    let database = TestDatabase::new().await.unverified();
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let (sound, damaged) = (define(&server, terms("10")).await, define(&server, terms("20")).await);
    server.graphql(RESERVE, request(derived_id(&["first"]), 2)).await;
    let query = "{ budgets(first: 5) { nodes { id uuid period { reserved } } } }";
    let nodes = async || server.graphql_response(query, json!({})).await["data"]["budgets"]["nodes"].take();
    wait_until("both are in the read model", async || nodes().await.as_array().is_some_and(|nodes| nodes.len() == 2))
        .await;
    let of = |nodes: &Value, id: &str| nodes.as_array().unwrap().iter().find(|node| node["id"] == id).unwrap().clone();
    let before = nodes().await;
    assert_eq!([&sound, &damaged].map(|id| of(&before, id)["period"]["reserved"].clone()), ["2", "2"]);
    let opened = "select stream_id from apex.events where category = 'budget_balance' and payload->>'budget_id' = $1";
    let opened = sqlx::query_scalar::<_, Uuid>(opened).bind(of(&before, &damaged)["uuid"].as_str().unwrap().to_owned());
    let balance = opened.fetch_one(&database.pool).await.unwrap();
    let log = Log::open(database.pool.clone(), LogConfig::default()).await.unwrap();
    log.append(append(vec![undecodable("budget_balance", "budget_balance.exploded", balance)])).await.unwrap();
    let nodes = nodes().await;
    assert_eq!(of(&nodes, &sound)["period"], json!({ "reserved": "2" }));
    assert_eq!(of(&nodes, &damaged)["period"], Value::Null);
    server.terminate().await;
}
