//! The page of costs, in a real browser: its tables are the cost report of the command line, to the last digit, in the zone of the reader.

use crate::graphql::command;
use crate::import::import;
use crate::page::{drive, node};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

const ZONES: [&str; 2] = ["Europe/Berlin", "America/New_York"];
/// What the views are grouped by, as the page and the command line name it.
const VIEWS: [&str; 3] = ["model", "day", "hour,model"];
const RANGE: [&str; 4] = ["--from", "2023-01-01", "--to", "2027-01-01"];
/// The two periods that the browser's program compares.
const COMPARED: [&str; 6] = ["--from", "2024-01-01", "--to", "2027-01-01", "--compare", "2023-01-01..2024-01-01"];
/// What the page shows of the calls, after the cost. It has one number for calls of models and of tools.
const COUNTS: [&[&str]; 6] = [
    &["calls", "tool_calls"],
    &["failed_calls"],
    &["unpriced_calls"],
    &["assumed_calls"],
    &["input_tokens"],
    &["output_tokens"],
];

/// The samples, calls around midnight in both zones, and one without a price, whose model a spreadsheet would run.
async fn fill(database: &TestDatabase, server: &Server) {
    for file in ["azure-llm.csv", "autogpt.jsonl", "claude-code.jsonl", "otlp.json"] {
        import(database, file).await.assert_success();
    }
    for (model, started_at) in
        [("gpt-4o", "2026-03-01T23:30:00Z"), ("gpt-4o", "2026-03-02T04:30:00Z"), ("=none-such", "2026-03-02T23:10:00Z")]
    {
        let call = json!({ "provider": "openai", "model": model, "startedAt": started_at,
            "usage": { "input": 7, "output": 1_234_567 } });
        command(server, "reportCall", call, "position").await;
    }
}

/// The cost report of the command line.
async fn report(database: &TestDatabase, by: &str, zone: &str, range: &[&str]) -> Value {
    let mut arguments = vec!["report", "cost", "--by", by, "--time-zone", zone, "--format", "json"];
    arguments.extend(range);
    database.run(&arguments).await.assert_success().json()
}

/// The cells that the page has to show for a row of the report, or for its total, without the share.
fn expected(row: &Value, by: &str) -> Vec<String> {
    let values = by.split(',').map(|name| row[name].as_str().unwrap_or("none").to_owned());
    let mut cells: Vec<_> = values.collect();
    let cost = row["cost"].as_str();
    cells.push(cost.map_or_else(|| "no price".to_owned(), |cost| format!("{cost} USD")));
    for names in COUNTS {
        let count: u64 =
            names.iter().map(|name| row[*name].as_u64().unwrap_or_else(|| panic!("{name} of {row}"))).sum();
        cells.push(count.to_string());
    }
    cells
}

/// The cells of a line of the page: so many labels, the cost, the share, which is left out, and counts.
fn shown(line: &Value, labels: usize) -> Vec<String> {
    let cells = line.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap());
    let (mut kept, mut counts): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for (index, cell) in cells.enumerate() {
        if index <= labels {
            kept.push(cell.to_owned());
        } else if index > labels + 1 {
            counts.push(cell.replace(',', ""));
        }
    }
    kept.append(&mut counts);
    kept
}

fn assert_same(table: &Value, report: &Value, by: &str) {
    let labels = by.split(',').count();
    let (rows, reported) = (table["rows"].as_array().unwrap(), report["rows"].as_array().unwrap());
    let rows: Vec<_> = rows.iter().map(|row| shown(row, labels)).collect();
    let wanted: Vec<_> = reported.iter().map(|row| expected(row, by)).collect();
    assert_eq!(rows, wanted, "by {by}");
    // The total has one label, over all columns of values.
    let wanted = expected(&report["total"], by).split_off(labels);
    assert_eq!(shown(&table["total"], 1).split_off(1), wanted, "total by {by}");
}

