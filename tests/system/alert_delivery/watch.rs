//! Conditions of budgets that are watched beside their thresholds: raised once, and delivered.

use super::receiver::Receiver;
use super::{LOCAL, report, verified, webhook};
use crate::graphql::command;
use crate::outlook::{self, FORECAST};
use crate::reservations::{self, REPORT, RESERVE, request, set_price};
use crate::users::Installation;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde_json::{Value, json};
use testkit::{Server, wait_until};
use uuid::Uuid;

const SET: &str = "mutation($input: SetBudgetWatchInput!) { setBudgetWatch(input: $input) {
    outcome error { code field message } budgetWatch { conditions renotifyHours noDataMinutes } } }";
const RAISED: &str = "select payload->>'kind' || ' ' || (payload->>'terms_version') from apex.events
    where type = 'alert_watch.raised' order by position";

async fn set(server: &Server, budget: &str, conditions: &[&str]) -> Value {
    let input = json!({ "budgetId": budget, "conditions": conditions });
    server.graphql(SET, json!({ "input": input })).await["setBudgetWatch"].take()
}

/// Lets the conditions be looked at now, and waits until they were.
async fn look(installation: &Installation) {
    let looking = "select job_id::text from apex.jobs where kind = 'alert-watch' and (is_due or state = 'leased')";
    let is_idle = async || installation.texts(looking).await.is_empty();
    // One that runs already may have read what was before.
    wait_until("no condition is looked at", async || is_idle().await).await;
    let due =
        "update apex.jobs set available_at = now(), is_due = true where kind = 'alert-watch' and state = 'waiting'";
    sqlx::query(due).execute(&mut installation.database.owner().await).await.unwrap();
    wait_until("the conditions were looked at", async || is_idle().await).await;
}

async fn charge(server: &Server, budget: &str, key: &str, amount: u64, charged: &str) {
    let reported = server.graphql(REPORT, report(Value::Null, key, amount)).await;
    assert!(reported["reportCall"]["error"].is_null(), "{reported}");
    wait_until("the call is charged", async || reservations::period(server, budget).await["charged"] == charged).await;
}

fn terms(limit: &str) -> Value {
    json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "YEAR" })
}

/// Also where two servers look, one is killed, and what is watched changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_is_raised_once_for_a_period_and_the_terms_and_delivered() {
    let (installation, receiver) = (Installation::new().await, Receiver::start().await);
    let hook = webhook(&installation, &receiver.url("/hook")).await;
    let key_file = installation.key_file();
    let arguments = [&["--key-file", &key_file][..], &LOCAL].concat();
    let (server, other) =
        (installation.database.serve(&arguments).await, installation.database.serve(&arguments).await);
    set_price(&server).await;
    let budget = reservations::define(&server, terms("10")).await;
    let watched = set(&server, &budget, &["EXHAUSTED", "BURN_RATE_FAST", "BURN_RATE_SLOW"]).await;
    assert_eq!(watched["outcome"], "DONE", "{watched}");
    look(&installation).await;
    assert!(installation.texts(RAISED).await.is_empty(), "nothing is charged yet");

    // Most of a year's limit at once.
    charge(&server, &budget, "a", 9, "9").await;
    look(&installation).await;
    wait_until("two are raised", async || installation.texts(RAISED).await.len() == 2).await;
    assert_eq!(installation.texts(RAISED).await, ["burn_rate_fast 1", "burn_rate_slow 1"]);
    let received = receiver.wait("/hook", 2).await;
    assert_eq!(verified(&hook.secret, &received), ["verified"; 2]);
    let message = received.iter().map(super::Received::json).find(|one| one["data"]["condition"] == "burn_rate_fast");
    let message = message.unwrap();
    assert_eq!(message["type"], "budget.condition_raised");
    let fields = ["budget", "observed", "unit", "number", "terms_version"].map(|field| message["data"][field].clone());
    assert_eq!(fields, [json!("all"), json!("9"), json!("USD"), json!(1), json!(1)], "{message}");

    // What a server has sent and not noted when it is killed would be sent again.
    let are_delivered = async || super::deliveries(&installation).await.iter().all(|one| one["state"] == "delivered");
    wait_until("both are delivered", are_delivered).await;
    // It is looked at again and again, by a server that replaces the other one too.
    other.kill().await;
    let other = installation.database.serve(&arguments).await;
    charge(&other, &budget, "b", 2, "11").await;
    look(&installation).await;
    wait_until("the third is raised", async || installation.texts(RAISED).await.len() == 3).await;
    set(&server, &budget, &[]).await;
    set(&server, &budget, &["EXHAUSTED", "BURN_RATE_FAST"]).await;
    look(&installation).await;
    look(&installation).await;
    assert_eq!(installation.texts(RAISED).await[2..], ["exhausted 1"]);

    // A raised limit arms all again: what still holds is raised for the new terms.
    command(&server, "reviseBudget", json!({ "id": budget, "terms": terms("20") }), "outcome").await;
    look(&installation).await;
    wait_until("the fourth is raised", async || installation.texts(RAISED).await.len() == 4).await;
    assert_eq!(installation.texts(RAISED).await[3..], ["burn_rate_fast 2"]);
    receiver.wait("/hook", 4).await;
    assert_eq!(receiver.of("/hook").len(), 4);
    drop((server.terminate().await, other.terminate().await));
}

