//! Reports are equal to the last digit to what a script in another language folds from the replay of the log, by its own
//! knowledge of time zones.

use crate::graphql::command;
use crate::rollups::add_fields;
use futures::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Stdio;
use testkit::{Server, TestDatabase};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

/// Times near which something changes: the offsets of zones, their days, and the weeks, months and years of them.
const EDGES: [&str; 13] = [
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
    "2026-10-24T22:00:00Z",
    "2026-03-08T07:00:00Z",
    "2026-11-01T06:00:00Z",
    "2026-04-04T15:00:00Z",
    "2026-10-03T15:30:00Z",
    "2026-03-08T05:30:00Z",
    "2026-11-01T04:30:00Z",
    "2010-11-07T02:31:00Z",
    "2026-12-31T18:15:00Z",
    "2027-01-01T00:00:00Z",
    "2026-04-23T22:00:00Z",
];

const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
];

/// A record of a call with random facts, of which none is also possible.
fn record(random: &mut StdRng) -> Map<String, Value> {
    let edge: chrono::DateTime<chrono::Utc> = EDGES.choose(random).unwrap().parse().unwrap();
    let at = edge + chrono::TimeDelta::seconds(random.random_range(-9_000..9_000));
    let mut record = Map::new();
    record.insert("startedAt".into(), json!(at));
    record.insert(
        "usage".into(),
        json!({ "input": random.random_range(0..50), "output": random.random_range(0..3), "cacheRead": 7 }),
    );
    record.insert("usageAssumed".into(), json!(random.random_bool(0.3)));
    let texts = [
        ("user", ["ada", "bob"]),
        ("team", ["search", "ads"]),
        ("key", ["ci", "prod"]),
        ("conversation", ["c1", "c2"]),
        ("outcome", ["OK", "TIMEOUT"]),
        ("error", ["no answer", "x"]),
        ("reportedCost", ["0.25", "1.125000000001"]),
    ];
    add_fields(&mut record, &texts, random);
    if random.random_bool(0.7) {
        let value = ["red", "blue"].choose(random);
        record.insert("tags".into(), json!([{ "key": "squad", "value": value }]));
    }
    record
}