/// The cost, that of the other period, the difference, and the difference in per cent, of a row or the total.
fn expected_change(row: &Value) -> [String; 4] {
    let amount =
        |cost: &Value, unknown: &str| cost.as_str().map_or_else(|| unknown.to_owned(), |cost| format!("{cost} USD"));
    let change = &row["change"];
    [
        amount(&row["cost"], "no price"),
        amount(&row["base"]["cost"], "no price"),
        amount(&change["cost"], "–"),
        change["cost_percent"].as_str().unwrap_or("–").to_owned(),
    ]
}

fn shown_change(line: &Value) -> [String; 4] {
    let cell = |index: usize| line[index].as_str().unwrap().to_owned();
    let percent = cell(4).replace(['+', ',', '%', ' '], "").replace('−', "-");
    [cell(1), cell(2), cell(3), percent]
}

fn assert_compared(table: &Value, report: &Value) {
    let (rows, reported) = (table["rows"].as_array().unwrap(), report["rows"].as_array().unwrap());
    let rows: Vec<_> = rows.iter().map(shown_change).collect();
    assert_eq!(rows, reported.iter().map(expected_change).collect::<Vec<_>>());
    let mut total = report["total"].clone();
    for name in ["base", "change"] {
        total[name] = report[name].clone();
    }
    assert_eq!(shown_change(&table["total"]), expected_change(&total));
    assert!(total["change"]["cost_percent"].is_string(), "{total}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_are_shown_as_the_command_line_reports_them_and_taken_away_as_files() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    fill(&database, &server).await;
    let mut reports = Vec::new();
    for zone in ZONES {
        for by in VIEWS {
            reports.push((zone, by, report(&database, by, zone, &RANGE).await));
        }
    }
    let mut program = node("costs.mjs");
    program.args([server.address.as_str(), &ZONES.join(","), "range=custom&from=2023-01-01&to=2026-12-31&top=100"]);
    program.args(VIEWS.map(|by| format!("by={by}")));
    let seen = drive(program, async |line| assert!(line.is_empty(), "the browser's program says {line:?}")).await;

    for none in ["errors", "foreign", "violations", "sideways"] {
        assert_eq!(seen[none], json!([]), "{none}: {seen}");
    }
    for (zone, by, report) in &reports {
        assert!(report["rows"].as_array().unwrap().len() > 4, "{report}");
        assert_same(&seen["tables"][*zone][format!("by={by}")], report, by);
    }
    let compared = report(&database, "model", ZONES[0], &COMPARED).await;
    assert_compared(&seen["compared"], &compared);
    // The zone decides what a day is.
    let days = |zone: &str| seen["tables"][zone]["by=day"]["rows"].clone();
    assert_ne!(days(ZONES[0]), days(ZONES[1]));

    // The files have what the page shows: exact amounts, no formula, and a row for each call.
    let total = &reports[0].2["total"];
    assert_eq!((&total["unpriced_calls"], &total["assumed_calls"]), (&json!(1), &json!(15)), "{total}");
    let csv = seen["report"]["text"].as_str().unwrap();
    let last = csv.lines().last().unwrap();
    assert!(last.starts_with(&format!("total,,,,{},", total["cost"].as_str().unwrap())), "{last}");
    assert!(csv.contains(",'=none-such,,1,"), "{csv}");
    let calls = total["calls"].as_u64().unwrap() + total["tool_calls"].as_u64().unwrap();
    let exported = seen["calls"]["text"].as_str().unwrap().lines().count() as u64;
    assert_eq!(exported, calls + 1);

    assert!(seen["stacked"].as_u64().unwrap() >= 2, "{seen}");
    assert_eq!((&seen["filtered"], &seen["drilled"]["range"]), (&json!(true), &json!("custom")));
    assert!(seen["refused"].as_str().unwrap().contains("is not an id"), "{seen}");
    drop(server.terminate().await);
}
