//! Charging calls again over GraphQL, and by the command line at a server.

use crate::graphql::{code, command};
use crate::identities::{ask, send};
use crate::remote::{assert_same, at};
use crate::repricing::{price, report, set};
use crate::users::Installation;
use serde_json::{Value, json};
use testkit::Server;

const SELECTION: &str = "outcome position error { code message } failed { call }
    repricing { calls bookVersions { version calls } next nextFrom differences { model day calls unpricedBefore before after difference }
        unpriced { model provider reason calls charged } }";

/// Calls whose prices change: three of a model, one of a model that had no price, one of one that still has none, and one of one
/// whose price ended.
async fn changed_prices(server: &Server) -> Value {
    set(server, price("m", "3", json!({}))).await;
    set(server, price("old", "4", json!({}))).await;
    for (key, day) in [("a", 1), ("b", 1), ("c", 2)] {
        report(server, "m", key, day, json!({})).await;
    }
    report(server, "later", "l", 2, json!({})).await;
    report(server, "never", "n", 2, json!({})).await;
    let last = report(server, "old", "o", 3, json!({})).await;
    set(server, price("m", "2.5", json!({}))).await;
    set(server, price("later", "1", json!({}))).await;
    set(server, price("old", "4", json!({ "effectiveTo": "2025-06-01T00:00:00Z" }))).await;
    last["position"].clone()
}

fn difference(model: &str, day: &str, [calls, unpriced]: [u64; 2], [before, after, sum]: [&str; 3]) -> Value {
    json!({ "model": model, "day": day, "calls": calls, "unpricedBefore": unpriced, "before": before, "after": after,
            "difference": sum })
}

