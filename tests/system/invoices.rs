//! Invoices of providers: recorded from files, compared with what was charged, at the command line and at a server.

use crate::graphql::command;
use crate::remote::at;
use crate::repricing::set;
use crate::users::{Installation, ask, text};
use domain::invoice::{Figure, InvoiceLine, LinesHash};
use domain::{Meter, Name};
use serde_json::{Value, json};
use std::path::Path;
use testkit::{Server, TestDatabase};

const COLUMNS: &str = "day=Date,model=Model,meter=Unit,quantity=Qty,amount=Cost";
const PERIOD: [&str; 4] = ["--from", "2026-03-01", "--to", "2026-04-01"];

/// A price with a batch tier and a cheaper cache, per million tokens.
fn price() -> Value {
    let component = |meter: &str, rate: &str, tier: Option<&str>| json!({ "meter": meter, "rate": rate, "when": tier.map(|tier| json!({ "serviceTier": tier })) });
    json!({ "provider": "acme", "model": "large", "names": ["large-2026"], "listPrice": true,
            "effectiveFrom": "2020-01-01T00:00:00Z", "components": [
        component("INPUT", "2", None), component("INPUT", "1", Some("batch")), component("OUTPUT", "10", None),
        component("OUTPUT", "5", Some("batch")), component("CACHE_READ", "0.5", None) ] })
}

async fn call(server: &Server, day: u32, usage: Value, more: Value) {
    let mut call = json!({ "kind": "LLM", "provider": "acme", "model": "large-2026", "usage": usage, "source": "test",
                           "outcome": "OK", "startedAt": format!("2026-03-{day:02}T23:59:59Z") });
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let payload = command(server, "reportCall", call, "outcome error { message }").await;
    assert_eq!(payload["outcome"], "DONE", "{payload}");
}

/// Ten days of calls.
async fn fill(server: &Server) {
    set(server, price()).await;
    for day in 1..=10 {
        let usage = json!({ "input": 40_000, "cacheRead": 60_000, "output": 1_000 });
        call(server, day, usage, json!({})).await;
        call(server, day, json!({ "output": 500 }), json!({ "serviceTier": "batch" })).await;
    }
    // Calls of another provider, and one without a price, are on no invoice of this one.
    call(server, 3, json!({ "output": 9 }), json!({ "provider": "other", "model": "unknown" })).await;
    call(server, 3, json!({ "output": 9 }), json!({ "model": "unknown" })).await;
}

/// What is billed for a day of [`fill`].
fn right(day: u32) -> Vec<String> {
    let line =
        |meter: &str, quantity: &str, amount: &str| format!("2026-03-{day:02},large,{meter},{quantity},{amount}");
    // 1,000 output tokens at 10 and 500 at 5 dollars for a million.
    vec![line("input", "40000", "0.08"), line("Cached input", "60000", "0.03"), line("output", "1500", "0.0125")]
}

fn file(folder: &Path, name: &str, lines: &[String]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("Date,Model,Unit,Qty,Cost\n{}\n", lines.join("\n"))).unwrap();
    path.to_str().unwrap().to_owned()
}

fn record<'a>(path: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["invoice", "record", path, "--format", "csv", "--provider", "Acme", "--columns", COLUMNS];
    [&fixed[..], &PERIOD, more].concat()
}

/// Records a file, and returns the id of the invoice.
async fn recorded(database: &TestDatabase, arguments: &[&str]) -> String {
    database.run(arguments).await.assert_success().stdout.trim().to_owned()
}

async fn reconciled(database: &TestDatabase, id: &str) -> Value {
    database.run(&["invoice", "reconcile", id, "--format", "json"]).await.assert_success().json()
}

/// Cause, day, meter, and difference of each variance, sorted.
fn found(document: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |one: &Value| {
        [text(&one["cause"]), text(&one["day"])[8..].to_owned(), text(&one["meter"]), text(&one["difference"])]
    };
    let mut found: Vec<_> = document["variances"].as_array().unwrap().iter().map(of).collect();
    found.sort();
    found
}