/// Reports calls, some of them twice, and corrects some. Half of the models have a price. Sums are kept by the tag `squad`.
async fn report_calls(server: &Server, calls: u64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    // Before the first call, so that sums by the tag have each call under its value.
    let declared = command(server, "declareTagKey", json!({ "key": "squad" }), "outcome").await;
    assert_eq!(declared["outcome"], "DONE");
    let price = json!({ "provider": "acme", "model": "m1", "effectiveFrom": "2000-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "3.500001" }, { "meter": "OUTPUT", "rate": "7" }] });
    command(server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    for n in 0..calls {
        let (field, values) = if n % 5 == 0 { ("tool", ["grep", "find"]) } else { ("model", ["m1", "m2"]) };
        let mut id = Value::Null;
        for _ in 0..random.random_range(1..3) {
            let mut record = record(&mut random);
            record.insert("callKey".into(), json!(format!("call-{n}")));
            record.insert("provider".into(), json!(if n % 3 > 0 { "acme" } else { "other" }));
            record.insert("source".into(), json!(["proxy", "trace"].choose(&mut random)));
            record.insert(field.into(), json!(values.choose(&mut random).unwrap()));
            let reported = command(server, "reportCall", json!(record), "outcome call { id }").await;
            assert_ne!(reported["outcome"], "REJECTED", "{record:?}");
            id = reported["call"]["id"].clone();
        }
        if random.random_bool(0.3) {
            let mut values = record(&mut random);
            values.retain(|field, _| !["error", "usageAssumed"].contains(&field.as_str()));
            let input = json!({ "id": id, "reason": "test", "values": values });
            let corrected = command(server, "correctCall", input, "outcome").await;
            assert_ne!(corrected["outcome"], "REJECTED", "{values:?}");
        }
    }
}

/// A report without filters over all times.
fn spec(by: &[&str], zone: &str) -> Value {
    json!({ "by": by, "filters": [], "zone": zone, "from": null, "to": null, "base": null, "top": null })
}

fn with(mut spec: Value, members: Value) -> Value {
    spec.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    spec
}

/// Reports of each kind.
fn chosen_specs() -> Vec<Value> {
    let october = json!({ "from": "2026-10-25", "to": "2026-10-26" });
    vec![
        spec(&[], "UTC"),
        spec(&["task"], "UTC"),
        spec(&["task", "day"], "UTC"),
        spec(&["task", "day"], "Europe/Berlin"),
        spec(&["minute"], "Asia/Kathmandu"),
        spec(&["week", "month", "model"], "America/New_York"),
        spec(&["tag:squad", "day"], "Europe/Berlin"),
        spec(&["tag:squad", "hour"], "America/New_York"),
        spec(&["tag:squad", "week"], "Asia/Kathmandu"),
        with(spec(&["month"], "Africa/Cairo"), json!({ "filters": [["tag:squad", null]], "top": 1 })),
        with(
            spec(&["tag:squad"], "Europe/Berlin"),
            json!({ "from": "2026-10-25", "to": "2026-11-25", "base": ["2026-03-01", "2026-10-25"] }),
        ),
        with(spec(&["hour"], "Europe/Berlin"), october.clone()),
        with(spec(&["quarter_hour", "hour"], "Europe/Berlin"), october),
        with(spec(&["hour", "model"], "Australia/Lord_Howe"), json!({ "from": "2026-04-05", "to": "2026-04-06" })),
        with(spec(&["day"], "Africa/Cairo"), json!({ "from": "2026-04-24", "to": "2026-04-25" })),
        with(spec(&["model"], "UTC"), json!({ "filters": [["day", "2026-10-25"], ["day", "2026-03-29"]] })),
        with(spec(&["model"], "Europe/Berlin"), json!({ "filters": [["hour", "2026-10-25T02:00+01:00"]] })),
        with(spec(&["model"], "Europe/Berlin"), json!({ "filters": [["hour", "2026-10-25T02:00+02:00"]] })),
        with(spec(&["agent", "model", "user"], "UTC"), json!({ "top": 3 })),
        with(spec(&["model", "month", "outcome"], "Asia/Kathmandu"), json!({ "top": 1 })),
        with(spec(&["hour", "team", "user"], "America/St_Johns"), json!({ "top": 2 })),
        with(
            spec(&["model", "user"], "Europe/Berlin"),
            json!({ "from": "2026-10-25", "to": "2026-11-25", "base": ["2026-03-01", "2026-10-25"] }),
        ),
        with(
            spec(&["task"], "UTC"),
            json!({ "from": "2026-10-25", "to": "2027-01-25", "base": ["2026-03-01", "2026-10-25"], "top": 2 }),
        ),
        with(
            spec(&["task", "model"], "UTC"),
            json!({ "from": "2026-10-25", "to": "2027-01-25", "base": ["2026-03-01", "2027-01-25"] }),
        ),
    ]
}

/// Random reports.
fn random_specs(seed: u64) -> Vec<Value> {
    let mut specs = Vec::new();
    let mut random = StdRng::seed_from_u64(seed);
    let few = ["agent", "user", "team", "key", "provider", "model", "tool", "outcome", "source"];
    let alone = ["task", "dag", "conversation", "tag:squad"];
    let times = ["minute", "quarter_hour", "hour", "day", "week", "month", "quarter", "year"];
    let filters = [
        json!(["model", "m1"]),
        json!(["model", null]),
        json!(["user", "ada"]),
        json!(["tag:squad", "red"]),
        json!(["tag:squad", null]),
        json!(["task", Uuid::from_u128(2)]),
        json!(["outcome", "timeout"]),
        json!(["week", "2026-W43"]),
        json!(["quarter", "2026-Q4"]),
        json!(["year", "2026"]),
        json!(["month", "2026-11"]),
    ];
    for _ in 0..40 {
        let mut by: Vec<&str> = few.choose_multiple(&mut random, 2).copied().collect();
        if random.random_bool(0.4) {
            by.push(alone.choose(&mut random).unwrap());
        }
        let is_compared = random.random_bool(0.2);
        if !is_compared {
            by.extend(times.choose_multiple(&mut random, 2).copied().take(random.random_range(0..3)));
        }
        let zone = ZONES.choose(&mut random).unwrap();
        let is_allowed = |filter: &&Value| !is_compared || !times.contains(&filter[0].as_str().unwrap());
        let count = random.random_range(0..3);
        let filters: Vec<_> = filters.iter().filter(is_allowed).collect::<Vec<_>>();
        let filters: Vec<_> = filters.choose_multiple(&mut random, count).copied().cloned().collect();
        let mut random_spec = with(spec(&by, zone), json!({ "filters": filters }));
        if random.random_bool(0.3) {
            random_spec = with(random_spec, json!({ "top": random.random_range(1..6) }));
        }
        if is_compared {
            let base = ["2026-01-01", "2026-10-25"];
            random_spec = with(random_spec, json!({ "from": "2026-10-25", "to": "2026-12-31", "base": base }));
        }
        specs.push(random_spec);
    }
    specs
}

/// The arguments of `apex report cost` for a report.
fn arguments(spec: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut arguments: Vec<_> = ["report", "cost", "--format", "json", "--time-zone"].map(str::to_owned).into();
    arguments.push(text(&spec["zone"]));
    let by: Vec<_> = spec["by"].as_array().unwrap().iter().map(text).collect();
    if !by.is_empty() {
        arguments.extend(["--by".to_owned(), by.join(",")]);
    }
    for filter in spec["filters"].as_array().unwrap() {
        let value = filter[1].as_str().unwrap_or_default();
        arguments.extend(["--filter".to_owned(), format!("{}={value}", text(&filter[0]))]);
    }
    for limit in ["from", "to"] {
        if let Some(time) = spec[limit].as_str() {
            arguments.extend([format!("--{limit}"), time.to_owned()]);
        }
    }
    if let Some(top) = spec["top"].as_u64() {
        arguments.extend(["--top".to_owned(), top.to_string()]);
    }
    if let Some(base) = spec["base"].as_array() {
        arguments.extend(["--compare".to_owned(), format!("{}..{}", text(&base[0]), text(&base[1]))]);
    }
    arguments
}

/// What the script says of reports.
async fn folded(replay: &str, specs: &[Value], folder: &Path) -> Vec<Value> {
    let file = folder.join("reports.json");
    std::fs::write(&file, json!(specs).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/fold.py");
    let mut python = tokio::process::Command::new("python3")
        .args([script, file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    let write = async {
        input.write_all(replay.as_bytes()).await.unwrap();
        drop(input);
    };
    let (output, ()) = tokio::join!(python.wait_with_output(), write);
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The members of a report that the script has too.
fn as_folded(report: &Value, right: &Value) -> Value {
    match (report, right) {
        (Value::Object(report), Value::Object(right)) => {
            let member = |(name, right): (&String, &Value)| {
                (name.clone(), report.get(name).map_or(Value::Null, |found| as_folded(found, right)))
            };
            Value::Object(right.iter().map(member).collect())
        }
        (Value::Array(report), Value::Array(right)) => {
            // Rows that only one of them has are shown as they are.
            let rows = report.iter().enumerate();
            rows.map(|(n, row)| right.get(n).map_or_else(|| row.clone(), |right| as_folded(row, right))).collect()
        }
        _ => report.clone(),
    }
}

async fn run(database: &TestDatabase, arguments: &[String]) -> Value {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    database.run(&arguments).await.assert_success().json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_what_an_independent_fold_of_the_replay_says() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server, 150, 17).await;
    let head = database.head().await.to_string();
    let replay = database.run(&["replay"]).await.assert_success().stdout;
    let specs = [chosen_specs(), random_specs(23)].concat();
    let folder = tempfile::tempdir().unwrap();
    let right = folded(&replay, &specs, folder.path()).await;
    assert_eq!(right.len(), specs.len());
    let check = async |(spec, right): (&Value, &Value)| {
        let mut arguments = arguments(spec);
        let report = run(&database, &arguments).await;
        assert_eq!(as_folded(&report, right), *right, "{arguments:?} summed from {}", report["summed_from"]);
        if spec["base"].is_null() {
            arguments.extend(["--known-at".to_owned(), head.clone()]);
            let known = run(&database, &arguments).await;
            assert_eq!(as_folded(&known, right), *right, "{arguments:?}");
        }
        report["summed_from"].as_str().unwrap().to_owned()
    };
    let sources: Vec<String> = stream::iter(specs.iter().zip(&right)).map(check).buffered(2).collect().await;
    for source in ["sums by quarter hour", "sums by day and task", "sums by hour and tag", "calls"] {
        assert!(sources.iter().any(|found| found == source), "no report was from {source}: {sources:?}");
    }

    // Control: a script that reads a log without its last event says something else.
    let (without_last, _) = replay.trim_end().rsplit_once('\n').unwrap();
    assert_ne!(folded(without_last, &specs[..1], folder.path()).await[0], right[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_rows_are_filters_that_select_them() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server, 60, 5).await;
    for (by, zone) in [
        ("hour", "Europe/Berlin"),
        ("quarter_hour", "Australia/Lord_Howe"),
        ("hour", "Australia/Lord_Howe"),
        ("minute", "America/St_Johns"),
        ("day", "America/St_Johns"),
        ("week", "Asia/Kathmandu"),
        ("quarter", "America/New_York"),
    ] {
        let report = run(&database, &arguments(&spec(&[by], zone))).await;
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.len() > 3, "{by} {zone}");
        let mut random = StdRng::seed_from_u64(1);
        for row in rows.choose_multiple(&mut random, 4) {
            let filtered = with(spec(&[], zone), json!({ "filters": [[by, row[by]]] }));
            let total = run(&database, &arguments(&filtered)).await["total"].take();
            let mut of_row = row.clone();
            of_row.as_object_mut().unwrap().remove(by);
            assert_eq!(total, of_row, "{by} {zone}");
        }
    }
}