/// It is counted at once, and says nothing of how fast the budget is spent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_charged_before_a_budget_was_defined_is_in_no_burn_rate() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    set_price(&server).await;
    let reported = server.graphql(REPORT, report(Value::Null, "before", 5)).await;
    assert!(reported["reportCall"]["error"].is_null(), "{reported}");
    let budget = reservations::define(&server, terms("10")).await;
    assert_eq!(reservations::period(&server, &budget).await["charged"], "5");
    set(&server, &budget, &["BURN_RATE_FAST", "UNPRICED"]).await;
    let looking = "select job_id::text from apex.jobs where kind = 'alert-watch' and state = 'waiting' and not is_due";
    wait_until("it is looked at", async || !installation.texts(looking).await.is_empty()).await;
    assert!(installation.texts(RAISED).await.is_empty());
    charge(&server, &budget, "after", 1, "6").await;
    look(&installation).await;
    let observed = "select payload->>'observed' from apex.events where type = 'alert_watch.raised'";
    wait_until("it is raised", async || !installation.texts(observed).await.is_empty()).await;
    assert_eq!(installation.texts(observed).await, ["1"]);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_of_a_condition_is_listed_acknowledged_and_resolved() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    set_price(&server).await;
    let budget = reservations::define(&server, terms("10")).await;
    let unknown = set(&server, &Uuid::now_v7().to_string(), &["ASSUMED"]).await;
    assert_eq!((&unknown["outcome"], &unknown["error"]["code"]), (&json!("REJECTED"), &json!("NOT_CONTROLLED")));
    let incomplete = set(&server, &budget, &["NO_DATA"]).await;
    assert_eq!(
        (&incomplete["error"]["code"], &incomplete["error"]["field"]),
        (&json!("INVALID_INPUT"), &json!("noDataMinutes"))
    );
    // What is reserved leaves nothing, and comes back.
    let reserved = server.graphql(RESERVE, request(Uuid::now_v7(), 10)).await["reserveSpend"]["reservation"].take();
    assert_eq!(reserved["status"], "HELD", "{reserved}");
    set(&server, &budget, &["EXHAUSTED"]).await;
    wait_until("it is raised", async || installation.texts(RAISED).await.len() == 1).await;
    let alert = async || {
        let query = "{ budgetWatches { budgetId conditions alerts {
                          condition status balanceId termsVersion sent observed reference } } }";
        let watch = server.graphql(query, json!({})).await["budgetWatches"][0].take();
        assert_eq!((&watch["budgetId"], &watch["conditions"]), (&json!(budget), &json!(["EXHAUSTED"])), "{watch}");
        watch["alerts"][0].clone()
    };
    let firing = alert().await;
    let fields = ["condition", "status", "sent", "observed", "reference"].map(|field| firing[field].clone());
    assert_eq!(fields, [json!("EXHAUSTED"), json!("FIRING"), json!(1), json!("10"), json!("10")], "{firing}");
    let acknowledge = async || {
        let query = "mutation($input: AcknowledgeBudgetConditionInput!) { acknowledgeBudgetCondition(input: $input) {
                         outcome error { code } } }";
        let input = json!({ "budgetId": budget, "balanceId": firing["balanceId"], "condition": "EXHAUSTED",
                            "termsVersion": firing["termsVersion"], "reason": "the team knows of it" });
        server.graphql(query, json!({ "input": input })).await["acknowledgeBudgetCondition"].take()
    };
    assert_eq!(acknowledge().await["outcome"], "DONE");
    assert_eq!(alert().await["status"], "ACKNOWLEDGED");
    assert_eq!(acknowledge().await["outcome"], "ALREADY_DONE");
    let release = json!({ "uuid": reserved["uuid"] });
    command(&server, "releaseReservation", release, "outcome").await;
    look(&installation).await;
    wait_until("it is resolved", async || alert().await["status"] == "RESOLVED").await;
    let late = acknowledge().await;
    assert_eq!(late["error"]["code"], "NOT_FIRING", "{late}");
    let actors = "select distinct metadata->>'actor' from apex.events
                  where type in ('alert_watch.raised', 'alert_watch.resolved')";
    assert_eq!(installation.texts(actors).await, ["policy:alert-watch"]);
    drop(server.terminate().await);
}

