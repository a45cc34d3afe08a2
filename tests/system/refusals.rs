//! What follows when a budget refuses a call, by its policy: a cheaper model, a request for approval, or a pause of the agent.

use crate::budget_reports::{at, printed};
use crate::graphql::command;
use crate::reservations::{audit, audited, define, period, set_price};
use domain::Event;
use domain::approval::ApprovalEvent;
use domain::budget::BudgetEvent;
use domain::spend_audit::Violation;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase, wait_until};
use uuid::Uuid;

const RESERVE: &str = "mutation ($input: ReserveSpendInput!) { reserveSpend(input: $input) { error { code message }
    reservation { uuid status refusal { reason left degrade { model amount } approval { uuid expiresAt } pausedAgentId } } } }";
const APPROVALS: &str = "query ($first: Int, $after: String) { approvals(first: $first, after: $after) {
    nodes { uuid status budgetId reservation agentId model amount reason } pageInfo { hasNextPage endCursor } } }";
const ANSWERED: &str = "outcome error { code message } approval { status reason }";

/// A hard budget of all time, and of all calls.
fn terms(limit: &str, on_refusal: Value) -> Value {
    json!({ "name": "all", "scope": { "tenant": true }, "limit": limit, "enforcement": "HARD", "period": "TOTAL",
            "onRefusal": on_refusal })
}

/// Sets the price of a model for a million tokens of output.
async fn price(server: &Server, model: &str, rate: &str) {
    let price = json!({ "provider": "p", "model": model, "effectiveFrom": "2020-01-01T00:00:00Z",
                        "components": [{ "meter": "OUTPUT", "rate": rate }] });
    let set = command(server, "setPrices", json!({ "source": "test", "prices": [price] }), "outcome").await;
    assert_eq!(set["outcome"], "DONE", "{set}");
}

/// Reserves some million tokens of the model that costs a dollar for each.
async fn reserve(server: &Server, output: u64, more: Value) -> Value {
    let mut input = json!({ "provider": "p", "model": "m", "usage": { "output": output * 1_000_000 } });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = server.graphql(RESERVE, json!({ "input": input })).await["reserveSpend"].take();
    assert!(answer["error"].is_null(), "{answer}");
    answer["reservation"].clone()
}

async fn approvals(server: &Server) -> Vec<Value> {
    let mut listed = server.graphql(APPROVALS, json!({ "first": 50 })).await;
    serde_json::from_value(listed["approvals"]["nodes"].take()).unwrap()
}

