//! Exports: every format is read back by another program, and adds up to the report.

mod limits;

use crate::graphql::{agent, command};
use crate::receipts;
use crate::remote::at;
use crate::repricing::set;
use crate::rollups::sum_up_calls;
use crate::users::Installation;
use reqwest::StatusCode;
use rust_decimal::Decimal;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use testkit::{Server, TestDatabase, http_client, memory_kb, repository, send_signal, wait_until};
use tokio::process::Command;

/// A program of a Python environment of the tests.
fn tool(environment: &str, program: &str) -> PathBuf {
    let path = repository().join("target/tools").join(environment).join("bin").join(program);
    assert!(path.exists(), "{} does not exist: run scripts/python-environment.sh", path.display());
    path
}

/// The rows of an export, as Python reads them. Each value is text, empty if it is missing.
struct Rows {
    columns: Vec<String>,
    rows: Vec<Value>,
    position: Option<String>,
}

impl Rows {
    async fn read(format: &str, file: &Path) -> Self {
        let script = repository().join("tests/exports/read.py");
        let mut python = Command::new(tool("focus-python", "python"));
        let output = python.arg(script).arg(format).arg(file).output().await.unwrap();
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let mut found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let position = found["position"].as_str().map(str::to_owned);
        let columns = serde_json::from_value(found["columns"].take()).unwrap();
        Self { columns, rows: serde_json::from_value(found["rows"].take()).unwrap(), position }
    }

    fn texts(&self, column: &str) -> Vec<&str> {
        assert!(self.columns.iter().any(|found| found == column), "no column {column}");
        self.rows.iter().map(|row| row[column].as_str().unwrap()).collect()
    }

    /// The sum of a column.
    fn sum(&self, column: &str) -> Decimal {
        let numbers = self.texts(column).into_iter().filter(|text| !text.is_empty());
        numbers.map(|text| text.parse::<Decimal>().unwrap()).sum::<Decimal>().normalize()
    }
}

pub(crate) fn decimal(value: &Value) -> Decimal {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse::<Decimal>().unwrap().normalize()
}

/// Text that is special in some format: quotes, line breaks, formulas, other scripts and emoji.
const SPECIAL: [&str; 5] = ["=1+1", "\"quoted\", and more", "naïve 東京 🦀", "back\\slash", "-2"];

/// The number of the call that names no provider. Its model has a price of one.
const UNNAMED_PROVIDER: u64 = 2;

/// Reports calls of every kind of price, with agents, teams, tags and texts that are special in some format.
async fn fill(server: &Server, calls: u64) {
    for price in receipts::prices() {
        set(server, price).await;
    }
    let discount = json!({ "name": "volume", "provider": "acme", "models": "large", "percent": "12.345",
                           "effectiveFrom": "2026-03-10T00:00:00Z" });
    command(server, "setDiscounts", json!({ "discounts": [discount] }), "outcome").await;
    let agents = [agent(server, "=cmd()").await, agent(server, "Ada, \"the\" agent").await];
    for number in 0..calls {
        let special = SPECIAL[usize::try_from(number).unwrap() % SPECIAL.len()];
        let mut call = receipts::call(number);
        let more = json!({
            "agentId": agents[usize::try_from(number % 2).unwrap()], "team": (number % 3 == 0).then_some("research"),
            "user": special, "key": "k1", "conversation": format!("c{}", number % 9), "region": "eu-west-1",
            "outcome": if number % 11 == 0 { "ERROR" } else { "OK" },
            "tags": [{ "key": "text", "value": special }, { "key": "number", "value": (number % 4).to_string() }],
        });
        let call_fields = call.as_object_mut().unwrap();
        call_fields.extend(more.as_object().unwrap().clone());
        if number == UNNAMED_PROVIDER {
            call_fields.remove("provider");
        }
        let payload = command(server, "reportCall", call, "outcome error { message }").await;
        assert_eq!(payload["outcome"], "DONE", "{payload}");
    }
}

/// The total of the report of a time range.
async fn total(database: &TestDatabase, range: &[&str]) -> Value {
    let arguments = [&["report", "cost", "--format", "json"], range].concat();
    database.run(&arguments).await.assert_success().json()["total"].clone()
}