fn sum(texts: impl IntoIterator<Item = String>) -> Figure {
    texts.into_iter().map(|text| Figure::parse(&text).unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_difference_is_found_with_its_cause_and_amount() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let open = installation.serve_open().await;
    fill(&open).await;
    drop(open.terminate().await);
    let mut lines: Vec<Vec<String>> = (1..=10).map(right).collect();
    let day = |number: usize| format!("2026-03-{number:02}");
    // Duplicate: the same line twice. Then one sum that has everything twice.
    let again = lines[1][2].clone();
    lines[1].push(again);
    lines[2][0] = format!("{},large,input,80000,0.16", day(3));
    lines[3][2] = format!("{},large,output,1500,0.02", day(4));
    // Tier: the batch is billed as standard.
    lines[4][2] = format!("{},large,output,1500,0.015", day(5));
    // Cache: what was read from the cache is billed as input.
    lines[5] = vec![format!("{},large,input,100000,0.2", day(6)), lines[5][2].clone()];
    // Missing: nothing is billed of a day; and something that no call has.
    lines[6].clear();
    lines[7].push(format!("{},ghost,input,10,0.5", day(8)));
    // Quantity: 100 more tokens at the standard rate.
    lines[8][2] = format!("{},large,output,1600,0.0135", day(9));
    let path = file(folder.path(), "march.csv", &lines.concat());
    let id = recorded(database, &record(&path, &["--number", "INV-1"])).await;
    let document = reconciled(database, &id).await;
    let expected = [
        ["cache", "06", "cache_read", "-0.03"],
        ["cache", "06", "input", "0.12"],
        ["duplicate", "02", "output", "0.0125"],
        ["duplicate", "03", "input", "0.08"],
        ["missing", "07", "cache_read", "-0.03"],
        ["missing", "07", "input", "-0.08"],
        ["missing", "07", "output", "-0.0125"],
        ["missing", "08", "input", "0.5"],
        ["price", "04", "output", "0.0075"],
        ["quantity", "09", "output", "0.001"],
        ["tier", "05", "output", "0.0025"],
    ];
    assert_eq!(found(&document), expected.map(|row| row.map(str::to_owned)), "{document:#}");
    // All of it adds up, by cause too.
    let result = &document["invoice"]["reconciliation"];
    let figure = |value: &Value| Figure::parse(value.as_str().unwrap()).unwrap();
    let difference = figure(&result["difference"]);
    assert_eq!(difference, sum(found(&document).into_iter().map(|[.., difference]| difference)));
    assert_eq!(difference, figure(&result["billed"]) - figure(&result["expected"]));
    assert_eq!(difference, result["causes"].as_array().unwrap().iter().map(|cause| figure(&cause["difference"])).sum());
    let report = ["report", "cost", "--filter", "provider=acme", "--format", "json"];
    let report = database.run(&report).await.assert_success().json();
    assert_eq!(figure(&result["expected"]), figure(&report["total"]["cost"]), "{report}");
    assert_eq!((&result["calls"], &result["unpriced_calls"]), (&json!(20), &json!(1)));
    // The line is that of the file: the header is the first, and the duplicate follows five others.
    let duplicate = document["variances"].as_array().unwrap().iter().find(|one| one["day"] == "2026-03-02").unwrap();
    assert_eq!((&duplicate["line"], &duplicate["detail"]), (&json!(8), &json!("equal to line 7")));
    let table = database.run(&["invoice", "show", &id]).await.assert_success();
    for text in
        ["billed", "expected", "difference", "duplicate", "billed at the rate of another tier", "equal to line 7"]
    {
        assert!(table.stdout.contains(text), "{text}: {}", table.stdout);
    }
    assert!(table.stderr.contains("1 calls of the provider have no price"), "{}", table.stderr);
    at_a_server_it_is_the_same(&installation, &id, &document).await;
    database.assert_equals_rebuild(&["invoices"], &[1, 3, 1000]).await;
}

async fn at_a_server_it_is_the_same(installation: &Installation, id: &str, document: &Value) {
    let server = installation.serve(&[]).await;
    let again = at(&server, "tea", &["invoice", "reconcile", id, "--format", "json"]).await.assert_success();
    assert!(again.stderr.contains("the same as that of the last comparison"), "{}", again.stderr);
    assert_eq!(again.json(), *document);
    for arguments in [
        &["invoice", "show", id, "--format", "csv"][..],
        &["invoice", "show", id, "--cause", "missing", "--format", "csv"],
        &["invoice", "show", id],
        &["invoice", "list", "--format", "json"],
        &["invoice", "list", "--provider", "Acme"],
    ] {
        let local = installation.database.run(arguments).await.assert_success();
        let remote = at(&server, "tea", arguments).await.assert_success();
        assert_eq!((local.stdout, local.stderr), (remote.stdout, remote.stderr), "{arguments:?}");
    }
    let listed = at(&server, "tea", &["invoice", "list", "--provider", "ACME", "--format", "json"]).await;
    assert_eq!(listed.assert_success().json().as_array().map(Vec::len), Some(1));
    let missing = at(&server, "tea", &["invoice", "show", id, "--cause", "missing", "--format", "csv"]).await;
    assert_eq!(missing.assert_success().stdout.lines().count(), 5);
}

/// The control: what Apex charged is no difference, as an export of FOCUS and as an export of quantities.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_of_what_was_charged_has_no_variance() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let open = installation.serve_open().await;
    fill(&open).await;
    drop(open.terminate().await);
    let path = folder.path().join("focus.csv");
    let path = path.to_str().unwrap();
    let export = ["export", "focus", "--format", "csv", "--output", path];
    database.run(&[&export[..], &PERIOD].concat()).await.assert_success();
    let columns = "day=ChargePeriodStart,model=x_Model,meter=SkuMeter,quantity=ConsumedQuantity,amount=BilledCost";
    for columns in [columns, columns.trim_end_matches(",amount=BilledCost")] {
        let arguments = ["invoice", "record", path, "--format", "csv", "--provider", "acme", "--columns", columns];
        let id = recorded(database, &[&arguments[..], &PERIOD].concat()).await;
        let document = reconciled(database, &id).await;
        assert_eq!(document["variances"], json!([]), "{columns}: {document:#}");
        let result = &document["invoice"]["reconciliation"];
        assert_eq!((&result["difference"], &result["billed"]), (&json!("0"), &result["expected"]), "{document:#}");
    }
    let lines: Vec<_> = (1..=10).flat_map(right).collect();
    let id = recorded(database, &record(&file(folder.path(), "right.csv", &lines), &["--number", "1"])).await;
    assert_eq!(found(&reconciled(database, &id).await), [[""; 4]; 0].map(|row| row.map(str::to_owned)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_invoice_again_changes_nothing_and_another_one_replaces_it() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let one = file(folder.path(), "one.csv", &right(1));
    let two = file(folder.path(), "two.csv", &[right(1), right(2)].concat());
    let id = recorded(database, &record(&one, &[])).await;
    let head = database.head().await;
    let again = database.run(&record(&one, &[])).await.assert_success();
    assert!(again.stderr.contains("recorded already") && again.stdout.trim() == id, "{}", again.stderr);
    assert_eq!(database.head().await, head);
    let server = installation.serve(&[]).await;
    let again = at(&server, "tea", &record(&one, &[])).await.assert_success();
    assert!(again.stderr.contains("recorded already"), "{}", again.stderr);
    assert_eq!(database.head().await, head);
    // The same period: it is the same invoice, in another version.
    let replaced = at(&server, "tea", &record(&two, &[])).await.assert_success();
    assert_eq!(replaced.stdout.trim(), id);
    // Another number is another invoice.
    let other = at(&server, "tea", &record(&one, &["--number", "7", "--account", "org"])).await.assert_success();
    assert_ne!(other.stdout.trim(), id);
    let shown = async |id: &str| {
        let shown = database.run(&["invoice", "show", id, "--format", "json"]).await.assert_success();
        shown.json()["invoice"].take()
    };
    let invoice = shown(&id).await;
    assert_eq!(
        (&invoice["revision"], &invoice["lines"], &invoice["status"]),
        (&json!(2), &json!(6), &json!("recorded"))
    );
    assert_eq!((&invoice["amount"], &invoice["provider"]), (&json!("0.245"), &json!("acme")));
    let withdraw = ["invoice", "withdraw", &id, "--reason", "it is of another account"];
    database.run(&withdraw).await.assert_success();
    let again = at(&server, "tea", &withdraw).await.assert_success();
    assert!(again.stderr.contains("was withdrawn already"), "{}", again.stderr);
    let refused = at(&server, "tea", &["invoice", "reconcile", &id]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("was withdrawn"), "{}", refused.stderr);
    assert_eq!(shown(&id).await["withdrawn_reason"], "it is of another account");
    at(&server, "tea", &record(&one, &[])).await.assert_success();
    let invoice = shown(&id).await;
    assert_eq!((&invoice["revision"], &invoice["status"]), (&json!(3), &json!("recorded")));
    let list = database.run(&["invoice", "list", "--format", "json"]).await.assert_success().json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    // Another tenant has neither.
    let list = database.run(&["invoice", "list", "--format", "json", "--tenant", "umbrella"]).await;
    assert_eq!(list.assert_success().json(), json!([]));
    let none = database.run(&["invoice", "show", &id, "--tenant", "umbrella"]).await;
    assert!(none.code == Some(1) && none.stderr.contains("there is no invoice"), "{}", none.stderr);
    drop(server.terminate().await);
    database.assert_equals_rebuild(&["invoices"], &[1, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_are_refused_with_their_lines_and_nothing_is_recorded() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let server = installation.serve(&[]).await;
    let head = database.head().await;
    let mut lines = right(1);
    lines.push("03/02/2026,large,input,1,1".to_owned());
    lines.push("2026-03-02,large,minutes,1,1".to_owned());
    let bad = file(folder.path(), "bad.csv", &lines);
    let outside = file(folder.path(), "outside.csv", &["2026-04-01,large,input,1,1".to_owned()]);
    let bad_columns = ["invoice", "record", &bad, "--format", "csv", "--provider", "acme", "--columns", "day=Tag"];
    for (arguments, code, messages) in [
        (
            record(&bad, &[]),
            1,
            &["line 5: \"03/02/2026\" is not a day", "line 6: \"minutes\" is no meter", "nothing is recorded"][..],
        ),
        (record(&outside, &[]), 1, &["2026-04-01 is not in the period"]),
        (record("/nowhere.csv", &[]), 1, &["cannot be opened"]),
        (bad_columns.to_vec(), 1, &["no column \"Tag\" for day"]),
        (record(&bad, &["--meter", "minutes=seconds"]), 1, &["is not of the form NAME=METER"]),
        (vec!["invoice", "record", &bad, "--format", "openai"], 1, &["is not that of OpenAI"]),
        (vec!["invoice", "record", &bad, "--format", "anthropic"], 1, &["is not the JSON"]),
        (vec!["invoice", "show", "018bd12c-58b0-7683-8a5b-8752d0e86651"], 1, &["there is no invoice"]),
        (vec!["invoice", "reconcile", "018bd12c-58b0-7683-8a5b-8752d0e86651"], 1, &["no invoice is recorded"]),
        (
            vec!["invoice", "show", "018bd12c-58b0-7683-8a5b-8752d0e86651", "--cause", "luck"],
            2,
            &["the causes of variances are"],
        ),
    ] {
        for output in [database.run(&arguments).await, at(&server, "tea", &arguments).await] {
            assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
            for message in messages {
                assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
            }
        }
    }
    assert_eq!(database.head().await, head, "nothing is recorded");
    let others = record(&bad, &["--skip-refused", "--meter", "minutes=-"]);
    let others = database.run(&others).await.assert_success();
    assert!(
        others.stderr.contains("3 lines of Acme") && others.stderr.contains("refused: line 5"),
        "{}",
        others.stderr
    );
    assert!(others.stderr.contains("1 rows have no usage"), "{}", others.stderr);
}

fn line(number: u32) -> InvoiceLine {
    InvoiceLine {
        line: number,
        day: "2026-03-01".parse().unwrap(),
        model: Name::new("large").ok(),
        meter: Some(Meter::Input),
        quantity: Some(Figure::from_units(number.into())),
        amount: Figure::parse("0.01").ok(),
        tier: None,
        reference: None,
    }
}

fn part(all: &[InvoiceLine], first: usize, count: usize) -> Value {
    let input = |line: &InvoiceLine| {
        json!({ "line": line.line, "day": line.day, "model": line.model, "meter": "INPUT", "quantity": line.quantity,
                "amount": line.amount })
    };
    let lines: Vec<_> = all[first - 1..first - 1 + count].iter().map(input).collect();
    let amount: Figure = all.iter().filter_map(|line| line.amount).sum();
    json!({ "provider": "acme", "from": "2026-03-01", "to": "2026-04-01", "format": "CSV", "lineCount": all.len(),
            "amount": amount, "amountPlaces": 2, "content": LinesHash::of(all).id(), "firstLine": first, "lines": lines })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_is_recorded_in_parts_and_compared_when_it_is_complete() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let all: Vec<_> = (1..=2_500).map(line).collect();
    let select = "outcome position error { code field message } invoice { id status recordedLines lines }";
    let record = async |input: Value| command(&server, "recordInvoice", input, select).await;
    let first = record(part(&all, 1, 2_000)).await;
    assert_eq!((&first["outcome"], &first["invoice"]["status"]), (&json!("DONE"), &json!("INCOMPLETE")), "{first}");
    let id = first["invoice"]["id"].as_str().unwrap();
    let reconcile = json!({ "id": id });
    let refused = command(&server, "reconcileInvoice", reconcile.clone(), select).await;
    assert_eq!(refused["error"]["code"], "INCOMPLETE", "{refused}");
    for (input, code) in [
        (part(&all, 2_002, 10), "GAP"),
        (part(&all, 1, 2_001), "NUMBER_OF_LINES"),
        (json!({ "amount": "1", "content": first["invoice"]["id"] }), "INVALID_INPUT"),
    ] {
        let mut whole = part(&all, 2_001, 500);
        whole.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        if code == "INVALID_INPUT" {
            whole["content"] = json!(LinesHash::of(&all).id());
            whole["from"] = json!("March");
        }
        let refused = record(whole).await;
        assert_eq!((&refused["outcome"], &refused["error"]["code"]), (&json!("REJECTED"), &json!(code)), "{refused}");
    }
    // It overlaps what is recorded.
    let rest = record(part(&all, 1_901, 600)).await;
    assert_eq!((&rest["outcome"], &rest["invoice"]["recordedLines"]), (&json!("DONE"), &json!(2_500)), "{rest}");
    let again = record(part(&all, 1, 2_000)).await;
    assert_eq!(again["outcome"], "ALREADY_DONE", "{again}");
    let done = command(&server, "reconcileInvoice", reconcile.clone(), "outcome position error { message }").await;
    assert_eq!(done["outcome"], "DONE", "{done}");
    let query = "query ($id: ID!, $position: Position, $cause: VarianceCause) {
        invoice(id: $id, minPosition: $position) { status reconciliation { billed expected difference
            causes { cause variances difference } } }
        invoiceVariances(invoiceId: $id, minPosition: $position, cause: $cause, first: 1) { nodes { cause difference lines }
            pageInfo { hasNextPage } } }";
    let found = server.graphql(query, json!({ "id": id, "position": done["position"] })).await;
    assert_eq!(found["invoice"]["status"], "RECONCILED");
    assert_eq!(found["invoice"]["reconciliation"]["difference"], "25", "{found}");
    let variance = json!({ "cause": "MISSING", "difference": "25", "lines": 2_500 });
    assert_eq!(found["invoiceVariances"]["nodes"], json!([variance]), "{found}");
    let none = server.graphql(query, json!({ "id": id, "position": done["position"], "cause": "TIER" })).await;
    assert_eq!(none["invoiceVariances"]["nodes"], json!([]));
    let again = command(&server, "reconcileInvoice", reconcile, "outcome").await;
    assert_eq!(again["outcome"], "ALREADY_DONE");
    drop(server.terminate().await);
    database.assert_equals_rebuild(&["invoices"], &[1, 2, 1000]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_set_prices_record_invoices_and_those_who_read_reports_read_them() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let record = format!(
        "mutation {{ recordInvoice(input: {{ provider: \"acme\", from: \"2026-03-01\", to: \"2026-04-01\", format: CSV,
            lineCount: 1, amount: \"0.01\", amountPlaces: 2, content: \"{}\", lines: [{{ line: 1, day: \"2026-03-01\",
            model: \"large\", meter: INPUT, quantity: \"1\", amount: \"0.01\" }}] }}) {{ outcome error {{ message }} }} }}",
        LinesHash::of(&[line(1)]).id()
    );
    for (role, records, reads) in [
        ("billing", true, true),
        ("operator", true, true),
        ("viewer", false, true),
        ("auditor", false, true),
        ("agent", false, false),
    ] {
        let user = installation.user(&server, &format!("{role}@example.org"), role).await;
        for (query, may) in [(record.as_str(), records), ("{ invoices { nodes { amount } } }", reads)] {
            let (_, answer) = ask(&server, text(&user, "accessToken"), query).await;
            let is_forbidden = answer["errors"][0]["extensions"]["code"] == "FORBIDDEN";
            assert_eq!(!is_forbidden, may, "{role}: {answer}");
            assert!(!may || answer["errors"].is_null(), "{role}: {answer}");
            assert_ne!(answer["data"]["recordInvoice"]["outcome"], "REJECTED", "{role}: {answer}");
        }
    }
}