async fn answer(server: &Server, approval: &Value, answer: &str) -> Value {
    let input = json!({ "approvalId": approval, "answer": answer, "reason": "release day" });
    command(server, "answerApproval", input, ANSWERED).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_degrades_names_the_model_that_fits_and_what_it_may_cost() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    for (model, rate) in [("half", "0.5"), ("third", "0.33")] {
        price(&server, model, rate).await;
    }
    let id = define(&server, terms("10", json!({ "degrade": ["half", "third"] }))).await;
    for (output, named) in [(18, json!({ "model": "half", "amount": "9" })), (40, Value::Null)] {
        let refused = reserve(&server, output, json!({})).await;
        assert_eq!((&refused["status"], &refused["refusal"]["reason"]), (&json!("REFUSED"), &json!("EXCEEDED")));
        assert_eq!(refused["refusal"]["degrade"], named, "{refused}");
        assert!(refused["refusal"]["approval"].is_null() && refused["refusal"]["pausedAgentId"].is_null());
    }
    // Without a list, it is the cheapest one.
    let revised = json!({ "id": id, "terms": terms("10", json!({ "degrade": [] })) });
    let revised = command(&server, "reviseBudget", revised, "outcome error { message }").await;
    assert_eq!(revised["outcome"], "DONE", "{revised}");
    let refused = reserve(&server, 18, json!({})).await;
    assert_eq!(refused["refusal"]["degrade"], json!({ "model": "third", "amount": "5.94" }), "{refused}");
    assert_eq!(reserve(&server, 18, json!({ "model": "third" })).await["status"], "HELD", "what is named is granted");
    assert_eq!(audit(&audited(&database).await).1, []);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_lists_and_answers_requests_for_approval_on_the_database_and_at_a_server() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let id = define(&server, terms("10", json!({ "askForApproval": 30 }))).await;
    let mut asked = Vec::new();
    for dollars in [11, 12, 13] {
        let refused = reserve(&server, dollars, json!({})).await["refusal"]["approval"]["uuid"].take();
        asked.push(refused.as_str().unwrap().to_owned());
    }
    let list = ["budgets", "approvals", "--pending", "--format", "json"];
    let pending = printed(&database, &server, &list).await["approvals"].take();
    let ids: Vec<_> = pending.as_array().unwrap().iter().map(|approval| approval["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&*asked[2], &*asked[1], &*asked[0]], "the last one first");
    assert_eq!((&pending[2]["status"], &pending[2]["amount"]), (&json!("pending"), &json!("11")), "{pending}");

    let approve = ["budgets", "approve", &asked[0], "--reason", "release day"];
    let approved = database.run(&approve).await.assert_success();
    assert!(approved.stderr.contains("The request is approved."), "{}", approved.stderr);
    let again = at(&server, &approve).await.assert_success();
    assert!(again.stderr.contains("approved already"), "{}", again.stderr);
    at(&server, &["budgets", "deny", &asked[1], "--reason", "later"]).await.assert_success();
    let unknown = Uuid::now_v7().to_string();
    for other in [&asked[1], &unknown] {
        let local = database.run(&["budgets", "approve", other, "--reason", "r"]).await;
        let remote = at(&server, &["budgets", "approve", other, "--reason", "r"]).await;
        assert_eq!((local.code, remote.code), (Some(1), Some(1)), "{} {}", local.stderr, remote.stderr);
    }
    assert_eq!(period(&server, &id).await["limit"], "21");
    let all = printed(&database, &server, &["budgets", "approvals", "--format", "json"]).await["approvals"].take();
    let statuses: Vec<_> =
        all.as_array().unwrap().iter().map(|approval| approval["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pending", "denied", "granted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_raises_the_limit_by_what_was_asked_for_and_the_call_is_granted_then() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    let id = define(&server, terms("10", json!({ "askForApproval": 30 }))).await;
    assert_eq!(reserve(&server, 8, json!({})).await["status"], "HELD");
    let command_id = json!({ "commandId": Uuid::now_v7() });
    let refused = reserve(&server, 5, command_id.clone()).await;
    let asked = &refused["refusal"]["approval"];
    assert_eq!(reserve(&server, 5, command_id).await["refusal"]["approval"], *asked, "a retry asks no second time");
    let listed = approvals(&server).await;
    let expected = json!({ "uuid": asked["uuid"], "status": "PENDING", "budgetId": id, "reservation": refused["uuid"],
                           "agentId": null, "model": "m", "amount": "5", "reason": null });
    assert_eq!(listed, [expected]);
    // A second request is denied, and stays so.
    let other = reserve(&server, 4, json!({})).await["refusal"]["approval"]["uuid"].clone();
    let denied = answer(&server, &other, "DENY").await;
    assert_eq!((&denied["outcome"], &denied["approval"]["status"]), (&json!("DONE"), &json!("DENIED")), "{denied}");
    assert_eq!(answer(&server, &other, "APPROVE").await["error"]["code"], "NOT_PENDING");
    assert_eq!(answer(&server, &json!(Uuid::now_v7()), "DENY").await["error"]["code"], "NOT_FOUND");
    assert_eq!(period(&server, &id).await["limit"], "10");
    let granted = answer(&server, &asked["uuid"], "APPROVE").await;
    assert_eq!((&granted["outcome"], &granted["approval"]["status"]), (&json!("DONE"), &json!("GRANTED")), "{granted}");
    assert_eq!(answer(&server, &asked["uuid"], "APPROVE").await["outcome"], "ALREADY_DONE");
    assert_eq!(period(&server, &id).await["limit"], "15", "once");
    assert_eq!(reserve(&server, 5, json!({})).await["status"], "HELD");
    let history =
        "query ($id: ID!) { budgetHistory(id: $id, parts: [TERMS]) { entries { kind amount reason actor } } }";
    let history = server.graphql(history, json!({ "id": id })).await;
    let raised = &history["budgetHistory"]["entries"][0];
    assert_eq!(
        (&raised["kind"], &raised["amount"], &raised["reason"]),
        (&json!("RAISED"), &json!("5"), &json!("release day"))
    );
    assert!(raised["actor"].is_string(), "{raised}");
    // Pages: the last one first.
    let page = server.graphql(APPROVALS, json!({ "first": 1 })).await["approvals"].take();
    assert_eq!((&page["nodes"][0]["uuid"], &page["pageInfo"]["hasNextPage"]), (&other, &json!(true)), "{page}");
    let next = json!({ "first": 1, "after": page["pageInfo"]["endCursor"] });
    let next = server.graphql(APPROVALS, next).await["approvals"].take();
    assert_eq!(
        (&next["nodes"][0]["uuid"], &next["pageInfo"]["hasNextPage"]),
        (&asked["uuid"], &json!(false)),
        "{next}"
    );

    let log = audited(&database).await;
    assert_eq!(audit(&log).1, []);
    // The control: an approval that raises twice is found.
    let is_raise = |event: &Event| matches!(event, Event::Budget(BudgetEvent::Raised(_)));
    let raise = log.iter().position(|audited| is_raise(&audited.event)).unwrap();
    let twice: Vec<_> = log[..=raise].iter().chain(&log[raise..]).cloned().collect();
    let found = audit(&twice).1;
    assert!(matches!(found[..], [Violation::WrongApproval { .. }]), "{found:?}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_approval_without_an_answer_is_denied_by_its_timer() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    define(&server, terms("1", json!({ "askForApproval": 30 }))).await;
    let asked = reserve(&server, 5, json!({})).await["refusal"]["approval"]["uuid"].clone();
    wait_until("the timer has run", async || {
        let due = "update apex.jobs set available_at = now(), is_due = true
                   where kind = 'reservation-expiry' and state = 'waiting'";
        sqlx::query(due).execute(&mut database.owner().await).await.unwrap();
        approvals(&server).await[0]["status"] == "EXPIRED"
    })
    .await;
    assert_eq!(answer(&server, &asked, "APPROVE").await["error"]["code"], "NOT_PENDING");
    let log = audited(&database).await;
    let expired = log.iter().filter(|audited| matches!(audited.event, Event::Approval(ApprovalEvent::Expired(_))));
    assert_eq!(expired.count(), 1, "it is recorded");
    assert_eq!(audit(&log).1, []);
    server.kill().await;
}

/// The agents that were paused, and why, in order.
async fn pauses(database: &TestDatabase) -> Vec<(Uuid, String)> {
    let pauses = "select stream_id, payload->>'reason' from apex.events where type = 'agent.paused' order by position";
    sqlx::query_as(pauses).fetch_all(&mut database.owner().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_pauses_the_agent_of_the_call_once() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    define(&server, terms("1", json!({ "pauseAgent": true }))).await;
    let log = audited(&database).await;
    let budget = log.iter().find(|audited| matches!(audited.event, Event::Budget(_))).unwrap().stream_id;
    let active = async |name: &str| {
        let registered = command(&server, "registerAgent", json!({ "name": name }), "agent { id uuid }").await;
        let agent = registered["agent"].clone();
        command(&server, "activateAgent", json!({ "id": agent["id"] }), "outcome").await;
        (agent["id"].clone(), agent["uuid"].as_str().unwrap().parse::<Uuid>().unwrap())
    };
    let ((runaway, runaway_uuid), (other, other_uuid)) = (active("runaway").await, active("other").await);
    let refused = reserve(&server, 5, json!({ "agentId": runaway })).await;
    assert_eq!(refused["refusal"]["pausedAgentId"], runaway, "{refused}");
    wait_until("the agent is paused", async || pauses(&database).await.len() == 1).await;
    let (paused, reason) = pauses(&database).await.remove(0);
    assert!(paused == runaway_uuid && reason.contains(&budget.to_string()), "{reason}");
    // The next refusal pauses it again, and not the one before: there is one command for each.
    let resumed = command(&server, "resumeAgent", json!({ "id": runaway }), "outcome").await;
    assert_eq!(resumed["outcome"], "DONE", "{resumed}");
    reserve(&server, 5, json!({ "agentId": runaway })).await;
    wait_until("the agent is paused again", async || pauses(&database).await.len() == 2).await;
    // A call of no agent, and of one that is not registered, stop nothing.
    assert!(reserve(&server, 5, json!({})).await["refusal"]["pausedAgentId"].is_null());
    reserve(&server, 5, json!({ "agentId": Uuid::now_v7() })).await;
    reserve(&server, 5, json!({ "agentId": other })).await;
    wait_until("the other agent is paused", async || pauses(&database).await.len() == 3).await;
    let paused: Vec<_> = pauses(&database).await.into_iter().map(|(agent, _)| agent).collect();
    assert_eq!(paused, [runaway_uuid, runaway_uuid, other_uuid]);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_a_budget_cannot_have_are_rejected_and_others_are_shown() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let with = |enforcement: &str, more: Value| {
        let mut terms = json!({ "name": "x", "scope": { "tenant": true }, "limit": "1", "enforcement": enforcement });
        terms.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "terms": terms })
    };
    let select =
        "error { code field message } budget { control { onUnreachable onRefusal { policy models minutes } } }";
    for (enforcement, more, code) in [
        ("SOFT", json!({ "onRefusal": { "pauseAgent": true } }), "BAD_POLICY"),
        ("HARD", json!({ "onUnreachable": "OPEN" }), "BAD_POLICY"),
        ("HARD", json!({ "onRefusal": { "degrade": vec!["m"; 9] } }), "BAD_POLICY"),
        ("HARD", json!({ "onRefusal": { "askForApproval": 10_081 } }), "BAD_POLICY"),
        ("HARD", json!({ "onRefusal": { "askForApproval": -1 } }), "INVALID_INPUT"),
        ("HARD", json!({ "onRefusal": { "pauseAgent": false } }), "INVALID_INPUT"),
        ("HARD", json!({ "onRefusal": { "degrade": [""] } }), "INVALID_INPUT"),
    ] {
        let rejected = command(&server, "defineBudget", with(enforcement, more), select).await;
        assert_eq!(rejected["error"]["code"], code, "{rejected}");
    }
    let bare = json!({ "policy": "REFUSE", "models": [], "minutes": null });
    let minutes = json!({ "policy": "ASK_FOR_APPROVAL", "models": [], "minutes": 30 });
    let models = json!({ "policy": "DEGRADE", "models": ["m"], "minutes": null });
    for (enforcement, more, unreachable, refusal) in [
        ("SOFT", json!({}), "OPEN", &bare),
        ("SOFT", json!({ "onUnreachable": "CLOSED" }), "CLOSED", &bare),
        ("HARD", json!({}), "CLOSED", &bare),
        ("HARD", json!({ "onRefusal": { "askForApproval": 30 } }), "CLOSED", &minutes),
        ("HARD", json!({ "onRefusal": { "degrade": ["m"] } }), "CLOSED", &models),
    ] {
        let defined = command(&server, "defineBudget", with(enforcement, more), select).await;
        let control = json!({ "onUnreachable": unreachable, "onRefusal": refusal });
        assert_eq!(defined["budget"]["control"], control, "{defined}");
    }
    server.kill().await;
}