/// Exports into a file of a folder.
async fn export(database: &TestDatabase, folder: &Path, format: &str, arguments: &[&str]) -> PathBuf {
    let file = folder.join(format!("export-{}.{format}", uuid::Uuid::new_v4()));
    let arguments = [&["export"], arguments, &["--format", format, "--output", file.to_str().unwrap()]].concat();
    let output = database.run(&arguments).await.assert_success();
    assert!(output.stderr.contains("Export as of position "), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    file
}

/// An installation whose log has calls, and whose server has ended.
pub(crate) async fn filled(calls: u64) -> Installation {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    fill(&server, calls).await;
    server.kill().await;
    installation
}

const FORMATS: [&str; 3] = ["csv", "ndjson", "parquet"];

/// A cell of CSV as it would be in other formats.
fn with_formula(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_has_every_call_and_adds_up_to_the_report() {
    let installation = filled(60).await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let report = total(database, &[]).await;
    let mut read = Vec::new();
    for format in FORMATS {
        let file = export(database, folder.path(), format, &["calls"]).await;
        let rows = Rows::read(format, &file).await;
        assert_eq!(rows.rows.len(), 60, "{format}");
        for (column, sum) in [
            ("cost", "cost"),
            ("reported_cost", "reported_cost"),
            ("input_tokens", "input_tokens"),
            ("output_tokens", "output_tokens"),
            ("cache_write_1hour_tokens", "cache_write_1hour_tokens"),
            ("images", "images"),
        ] {
            assert_eq!(rows.sum(column), decimal(&report[sum]), "{format}: {column}");
        }
        let unpriced = rows.texts("unpriced").into_iter().filter(|text| *text == "true").count();
        assert_eq!(json!(unpriced), report["unpriced_calls"], "{format}");
        read.push(rows);
    }
    let [csv, ndjson, parquet] = &read[..] else { unreachable!() };
    assert_eq!(ndjson.rows, parquet.rows, "the formats differ");
    assert!(parquet.position.as_ref().unwrap().parse::<u64>().unwrap() > 60);
    for (line, row) in csv.rows.iter().zip(&ndjson.rows) {
        for (name, value) in row.as_object().unwrap() {
            let cell = line[name].as_str().unwrap();
            assert_eq!(with_formula(cell), value.as_str().unwrap(), "{name}");
            assert!(!cell.starts_with('='), "{cell} is a formula");
        }
    }
    assert_texts_are_as_reported(csv, ndjson);
}

/// Asserts that calls are in order, and that what is special in some format is as it was reported.
fn assert_texts_are_as_reported(csv: &Rows, ndjson: &Rows) {
    let times = csv.texts("started_at");
    assert!(times.is_sorted() && times[0] < times[59], "{times:?}");
    let mut users = ndjson.texts("user");
    users.sort_unstable();
    users.dedup();
    let mut expected = SPECIAL.to_vec();
    expected.sort_unstable();
    assert_eq!(users, expected);
    for (user, tags) in ndjson.texts("user").into_iter().zip(ndjson.texts("tags")) {
        assert_eq!(serde_json::from_str::<Value>(tags).unwrap()["text"], user);
    }
    let mut names = ndjson.texts("agent_name");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["=cmd()", "Ada, \"the\" agent"]);
    assert!(csv.texts("agent_name").contains(&"'=cmd()"));
    let reasons = ndjson.texts("unpriced_reason");
    assert!(reasons.contains(&"no provider has a price for it"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_focus_adds_up_to_the_report_and_passes_the_lint() {
    let installation = filled(60).await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let report = total(database, &[]).await;
    for version in ["1.4", "1.2"] {
        let mut read = Vec::new();
        for format in FORMATS {
            let file = export(database, folder.path(), format, &["focus", "--focus-version", version]).await;
            let rows = Rows::read(format, &file).await;
            assert_eq!(rows.sum("BilledCost"), decimal(&report["cost"]), "{version} {format}");
            assert_eq!(rows.sum("EffectiveCost"), decimal(&report["cost"]), "{version} {format}");
            assert!(rows.sum("ListCost") > rows.sum("BilledCost"), "the discount is in the list cost");
            assert_has_providers(&rows, version);
            if version == "1.4" && format != "ndjson" {
                lint(&file).await;
            }
            read.push(rows);
        }
        assert_eq!(read[1].rows, read[2].rows, "the formats differ");
        assert_eq!(read[0].rows.len(), read[1].rows.len());
        // Tokens of what is charged are those of the report, without the meters that are billed as another one.
        let meters = read[1].texts("SkuMeter");
        assert!(meters.contains(&"input_tokens") && meters.contains(&"images"), "{meters:?}");
        let rows = read[1].rows.iter();
        let large = rows.filter(|row| row["x_Model"] == "large" && row["SkuMeter"] == "cache_read_tokens");
        let consumed: Decimal = large.map(|row| decimal(&row["ConsumedQuantity"])).sum();
        let arguments = ["--filter", "model=large"];
        assert_eq!(consumed.normalize(), decimal(&total(database, &arguments).await["cache_read_tokens"]));
    }
    // A day is a charge period, and its rows are those of the report.
    let day = ["--from", "2026-03-10", "--to", "2026-03-12"];
    let file = export(database, folder.path(), "csv", &[&["focus"], &day[..]].concat()).await;
    let rows = Rows::read("csv", &file).await;
    assert_eq!(rows.sum("BilledCost"), decimal(&total(database, &day).await["cost"]));
    let mut periods = rows.texts("ChargePeriodStart");
    periods.dedup();
    assert_eq!(periods, ["2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z"]);
    let refused = database.run(&["export", "focus", "--from", "2026-03-10T12:00:00Z"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("not the start of one"), "{}", refused.stderr);
}

/// A sum of a report; zero if it is not known.
fn known(sum: &Value) -> Decimal {
    if sum.is_null() { Decimal::ZERO } else { decimal(sum) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "one installation for all of it")]
async fn a_filtered_export_has_the_calls_of_the_filtered_report() {
    let installation = filled(60).await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let agent = "select 'agent=' || agent_id from apex.agents order by name limit 1";
    let agent: String = sqlx::query_scalar(agent).fetch_one(&mut database.owner().await).await.unwrap();
    let mut sizes = std::collections::BTreeSet::new();
    let every_filter = [
        &["model=large"][..],
        &["model=large", "model=tiers", "user=-2", "user=back\\slash"],
        &["team="],
        &["team=research", "outcome=ok"],
        &[&agent],
        &["conversation=c3"],
        &["conversation=c3", "team=research"],
        &["tag:text=naïve 東京 🦀"],
        &["tag:number=1", "tag:number=2", "provider=acme"],
        &["tag:missing="],
        &["task="],
        &["provider="],
        &["model=none"],
    ];
    for (number, filters) in every_filter.into_iter().enumerate() {
        let arguments: Vec<_> = filters.iter().flat_map(|filter| ["--filter", filter]).collect();
        let report = total(database, &arguments).await;
        // What a filter selects does not depend on the format.
        let format = FORMATS[number % FORMATS.len()];
        let file = export(database, folder.path(), format, &[&["calls"], &arguments[..]].concat()).await;
        let rows = Rows::read(format, &file).await;
        assert_eq!(json!(rows.rows.len()), report["calls"], "{filters:?} {format}");
        sizes.insert(rows.rows.len());
        let file = export(database, folder.path(), format, &[&["focus"], &arguments[..]].concat()).await;
        let charges = Rows::read(format, &file).await;
        // A file of NDJSON without rows has no columns.
        if rows.rows.is_empty() || charges.rows.is_empty() {
            assert_eq!(known(&report["cost"]), Decimal::ZERO, "{filters:?}");
            continue;
        }
        assert_eq!(charges.sum("BilledCost"), known(&report["cost"]), "{filters:?} {format}");
        for (column, sum) in [("cost", "cost"), ("input_tokens", "input_tokens"), ("reported_cost", "reported_cost")] {
            assert_eq!(rows.sum(column), known(&report[sum]), "{filters:?} {format}: {column}");
        }
    }
    assert!(
        sizes.len() > 6 && sizes.contains(&0) && sizes.contains(&60),
        "the filters select too much alike: {sizes:?}"
    );
    let file = folder.path().join("none.csv");
    for (filter, code, message) in [
        ("day=2026-03-10", 1, "name the time range by its limits"),
        ("shoe=9", 2, "there is no dimension"),
        ("model", 2, "expected DIMENSION=VALUE"),
        ("agent=ada", 2, "expected a UUID"),
    ] {
        let refused = database.run(&["export", "calls", "--filter", filter, "--output", file.to_str().unwrap()]).await;
        assert!(refused.code == Some(code) && refused.stderr.contains(message), "{filter}: {}", refused.stderr);
    }
    let both = ["export", "focus", "--filter", "tag:a=1", "--filter", "tag:b=1"];
    let refused = database.run(&both).await;
    assert!(
        refused.code == Some(1) && refused.stdout.is_empty() && refused.stderr.contains("tag:a and tag:b"),
        "{}",
        refused.stderr
    );
    assert!(!file.exists());
}

/// Asserts that both providers are in every row, also of the call that names none.
fn assert_has_providers(rows: &Rows, version: &str) {
    let columns =
        if version == "1.4" { ["ServiceProviderName", "HostProviderName"] } else { ["ProviderName", "PublisherName"] };
    for column in columns {
        let names = rows.texts(column);
        assert!(!names.is_empty() && names.iter().all(|name| *name == "acme"), "{version} {column}: {names:?}");
    }
}

/// Checks a file by the lint of FOCUS 1.4.
async fn lint(file: &Path) {
    let mut toolkit = Command::new(tool("focus-python", "focus-toolkit"));
    let output = toolkit.args(["validate", "--dataset", "cost-and-usage"]).arg(file).output().await.unwrap();
    let report = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lint_of_focus_finds_what_is_wrong() {
    let installation = filled(3).await;
    let folder = tempfile::tempdir().unwrap();
    let file = export(&installation.database, folder.path(), "csv", &["focus"]).await;
    lint(&file).await;
    let text = std::fs::read_to_string(&file).unwrap();
    for (right, wrong) in [("Usage-Based", "Usage-Biased"), ("BilledCost", "Cost"), (",USD,", ",US$,")] {
        assert!(text.contains(right), "{right}");
        std::fs::write(&file, text.replace(right, wrong)).unwrap();
        let mut toolkit = Command::new(tool("focus-python", "focus-toolkit"));
        let output = toolkit.args(["validate", "--dataset", "cost-and-usage"]).arg(&file).output().await.unwrap();
        assert!(!output.status.success(), "{wrong} is not found");
    }
}

/// `make focus-validator`: the official validator takes Python 3.12, and 600 MB of packages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes Python 3.12, which not every machine has"]
async fn an_export_of_focus_1_2_passes_the_official_validator() {
    let installation = filled(60).await;
    let folder = tempfile::tempdir().unwrap();
    for format in ["csv", "parquet"] {
        let arguments = ["focus", "--focus-version", "1.2"];
        let file = export(&installation.database, folder.path(), format, &arguments).await;
        let mut validator = Command::new(tool("focus-validator", "python"));
        validator.arg(repository().join("tests/focus/validate.py")).arg(file);
        let output = validator.output().await.unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{format}: {report}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_nothing_is_a_file_and_a_wrong_range_is_refused() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    for content in ["calls", "focus"] {
        for format in FORMATS {
            let file = export(database, folder.path(), format, &[content]).await;
            let rows = Rows::read(format, &file).await;
            assert!(rows.rows.is_empty() && (format == "ndjson" || rows.columns.len() > 40), "{content} {format}");
        }
    }
    let file = folder.path().join("none.csv");
    let range = ["--from", "2026-03-02", "--to", "2026-03-01", "--output", file.to_str().unwrap()];
    let refused = database.run(&[&["export", "calls"], &range[..]].concat()).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("not after its start"), "{}", refused.stderr);
    for (content, year) in [("calls", "0000"), ("focus", "0001"), ("focus", "2200")] {
        let from = format!("{year}-01-01");
        let refused = database.run(&["export", content, "--from", &from, "--output", file.to_str().unwrap()]).await;
        assert!(refused.code == Some(1) && refused.stderr.contains("years 1970 to 2199"), "{}", refused.stderr);
    }
    assert!(!file.exists() && std::fs::read_dir(folder.path()).unwrap().count() == 6, "something is left of it");
}

/// Asks a server for an export.
async fn get(server: &Server, token: &str, path: &str) -> (StatusCode, String) {
    let response = http_client().get(format!("{}{path}", server.address)).bearer_auth(token).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// Asserts that a key that is bound to an agent has the calls of the agent, and no reports.
async fn assert_a_bound_key_has_the_calls_of_its_agent(installation: &Installation, server: &Server, uuid: &str) {
    let account = installation.run(&["accounts", "create", "bound", "--role", "viewer"]).await;
    let key = ["keys", "create", "--account", &account, "--all-scopes", "--agent", uuid, "--expires-in", "90d"];
    let key = installation.run(&key).await;
    let key = key.lines().next_back().unwrap().trim();
    wait_until("the key is known", async || get(server, key, "/v1/exports/calls").await.0 == StatusCode::OK).await;
    let (_, body) = get(server, key, "/v1/exports/calls?format=ndjson").await;
    let rows: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() == 15 && rows.iter().all(|row| row["agent_id"] == uuid), "{body}");
    // A filter on agents takes nothing in that the key may not read.
    let filtered = format!(
        "/v1/exports/calls?format=ndjson&filter=agent%3D{uuid}&filter=agent%3D{}&filter=agent%3D",
        uuid::Uuid::nil()
    );
    assert_eq!(get(server, key, &filtered).await.1, body);
    let other = format!("/v1/exports/calls?format=ndjson&filter=agent%3D{}", uuid::Uuid::nil());
    assert_eq!(get(server, key, &other).await, (StatusCode::OK, String::new()));
    assert_eq!(get(server, key, "/v1/exports/focus").await.0, StatusCode::FORBIDDEN);
    assert_eq!(get(server, "wrong", "/v1/exports/calls").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_exports_what_the_command_line_does_to_those_who_may() {
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    fill(&open, 30).await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let agents =
        open.graphql("{ agents(first: 2) { nodes { id uuid name } } }", json!({})).await["agents"]["nodes"].take();
    open.kill().await;
    let server = installation.serve(&[]).await;
    for content in ["calls", "focus"] {
        for format in FORMATS {
            let local = std::fs::read(export(database, folder.path(), format, &[content]).await).unwrap();
            let file = folder.path().join("remote");
            let arguments = ["export", content, "--format", format, "--output", file.to_str().unwrap()];
            at(&server, "tea", &arguments).await.assert_success();
            let remote = std::fs::read(&file).unwrap();
            // The metadata of Parquet has the position, which grows with each export that is recorded.
            assert!(format == "parquet" || local == remote, "{content} {format}");
            assert_eq!(local.len(), remote.len(), "{content} {format}");
        }
    }
    let printed = at(&server, "tea", &["export", "calls"]).await.assert_success().stdout;
    let (status, body) = get(&server, "tea", "/v1/exports/calls").await;
    assert_eq!((status, &body), (StatusCode::OK, &printed));
    let part = get(&server, "tea", "/v1/exports/calls?from=2026-03-10&to=2026-03-11T00:00:00Z").await.1;
    assert!(part.lines().count() > 1 && part.lines().skip(1).all(|line| line.contains("2026-03-10T")), "{part}");
    // Filters are the same wherever an export is asked for; the header has the number of their calls.
    let filters =
        ["export", "calls", "--filter", "team=research", "--filter", "tag:text==1+1", "--filter", "tag:text=-2"];
    let printed = at(&server, "tea", &filters).await.assert_success().stdout;
    assert_eq!(printed, database.run(&filters).await.assert_success().stdout);
    let query = [("filter", "team=research"), ("filter", "tag:text==1+1"), ("filter", "tag:text=-2")];
    let request = http_client().get(format!("{}/v1/exports/calls", server.address)).query(&query).bearer_auth("tea");
    let response = request.send().await.unwrap();
    let calls: usize = response.headers()["x-apex-calls"].to_str().unwrap().parse().unwrap();
    assert_eq!(response.text().await.unwrap(), printed);
    assert!(calls > 0 && calls == printed.lines().count() - 1, "{calls}: {printed}");
    for (path, status, word) in [
        ("/v1/exports/calls?filter=shoe%3D9", StatusCode::BAD_REQUEST, "there is no dimension"),
        ("/v1/exports/focus?filter=model", StatusCode::BAD_REQUEST, "expected DIMENSION=VALUE"),
        ("/v1/exports/calls?filter=day%3D2026-03-10", StatusCode::BAD_REQUEST, "name the time range by its limits"),
        ("/v1/exports/calls?filter=tag:a%3D1&filter=tag:b%3D1", StatusCode::BAD_REQUEST, "tag:a and tag:b"),
        ("/v1/exports/calls?from=2026-3-1", StatusCode::BAD_REQUEST, "expected a day"),
        ("/v1/exports/calls?format=xlsx", StatusCode::BAD_REQUEST, "csv, ndjson and parquet"),
        ("/v1/exports/calls?from=2026-03-02&to=2026-03-01", StatusCode::BAD_REQUEST, "not after its start"),
        ("/v1/exports/focus?from=2026-03-02T01:00:00Z", StatusCode::BAD_REQUEST, "not the start of one"),
        ("/v1/exports/calls?from=0000-01-01", StatusCode::BAD_REQUEST, "years 1970 to 2199"),
        ("/v1/exports/focus?from=0001-01-01", StatusCode::BAD_REQUEST, "years 1970 to 2199"),
        ("/v1/exports/focus?to=2200-01-01", StatusCode::BAD_REQUEST, "years 1970 to 2199"),
        ("/v1/exports/focus?version=1.3", StatusCode::BAD_REQUEST, "1.4 and 1.2"),
        ("/v1/exports/calls?minPosition=9000000", StatusCode::SERVICE_UNAVAILABLE, "LATE"),
    ] {
        let (found, body) = get(&server, "tea", path).await;
        assert!(found == status && body.contains(word), "{path}: {found} {body}");
    }
    assert_a_bound_key_has_the_calls_of_its_agent(&installation, &server, agents[0]["uuid"].as_str().unwrap()).await;
    server.kill().await;
}

/// Writes many calls with tags, without events.
pub(crate) async fn write_calls(database: &TestDatabase, calls: i64) {
    sqlx::query(
        "insert into apex.calls (tenant_id, call_id, kind, agent_id, provider, model, usage, usage_assumed, tags, cost, started_at,
             source, version, position)
         select 'default', gen_random_uuid(), 'llm', gen_random_uuid(), 'acme', 'm' || n % 7, '{\"input\": 1200, \"output\": 7}',
                false, jsonb_build_object('run', md5(n::text), 'text', repeat(md5((n * 7)::text), 3)), 0.00125,
                '2026-03-01T00:00:00Z'::timestamptz + n * interval '1 second', 'test', 1, n
         from generate_series(1, $1) n",
    )
    .bind(calls)
    .execute(&database.pool)
    .await
    .unwrap();
    sum_up_calls(database).await;
}

/// The transactions of exports that are open.
async fn open_exports(database: &TestDatabase) -> i64 {
    // By their beginning: the server shows the first 1,024 bytes of a statement.
    let text = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and state <> 'idle' and query like '-- The calls of the tenant of the session after a cursor%'";
    sqlx::query_scalar(text).fetch_one(&mut database.owner().await).await.unwrap()
}

/// What an export over HTTP took.
struct Transfer {
    lines: usize,
    bytes: u64,
    /// How much the memory of the server grew, in kB.
    grown_kb: u64,
}

/// Reads an export of a server that was just started.
async fn transfer(server: &Server, path: &str) -> Transfer {
    let (pid, peak_kb) = (server.child.id().unwrap(), Arc::new(AtomicU64::new(0)));
    let before_kb = memory_kb(pid, "RssAnon");
    let peak = peak_kb.clone();
    let sampling = tokio::spawn(async move {
        loop {
            peak.fetch_max(memory_kb(pid, "RssAnon"), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let (mut lines, mut bytes) = (0, 0);
    let mut response = http_client().get(format!("{}{path}", server.address)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    while let Some(chunk) = response.chunk().await.unwrap() {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        bytes += chunk.len() as u64;
    }
    sampling.abort();
    let grown_kb = peak_kb.load(Ordering::Relaxed).saturating_sub(before_kb);
    assert!(grown_kb > 0, "memory was not measured");
    Transfer { lines, bytes, grown_kb }
}

/// Each call has an agent of its own, so that FOCUS has a row for each, and as many of a day in memory as it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_focus_is_bounded() {
    const CALLS: i64 = 150_000;
    /// More than the rows of a day and a row group take in a build without optimization, and less than the export.
    const MAX_GROWTH_KB: u64 = 160 * 1024;
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, CALLS).await;
    for format in ["ndjson", "parquet"] {
        let server = database.serve(&[]).await;
        let Transfer { lines, bytes, grown_kb } =
            transfer(&server, &format!("/v1/exports/focus?format={format}")).await;
        if format == "ndjson" {
            assert_eq!(i64::try_from(lines).unwrap(), CALLS);
            assert!(bytes / 1024 > MAX_GROWTH_KB, "the export is too small to prove anything: {bytes} bytes");
        }
        assert!(grown_kb < MAX_GROWTH_KB, "{format}: memory grew by {grown_kb} kB");
        server.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_and_a_client_that_is_gone_frees_the_transaction() {
    const CALLS: i64 = 200_000;
    /// More than the batches and pages in flight take in a build without optimization, and less than the export.
    const MAX_GROWTH_KB: u64 = 100 * 1024;
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, CALLS).await;
    let server = database.serve(&[]).await;
    let path = "/v1/exports/calls?format=ndjson";
    let Transfer { lines, bytes, grown_kb } = transfer(&server, path).await;
    assert_eq!(i64::try_from(lines).unwrap(), CALLS);
    assert!(2 * bytes / 1024 > 3 * MAX_GROWTH_KB, "the export is too small to prove anything: {bytes} bytes");
    assert!(grown_kb < MAX_GROWTH_KB, "memory grew by {grown_kb} kB");
    wait_until("the export is over", async || open_exports(&database).await == 0).await;
    // A client that reads nothing holds the transaction, until it is gone.
    let mut response = http_client().get(format!("{}{path}", server.address)).send().await.unwrap();
    assert_eq!(response.headers()["x-apex-calls"], CALLS.to_string());
    assert!(response.chunk().await.unwrap().is_some());
    wait_until("the export is open", async || open_exports(&database).await == 1).await;
    drop(response);
    wait_until("the transaction is over", async || open_exports(&database).await == 0).await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_fails_midway_has_no_end_and_leaves_no_file() {
    const CALLS: i64 = 60_000;
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, CALLS).await;
    // An amount that no export has room for, in the last call.
    let last = "update apex.calls set cost = 1e40 where position = $1";
    sqlx::query(last).bind(CALLS).execute(&database.pool).await.unwrap();
    let server = database.serve(&["--token", "tea"]).await;
    let mut response =
        http_client().get(format!("{}/v1/exports/calls", server.address)).bearer_auth("tea").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut received = 0;
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            ended => break ended,
        }
    };
    assert!(ended.is_err() && received > 1_000_000, "{received} bytes: {ended:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.csv");
    let arguments = ["export", "calls", "--output", file.to_str().unwrap()];
    let failed = at(&server, "tea", &arguments).await;
    assert!(failed.code == Some(1) && failed.stderr.contains("sent a part only"), "{}", failed.stderr);
    server.kill().await;
    let failed = database.run(&[&arguments[..], &["--no-wait"]].concat()).await;
    assert!(failed.code == Some(1) && failed.stderr.contains("has more digits"), "{}", failed.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left of it");
    // Costs that do not add up to those of the report are no export of FOCUS.
    let back = "update apex.calls set cost = 1 where position = $1";
    sqlx::query(back).bind(CALLS).execute(&database.pool).await.unwrap();
    let failed = database.run(&["export", "focus", "--no-wait", "--output", file.to_str().unwrap()]).await;
    assert!(
        failed.code == Some(1) && failed.stderr.contains("and the report of the same calls to"),
        "{}",
        failed.stderr
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_export_leaves_no_file_and_a_closed_pipe_is_no_error() {
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, 100_000).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.csv");
    let arguments = ["export", "calls", "--no-wait", "--output", file.to_str().unwrap()];
    let mut child = database.apex(&arguments).spawn().unwrap();
    wait_until("the export has begun", async || std::fs::read_dir(folder.path()).unwrap().count() == 1).await;
    send_signal(child.id().unwrap(), Signal::INT);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left of it");
    let mut child = database.apex(&["export", "calls", "--no-wait"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let mut header = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut header).await.unwrap();
    assert!(header.starts_with("call_id,kind,started_at,"), "{header}");
    drop(lines);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