async fn repriced(installation: &Installation) -> i64 {
    let count = sqlx::query_scalar("select count(*) from apex.events where type = 'call.repriced'");
    count.fetch_one(&mut installation.database.owner().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_is_what_is_then_recorded_once_with_its_reason() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    let position = changed_prices(&server).await;
    let query =
        "query($filter: RepricingFilter, $position: Position) { repricing(filter: $filter, minPosition: $position) {
        calls next nextFrom differences { model day calls unpricedBefore before after difference }
        unpriced { model provider reason calls charged } } }";
    let dry_run = async |filter: Value| {
        server.graphql(query, json!({ "filter": filter, "position": position })).await["repricing"].take()
    };
    let shown = dry_run(Value::Null).await;
    let differences = json!([
        difference("later", "2026-03-02", [1, 1], ["0", "1", "1"]),
        difference("m", "2026-03-01", [2, 0], ["6", "5", "-1"]),
        difference("m", "2026-03-02", [1, 0], ["3", "2.5", "-0.5"]),
    ]);
    assert_eq!((&shown["differences"], &shown["calls"], &shown["next"]), (&differences, &json!(6), &Value::Null));
    let unpriced = shown["unpriced"].as_array().unwrap();
    let counted = |model: &str| {
        let of = unpriced.iter().find(|of| of["model"] == model).unwrap_or_else(|| panic!("no {model}: {shown}"));
        (of["provider"].as_str().unwrap(), of["calls"].as_u64().unwrap(), of["charged"].as_u64().unwrap())
    };
    assert_eq!((unpriced.len(), counted("never"), counted("old")), (2, ("acme", 1, 0), ("acme", 1, 1)));
    assert_eq!(dry_run(json!({ "model": "later" })).await["differences"], json!([differences[0]]));
    assert_eq!(dry_run(json!({ "to": "2026-03-02T00:00:00Z" })).await["differences"], json!([differences[1]]));
    assert_eq!(repriced(&installation).await, 0, "a dry run changes nothing");

    let id = uuid::Uuid::now_v7();
    let input = json!({ "commandId": id, "reason": "the rate was wrong", "minPosition": position });
    let done = command(&server, "repriceCalls", input.clone(), SELECTION).await;
    assert_eq!((&done["outcome"], &done["repricing"]["differences"]), (&json!("DONE"), &differences), "{done}");
    assert_eq!(repriced(&installation).await, 4);
    let query = "select distinct payload->>'reason' from apex.events where type = 'call.repriced'";
    assert_eq!(installation.texts(query).await, ["the rate was wrong"]);
    let query = "select distinct metadata->>'correlation_id' from apex.events where type = 'call.repriced'";
    assert_eq!(installation.texts(query).await, [id.to_string()]);
    // Again, with the same id and with another one, nothing is left to do.
    for command_id in [id, uuid::Uuid::now_v7()] {
        let mut again = input.clone();
        again["commandId"] = json!(command_id);
        let again = command(&server, "repriceCalls", again, SELECTION).await;
        assert_eq!((&again["outcome"], &again["repricing"]["differences"]), (&json!("ALREADY_DONE"), &json!([])));
        assert_eq!((&again["position"], &again["repricing"]["calls"]), (&Value::Null, &json!(6)));
    }
    assert_eq!(repriced(&installation).await, 4);
    for wrong in ["", &"r".repeat(1025)] {
        let refused = command(&server, "repriceCalls", json!({ "reason": wrong }), SELECTION).await;
        assert_eq!((&refused["outcome"], &refused["error"]["code"]), (&json!("REJECTED"), &json!("INVALID_INPUT")));
    }
    server.kill().await;
    installation.database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_charges_a_part_of_the_calls_and_says_which_are_left() {
    const CALLS: usize = 503;
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    set(&server, price("m", "3", json!({}))).await;
    let mut last = Value::Null;
    for number in 0..CALLS {
        last = report(&server, "m", &format!("k{number}"), 1 + u32::try_from(number / 500).unwrap(), json!({})).await;
    }
    set(&server, price("m", "2.5", json!({}))).await;
    let part = async |after: Value| {
        let input = json!({ "reason": "wrong", "after": after, "minPosition": last["position"] });
        command(&server, "repriceCalls", input, SELECTION).await
    };
    let first = part(Value::Null).await;
    let of_first = &first["repricing"];
    assert_eq!((&of_first["calls"], &of_first["nextFrom"]), (&json!(500), &json!("2026-03-01T12:00:00Z")), "{first}");
    assert_eq!(of_first["differences"], json!([difference("m", "2026-03-01", [500, 0], ["1500", "1250", "-250"])]));
    assert_eq!(repriced(&installation).await, 500);
    // What was interrupted is sent again, and changes nothing; then it goes on.
    let again = part(Value::Null).await;
    assert_eq!((&again["outcome"], &again["repricing"]["next"]), (&json!("ALREADY_DONE"), &of_first["next"]));
    let rest = part(of_first["next"].clone()).await;
    assert_eq!((&rest["repricing"]["calls"], &rest["repricing"]["next"]), (&json!(3), &Value::Null), "{rest}");
    assert_eq!(repriced(&installation).await, 503);
    let remote = installation.serve(&[]).await;
    let bad = "query { repricing(after: \"x\") { calls } }";
    assert_eq!(crate::graphql::reason(&ask(&remote, "tea", bad).await.1), "BAD_CURSOR");
    // The command line adds the parts up, at a server and on the database.
    set(&server, price("m", "2", json!({}))).await;
    let dry_run = ["prices", "reprice", "--format", "json"];
    assert_same(&installation, &remote, &dry_run).await;
    let shown = at(&remote, "tea", &dry_run).await.assert_success().json();
    assert_eq!((&shown["calls"], &shown["differences"][0]["calls"]), (&json!(503), &json!("500")), "{shown}");
    assert_eq!((&shown["left_from"], &shown["differences"][1]["difference"]), (&Value::Null, &json!("-1.5")));
    server.kill().await;
    remote.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repricing_is_the_same_at_a_server_and_on_the_database() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    changed_prices(&server).await;
    server.kill().await;
    let server = installation.serve(&[]).await;
    for format in ["table", "csv", "json"] {
        assert_same(&installation, &server, &["prices", "reprice", "--format", format]).await;
        let some = ["prices", "reprice", "--model", "m", "--from", "2026-03-02", "--format", format];
        assert_same(&installation, &server, &some).await;
    }
    let shown = at(&server, "tea", &["prices", "reprice"]).await.assert_success();
    let local = installation.database.run(&["prices", "reprice"]).await.assert_success();
    for said in [&shown.stderr, &local.stderr] {
        assert!(said.contains("4 of 6 calls would be charged again"), "{said}");
        assert!(said.contains("2 of these calls have no price now; 1 of them keep the charge"), "{said}");
        assert!(said.contains("never (acme): 1: no provider has a price for it"), "{said}");
        assert!(said.contains("add --apply --reason TEXT"), "{said}");
    }
    let without_reason = at(&server, "tea", &["prices", "reprice", "--apply"]).await;
    assert!(without_reason.code == Some(2) && without_reason.stderr.contains("--reason"), "{}", without_reason.stderr);
    let apply = ["prices", "reprice", "--model", "m", "--apply", "--reason", "wrong", "--format", "json"];
    let applied = at(&server, "tea", &apply).await.assert_success().json();
    assert_eq!((&applied["applied"], &applied["differences"][0]["difference"]), (&json!(true), &json!("-1")));
    let rest =
        installation.database.run(&["prices", "reprice", "--apply", "--reason", "wrong", "--format", "json"]).await;
    let rest = rest.assert_success().json();
    assert_eq!((rest["differences"].as_array().unwrap().len(), &rest["differences"][0]["model"]), (1, &json!("later")));
    assert_eq!(repriced(&installation).await, 4);
    let actors = "select distinct metadata->>'actor' from apex.events where type = 'call.repriced' order by 1";
    assert_eq!(installation.texts(actors).await, ["api", "command line"], "the events name who asked for it");
    assert_same(&installation, &server, &["prices", "reprice", "--format", "json"]).await;
    // Other subcommands about prices work on the database.
    let list = at(&server, "tea", &["prices", "list"]).await;
    assert!(list.code == Some(1) && list.stderr.contains("works on the database"), "{}", list.stderr);
    server.kill().await;
    installation.database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_charged_again_by_who_may_set_prices_and_change_calls() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    changed_prices(&server).await;
    let agent = uuid::Uuid::new_v4().to_string();
    let position = report(&server, "own", "w", 3, json!({ "agentId": agent })).await["position"].take();
    set(&server, price("own", "1", json!({}))).await;
    let dry_run = format!("{{ repricing(minPosition: {position}) {{ differences {{ calls }} }} }}");
    let apply = "mutation($input: RepriceCallsInput!) { repriceCalls(input: $input) { outcome } }";
    let input = json!({ "reason": "wrong" });
    server.kill().await;
    let mut keys = Vec::new();
    for (role, may_look, may_apply) in
        [("agent", false, false), ("viewer", true, false), ("billing", true, false), ("operator", true, true)]
    {
        let account = installation.run(&["accounts", "create", role, "--role", role]).await;
        let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
        keys.push((role, may_look, may_apply, key));
        if role == "operator" {
            // It sees what would change of its agent's calls.
            let bound = ["keys", "create", "--account", &account, "--all-scopes", "--agent", &agent];
            keys.push(("operator of one agent", true, false, installation.run(&bound).await));
        }
    }
    keys.sort_by_key(|(_, _, may_apply, _)| *may_apply);
    let server = installation.serve(&[]).await;
    for (role, may_look, may_apply, key) in keys {
        let (shown, applied) = (ask(&server, &key, &dry_run).await.1, send(&server, &key, apply, input.clone()).await);
        match may_look {
            true if role == "operator of one agent" => {
                assert_eq!(shown["data"]["repricing"]["differences"], json!([{ "calls": 1 }]), "{shown}");
            }
            true => {
                assert_eq!(shown["data"]["repricing"]["differences"].as_array().unwrap().len(), 4, "{role}: {shown}")
            }
            false => assert_eq!(code(&shown), "FORBIDDEN", "{role}"),
        }
        match may_apply {
            true => assert_eq!(applied["data"]["repriceCalls"]["outcome"], "DONE", "{role}: {applied}"),
            false => assert_eq!((code(&applied), repriced(&installation).await), ("FORBIDDEN", 0), "{role}"),
        }
    }
    assert_eq!(repriced(&installation).await, 5);
    server.kill().await;
}