/// Nothing of it is looked at for ever, and it takes no room from others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_is_closed_is_watched_no_more() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    set_price(&server).await;
    let budget = reservations::define(&server, terms("10")).await;
    let reserved = server.graphql(RESERVE, request(Uuid::now_v7(), 10)).await["reserveSpend"]["reservation"].take();
    assert_eq!(reserved["status"], "HELD", "{reserved}");
    set(&server, &budget, &["EXHAUSTED"]).await;
    wait_until("it is raised", async || installation.texts(RAISED).await.len() == 1).await;
    command(&server, "closeBudget", json!({ "id": budget }), "outcome").await;
    look(&installation).await;
    let query = "{ budgetWatches { conditions alerts { status } } }";
    let ended = json!([{ "conditions": [], "alerts": [{ "status": "RESOLVED" }] }]);
    wait_until("its watch ends", async || server.graphql(query, json!({})).await["budgetWatches"] == ended).await;
    look(&installation).await;
    let jobs = "select job_id::text from apex.jobs where kind = 'alert-watch' and state in ('waiting', 'leased')";
    wait_until("no job is left", async || installation.texts(jobs).await.is_empty()).await;
    drop(server.terminate().await);
}

/// What was used is not known: a call that settles a reservation names a model without a price.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_that_is_unpriced_or_assumed_raises_alerts() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    set_price(&server).await;
    let budget = reservations::define(&server, terms("10")).await;
    set(&server, &budget, &["UNPRICED", "ASSUMED"]).await;
    let reserved = server.graphql(RESERVE, request(Uuid::now_v7(), 6)).await["reserveSpend"]["reservation"].take();
    assert_eq!(reserved["status"], "HELD", "{reserved}");
    look(&installation).await;
    assert!(installation.texts(RAISED).await.is_empty());
    let unpriced = json!({ "input": { "callKey": "a", "provider": "p", "model": "other", "reservation": reserved["uuid"],
                                      "usage": { "output": 1_000_000 } } });
    let reported = server.graphql(REPORT, unpriced).await;
    assert!(reported["reportCall"]["error"].is_null(), "{reported}");
    look(&installation).await;
    wait_until("both are raised", async || installation.texts(RAISED).await.len() == 2).await;
    let observed = "select payload->>'kind' || ' ' || (payload->>'observed') from apex.events
                    where type = 'alert_watch.raised' order by position";
    assert_eq!(installation.texts(observed).await, ["unpriced 1", "assumed 6"]);
    drop(server.terminate().await);
}

/// A history of 38 days, whose last whole hour, and the present one, cost a hundred times as much as the others.
fn history(now: DateTime<Utc>) -> Vec<Value> {
    let start = now.duration_trunc(TimeDelta::hours(1)).unwrap();
    let call = |hour: i64| {
        let dollars = if hour >= -1 { 100_000 } else { outlook::cost(hour) };
        let started_at = (start + TimeDelta::hours(hour)).to_rfc3339();
        outlook::line(&format!("call{hour}"), "walker", &started_at, dollars)
    };
    (-38 * 24..=0).map(call).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forecast_beyond_the_limit_and_an_anomaly_raise_alerts() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2010-01-01T00:00:00Z",
        "components": [{ "meter": "INPUT", "rate": "1000000" }, { "meter": "OUTPUT", "rate": "0" }] });
    command(&server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    // A month costs about 750,000, of which the limit of one is a part, and that of the other is a multiple.
    let terms = |limit: &str| json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "SOFT", "period": "MONTH" });
    let (small, large) =
        (reservations::define(&server, terms("200000")).await, reservations::define(&server, terms("90000000")).await);
    let position = outlook::send(&server, &history(Utc::now())).await;
    let made = server.graphql(FORECAST, json!({ "position": position })).await["costForecast"].take();
    assert!(made["expected"].is_string(), "{made}");
    set(&server, &small, &["FORECAST", "ANOMALY"]).await;
    set(&server, &large, &["FORECAST", "ANOMALY"]).await;
    wait_until("three are raised", async || installation.texts(RAISED).await.len() >= 3).await;
    look(&installation).await;
    let mut raised = installation.texts(RAISED).await;
    raised.sort();
    assert_eq!(raised, ["anomaly 1", "anomaly 1", "forecast 1"], "the large one is not forecast to be exceeded");
    drop(server.terminate().await);
}
